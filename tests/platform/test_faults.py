"""What really breaks: processes killed at any moment, a worker, a node, a full disk, a torn database. Run by `make faults`."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ray.cluster_utils import Cluster

from tests.tiny import write_place
from trainables.study.leaderboard import read_trials

pytestmark = pytest.mark.faults
SMALL = ["--plain", "--frames", "2", "--folds", "2", "--trials", "3", "--concurrency", "1", "--sampler", "random", "--prune", "0",
         "--set", "decoder.width=32", "--set", "decoder.layers=1", "--set", "decoder.steps=20"]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a tiny cohort and a tiny backbone."""
    return write_place(tmp_path_factory.mktemp("faults"))


def begin(place: Path, study: Path, *more: str) -> subprocess.Popen[str]:
    """Starts a search whose study is in `study`."""
    given = ["--cohort", str(place / "videos" / "cohort.csv"), "--backbone", str(place / "clip"), "--study", str(study)]
    command = [sys.executable, "-m", "platform.search", *given, "--cache", str(place / "cache"), *SMALL, *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Waits for a search that must succeed, and returns what it printed."""
    said, _ = process.communicate(timeout=400)
    assert process.returncode == 0, said
    return said


def outcome(study: Path) -> dict[str, Any]:
    """Returns what a search came to: everything of its results but times and numbers of trials."""
    found = json.loads((study / "results.json").read_text())
    chosen = {k: v for k, v in found["chosen"].items() if k not in ("folds", "trial", "comparisons")}
    trials = sorted((t["params"]["text.n_ctx"], t["value"]) for t in found["leaderboard"] if t["state"] == "COMPLETE")
    return {"chosen": chosen, "trials": trials, "words": found["words"], "cohort": found["cohort"]}


def written(study: Path) -> dict[str, int]:
    """Returns when each finished fold's predictions were written, which happens once."""
    return {p.parent.name: p.stat().st_mtime_ns for p in study.glob("folds/*/predictions.parquet")
            if p.with_name("result.json").exists()}  # fmt: skip


def until(condition: Callable[[], Any], seconds: float = 120) -> Any:
    """Returns what a condition comes to, once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Returns the processes that train in a search's own Ray session: those with the search among their ancestors' sessions."""
    session = os.getsid(process.pid)
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if b"ray::ImplicitFunc" in (entry / "cmdline").read_bytes() and _descends(int(entry.name), session):
                found.append(int(entry.name))
        except (OSError, ValueError):
            continue
    return found


def _descends(pid: int, ancestor: int) -> bool:
    while pid > 1:
        if pid == ancestor:
            return True
        pid = int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    return False


def test_killed_ten_times_it_comes_to_the_same_end(place: Path, tmp_path: Path) -> None:
    """SIGKILL of the driver at ten random moments; the study ends as one that was left alone, and no fold runs twice."""
    finish(begin(place, tmp_path / "alone", "--epochs", "1"))
    study, moments, kills = tmp_path / "killed", random.Random(0), 0
    before: dict[str, int] = {}
    while kills < 10:
        process = begin(place, study, "--epochs", "1")
        try:
            process.communicate(timeout=moments.uniform(3, 30))
            break  # it was done before the next kill
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        after = written(study)
        assert {key: after[key] for key in before} == before
        before = after
    finish(begin(place, study, "--epochs", "1"))
    assert kills >= 3
    assert {key: written(study)[key] for key in before} == before
    assert outcome(study) == outcome(tmp_path / "alone")
    one, other = (pl.read_parquet(s / "predictions.parquet") for s in (study, tmp_path / "alone"))
    assert one.equals(other)


def test_a_worker_killed_in_mid_epoch_costs_that_epoch_alone(place: Path, tmp_path: Path) -> None:
    """Ray starts the worker again, and the trial goes on after its last whole epoch to the same end."""
    options = ("--trials", "1", "--epochs", "12", "--set", "optimizer.batch_size=1")
    finish(begin(place, tmp_path / "alone", *options))
    study = tmp_path / "killed"
    process = begin(place, study, *options)
    until(lambda: list(study.glob("folds/*/checkpoint.pt")))
    os.kill(until(lambda: workers_of(process))[0], signal.SIGKILL)
    finish(process)
    (trial,) = read_trials(study, "killed")
    assert trial.state == "COMPLETE"
    one, other = (pl.read_parquet(s / "predictions.parquet") for s in (study, tmp_path / "alone"))
    assert one.equals(other)


def test_a_node_killed_in_mid_epoch_costs_that_epoch_alone(place: Path, tmp_path: Path) -> None:
    """The raylet of the only node with a CPU is killed; the trial goes on, on a node that joined, to the same end."""
    options = ("--trials", "1", "--epochs", "12", "--set", "optimizer.batch_size=1")
    finish(begin(place, tmp_path / "alone", *options))
    head = {"num_cpus": 0, "resources": {"tune_driver": 4}, "include_dashboard": True}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        node = cluster.add_node(num_cpus=1)
        study = tmp_path / "killed"
        process = begin(place, study, *options, "--address", cluster.address)
        until(lambda: list(study.glob("folds/*/checkpoint.pt")) or process.poll() is not None)
        (raylet,) = node.all_processes["raylet"]
        os.kill(raylet.process.pid, signal.SIGKILL)
        cluster.add_node(num_cpus=1)
        finish(process)
    finally:
        cluster.shutdown()
    (trial,) = read_trials(study, "killed")
    assert trial.state == "COMPLETE"
    one, other = (pl.read_parquet(s / "predictions.parquet") for s in (study, tmp_path / "alone"))
    assert one.equals(other)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Returns a file system of its own that holds 24 MB, to be made larger by `remount`."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("a file system cannot be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_ends_in_a_sentence_and_goes_on_when_there_is_room(place: Path, small_disk: Path) -> None:
    """Without room the search ends with a sentence and keeps what it has; with room the same command completes it."""
    study = small_disk / "study"
    finish(begin(place, study, "--trials", "1", "--epochs", "1"))
    before, page = written(study), (study / "report.html").read_bytes()
    filler = small_disk / "filler"
    free = shutil.disk_usage(small_disk).free
    filler.write_bytes(b"\0" * max(free - 64 * 1024, 0))
    process = begin(place, study, "--trials", "3", "--epochs", "1")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 1, said
    assert "No space left on device" in said
    assert "[search.stopped]" in said
    assert "Traceback" not in said
    assert {key: written(study)[key] for key in before} == before
    assert (study / "report.html").read_bytes() == page
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    finish(begin(place, study, "--trials", "3", "--epochs", "1"))
    assert {key: written(study)[key] for key in before} == before
    assert sum(t.state == "COMPLETE" for t in read_trials(study, "study")) == 3


def test_a_torn_journal_of_the_database_loses_nothing_that_was_told(place: Path, tmp_path: Path) -> None:
    """What a killed writer leaves beside the database, cut off anywhere, does not keep the study from going on."""
    study = tmp_path / "torn"
    finish(begin(place, study, "--trials", "1", "--epochs", "1"))
    before = written(study)
    for name in ("study.db-wal", "study.db-journal"):
        (study / name).write_bytes(os.urandom(300))
    finish(begin(place, study, "--trials", "2", "--epochs", "1"))
    assert {key: written(study)[key] for key in before} == before
    assert [t.state for t in read_trials(study, "torn")] == ["COMPLETE", "COMPLETE"]
