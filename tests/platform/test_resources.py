"""Ray sessions: one of our own within what this process may use, one that the caller has, and an address without any."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from platform.options import SearchOptions
from platform.ray_places import BELOW, LONGEST_SOCKET, temporary_folder
from platform.resources import ray_session
from typing import Any

import pytest

from tests.errors import coded
from tests.tiny import write_place
from trainables.errors import StridefoldError


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_without_a_cluster_is_one_sentence(scheme: str) -> None:
    """Ray alone would wait there for minutes and then end the process."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, but nobody listens
        address = f"{scheme}127.0.0.1:{unused.getsockname()[1]}"
        with (
            pytest.raises(StridefoldError, check=coded("ray.no_cluster", f"--address {address}")),
            ray_session(SearchOptions(address=address)),
        ):
            pass


STATE = """
import json, logging, os, signal, sys, warnings

def mine(*_):
    raise AssertionError

signal.signal(signal.SIGTERM, mine)

def state():
    loggers = {n: logging.getLogger(n).level for n in ("ray", "ray.tune", "ray.train", "optuna", "transformers")}
    handlers = [signal.getsignal(n) is mine for n in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)]
    return [dict(os.environ), loggers, list(map(str, warnings.filters)), handlers, sys.excepthook is hook]
"""

OWN = (
    STATE
    + """
import platform.pipeline, optuna
hook = sys.excepthook
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from platform.options import SearchOptions
from platform.resources import ray_session
before = state()
with ray_session(SearchOptions(), lambda gpus: 1 << 40) as machines:
    import ray
    where = ray.get(ray.remote(lambda: os.environ["TMPDIR"]).remote())
    found = {
        "cpus": machines.cpus, "concurrent": machines.concurrent, "memory": machines.memory,
        "offered": ray.cluster_resources()["memory"], "store": ray.cluster_resources()["object_store_memory"],
        "worker": where, "token": bool(os.environ.get("RAY_AUTH_TOKEN")),
    }
after = state()
import tempfile
with tempfile.TemporaryFile():
    pass
found |= {"same": after == before, "folder": os.path.exists(where), "running": ray.is_initialized()}
print("FOUND" + json.dumps(found))
"""
)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Returns what a process saw of a session of its own: bound to one CPU, TMPDIR long, and no home that can be written."""
    long = tmp_path_factory.mktemp("temporary") / ("x" * 90)
    long.mkdir()
    environment = {n: v for n, v in os.environ.items() if not n.startswith("RAY_AUTH")}
    return facts(OWN, environment | {"TMPDIR": str(long), "HOME": "/proc/nowhere"})


def facts(code: str, environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    """Runs a program that ends by printing what it found, and returns that."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900, check=False)
    assert "FOUND" in done.stdout, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.rpartition("FOUND")[2])
    return found | {"said": done.stdout + done.stderr}


def test_a_process_bound_to_one_cpu_starts_one_trial(own: dict[str, Any]) -> None:
    """The machine's other CPUs are somebody else's."""
    assert (own["cpus"], own["concurrent"]) == (1, 1)


def test_ray_is_told_how_much_memory_there_is(own: dict[str, Any]) -> None:
    """A worker never asks for more than Ray offers, for which it would wait forever."""
    assert 0 < own["memory"] <= own["offered"]
    assert own["store"] <= 1 << 30


def test_sockets_lie_where_their_paths_are_short_enough(own: dict[str, Any]) -> None:
    """With a long TMPDIR the session has a short folder of its own, for its workers too, and takes it away."""
    assert len(own["worker"]) + BELOW <= LONGEST_SOCKET
    assert own["folder"] is False
    assert "AF_UNIX" not in own["said"]


def test_a_home_that_cannot_be_written_needs_no_token_file(own: dict[str, Any]) -> None:
    """Ray's token is then in the environment of its processes."""
    assert own["token"] is True


def test_the_process_is_as_it_was_after_a_session_of_its_own(own: dict[str, Any]) -> None:
    """Environment, log levels, warning filters, signal handlers and the hook for crashes."""
    assert own["same"] is True
    assert own["running"] is False


JOINED = (
    STATE
    + """
os.environ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = "7"
import ray
ray.init(address="local", num_cpus=1, log_to_driver=False, logging_level="ERROR")
signal.signal(signal.SIGTERM, mine)
hook = sys.excepthook
import platform.pipeline, optuna
from platform.search import main
kept = ray.put("still there")
before = state()
status = main(sys.argv[1:])
after = state()
found = {"status": status, "same": after == before, "running": ray.is_initialized(), "kept": ray.get(kept)}
found["other"] = main([*sys.argv[1:], "--address", "192.0.2.9:6379"])
found["works"] = ray.get(ray.remote(lambda: 7).remote())
print("FOUND" + json.dumps(found))
"""
)


@pytest.mark.slow
def test_a_session_that_the_caller_has_is_joined_and_goes_on(tmp_path: Path) -> None:
    """A whole search in it ends well, the session lives and keeps its objects, and the process is as it was."""
    place = write_place(tmp_path)
    quick = ["--plain", "--epochs", "1", "--folds", "2", "--frames", "2", "--trials", "1", "--set", "decoder.width=32",
             "--set", "decoder.layers=1", "--set", "decoder.steps=5"]  # fmt: skip
    given = ["--cohort", str(place / "videos" / "cohort.csv"), "--backbone", str(place / "clip")]
    where = ["--studies", str(place / "studies"), "--cache", str(place / "cache"), "--study", "joined"]
    found = facts(JOINED, dict(os.environ), *given, *where, *quick)
    assert (found["status"], found["same"], found["running"]) == (0, True, True), found["said"]
    assert (found["kept"], found["works"]) == ("still there", 7)
    assert found["other"] == 1
    assert "--address 192.0.2.9:6379, but this process has a Ray session at" in found["said"]
    assert (place / "studies" / "joined" / "report.html").exists()


def test_a_short_folder_is_left_to_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Ray's own choice will do, nothing is changed."""
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", "/tmp")
    with temporary_folder() as folder:
        assert folder is None
        assert os.environ["TMPDIR"] == "/tmp"


@pytest.mark.parametrize("name", ["with a blank", "ü" * 20, "x" * 80, "?%41#"])
def test_a_folder_that_ray_cannot_use_is_not_used(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray splits its command lines at blanks; a socket's path is short; the folder that was taken instead is removed."""
    (tmp_path / name).mkdir()
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path / name))
    with temporary_folder() as folder:
        assert folder is not None
        assert Path(folder).stat().st_mode & 0o777 == 0o700
        assert os.environ["TMPDIR"] == folder
    assert not Path(folder).exists()
    assert os.environ["TMPDIR"] == str(tmp_path / name)


def test_no_folder_at_all_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how long a path may be, and which variable to set."""
    monkeypatch.setattr("platform.ray_places.SHORT", ("/proc/nowhere",))
    monkeypatch.setenv("RAY_TMPDIR", "/proc/nowhere/either")
    with (
        pytest.raises(StridefoldError, check=coded("ray.no_short_folder", "/proc/nowhere/either", "RAY_TMPDIR")),
        temporary_folder(),
    ):
        pass
