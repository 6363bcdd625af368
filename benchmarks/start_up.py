"""Prints how long a user waits for --help and for the report of a large study.

python benchmarks/start_up.py
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, figure, in_turns, parser, show, timed
from tests.make_study import make_study

TRIALS, FOLDS = 100, 5


def main() -> None:
    """Measures and prints the figures."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=5)
    show(figures(options.parse_args().rounds))


def figures(rounds: int) -> Iterator[Figure]:
    """Yields the figures."""

    def python(*arguments: str) -> float:
        return timed(lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True))

    yield figure("platform.search --help (aim: 1 s)", in_turns(lambda: python("-m", "platform.search", "--help"), lambda: python("-c", "pass"), rounds),
                 unit="s", beside="python alone")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        study = make_study(Path(folder) / "study", trials=TRIALS, folds=FOLDS, per_class=20)
        yield figure(f"the page of {TRIALS} trials x {FOLDS} folds, 60 subjects (aim: 10 s)",
                     in_turns(lambda: python("-m", "platform.report", str(study), "--no-pdf"),
                              lambda: python("-c", "import numpy, scipy.stats, sklearn.metrics, polars, matplotlib.pyplot"), 2),
                     unit="s", beside="importing what it is made with")  # fmt: skip


if __name__ == "__main__":
    main()
