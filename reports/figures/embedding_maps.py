"""Draws the planes of a fold's numerical texts and class features, and how alike numbers are."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from reports.figures.style import BLUE, COLOURS, INK, MARKS, MUTED, PAPER, PHONE, WIDE, Drawing, draw
from reports.numbers.embedding_maps import Array, Maps

EDGE = 0.3
"""Class features further outside of the records than this share of their range are drawn hollow at the edge."""


def draw_plane(maps: Maps, index: int) -> Drawing:
    """Draws one plane: a small mark per record, a large one per class feature."""
    plane = maps.planes[index]
    low, high = plane.points.min(0), plane.points.max(0)
    room = EDGE * np.maximum(high - low, 1e-9)
    shown = np.clip(plane.classes, low - room, high + room)
    beyond = (shown != plane.classes).any(1)

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        for label, name in enumerate(maps.names):
            mine = plane.points[maps.labels == label]
            look: dict[str, Any] = {"marker": MARKS[label % len(MARKS)], "linestyle": ""}
            colour = COLOURS[label % len(COLOURS)]
            axes.plot(mine[:, 0], mine[:, 1], color=to_rgba(colour), markersize=4, markeredgewidth=0, **look)
            face = PAPER if beyond[label] else colour
            large = {"markersize": 13, "markerfacecolor": face, "markeredgecolor": INK, "markeredgewidth": 1.6}
            short = name if len(name) <= 30 else f"{name[:29]}…"
            axes.plot(*shown[label], label=short, **look | large)
        axes.set_xlabel(plane.axes[0])
        axes.set_ylabel(plane.axes[1])
        columns = 1 if narrow else min(3, len(maps.names))
        figure.legend(loc="outside upper left", ncols=columns, frameon=False, fontsize=11, handletextpad=0.3)

    legend = 20 * len(maps.names)
    separation = "" if plane.separation is None else f" Silhouette of the classes' records: {plane.separation:.2f}."
    return draw(
        f"map-{index}",
        paint,
        size=(WIDE, 360 + legend // 3),
        narrow=(PHONE, 300 + legend),
        title=f"Numerical texts {plane.space}, {plane.method}",
        description=f"{len(maps.labels)} numerical texts of training videos of fold {maps.fold} and {len(maps.names)} class "
        f"features.{separation}",
        header=("Class", "Records", "Centre of the records", "Class feature"),
        rows=tuple(
            (
                name,
                str(int((maps.labels == label).sum())),
                _pair(plane.points[maps.labels == label].mean(0)) if (maps.labels == label).any() else "–",
                _pair(plane.classes[label]),
            )
            for label, name in enumerate(maps.names)
        ),
    )


def draw_numbers(maps: Maps) -> Drawing:
    """Draws the cosines between the embeddings of numbers: the darker, the more alike."""
    lowest = float(maps.similarity.min())
    shares = (maps.similarity - lowest) / max(1 - lowest, 1e-9)
    texts = [f"{v:.1f}" for v in maps.numbers]

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        for row, line in enumerate(shares):
            for column, share in enumerate(line):
                _cell(axes, row, column, float(share))
        ticks = range(0, len(texts), 2 if narrow else 1)
        axes.set_xticks(ticks, [texts[i] for i in ticks])
        axes.set_yticks(ticks, [texts[i] for i in ticks])
        axes.set_xlim(-0.5, len(texts) - 0.5)
        axes.set_ylim(-0.5, len(texts) - 0.5)
        axes.set_aspect("equal")
        axes.set_xlabel("scaled value")
        axes.set_ylabel("scaled value")

    return draw(
        "numbers",
        paint,
        size=(420, 400),
        narrow=(PHONE, 310),
        title=f"How alike numbers are in the encoding ‘{maps.encoding}’",
        description=f"Cosine of the embeddings of two numbers, mean over the parameters, from {lowest:.3f} (pale) to 1 (full).",
        header=("", *texts),
        rows=tuple((text, *(f"{c:.4f}" for c in line)) for text, line in zip(texts, maps.similarity, strict=True)),
    )


def _cell(axes: Axes, row: int, column: int, share: float) -> None:
    axes.fill(
        [column - 0.5, column + 0.5, column + 0.5, column - 0.5],
        [row - 0.5, row - 0.5, row + 0.5, row + 0.5],
        facecolor=BLUE,
        alpha=0.04 + 0.96 * share,
        linewidth=0.5,
        edgecolor=MUTED,
    )


def _pair(point: Array) -> str:
    return f"{point[0]:.2f}, {point[1]:.2f}"
