"""What this process may use of its machine: CPUs by affinity and cgroups, memory by cgroups and what others leave. No torch.

A job of SLURM, a container or a systemd unit sees all CPUs and all memory of the machine, and may use a part.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UNLIMITED = 1 << 60
"""Bytes. cgroup v1 writes a number of this order where nothing is limited."""


@dataclass(frozen=True, kw_only=True, slots=True)
class System:
    """Where the kernel says what this process is allowed."""

    groups: Path = Path("/proc/self/cgroup")
    mounts: Path = Path("/proc/self/mountinfo")
    memory: Path = Path("/proc/meminfo")


SYSTEM = System()


def usable_cpus(system: System = SYSTEM) -> int:
    """Returns how many CPUs this process may keep busy, at least 1: those it is bound to, and no more than its quota."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.floor(min([bound, *map(_quota, _folders(system, "cpu"))])))


def usable_memory(system: System = SYSTEM) -> int:
    """Returns the bytes that this process and its children may still take: what is free, and what their cgroups leave."""
    free = [_available(system.memory)]
    for folder in _folders(system, "memory"):
        limit = _number(folder / "memory.max") or _number(folder / "memory.limit_in_bytes") or UNLIMITED
        # Above memory.high nothing is killed, but everything is slowed down until memory is given back.
        limit = min(limit, _number(folder / "memory.high") or UNLIMITED)
        if limit < UNLIMITED:
            used = _number(folder / "memory.current") or _number(folder / "memory.usage_in_bytes") or 0
            free.append(max(0, limit - used + _reclaimable(folder / "memory.stat")))
    return min(free)


def _available(meminfo: Path) -> int:
    """Returns what the machine can give without swapping, in bytes."""
    for line in _lines(meminfo):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return int(os.sysconf("SC_PHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))


def _quota(folder: Path) -> float:
    """Returns a cgroup's CPUs; infinite where it has no quota."""
    words = next(iter(_lines(folder / "cpu.max")), "").split()  # v2: 'QUOTA PERIOD', or 'max PERIOD'
    if len(words) == 2 and words[0].isdigit():
        return int(words[0]) / int(words[1])
    quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else math.inf


def _reclaimable(stat: Path) -> int:
    """Returns the bytes of files that a cgroup holds in memory and gives back when it needs room."""
    values = {name: int(value) for name, _, value in (line.partition(" ") for line in _lines(stat)) if value.isdigit()}
    return values.get("total_inactive_file", values.get("inactive_file", 0))


def _folders(system: System, controller: str) -> Iterator[Path]:
    """Yields the folders of this process's cgroups with a controller, from its own up to the topmost that can be seen."""
    for line in _lines(system.groups):
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        for root, mounted in _mounts(system.mounts, controller if controllers else ""):
            # In a container the mount shows a part of the tree, and what the process is in may be written as the host sees it.
            inside = (
                path.removeprefix(root) if root != "/" and (path + "/").startswith(root.rstrip("/") + "/") else path
            )
            own = mounted / inside.strip("/")
            while own != mounted.parent:
                if own.is_dir():
                    yield own
                own = own.parent


def _mounts(mountinfo: Path, controller: str) -> Iterator[tuple[str, Path]]:
    """Yields (what of the tree is shown, where) of each mount of a v1 controller, or of v2 where there is none."""
    for line in _lines(mountinfo):
        about, _, rest = line.partition(" - ")
        words, kind = about.split(), rest.split()
        if len(words) < 5 or len(kind) < 3 or kind[0] != ("cgroup" if controller else "cgroup2"):
            continue
        if not controller or controller in kind[2].split(","):
            yield _plain(words[3]), Path(_plain(words[4]))


def _plain(text: str) -> str:
    """Returns a path of mountinfo, which writes blanks as \\040."""
    return text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")


def _number(path: Path) -> int | None:
    text = next(iter(_lines(path)), "").strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _lines(path: Path) -> list[str]:
    """Returns a file's lines; none where it cannot be read, which is as if nothing were limited."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
