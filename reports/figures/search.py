"""Draws the search: every trial, the score against each setting, and which settings mattered."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from reports import wording
from reports.figures.style import BLUE, GRID, MUTED, PAPER, PHONE, SMALL, VERMILLION, WIDE, Drawing, draw, named_rows
from reports.numbers.search import NUMERACY_OFF, SearchStory, Slice
from trainables.study.leaderboard import TrialRecord


def history(
    trials: tuple[TrialRecord, ...], story: SearchStory, metric: str, chance: float | None, folds: int
) -> Drawing | None:
    """Draws the score of every trial in order, the best so far as a line, and the trials without a score below."""
    ordered = sorted(trials, key=lambda t: t.number)
    whole = [t for t in ordered if t.scored and len(t.folds) == folds]
    if not whole:
        return None
    values = [t.value for t in whole if t.value is not None]
    floor = min([*values, 0.9 if chance is None else chance])

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        x, y = zip(*story.best_so_far, strict=True)
        x, y = (*x, ordered[-1].number), (*y, y[-1])
        axes.step(x, y, where="post", color=BLUE, linewidth=1.8, label="best so far")
        look: dict[str, Any] = {"color": BLUE, "markersize": 8, "markeredgecolor": PAPER}
        axes.plot([t.number for t in whole], values, "o", label="complete", **look)
        _without_score(axes, [t for t in ordered if t not in whole], floor - 0.09)
        if chance is not None:
            axes.axhline(chance, color=VERMILLION, linewidth=1.2, linestyle=(0, (4, 3)), label="chance")
        axes.set_ylim(floor - 0.14, 1.02)
        axes.set_xlim(-0.5, ordered[-1].number + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("trial")
        axes.set_ylabel(wording.metric(metric))
        axes.grid(axis="y", color=GRID, linewidth=0.6)
        columns = 2 if narrow else 5
        figure.legend(loc="outside upper left", ncols=columns, frameon=False, fontsize=11, handletextpad=0.3)

    return draw(
        "history",
        paint,
        size=(WIDE, 300),
        narrow=(PHONE, 320),
        title="The search, trial by trial",
        description=f"{len(trials)} trials, of which {len(whole)} are complete on all folds; the best reached {story.best_so_far[-1][1]:.2f}.",
        header=("Trial", "State", "Score"),
        rows=tuple(
            (str(t.number), wording.STATES.get(t.state, t.state), "–" if t.value is None else f"{t.value:.3f}")
            for t in ordered
        ),
    )


def _without_score(axes: Axes, trials: list[TrialRecord], height: float) -> None:
    looks = {"PRUNED": ("v", MUTED), "FAIL": ("X", VERMILLION), "RUNNING": ("d", MUTED), "COMPLETE": ("1", MUTED)}
    for state, (mark, colour) in looks.items():
        numbers = [t.number for t in trials if t.state == state]
        label = "complete on fewer folds" if state == "COMPLETE" else wording.STATES[state]
        if numbers:
            axes.plot(numbers, [height] * len(numbers), mark, color=colour, markersize=8, linestyle="", label=label)


def axis(slice_: Slice, index: int, metric: str, limits: tuple[float, float]) -> Drawing:
    """Draws the score against one setting, a dot per complete trial."""
    off = [(v, s) for v, s, _ in slice_.points if v == NUMERACY_OFF and slice_.numeric]
    points = [(v, s) for v, s, _ in slice_.points if not (v == NUMERACY_OFF and slice_.numeric)]
    names = list(dict.fromkeys(wording.value(v) for v, _ in points))

    def paint(figure: Figure, narrow: bool) -> None:
        style: dict[str, Any] = {
            "linestyle": "",
            "color": BLUE,
            "markersize": 7,
            "alpha": 0.8,
            "markeredgecolor": PAPER,
        }
        axes, left = (figure.subplots(), None)
        if off:
            figure.clear()
            left, axes = figure.subplots(1, 2, sharey=True, width_ratios=(1, 5))
            left.plot([0] * len(off), [s for _, s in off], "s", **(style | {"color": VERMILLION}))
            left.set_xticks([0], ["off"])
            left.set_xlim(-1, 1)
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        x = [v if slice_.numeric else names.index(wording.value(v)) for v, _ in points]
        axes.plot(x, [s for _, s in points], "o", **style)
        _value_axis(axes, slice_, names, x)
        for each in (axes, left) if left else (axes,):
            each.set_ylim(*limits)
            each.grid(axis="y", color=GRID, linewidth=0.6)
            each.yaxis.set_major_locator(MaxNLocator(nbins=5))

    scores = [s for _, s, _ in slice_.points]
    return draw(
        f"slice-{index}",
        paint,
        size=(SMALL, 230),
        title=wording.sentence(wording.setting(slice_.name)),
        description=f"{wording.sentence(wording.metric(metric))} of {len(scores)} complete trials, scores from {min(scores):.2f} to {max(scores):.2f}."
        + (f" Shown: {slice_.note}." if slice_.note else ""),
        header=(wording.setting(slice_.name), "Score", "Trial"),
        rows=tuple((wording.value(v), f"{s:.3f}", str(n)) for v, s, n in slice_.points),
    )


def importance(shares: tuple[tuple[str, float], ...]) -> Drawing | None:
    """Draws how much of the score's variance each setting explains, as bars."""
    if not shares:
        return None
    top = shares[:12]

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        axes.barh(range(len(top)), [s for _, s in top], color=BLUE, height=0.36 if narrow else 0.62)
        for row, (_, share) in enumerate(top):
            axes.annotate(
                f"{100 * share:.0f} %", (share, row), (5, 0), textcoords="offset points", va="center", fontsize=11
            )
        named_rows(axes, [wording.setting(n) for n, _ in top], narrow)
        axes.set_xlim(0, max(s for _, s in top) * 1.15)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.grid(visible=False)

    return draw(
        "importance",
        paint,
        size=(WIDE, 30 + 30 * len(top)),
        narrow=(PHONE, 24 + 48 * len(top)),
        title="Share of the differences that each setting explains",
        description="; ".join(f"{wording.setting(n)} {100 * s:.0f} %" for n, s in top),
        header=("Setting", "Share of the variance"),
        rows=tuple((wording.setting(n), f"{s:.3f}") for n, s in shares),
    )


def _value_axis(axes: Axes, slice_: Slice, names: list[str], x: Sequence[float]) -> None:
    if not slice_.numeric:
        axes.set_xticks(range(len(names)), [n if len(n) <= 14 else f"{n[:13]}…" for n in names])
        axes.set_xlim(-0.6, len(names) - 0.4)
        return
    if slice_.log:
        axes.set_xscale("log")
        within_two_decades = max(x) / min(x) < 100
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if within_two_decades else (1,)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda v, _: ""))
    elif len(set(x)) <= 6:
        axes.set_xticks(sorted(set(x)), [f"{v:g}" for v in sorted(set(x))])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.margins(x=0.08)
