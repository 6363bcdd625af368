"""What every command has in common: its errors are one sentence, and a signal ends it with one line and what it has kept."""

import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from platform.console import Console
from platform.processes import Started, descendants, end_all
from platform.surroundings import as_found, put_back
from types import FrameType
from typing import NoReturn

from trainables.errors import StridefoldError

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, what SLURM and `docker stop` send, and a terminal that is closed."""
LEAVING_SECONDS = 8.0
"""For what a stopped command has to end, Ray among it; `docker stop` kills after 10."""


def run(command: Callable[[], int], console: Console, *, stopped: str = "stopped", kept: str = "") -> int:
    """Runs a command and returns its exit status: its own, 1 for a problem, 128 and the signal's number where one ended it.

    Args:
        stopped: what is said where a signal ends it, a second one at once.
        kept: what is said of finished work where a file cannot be read or written.
    """
    with as_found(quiet=logging.ERROR), _any_character(), _signals(stopped) as received:
        try:
            return command()
        except StridefoldError as error:
            problem: Exception = error
        except OSError as error:
            problem = StridefoldError(f"{sentence(error)}{f'; {kept}' if kept else ''}", code="file.system")
        except UnicodeEncodeError as error:
            if error.reason != "surrogates not allowed":
                raise
            name = os.fsencode(str(error.object))
            problem = StridefoldError(
                f"{name!r} is a name that is not UTF-8, which no table can hold; rename it", code="file.name_not_utf"
            )
        except KeyboardInterrupt:
            received.append(signal.SIGINT)  # where it is not the handler's: outside the main thread
        except SystemExit as error:
            if error.code != signal.SIGTERM:
                raise
            received.append(signal.SIGTERM)  # by Ray's own handler, while Ray starts
        except Exception:
            if not received:
                raise  # and else it is what the signal broke: workers and Ray get it too where a whole job is ended
        if received:
            console.say(stopped)
            return 128 + received[0]
        console.error(problem)
        return 1


def sentence(error: OSError) -> str:
    """Returns what an error of the operating system says, and of which file."""
    said = error.strerror or next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    return f"{' and '.join(names)}: {said}" if names else said


def leave(status: int) -> NoReturn:
    """Ends the process; one that a signal stopped does not wait for what libraries would still do, or a second Ctrl-C spoil."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # whoever read it is gone
            status = status or 1
    if status > 128:
        os._exit(status)
    sys.exit(status)


@contextmanager
def _any_character() -> Iterator[None]:
    """Writes characters that the terminal's encoding lacks as escapes: a class's name would end a search otherwise."""
    output = sys.stdout
    if not isinstance(output, io.TextIOWrapper) or output.errors != "strict":
        yield
        return
    output.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        if not output.closed:
            output.reconfigure(errors="strict")


@contextmanager
def _signals(stopped: str) -> Iterator[list[int]]:
    """Yields the signals received so far. The first one raises KeyboardInterrupt in the main thread, the second ends the process."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    started: list[Started] = []

    def end(number: int) -> None:
        end_all(started)  # Ray's processes would go on for minutes
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            os.write(sys.stdout.fileno(), f"{stopped}\n".encode())
        os._exit(128 + number)

    def on_signal(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            end(number)
        started.extend(descendants(os.getpid()))  # before some lose their parent, and with it what says whose they are
        timer.start()
        raise KeyboardInterrupt

    timer = threading.Timer(LEAVING_SECONDS, lambda: end(received[0]))
    timer.daemon = True
    before = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as of nohup, or a shell's background job
            signal.signal(number, on_signal)
    try:
        yield received
    finally:
        timer.cancel()
        put_back(before)
