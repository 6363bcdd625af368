"""Draws the scores and the decoded words; what they are is computed elsewhere."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports import wording
from reports.figures.style import (
    BAND,
    BLUE,
    GRID,
    INK,
    MARKS,
    MUTED,
    PAPER,
    PHONE,
    VERMILLION,
    WIDE,
    Drawing,
    draw,
    named_rows,
)
from reports.numbers.descriptions import ClassWords
from reports.numbers.null import Null
from reports.numbers.statistics import FoldScore, Level, Score
from trainables.study.records import DecodedValue

UNBOUNDED = "mean_absolute_error"
"""The one metric that does not end at 1, and so is only in the tables."""
EDGE = 0.45
"""Decoded values further outside the 5-95 % range than this share of it are drawn hollow at the edge."""


def intervals(level: Level) -> Drawing:
    """Draws the scores of a level as dots with 95 % intervals, beside chance."""
    scores = [s for s in level.scores if s.metric != UNBOUNDED]
    lowest = min([0.0, *(s.low for s in scores), *(s.chance for s in scores)])

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        for row, score in enumerate(scores):
            _interval(axes, row, score, narrow)
        if not narrow:  # below the tick, where no score's number can stand
            below: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "top"}
            axes.annotate("chance", (scores[0].chance, 0), (0, -9), fontsize=11, color=MUTED, **below)
        named_rows(axes, [wording.METRICS[s.metric] for s in scores], narrow)
        axes.set_xlim(lowest - 0.02, 1.02)

    return draw(
        "intervals",
        paint,
        size=(WIDE, 56 + 46 * len(scores)),
        narrow=(PHONE, 40 + 58 * len(scores)),
        title=f"Scores of the chosen configuration, per {level.level}",
        description="; ".join(
            f"{wording.METRICS[s.metric]} {s.value:.2f}, interval {s.low:.2f} to {s.high:.2f}, chance {s.chance:.2f}"
            for s in scores
        ),
        header=("Score", "Value", "95 % interval", "Chance"),
        rows=tuple(
            (wording.METRICS[s.metric], f"{s.value:.3f}", f"{s.low:.3f} – {s.high:.3f}", f"{s.chance:.3f}")
            for s in scores
        ),
    )


def permutation(null: Null, permuted: Sequence[float], metric: str) -> Drawing:
    """Draws the best scores of the searches on shuffled labels as a histogram, with the observed score."""
    width = 0.05
    first, last = (math.floor(end(*permuted, null.observed) / width) for end in (min, max))
    bins = [sum(math.floor(v / width) == b for v in permuted) for b in range(first, last + 1)]

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        left = [(first + i) * width for i, n in enumerate(bins) if n]
        counts = [n for n in bins if n]
        axes.bar(left, counts, width=width * 0.92, align="edge", color=BAND, edgecolor=MUTED, linewidth=0.8)
        axes.axvline(null.observed, color=BLUE, linewidth=2.5)
        axes.set_xlim(first * width - 0.03, (last + 1) * width + 0.03)
        axes.set_ylim(0, max(bins) * 1.25)
        on_the_right = null.observed < (first + last + 1) * width / 2
        text = f" this study {null.observed:.2f} "
        place = (null.observed, max(bins) * 1.22)
        axes.annotate(text, place, ha="left" if on_the_right else "right", va="top", fontsize=12, color=INK)
        axes.set_xlabel(wording.metric(metric))
        axes.set_ylabel("searches")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))

    return draw(
        "permutation",
        paint,
        size=(WIDE, 230),
        narrow=(PHONE, 230),
        title="Best scores of the same search on shuffled labels",
        description=f"{null.permutations} searches with shuffled labels scored {null.mean:.2f} on average"
        + ("" if null.high is None else f" and {null.high:.2f} at the 95 % quantile")
        + f"; this study scored {null.observed:.2f}.",
        header=("Best score", "Searches"),
        rows=tuple((f"{(first + i) * width:.2f} – {(first + i + 1) * width:.2f}", str(n)) for i, n in enumerate(bins)),
    )


def folds(rows: tuple[FoldScore, ...]) -> Drawing:
    """Draws each fold's subject-level scores, a mark per fold."""
    metrics = [m for m in rows[0].scores if m != UNBOUNDED]

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        for row, metric in enumerate(metrics):
            values = {i: v for i, f in enumerate(rows) if (v := f.scores[metric]) is not None}
            span = [min(values.values()), max(values.values())] if values else []
            axes.plot(span, [row] * len(span), color=GRID, linewidth=5, solid_capstyle="round", zorder=1)
            for i, value in values.items():
                label = f"fold {rows[i].fold}" if row == 0 else None
                axes.plot(value, row + _side_by_side(i, len(rows), 0.4), MARKS[i % len(MARKS)], label=label, **_mark())
        named_rows(axes, [wording.METRICS[m] for m in metrics], narrow)
        axes.set_xlim(min(0.0, *(s for f in rows for m in metrics if (s := f.scores[m]) is not None)) - 0.02, 1.03)
        _legend(figure, len(rows), narrow)

    return draw(
        "folds",
        paint,
        size=(WIDE, 84 + 40 * len(metrics)),
        narrow=(PHONE, 80 + 52 * len(metrics)),
        title="Scores fold by fold, per subject",
        description="; ".join(
            f"{wording.METRICS[m]} from {min(known):.2f} to {max(known):.2f}"
            for m in metrics
            if (known := [s for f in rows if (s := f.scores[m]) is not None])
        ),
        header=("Fold", *(wording.METRICS[m] for m in metrics)),
        rows=tuple(
            (str(f.fold), *("–" if f.scores[m] is None else f"{f.scores[m]:.3f}" for m in metrics)) for f in rows
        ),
    )


