"""How well two measurements of the same thing agree: numbers, a line of text for each parameter, and Bland-Altman plots."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray

import reports.documents
from reports.figures.style import BAND, BLUE, GRID, MUTED, PAPER, SMALL, Drawing, draw
from trainables.study.files import write_text

LEAST = 5
"""Pairs below which nothing is said of the agreement."""
GOOD = 0.75
"""Intraclass correlation from which agreement is called good (Koo and Li, J Chiropr Med 2016, 15:155-163)."""
HEADER = (
    "parameter",
    "n",
    "people",
    "bias",
    "limits of agreement",
    "mean absolute error",
    "r",
    "ICC",
    "mean",
    "agreement",
)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Pairs of values of one parameter, N of them, of which the second is the truth or the yardstick."""

    name: str
    unit: str
    values: NDArray[np.float64]
    """[N]."""
    others: NDArray[np.float64]
    """[N]."""
    of: int
    """Pairs that there would be if everything had been measured."""
    people: int
    """Whom the pairs are of."""
    same_unit: bool = True
    """Whether both are in one unit; else only their correlation can be told."""

    @property
    def enough(self) -> bool:
        return len(self.values) >= LEAST

    @property
    def bias(self) -> float:
        """The mean of value - other."""
        return float((self.values - self.others).mean())

    @property
    def limits(self) -> tuple[float, float]:
        """The 95 % limits of agreement (Bland and Altman, Lancet 1986, 1:307-310)."""
        off = 1.96 * float((self.values - self.others).std(ddof=1))
        return self.bias - off, self.bias + off

    @property
    def error(self) -> float:
        """The mean absolute difference."""
        return float(np.abs(self.values - self.others).mean())

    @property
    def r(self) -> float:
        """Pearson's correlation."""
        return float(np.corrcoef(self.values, self.others)[0, 1])

    @property
    def icc(self) -> float:
        """The intraclass correlation for absolute agreement of single measurements."""
        return intraclass_correlation(np.stack([self.values, self.others], axis=1))

    @property
    def poor(self) -> bool:
        """Whether the parameter should not be offered: the intraclass correlation, or r across units, is below GOOD."""
        return not self.enough or (self.icc if self.same_unit else self.r) < GOOD

    def cells(self) -> tuple[str, ...]:
        """Returns the cells under HEADER."""
        counts = (f"{self.name} ({self.unit})", f"{len(self.values)} of {self.of}", str(self.people))
        if not self.enough:
            return (*counts, *[""] * 6, "too few")
        word = "poor" if self.poor else "good"
        if not self.same_unit:
            return (*counts, "", "", "", f"{self.r:.2f}", "", f"{self.values.mean():.3f}", word)
        low, high = self.limits
        return (
            *counts,
            f"{self.bias:.3f}",
            f"{low:.3f} to {high:.3f}",
            f"{self.error:.3f}",
            f"{self.r:.2f}",
            f"{self.icc:.2f}",
            f"{self.others.mean():.3f}",
            word,
        )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What was compared, with the agreement of each parameter."""

    title: str
    note: str
    """What one pair is, in a sentence."""
    found: Sequence[Agreement]


def intraclass_correlation(values: NDArray[np.float64]) -> float:
    """Returns the intraclass correlation ICC(2, 1) of values [targets, raters]: two-way random effects, absolute agreement.

    Source: Shrout and Fleiss, Psychological Bulletin 1979, 86:420-428.
    """
    targets, raters = values.shape
    between = raters * float(values.mean(axis=1).var(ddof=1))
    rating = targets * float(values.mean(axis=0).var(ddof=1))
    left = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    residual = float((left**2).sum()) / ((targets - 1) * (raters - 1))
    return (between - residual) / (between + (raters - 1) * residual + raters * (rating - residual) / targets)


def table(comparison: Comparison) -> str:
    """Returns a comparison as a table in Markdown, as docs/decisions has it."""
    rows = [HEADER, ("---",) * len(HEADER), *(one.cells() for one in comparison.found)]
    return "\n".join([f"{comparison.title}. {comparison.note}", "", *(f"| {' | '.join(row)} |" for row in rows)])


def bland_altman(name: str, found: Agreement) -> Drawing:
    """Draws the difference of each pair against its mean, with the bias and the limits of agreement."""
    middles, off = (found.values + found.others) / 2, found.values - found.others
    low, high = found.limits

    def paint(figure: Figure, _narrow: bool) -> None:
        axes = figure.subplots()
        axes.axhspan(low, high, color=BAND, zorder=0)
        axes.axhline(0, color=GRID, linewidth=1, zorder=1)
        for at, dashes in ((low, (0, (4, 3))), (found.bias, "-"), (high, (0, (4, 3)))):
            axes.axhline(at, color=MUTED, linewidth=1.2, linestyle=dashes, zorder=2)
        axes.plot(middles, off, "o", color=BLUE, markersize=6, markeredgecolor=PAPER, zorder=3)
        axes.set_xlabel(f"mean of both ({found.unit})")
        axes.set_ylabel(f"difference ({found.unit})")

    header, cells = zip(*zip(HEADER, found.cells(), strict=True), strict=True)
    return draw(
        name,
        paint,
        size=(SMALL, 260),
        title=f"{found.name}: differences against means",
        description=f"{len(off)} pairs. Bias {found.bias:.3f}, limits of agreement {low:.3f} to {high:.3f} {found.unit}.",
        header=header,
        rows=(cells,),
    )


def write_page(path: Path, comparisons: Sequence[Comparison]) -> None:
    """Writes an offline page with a table for each comparison and a Bland-Altman plot for each parameter of one unit."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    parts = [
        (
            comparison,
            [
                bland_altman(f"agreement-{i}-{j}", found)
                for j, found in enumerate(comparison.found)
                if found.enough and found.same_unit
            ],
        )
        for i, comparison in enumerate(comparisons)
    ]
    style = Path(reports.documents.__file__).with_name("study.css").read_text(encoding="utf-8")
    page = environment.get_template("agreement.html.j2").render(
        style=Markup(style), parts=parts, header=HEADER, good=GOOD
    )
    write_text(path, page)
