"""How far the probabilities of held-out predictions can be believed: a reliability diagram, and the scores beside it.

Letters: N units of one level, C classes. The confidence of a unit is the probability of the class that it is given.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from scipy.stats import norm

from reports.svg import BLUE, GRID, MUTED, PAPER, PHONE, WIDE, Drawing, draw
from trainables.study.metrics import at_level, log_loss

Array = np.ndarray[Any, np.dtype[Any]]
MOST_BINS = 10
FEWEST_UNITS = 5
"""Units in a bin; a share of fewer says nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationBin:
    """The units between two confidences."""

    low: float
    """Smallest confidence in the bin, 0-1; high is the largest."""
    high: float
    confidence: float
    """Mean over the units, 0-1."""
    right: float
    """Share of the units whose answer is right, 0-1."""
    right_low: float
    """95 % interval of the share, by `share_interval`."""
    right_high: float
    units: int
    subjects: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """How well the probabilities at one level agree with how often the answers are right."""

    level: str
    units: int
    bins: tuple[CalibrationBin, ...]
    """By confidence, from the least up; every unit is in one of them."""
    expected_error: float
    """Expected calibration error, 0-1: |share right - mean confidence|, averaged over the units. Above 0 by chance alone
    where bins are small."""
    brier: float
    """Mean over units of the sum over classes of (probability - truth)^2: 0 is perfect, 2 the worst."""
    log_loss: float
    """Mean negative log probability of the true class, in nats."""


def calibration(predictions: pl.DataFrame, level: str = "video") -> Calibration | None:
    """Returns the reliability of the answer's probability at a level, or None for fewer than FEWEST_UNITS units.

    Bins hold about equally many units: at most MOST_BINS, at least FEWEST_UNITS units in each, and equal confidences
    always in the same bin. Source: Guo et al. 2017, section 2, with the equal-count bins of Nguyen and O'Connor 2015.

    Args:
        predictions: One row per held-out window, as PREDICTIONS.
        level: 'window', 'video' or 'subject'.
    """
    if predictions.is_empty():
        return None
    units = at_level(predictions, level)
    if len(units) < FEWEST_UNITS:
        return None
    probabilities = np.array(units["probabilities"].to_list())  # [N, C]
    truth = np.eye(probabilities.shape[1])[units["true"].to_numpy()]  # [N, C]
    bins = tuple(_bin(units, members) for members in _split(_confidence(units)))
    return Calibration(
        level=level,
        units=len(units),
        bins=bins,
        expected_error=sum(b.units * abs(b.right - b.confidence) for b in bins) / len(units),
        brier=float(((probabilities - truth) ** 2).sum(1).mean()),
        log_loss=log_loss(predictions, level),
    )


def share_interval(share: float, subjects: list[str]) -> tuple[float, float]:
    """Returns Wilson's 95 % interval of a share of units, as if all units of one subject were right or wrong together.

    Videos of one person are alike, so Wilson's interval over units would be too narrow; a bootstrap of subjects would
    give no width at all to a small bin that is wholly right. This takes n = N^2 / sum of (units of each subject)^2 as the
    number of independent units, which is N with one unit per subject, and wider than needed where videos of one subject
    differ. Source: Kish 1965, Survey Sampling (design effect); Wilson 1927.

    Args:
        share: Of the units that are right, 0-1.
        subjects: The subject of each unit.
    """
    sizes = np.unique(subjects, return_counts=True)[1]
    n = float(sizes.sum() ** 2 / (sizes**2).sum())
    z2 = float(norm.ppf(0.975)) ** 2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * share * (1 - share) / n + (z2 / (2 * n)) ** 2) / (1 + z2 / n)
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))  # the ends round past 0 and 1


