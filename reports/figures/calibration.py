"""Draws the reliability diagram."""

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from reports.figures.style import BLUE, GRID, MUTED, PAPER, PHONE, WIDE, Drawing, draw
from reports.numbers.calibration import Calibration, CalibrationBin


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


def _dot(axes: Axes, found: CalibrationBin) -> None:
    axes.plot([found.low, found.high], [found.right, found.right], color=BLUE, linewidth=1, alpha=0.6, zorder=2)
    bar = [found.right_low, found.right_high]
    axes.plot([found.confidence] * 2, bar, color=BLUE, linewidth=2.5, solid_capstyle="round", zorder=2)
    axes.plot(found.confidence, found.right, "o", color=BLUE, markersize=9, markeredgecolor=PAPER, zorder=3)
