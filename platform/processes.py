"""The processes that a process has started, and those that they have: on Linux, from /proc; none elsewhere."""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Started:
    """A process by its number and the tick at which it began: numbers are given again."""

    pid: int
    began: int


def descendants(pid: int) -> list[Started]:
    """Returns what a process has started, and what that has, as of now."""
    children: dict[int, list[Started]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if (found := _stat(int(entry.name))) is not None:
            children.setdefault(found[0], []).append(found[1])
    below: list[Started] = []
    waiting = [pid]
    while waiting:
        here = children.get(waiting.pop(), [])
        below += here
        waiting += [process.pid for process in here]
    return below


def end_all(processes: list[Started]) -> None:
    """Ends processes that are still there, at once."""
    for process in processes:
        found = _stat(process.pid)
        if found is not None and found[1] == process:
            with suppress(OSError):
                os.kill(process.pid, signal.SIGKILL)


def _stat(pid: int) -> tuple[int, Started] | None:
    """Returns a process's parent and the process; None where it is gone."""
    try:
        # After the name in brackets, which may hold brackets and blanks, come state, parent and, as the 20th word, the start.
        words = (Path("/proc") / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return int(words[1]), Started(pid, int(words[19]))
    except (OSError, ValueError, IndexError):
        return None
