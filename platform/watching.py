"""Watches a study beside its search, while Ray holds this process's main thread: folds in training, and calls again and again."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from trainables.errors import first_line
from trainables.study.progress import PREPARING, SCORING, FoldProgress

WIDTH = 20
"""Characters of a bar."""
LONGEST = 300
"""Characters of another program's error that are shown."""


@contextmanager
def every(seconds: float, call: Callable[[], None]) -> Iterator[None]:
    """Calls a function every so many seconds, in a thread of its own, until the block ends."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            call()

    thread = threading.Thread(target=repeat, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def reporting_once(call: Callable[..., None], option: str, say: Callable[[str], None]) -> Callable[..., None]:
    """Returns the same call, of which any error is caught: a tracker that fails ends no search, and the first failure is said.

    Args:
        option: that asked for the tracker, as '--wandb offline'.
        say: prints a line.
    """
    told = threading.Event()

    def safe(*arguments: object) -> None:
        try:
            call(*arguments)
        except Exception as error:  # of the tracker's client, of a file that is being written
            if not told.is_set():
                told.set()
                say(
                    f"note: {option}: {first_line(error)[:LONGEST]}; the search goes on, and the study keeps everything"
                )

    return safe


def in_training(folders: Sequence[Path], done: int) -> tuple[int, FoldProgress] | None:
    """Returns the place and the progress of the first fold in training, or None.

    Args:
        folders: of a trial's folds.
        done: of them that are known to be finished; the workers may be ahead of that.
    """
    for place, folder in enumerate(folders[done:], start=done):
        if (found := FoldProgress.load(folder)) is not None:
            return place, found
    return None


def in_words(progress: FoldProgress) -> str:
    """Returns a fold's progress for reading, as 'step 120 of 400, loss 0.312, about 40 s left'."""
    of = f" {progress.done} of {progress.total}" if progress.total else ""
    if progress.phase == PREPARING:
        return f"reading videos:{of}" if of else "preparing"
    if progress.phase == SCORING:
        return f"scoring:{of}" if of else "scoring"
    loss = "" if progress.loss is None else f", loss {progress.loss:.3f}"
    left = "" if progress.seconds_left is None else f", {about(progress.seconds_left)} left"
    return f"step{of}{loss}{left}"


def bar_line(what: str, done: int, total: int, seconds: float, marks: str) -> str:
    """Returns how far something is, as 'decoding videos ■■■■■□□□□□ 29 of 58, about 12 s left'.

    Args:
        seconds: since it began; nothing is said of the time left in the first one.
        marks: what a part done and a part to do look like.
    """
    full = WIDTH * done // max(total, 1)
    left = f", {about(seconds / done * (total - done))} left" if done and seconds >= 1 and done < total else ""
    return f"{what} {marks[0] * full}{marks[1] * (WIDTH - full)} {done} of {total}{left}"


def about(seconds: float) -> str:
    """Returns a time to come, as 'about 40 s', 'about 12 min' or 'about 5 h'."""
    if seconds < 90:
        return f"about {seconds:.0f} s"
    minutes = seconds / 60
    return f"about {minutes:.0f} min" if minutes < 100 else f"about {minutes / 60:.0f} h"
