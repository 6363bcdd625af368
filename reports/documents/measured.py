"""What the page's intervals held on simulated studies of known truth, as docs/decisions/0020 has it."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

NOMINAL = (92.0, 97.0)
"""Percent: between them an interval of 95 % is taken to be what it says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One kind of interval, over studies of 24 and 60 subjects with and without signal."""

    what: str
    low: float
    """Least share of studies, in percent, in which it held the truth; high is the most."""
    high: float
    rows: tuple[str, ...]
    """Of the decision's tables."""

    def worth(self) -> str:
        """Returns how often the interval held the truth, and what follows where that is not about 95 %, as a sentence."""
        said = f"In simulated studies of 24 and 60 subjects the interval held the truth in {self.low:g} to {self.high:g} % of cases"
        narrow, wide = self.low < NOMINAL[0], self.high > NOMINAL[1]
        if narrow and wide:
            return f"{said}, so it may be too narrow or wider than need be."
        if narrow:
            return f"{said}, so it is somewhat too narrow."
        return f"{said}, so it may be wider than need be." if wide else f"{said}."


MEASURED = {
    kind: Measured(**about | {"rows": tuple(about["rows"])})
    for kind, about in tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")).items()
}
"""By the name that the page's templates use."""


def worth(kind: str) -> str:
    """Returns the sentence on a kind of interval, a key of MEASURED."""
    return MEASURED[kind].worth()