def draw_calibration(found: Calibration) -> Drawing:
    """Draws the share of right answers against the probability of the answer, with the line on which both agree."""
    unit = f"{found.level}s"

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        start = min(0.9, math.floor(10 * found.bins[0].low) / 10)
        axes.plot([start, 1], [start, 1], color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        for each in found.bins:
            _dot(axes, each)
        hint: dict[str, Any] = {"xycoords": "axes fraction", "fontsize": 11, "color": MUTED}
        axes.annotate("right more often than said", (0.02, 0.99), va="top", **hint)
        axes.annotate("right less often than said", (0.99, 0.02), ha="right", **hint)
        axes.set_xlim(start - 0.02, 1.02)
        axes.set_ylim(-0.1, 1.12)
        axes.xaxis.set_major_locator(MultipleLocator(0.2 if narrow and start < 0.5 else 0.1))
        axes.yaxis.set_major_locator(MultipleLocator(0.2))
        axes.set_xlabel("probability of the answer")
        axes.set_ylabel(f"share of {unit} answered right")
        axes.grid(axis="y", color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)

    return draw(
        f"calibration-{found.level}",
        paint,
        size=(WIDE, 360),
        narrow=(PHONE, 330),
        title=f"Probability of the answer and share of right answers, per {found.level}",
        description=f"{found.units} {unit} in {len(found.bins)} bins. Expected calibration error {found.expected_error:.3f}, "
        f"Brier score {found.brier:.3f}, log loss {found.log_loss:.3f}. "
        + "; ".join(f"said {b.confidence:.2f}, right {b.right:.2f}" for b in found.bins)
        + ".",
        header=("Probabilities", "Mean", "Right", "95 % interval", unit.capitalize(), "Subjects"),
        rows=tuple(
            (
                f"{b.low:.3f} – {b.high:.3f}",
                f"{b.confidence:.3f}",
                f"{b.right:.3f}",
                f"{b.right_low:.3f} – {b.right_high:.3f}",
                str(b.units),
                str(b.subjects),
            )
            for b in found.bins
        ),
    )


def _confidence(units: pl.DataFrame) -> Array:
    # Means of the same numbers in another order differ in their last digits; without rounding a tie would not be seen.
    return units["probabilities"].list.max().to_numpy().round(12)


def _split(confidence: Array) -> list[Array]:
    """Returns the rows of each bin, bins and rows by confidence; together they are all N rows."""
    order = np.argsort(confidence, kind="stable")
    between = 1 + np.flatnonzero(np.diff(confidence[order]))  # where a cut parts no two equal confidences
    bins = min(MOST_BINS, len(order) // FEWEST_UNITS)
    cuts = [0]
    for wanted in (i * len(order) // bins for i in range(1, bins)):
        if wanted <= cuts[-1]:
            continue
        fits = between[(between >= max(wanted, cuts[-1] + FEWEST_UNITS)) & (between <= len(order) - FEWEST_UNITS)]
        cuts += fits[:1].tolist()
    return np.split(order, cuts[1:])


def _bin(units: pl.DataFrame, members: Array) -> CalibrationBin:
    rows = units[members.tolist()]
    confidence = _confidence(rows)
    share = float((rows["true"] == rows["predicted"]).to_numpy().mean())
    low, high = share_interval(share, rows["subject"].to_list())
    return CalibrationBin(
        low=float(confidence.min()),
        high=float(confidence.max()),
        confidence=float(confidence.mean()),
        right=share,
        right_low=low,
        right_high=high,
        units=len(rows),
        subjects=rows["subject"].n_unique(),
    )


def _dot(axes: Axes, found: CalibrationBin) -> None:
    axes.plot([found.low, found.high], [found.right, found.right], color=BLUE, linewidth=1, alpha=0.6, zorder=2)
    bar = [found.right_low, found.right_high]
    axes.plot([found.confidence] * 2, bar, color=BLUE, linewidth=2.5, solid_capstyle="round", zorder=2)
    axes.plot(found.confidence, found.right, "o", color=BLUE, markersize=9, markeredgecolor=PAPER, zorder=3)
