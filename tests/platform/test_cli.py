"""How a command ends: its errors are one sentence, and signals one line, with the status that shells and schedulers expect."""

import errno
import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from platform.cli import run, sentence
from platform.console import Console

import pytest

from trainables.errors import StridefoldError

WAITS = """
import os, signal, sys, time
from platform.cli import leave, run
from platform.console import Console

def command():
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        print("leaving", flush=True)
        {cleanup}

leave(run(command, Console(), stopped="stopped; the same command goes on from here"))
"""


def begin(cleanup: str = "pass", *before: str) -> subprocess.Popen[str]:
    """Starts a command that waits, and returns it once it does."""
    command = [*before, sys.executable, "-c", WAITS.format(cleanup=cleanup)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_with_one_line_and_its_own_status(number: signal.Signals) -> None:
    """What a command has to close is closed; then there is one line, and 128 and the signal's number."""
    process = begin()
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert said == "leaving\nstopped; the same command goes on from here\n"
    assert process.returncode == 128 + number


@pytest.mark.parametrize(
    ("first", "second"),
    [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)],
)
def test_a_second_signal_ends_it_at_once(first: signal.Signals, second: signal.Signals) -> None:
    """While a command still closes what it has to, whoever asks again waits no longer, and sees no traceback."""
    process = begin("time.sleep(60)")
    process.send_signal(first)
    assert process.stdout is not None
    assert process.stdout.readline() == "leaving\n"
    started = time.monotonic()
    process.send_signal(second)
    said, _ = process.communicate(timeout=60)
    assert said == "stopped; the same command goes on from here\n"
    assert process.returncode == 128 + second
    assert time.monotonic() - started < 5


def test_closing_that_takes_too_long_is_cut_short() -> None:
    """`docker stop` kills after 10 s: the line and the status come before."""
    process = begin("time.sleep(60)")
    process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    said, _ = process.communicate(timeout=60)
    assert said == "leaving\nstopped; the same command goes on from here\n"
    assert process.returncode == 143
    assert time.monotonic() - started < 10


def test_what_a_signal_breaks_is_not_said() -> None:
    """Workers that are ended together with the command raise errors of all kinds while it stops."""
    process = begin("raise ValueError('a worker was lost')")
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert said == "leaving\nstopped; the same command goes on from here\n"
    assert process.returncode == 143


def test_a_hangup_that_nohup_ignores_stays_ignored() -> None:
    """A search under nohup goes on when its terminal is closed."""
    process = begin("pass", "nohup")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError("AF_UNIX path length cannot exceed 107 bytes: /very/long"), "AF_UNIX path length cannot exceed 107 bytes: /very/long"),
        (OSError(), "OSError"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/a b"), "/a b: No such file or directory"),
        (OSError(errno.EXDEV, "Invalid cross-device link", "/a", None, "/b"), "/a and /b: Invalid cross-device link"),
        (OSError(errno.EBADF, "Bad file descriptor", 7), "Bad file descriptor"),
    ],
)  # fmt: skip
def test_an_error_of_the_system_says_what_it_knows(error: OSError, said: str) -> None:
    """Never 'a file' and never 'None'."""
    assert sentence(error) == said


def test_an_error_is_one_sentence_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    """Ours as it is; one of the system with what is kept."""

    def ours() -> int:
        raise StridefoldError("trials is 0, but must be at least 1")

    def of_the_system() -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/study/folds")

    assert run(ours, Console()) == 1
    assert run(of_the_system, Console(), kept="what was finished is kept") == 1
    assert capsys.readouterr().err == (
        "error: trials is 0, but must be at least 1\n"
        "error: /study/folds: No space left on device; what was finished is kept [file.system]\n"
    )


def test_a_defect_keeps_its_traceback() -> None:
    """An error that nobody thought of is not hidden."""
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 // 0, Console())


def test_the_process_is_left_as_it_was_found(tmp_path: Path) -> None:
    """Environment, log levels, warning filters, signal handlers and hooks are the caller's again."""

    def mine(*_: object) -> None:
        raise AssertionError

    def careless() -> int:
        os.environ["STRIDEFOLD_TEST_NEW"] = "1"
        os.environ["STRIDEFOLD_TEST_OLD"] = "changed"
        del os.environ["STRIDEFOLD_TEST_GONE"]
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        warnings.simplefilter("ignore")
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        sys.excepthook = mine
        return 0

    os.environ |= {"STRIDEFOLD_TEST_OLD": "old", "STRIDEFOLD_TEST_GONE": "gone"}
    found = {number: signal.signal(number, mine) for number in (signal.SIGTERM, signal.SIGUSR1)}
    logging.getLogger("ray").setLevel(logging.WARNING)
    environment, filters, hook = dict(os.environ), list(warnings.filters), sys.excepthook
    try:
        assert run(careless, Console()) == 0
        assert dict(os.environ) == environment
        assert logging.getLogger("ray").level == logging.WARNING
        assert list(warnings.filters) == filters
        assert [signal.getsignal(number) for number in found] == [mine, mine]
        assert sys.excepthook is hook
    finally:
        for number, handler in found.items():
            signal.signal(number, handler)
        del os.environ["STRIDEFOLD_TEST_OLD"], os.environ["STRIDEFOLD_TEST_GONE"]
        logging.getLogger("ray").setLevel(logging.NOTSET)


def test_another_thread_may_run_a_command() -> None:
    """Only the main thread may install signal handlers; elsewhere a command runs without them."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run, lambda: 7, Console()).result() == 7
