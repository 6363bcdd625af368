"""Prints the wall time of the embedded default's search over the sum of its folds' training divided by the workers.

    python benchmarks/embedded_search.py

The command a new user runs first, in a folder of its own: cohort, Ray, trials, decoder, report. The other side is what its
fold results say that they took, over the workers that ran side by side. Videos are taken from the frame cache where they are there.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, figure, parser, show
from trainables.study.records import FoldResult


def main() -> None:
    """Runs the search and prints the figure."""
    options = parser(__doc__)
    options.add_argument("rest", nargs="*", help="more options of platform.search, after --")
    with tempfile.TemporaryDirectory() as folder:
        show(figures(Path(folder), options.parse_args().rest))


def figures(folder: Path, rest: list[str]) -> Iterator[Figure]:
    """Yields the figure."""
    command = [sys.executable, "-m", "platform.search", "--plain", "--study", str(folder / "study"), *rest]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall = time.perf_counter() - started
    results = [FoldResult.load(path.parent) for path in (folder / "study" / "folds").glob("*/result.json")]
    alone = sum(result.seconds for result in results) / (os.cpu_count() or 1)
    yield figure(f"the embedded default's search, {len(results)} folds, from command to report", [(wall, alone)], unit="s",
                 beside="its folds alone, divided by the workers")  # fmt: skip


if __name__ == "__main__":
    main()
