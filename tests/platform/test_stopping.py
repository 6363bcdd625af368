"""A search that is stopped from outside: one line, the status that schedulers expect, and everything it had is there."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from platform.processes import descendants
from platform.study import lock

import pytest

from tests.tiny import write_place
from trainables.study.leaderboard import read_trials
from trainables.study.records import StudyRecord
from trainables.training.checkpoint import load_checkpoint

pytestmark = pytest.mark.slow
LINE = "stopped; the same command goes on from here"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a tiny cohort and a tiny backbone."""
    return write_place(tmp_path_factory.mktemp("stopping"))


def training(place: Path, name: str) -> tuple[subprocess.Popen[str], Path]:
    """Starts a search of long folds, and returns it with its study once a fold has a checkpoint."""
    study = place / "studies" / name
    given = ["--cohort", str(place / "videos" / "cohort.csv"), "--backbone", str(place / "clip"), "--study", str(study)]
    long = [
        "--plain",
        "--cache",
        str(place / "cache"),
        "--trials",
        "1",
        "--folds",
        "2",
        "--frames",
        "2",
        "--epochs",
        "3000",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "platform.search", *given, *long],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    until(lambda: list(study.glob("folds/*/checkpoint.pt")) or process.poll() is not None)
    assert process.poll() is None, process.communicate()[0]
    return process, study


def until(condition: Callable[[], object], seconds: float = 400) -> None:
    """Waits for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def is_kept(study: Path) -> None:
    """Passes where a stopped study is whole, free for the next command, and holds an epoch to go on from."""
    assert StudyRecord.load(study).finished is None
    assert [t.state for t in read_trials(study, study.name)] == ["RUNNING"]
    (fold,) = {path.parent for path in study.glob("folds/*/checkpoint*.pt")}
    state = load_checkpoint(fold)
    assert state is not None
    assert len(state["history"]) >= 1
    with lock(study):
        pass


@pytest.mark.parametrize(
    ("numbers", "status"),
    [((signal.SIGTERM,), 143), ((signal.SIGINT,), 130), ((signal.SIGINT, signal.SIGINT), 130)],
    ids=["SIGTERM", "Ctrl-C", "Ctrl-C twice"],
)
def test_a_signal_in_mid_training(numbers: tuple[signal.Signals, ...], status: int, place: Path) -> None:
    """SLURM's and docker's SIGTERM, and one Ctrl-C or two; nothing that the search has started stays."""
    process, study = training(place, f"signals-{'-'.join(str(int(n)) for n in numbers)}")
    started = [child.pid for child in descendants(process.pid)]
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.2)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == status, said
    assert said.splitlines()[-1] == LINE
    assert said.count("stopped") == 1
    assert "Traceback" not in said
    is_kept(study)
    with contextlib.suppress(AssertionError):
        until(lambda: not _left(started), 60)
    assert _left(started) == []


def _left(started: list[int]) -> list[str]:
    """Returns the command lines of those of Ray's processes that are still there; another may have a number of theirs by now."""
    found = []
    for pid in started:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if "ray" in command:
            found.append(command)
    return found


def test_a_signal_to_every_process_of_the_job(place: Path) -> None:
    """A scheduler whose time is up ends Ray's processes too; what breaks then is not said."""
    process, study = training(place, "job")
    for pid in [*(child.pid for child in descendants(process.pid)), process.pid]:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            continue
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert said.splitlines()[-1] == LINE
    assert "Traceback" not in said
    is_kept(study)
