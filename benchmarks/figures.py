"""Figures: two sides measured in turns, and how they are printed."""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from trainables.allocator import KEEP_MEMORY


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Ours beside something else, both measured in one run."""

    what: str
    ours: float
    other: float
    unit: str
    beside: str
    """What the other side is."""
    ratio: float
    """Ours over the other, the median over the rounds."""
    low: float
    """Smallest ratio of a round; `high` is the largest."""
    high: float
    aim: str = ""

    def line(self) -> str:
        """Returns the figure as one row of a Markdown table."""
        spread = f"{self.low:.3g}-{self.high:.3g}" if self.low < self.high else ""
        sides = f"{self.ours:.3g} {self.unit} | {self.other:.3g} {self.unit}, {self.beside}"
        return f"| {self.what} | {sides} | {self.ratio:.3g} | {spread} | {self.aim} |"


HEAD = (
    "| what | ours | the other side | ratio | smallest-largest of the rounds | aim |\n"
    "|---|---|---|---|---|---|"
)  # fmt: skip


def figure(what: str, rounds: Iterable[tuple[float, float]], *, unit: str, beside: str, aim: str = "") -> Figure:
    """Returns the medians of rounds of (ours, the other)."""
    pairs = list(rounds)
    ours, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratios = [a / b for a, b in pairs]
    return Figure(what=what, ours=ours, other=other, unit=unit, beside=beside, ratio=statistics.median(ratios),
                  low=min(ratios), high=max(ratios), aim=aim)  # fmt: skip


def in_turns(ours: Callable[[], float], other: Callable[[], float], rounds: int) -> list[tuple[float, float]]:
    """Returns what both sides come to, one after the other in each round, so that a slow minute slows both."""
    return [(ours(), other()) for _ in range(rounds)]


def timed(call: Callable[[], object]) -> float:
    """Returns the seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def memory() -> float:
    """Returns this process's resident memory in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def show(figures: Iterable[Figure]) -> None:
    """Prints each figure as it is measured: a row of a table, or JSON for `benchmarks/table.py`."""
    for found in figures:
        print(json.dumps(asdict(found)) if os.environ.get("FIGURES") == "json" else found.line(), flush=True)


def as_a_worker() -> None:
    """Starts this command again where its environment lacks what a search gives its workers, which is read at the start."""
    if not KEEP_MEMORY.items() <= os.environ.items():
        os.execve(sys.executable, sys.orig_argv, os.environ | KEEP_MEMORY)


def parser(about: str | None) -> argparse.ArgumentParser:
    """Returns the parser of a benchmark's options."""
    return argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
