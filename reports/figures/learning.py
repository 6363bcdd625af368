"""Draws the learning curve over subjects; what it is is computed elsewhere."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports import wording
from reports.figures.style import BLUE, GRID, MUTED, PHONE, WIDE, Drawing, draw
from reports.numbers.learning import LearningCurve


def draw_learning_curve(curve: LearningCurve) -> Drawing:
    """Draws the score with its 95 % interval against the training subjects of a fold, with chance."""
    metric = wording.METRICS[curve.metric]
    subjects = [p.subjects for p in curve.points]
    values = [p.score.value for p in curve.points]
    below = [p.score.value - p.score.low for p in curve.points]
    above = [p.score.high - p.score.value for p in curve.points]
    chance = sum(p.score.chance for p in curve.points) / len(curve.points)

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        axes.axhline(chance, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.annotate("chance", (1, chance), (-2, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
                      ha="right", fontsize=11, color=MUTED)  # fmt: skip
        axes.errorbar(subjects, values, yerr=[below, above], color=BLUE, marker="o", linewidth=1.8, capsize=4)
        axes.set_xlim(0, max(subjects) * 1.08)
        axes.set_xlabel("training subjects of a fold (mean)")
        axes.set_ylabel(metric)
        axes.grid(axis="y", color=GRID, linewidth=0.6)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4 if narrow else 8))

    return draw(
        "learning-curve",
        paint,
        size=(WIDE, 260),
        narrow=(PHONE, 240),
        title=f"{metric} against the number of training subjects",
        description="; ".join(
            f"{p.subjects:.3g} subjects: {p.score.value:.2f}, interval {p.score.low:.2f} to {p.score.high:.2f}"
            for p in curve.points
        ),
        header=("Share of the training subjects", "Training subjects", "Score", "95 % interval"),
        rows=tuple(
            (f"{p.share} %", f"{p.subjects:.3g}", f"{p.score.value:.3f}", f"{p.score.low:.3f} – {p.score.high:.3f}")
            for p in curve.points
        ),
    )
