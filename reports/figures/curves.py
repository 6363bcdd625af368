"""How the chosen configuration trained: losses, learning rate and gradient norms, a line for each fold."""

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.figures.style import COLOURS, GRID, INK, PHONE, WIDE, Drawing, draw
from reports.numbers.training_curves import Point, curve
from reports.wording import LOSSES, PARAMETER_GROUPS, sentence
from trainables.study.records import FoldResult

DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1.5, 1.5)))
MOST_NAMED = 12
"""Folds that a legend names."""


def draw_curves(results: Sequence[FoldResult]) -> tuple[Drawing, ...]:
    """Draws the losses, and the learning rate with the gradient norm of each group; nothing where nothing was trained."""
    folds = {r.fold: points for r in results if len(points := curve(r)) > 1}
    names = {name for points in folds.values() for p in points for name, value in p.items() if value}
    losses = {name: label for name, label in LOSSES.items() if name in names}
    if set(losses) == {"loss", "video"} and all(p["loss"] == p["video"] for points in folds.values() for p in points):
        del losses["loss"]
    rates = {"lr": "learning rate of the class texts"} if "lr" in names else {}
    rates |= {
        f"gradient_{g}": f"gradient norm, {label}" for g, label in PARAMETER_GROUPS.items() if f"gradient_{g}" in names
    }
    found = []
    if losses:
        found.append(_panels("losses", "The losses in training", folds, losses))
    if rates:
        found.append(_panels("rates", "Learning rate and gradient norms in training", folds, rates))
    return tuple(found)


def _panels(name: str, title: str, folds: dict[int, tuple[Point, ...]], shown: dict[str, str]) -> Drawing:
    """Draws a panel for each of some numbers of the points."""
    rows = -(-len(shown) // 2)

    def paint(figure: Figure, narrow: bool) -> None:
        grid = figure.subplots(len(shown) if narrow else rows, 1 if narrow else 2, squeeze=False, sharex=True)
        panels = list(grid.flat)
        for axes in panels[len(shown) :]:
            axes.set_visible(False)
        for axes, (key, label) in zip(panels, shown.items(), strict=False):
            _lines(axes, folds, key, named=axes is panels[0])
            axes.set_title(sentence(label), loc="left", fontsize=11, color=INK)
        for axes in panels[: len(shown)][-1 if narrow else -2 :]:
            axes.set_xlabel("epoch")
            axes.tick_params(labelbottom=True)
        if 1 < len(folds) <= MOST_NAMED:
            figure.legend(loc="outside upper left", ncols=3 if narrow else 6, frameon=False, fontsize=11)

    return draw(
        f"training-{name}",
        paint,
        size=(WIDE, 60 + 165 * rows),
        narrow=(PHONE, 80 + 150 * len(shown)),
        title=title,
        description=_described(folds, shown),
        header=("Fold", "Epoch", *(sentence(label) for label in shown.values())),
        rows=tuple(
            (str(fold), f"{p['epoch']:.3g}", *(f"{p[key]:.3g}" if key in p else "–" for key in shown))
            for fold, points in folds.items()
            for p in points
        ),
    )


def _lines(axes: Axes, folds: dict[int, tuple[Point, ...]], key: str, *, named: bool) -> None:
    for index, (fold, points) in enumerate(folds.items()):
        known = [(p["epoch"], p[key]) for p in points if key in p]
        look = {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index // len(COLOURS) % len(DASHES)]}
        if known:
            x, y = zip(*known, strict=True)
            axes.plot(x, y, linewidth=1.6, label=f"fold {fold}" if named else None, **look)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _described(folds: dict[int, tuple[Point, ...]], shown: dict[str, str]) -> str:
    """Returns the mean over the folds at the first and at the last point of each number."""

    def mean(key: str, at: Callable[[tuple[Point, ...]], Point]) -> float:
        values = [at(points)[key] for points in folds.values() if key in at(points)]
        return sum(values) / len(values) if values else 0.0

    parts = [
        f"{label} from {mean(key, lambda points: points[0]):.3g} to {mean(key, lambda points: points[-1]):.3g}"
        for key, label in shown.items()
    ]
    return sentence(f"{'; '.join(parts)} (mean over {len(folds)} folds, first and last point).")
