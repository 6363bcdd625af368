"""Draws the decision curve."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.figures.style import BLUE, GRID, INK, MUTED, PHONE, WIDE, Drawing, draw
from reports.numbers.decision_curve import DecisionCurve

SHOWN_EVERY = 5
"""Thresholds between two rows of the table."""


def draw_decision_curve(found: DecisionCurve) -> Drawing:
    """Draws the net benefit of acting on the model's answer, beside acting for everyone and for nobody."""
    lowest = -0.25 * max(*found.model, found.prevalence)

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        axes.axhline(0, color=MUTED, linewidth=1.2, linestyle=(0, (1.5, 1.5)))
        axes.plot(found.thresholds, found.treat_all, color=MUTED, linewidth=1.4, linestyle=(0, (5, 3)))
        axes.plot(found.thresholds, found.model, color=BLUE, linewidth=2.2)
        axes.set_ylim(lowest, 1.25 * max(*found.model, found.prevalence))
        axes.set_xlim(0, 1)
        _names(axes)
        axes.set_xlabel("probability from which one would act")
        axes.set_ylabel("net benefit")
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.grid(axis="y", color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)

    rows = zip(found.thresholds, found.model, found.treat_all, strict=True)
    return draw(
        "decision-curve",
        paint,
        size=(WIDE, 320),
        narrow=(PHONE, 300),
        title=f"Net benefit of acting on the model's answer “{found.label}”",
        description=f"{found.units} {found.unit}s, {found.prevalence:.0%} of them {found.label}. "
        + (
            "The model does better than acting for everyone and for nobody at thresholds from "
            + " and from ".join(f"{low:.2f} to {high:.2f}" for low, high in found.better)
            if found.better
            else "At no threshold does the model do better than both acting for everyone and for nobody"
        )
        + ".",
        header=("Threshold", "On the model's answer", "For everyone", "For nobody"),
        rows=tuple(
            (f"{t:.2f}", f"{model:.3f}", f"{everyone:.3f}", "0.000")
            for number, (t, model, everyone) in enumerate(rows, start=1)
            if number % SHOWN_EVERY == 0
        ),
    )


def _names(axes: Axes) -> None:
    """Names the lines above the drawing, in their order from the first."""
    axes.text(0.0, 1.02, "the model's answer", color=BLUE, fontsize=11, transform=axes.transAxes)
    axes.text(0.42, 1.02, "- - everyone", color=INK, fontsize=11, transform=axes.transAxes)
    axes.text(0.74, 1.02, "··· nobody", color=INK, fontsize=11, transform=axes.transAxes)