def decoded(about: ClassWords, index: int) -> Drawing | None:
    """Draws each decoded value between the class's own 5 and 95 % quantiles, a row per parameter and a mark per fold."""
    if not about.total:
        return None
    names = [t for t, _ in about.terms]
    units = {v.parameter: v.unit for s in about.sentences for v in s.values}
    height = max(30, 13 * max(n for _, n in about.terms))

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        axes.axvspan(0, 1, color=BAND, zorder=0, linewidth=0)
        for i, sentence in enumerate(about.sentences):
            mark = MARKS[i % len(MARKS)]
            axes.plot([], [], mark, label=f"fold {sentence.fold}", **_mark())
            for value in sentence.values:
                naming = [s.fold for s in about.sentences if any(v.parameter == value.parameter for v in s.values)]
                shift = _side_by_side(naming.index(sentence.fold), len(naming), 0.36 if narrow else 0.7)
                _decoded_value(axes, value, names.index(value.parameter) + shift, mark)
        named_rows(axes, [f"{n} ({units[n]})" if units[n] else n for n in names], narrow)
        axes.grid(visible=False)
        axes.set_xlim(-EDGE - 0.08, 1 + EDGE + 0.08)
        axes.set_xticks([0, 1], ["5 %", "95 %"])
        _legend(figure, len(about.sentences), narrow)

    return draw(
        f"decoded-{index}",
        paint,
        size=(WIDE, 84 + height * len(names)),
        narrow=(PHONE, 84 + (height + 26) * len(names)),
        title=f"Decoded values of {about.label} vs. its training videos",
        description=f"{about.inside} of {about.total} decoded values lie between the 5 and 95 % quantiles of the class's own "
        "training videos.",
        header=("Fold", "Parameter", "Decoded", "5 %", "Median", "95 %", "Unit"),
        rows=tuple(
            (str(s.fold), v.parameter, *(f"{n:.3g}" for n in (v.value, v.low, v.median, v.high)), v.unit)
            for s in about.sentences
            for v in s.values
        ),
    )


def place(value: DecodedValue) -> tuple[float, bool]:
    """Returns where a value stands when the 5 % quantile is 0 and the 95 % quantile 1, and whether it is beyond the edge."""
    if value.high <= value.low:
        where = 0.5 if value.value == value.low else math.copysign(math.inf, value.value - value.low)
    else:
        where = (value.value - value.low) / (value.high - value.low)
    return min(max(where, -EDGE), 1 + EDGE), not -EDGE <= where <= 1 + EDGE


def _side_by_side(index: int, of: int, room: float) -> float:
    """Returns how far a mark stands below the middle of its row, so that marks of equal value do not hide each other."""
    return min(0.14, room / of) * (index - (of - 1) / 2)


def _decoded_value(axes: Axes, value: DecodedValue, row: float, mark: str) -> None:
    if value.high > value.low:
        median = (value.median - value.low) / (value.high - value.low)
        axes.plot(median, row, marker="|", color=MUTED, markersize=10, markeredgewidth=1.6, zorder=2)
    where, beyond = place(value)
    axes.plot(where, row, mark, **_mark() | ({"markerfacecolor": PAPER, "markeredgecolor": BLUE} if beyond else {}))


def _interval(axes: Axes, row: int, score: Score, narrow: bool) -> None:
    axes.plot([score.low, score.high], [row, row], color=BLUE, linewidth=3, solid_capstyle="round", zorder=2)
    look: dict[str, Any] = _mark() | {"markersize": 10, "markeredgewidth": 1.5}
    axes.plot(score.value, row, "o", **look)
    axes.plot(score.chance, row, marker="|", color=VERMILLION, markersize=16, markeredgewidth=2.5, zorder=2)
    text = f"{score.value:.2f}"
    if narrow:
        axes.annotate(text, (1, row - 0.38), xycoords=("axes fraction", "data"), ha="right", va="center", fontsize=12)
    else:
        axes.annotate(text, (score.value, row), (0, 9), textcoords="offset points", ha="center", fontsize=12)


def _mark() -> dict[str, Any]:
    return {"color": BLUE, "markersize": 8.5, "markeredgecolor": PAPER, "linestyle": "", "zorder": 3}


def _legend(figure: Figure, entries: int, narrow: bool) -> None:
    columns = min(3 if narrow else 6, entries)
    figure.legend(loc="outside upper left", ncols=columns, frameon=False, fontsize=11, handletextpad=0.1)
