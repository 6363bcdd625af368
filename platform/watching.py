"""Watches folds in training: reads their progress from the study folder while Ray holds this process's main thread."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from trainables.study.progress import PREPARING, SCORING, FoldProgress

WIDTH = 20
"""Characters of a bar."""


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
