"""What the terminal says while folds train: plain lines that do not flood, a live view, and the time left."""

import io
import time
from pathlib import Path
from platform.console import Console, TrialsView
from platform.watching import about, every, in_training, in_words

import pytest
from rich.console import Console as RichConsole

from trainables.study.progress import PREPARING, SCORING, TRAINING, FoldProgress, forget


class Event:
    """An event as the tuner's, without Ray."""

    def __init__(self, trial: int, what: str, fold: int = 0, folders: tuple[Path, ...] = ()):
        self.trial, self.what, self.fold, self.folders = trial, what, fold, folders
        self.params, self.score, self.log_loss, self.problem = {"text.n_ctx": 8}, 0.5, 0.7, "behind"


def step(done: int, total: int = 400) -> FoldProgress:
    return FoldProgress(phase=TRAINING, done=done, total=total, loss=0.3125, seconds_left=40.0)


def folders(tmp_path: Path, trial: int = 0, folds: int = 3) -> tuple[Path, ...]:
    return tuple(tmp_path / f"{trial}-{fold}" for fold in range(folds))


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks often, and tells news after a quarter of a second."""
    monkeypatch.setattr("platform.console.LOOK", 0.01)
    monkeypatch.setattr("platform.console.QUIET", 0.25)


def test_progress_in_words():
    """Each phase has its words; what is not known is left out."""
    assert in_words(step(120)) == "step 120 of 400, loss 0.312, about 40 s left"
    assert in_words(FoldProgress(phase=TRAINING, done=1, total=9)) == "step 1 of 9"
    assert in_words(FoldProgress(phase=PREPARING)) == "preparing"
    assert in_words(FoldProgress(phase=PREPARING, done=2, total=58)) == "reading videos: 2 of 58"
    assert in_words(FoldProgress(phase=SCORING, done=3, total=12)) == "scoring: 3 of 12"
    assert [about(s) for s in (4.4, 89, 90, 5400, 36000)] == ["about 4 s", "about 89 s", "about 2 min", "about 90 min", "about 10 h"]  # fmt: skip


def test_the_first_fold_that_is_in_training_counts(tmp_path):
    """Workers may be a fold ahead of what the search has heard; a fold without a file does not train."""
    place = folders(tmp_path)
    assert in_training(place, 0) is None
    step(5).save(place[1])
    assert in_training(place, 0) == (1, step(5))
    assert in_training(place, 2) is None


def test_plain_lines_come_from_the_first_fold_on_and_seldom(tmp_path, capsys, fast):
    """A fold that trains for long gets a line, not one for each step, and none right after another line about its trial."""
    place = folders(tmp_path)
    with Console(plain=True).trials(2, 3, 0) as on_event:
        on_event(Event(0, "started", folders=place))
        began = time.monotonic()
        done = 0
        while time.monotonic() - began < 0.9:
            done += 1
            step(done).save(place[0])
            time.sleep(0.01)
        seconds = time.monotonic() - began
        forget(place[0])
        on_event(Event(0, "fold", fold=1))
        step(7).save(place[1])
        time.sleep(0.1)
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if ": fold 1 of 3, step " in line]
    assert 2 <= len(told) <= seconds / 0.25
    assert told[0].startswith("search, trial 0: fold 1 of 3, step ")
    assert ", loss 0.312, about 40 s left" in told[0]
    assert lines[-1].startswith("search, trial 0: fold 1 of 3 done")


def test_each_trial_has_lines_of_its_own(tmp_path, capsys, fast):
    """Two trials side by side are both told, and a trial that has ended no more."""
    with Console(plain=True).trials(2, 3, 0) as on_event:
        for trial in (0, 1):
            on_event(Event(trial, "started", folders=folders(tmp_path, trial)))
            step(50).save(folders(tmp_path, trial)[0])
        time.sleep(0.5)
        on_event(Event(1, "pruned", fold=1))
        ended = len(capsys.readouterr().out.splitlines())
        time.sleep(0.5)
    assert ended >= 5
    after = capsys.readouterr().out.splitlines()
    assert after
    assert all(line.startswith("search, trial 0: fold 1 of 3, step 50 of 400") for line in after)


def test_the_time_left_counts_parts_of_folds(tmp_path):
    """A quarter of the first of six folds done in 100 s leaves 2300 s; the first tenth of a fold says nothing yet."""
    view = TrialsView(trials=2, folds=3)
    view.running, view.folders = {0: 0}, {0: folders(tmp_path)}
    step(20).save(folders(tmp_path)[0])
    view.look()
    assert view.left() == ""
    step(100).save(folders(tmp_path)[0])
    view.look()
    view.started = time.monotonic() - 100
    assert view.left() == "about 38 min left"
    forget(folders(tmp_path)[0])
    view.look()
    assert view.progress == {}
    view.running[0], view.started = 1, time.monotonic() - 1000
    assert view.left() == "about 83 min left"


def test_the_live_view_shows_the_fold_in_training(tmp_path):
    """A row for each running trial: its finished folds as a bar, and the steps and loss of the fold in training."""
    console, view = Console(plain=True), TrialsView(trials=8, folds=3, started=time.monotonic() - 100)
    console._line(view, Event(0, "started", folders=folders(tmp_path)), "search")
    console._line(view, Event(1, "started", folders=folders(tmp_path, 1)), "search")
    console._line(view, Event(0, "fold", fold=1), "search")
    step(120).save(folders(tmp_path)[1])
    view.look()
    out = io.StringIO()
    RichConsole(file=out, width=120).print(console._picture(view, "search"))
    head, first, second, _ = out.getvalue().splitlines()
    assert head.startswith("search: 0 of 8 trials done   about ")
    assert first.split("  ")[0] == "trial 0"
    assert "■□□" in first
    assert first.rstrip().endswith("fold 2: step 120 of 400, loss 0.312, about 40 s left")
    assert second.rstrip().endswith("starting")


def test_folds_beside_a_search_are_told(tmp_path, capsys, fast):
    """A baseline's folds are told under its name."""
    place = folders(tmp_path, folds=2)
    with Console(plain=True).folds("baseline vita_clip", place):
        step(8).save(place[1])
        time.sleep(0.5)
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert set(lines) == {"baseline vita_clip: fold 2 of 2, step 8 of 400, loss 0.312, about 40 s left"}


def test_a_thread_that_looks_ends_with_its_block():
    """It calls until the block ends, also where the block fails, and never after."""
    calls: list[int] = []

    def fail() -> None:
        with every(0.005, lambda: calls.append(0)):
            time.sleep(0.2)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    count = len(calls)
    assert count > 2
    time.sleep(0.05)
    assert len(calls) == count
