"""Draws all trials at once: a line per trial across its settings, and the score over two settings."""

import re
import textwrap
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from matplotlib.tri import Triangulation

from reports import wording
from reports.figures.scales import LETTER, Scale, scale_of, shortened, spaced
from reports.figures.style import BLUE, INK, MUTED, PAPER, PHONE, VERMILLION, WIDE, Drawing, draw, named_rows
from reports.numbers.search import NUMERACY_OFF, SearchStory, Slice, tell_search
from trainables.study.leaderboard import TrialRecord, ranked

MOST_AXES = 12
"""Axes that can be told apart, the score's among them."""
MOST_COLUMNS = 7
"""Axes that stand side by side; more are drawn one below the other, where their words have room."""
FEWEST_POINTS = 6
"""Different places from which a surface is drawn between them."""
FLAT = 0.02
"""Places whose spread across their main direction is less than this share of that along it lie on a line."""
MOST_NUMBERS = 40
"""Trials up to which dots carry their score as a number."""
STAR: dict[str, Any] = {
    "color": VERMILLION,
    "marker": "*",
    "markersize": 17,
    "markeredgecolor": PAPER,
    "linestyle": "",
}
"""How the best trial looks among dots."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plane:
    """The complete trials that have two numeric settings."""

    x: Scale
    y: Scale
    scores: dict[int, float]
    """By trial, the best first: all that have x."""
    levels: tuple[float, ...]
    """Edges of the bands of the score, from the lowest up."""

    def trials(self, off: bool) -> list[int]:
        """Returns the trials in which y is off, or else those that have it."""
        return [n for n in self.scores if (n not in self.y.places) == off]


def parallel_coordinates(
    leaderboard: tuple[TrialRecord, ...], metric: str, folds: int, story: SearchStory | None = None
) -> Drawing | None:
    """Draws a line per complete trial across its score and the settings that the search varied.

    The score comes first and the most important settings stand beside it; of more than MOST_AXES the last are left out.

    Args:
        leaderboard: The trials, in any order.
        metric: As 'subject/macro_f1'.
        folds: How many a complete trial has finished.
        story: What `tell_search` says of these trials, where it is known already.

    Returns:
        None for fewer than two complete trials or varied settings.
    """
    slices, scores = _by_importance(story or tell_search(leaderboard, folds)), _scores(leaderboard, folds)
    if len(scores) < 2 or len(slices) < 2:
        return None
    shown, left_out = slices[: MOST_AXES - 1], slices[MOST_AXES - 1 :]
    settings = [scale_of(s, list(scores)) for s in shown]
    scales = (_score_scale(scores, metric), *settings)

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        side_by_side = not narrow and len(scales) <= MOST_COLUMNS
        _lines(axes, scales, list(scores), side_by_side)
        if side_by_side:
            _columns(axes, scales)
        else:
            _rows(axes, scales, narrow)
        figure.legend(loc="outside upper left", ncols=1 if narrow else 2, frameon=False, fontsize=11)

    top = next(iter(scores))
    drawing = draw(
        "parallel",
        paint,
        size=(WIDE, 400 if len(scales) <= MOST_COLUMNS else 60 + 52 * len(scales)),
        narrow=(PHONE, 70 + 64 * len(scales)),
        title="Every complete trial across its settings",
        description=f"{len(scores)} complete trials across {len(shown)} settings. The best, trial {top}, reached "
        f"{scores[top]:.3f} with {', '.join(f'{s.name} {s.words[top]}' for s in settings)}."
        + (f" Left out: {', '.join(wording.setting(s.name) for s in left_out)}." if left_out else ""),
        header=("Trial", *(wording.sentence(s.name) for s in scales)),
        rows=tuple((str(n), *(s.words[n] for s in scales)) for n in scores),
    )
    return replace(drawing, svg=_to_hundredths(drawing.svg), narrow=_to_hundredths(drawing.narrow or Markup()))


def contour(
    leaderboard: tuple[TrialRecord, ...],
    metric: str,
    folds: int,
    x: str = "text.n_ctx",
    y: str = "numeracy.weight",
    story: SearchStory | None = None,
) -> Drawing | None:
    """Draws the score of the complete trials over two numeric settings, and a surface where there are enough of them.

    Args:
        leaderboard, metric, folds, story: As in `parallel_coordinates`.
        x: Setting on the horizontal axis.
        y: Setting on the vertical axis; trials in which it is off stand on a strip of their own.

    Returns:
        None where x or y is not a number, or does not vary among the trials that have both.
    """
    plane = _plane(story or tell_search(leaderboard, folds), _scores(leaderboard, folds), x, y)
    if plane is None:
        return None
    names, scores, top = (plane.x.name, plane.y.name), plane.scores, next(iter(plane.scores))
    off = plane.trials(off=True)

    def words(trial: int) -> tuple[str, str]:
        return plane.x.words[trial], plane.y.words.get(trial, NUMERACY_OFF)

    return draw(
        "contour",
        lambda figure, narrow: _paint_plane(figure, narrow, plane),
        size=(WIDE, 400),
        narrow=(PHONE, 430),
        title=f"The score over {names[0]} and {names[1]}",
        description=f"{wording.sentence(wording.metric(metric))} of {len(scores)} complete trials, from {min(scores.values()):.3f} "
        f"to {scores[top]:.3f}; the best, trial {top}, has {names[0]} {words(top)[0]} and {names[1]} {words(top)[1]}."
        + (f" In {len(off)} of them {names[1]} is off." if off else ""),
        header=(wording.sentence(names[0]), wording.sentence(names[1]), "Score", "Trial"),
        rows=tuple((*words(n), f"{score:.3f}", str(n)) for n, score in scores.items()),
    )


def surface(plane: Plane) -> tuple[Triangulation, list[float]] | None:
    """Returns triangles between the places of a plane's trials, and the mean score at each place.

    The score is linear on each triangle, in the scales as drawn, and unknown outside the outermost trials. None for fewer
    than FEWEST_POINTS places, or places on a line.
    """
    together: dict[tuple[float, float], list[float]] = {}
    for number in plane.trials(off=False):
        together.setdefault((plane.x.places[number], plane.y.places[number]), []).append(plane.scores[number])
    if len(together) < FEWEST_POINTS:
        return None
    places = np.array(sorted(together))  # [places, 2]
    along, over = np.linalg.svd(places - places.mean(0), compute_uv=False)
    if over < FLAT * along:
        return None
    return Triangulation(places[:, 0], places[:, 1]), [float(np.mean(together[p])) for p in sorted(together)]


def _scores(leaderboard: tuple[TrialRecord, ...], folds: int) -> dict[int, float]:
    """Returns the score of each complete trial, the best first."""
    whole = [t for t in ranked(leaderboard, folds) if t.scored and len(t.folds) == folds]
    return {t.number: t.value for t in whole if t.value is not None}


def _by_importance(story: SearchStory) -> list[Slice]:
    shares = dict(story.importance)
    if "numeracy.enabled" not in {s.name for s in story.slices}:  # the axis of the weight shows both
        shares["numeracy.weight"] = shares.get("numeracy.weight", 0.0) + shares.get("numeracy.enabled", 0.0)
    used = [s for s in story.slices if s.points]  # a setting may vary only where its part is off
    return sorted(used, key=lambda s: (-shares.get(s.name, 0.0), -len({repr(v) for v, _, _ in s.points})))


def _score_scale(scores: dict[int, float], metric: str) -> Scale:
    points = tuple((score, score, number) for number, score in scores.items())
    scale = scale_of(Slice(name=wording.metric(metric), numeric=True, log=False, points=points))
    return replace(scale, words={number: f"{score:.3f}" for number, score in scores.items()})


def _lines(axes: Axes, scales: tuple[Scale, ...], numbers: list[int], side_by_side: bool) -> None:
    index = list(range(len(scales)))
    pale: dict[str, Any] = {"color": MUTED, "linewidth": 1, "alpha": max(0.2, 0.5 - 0.005 * len(numbers))}
    bold: dict[str, Any] = {"color": BLUE, "linewidth": 2.8, "marker": "o", "markersize": 8, "markeredgecolor": PAPER}
    for number in reversed(numbers):
        look = pale | ({"label": "other complete trials"} if number == numbers[1] else {})
        if number == numbers[0]:
            look = bold | {"label": f"the best, trial {number}", "zorder": 4}
        places = [s.places[number] for s in scales]
        axes.plot(*((index, places) if side_by_side else (places, index)), clip_on=False, **look)


def _columns(axes: Axes, scales: tuple[Scale, ...]) -> None:
    """Writes on axes that stand side by side."""
    letters = int(WIDE / len(scales) / LETTER)
    for column, scale in enumerate(scales):
        axes.plot([column, column], [0, 1], color=MUTED, linewidth=1, zorder=2)
        name = "\n".join(textwrap.wrap(shortened(scale.name, 3 * letters), letters - 1))
        axes.annotate(name, (column, 1), (0, 16), textcoords="offset points", ha="center", va="bottom", fontsize=11)
        for place, text in spaced(scale.ticks, 260, lambda _: 16):
            _tick(axes, shortened(text, letters - 2), (column, place), (7, 0), ha="left", va="center")
    axes.set_xlim(-0.4, len(scales) - 0.4)
    axes.set_ylim(-0.04, 1.04)
    axes.set_axis_off()


def _rows(axes: Axes, scales: tuple[Scale, ...], narrow: bool) -> None:
    """Writes on axes that stand one below the other."""
    named_rows(axes, ["" if narrow else s.name for s in scales], narrow)
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    axes.set_xlim(-0.06, 1.06)
    room = 260 if narrow else 380
    for row, scale in enumerate(scales):
        axes.plot([0, 1], [row, row], color=MUTED, linewidth=1, zorder=2)
        if narrow:
            _tick(axes, shortened(scale.name, 40), (0, row), (-14, 9), ha="left", va="bottom", fontsize=12)
        letters = max(8, int(room / len(scale.ticks) / LETTER))
        ticks = [(place, shortened(text, letters)) for place, text in scale.ticks]
        for place, text in spaced(ticks, room, lambda word: LETTER * len(word) + 8):
            _tick(axes, text, (place, row), (0, -7), ha="center", va="top")


def _tick(axes: Axes, text: str, at: tuple[float, float], shift: tuple[int, int], **look: Any) -> None:
    paper = {"boxstyle": "square,pad=0.15", "facecolor": PAPER, "edgecolor": "none", "alpha": 0.8}  # lines run behind
    axes.annotate(text, at, shift, textcoords="offset points", bbox=paper, zorder=5, **({"fontsize": 11} | look))


def _to_hundredths(svg: Markup) -> Markup:
    """Returns the drawing with its paths to a hundredth of a pixel: they are most of what a hundred trials weigh."""
    return Markup(re.sub(r'<path d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), svg))


def _plane(story: SearchStory, scores: dict[int, float], x: str, y: str) -> Plane | None:
    numeric = {s.name: s for s in story.slices if s.numeric}
    if x not in numeric or y not in numeric:
        return None
    across, up = scale_of(numeric[x]), scale_of(numeric[y])
    shown = {n: score for n, score in scores.items() if n in across.places}
    both = [n for n in shown if n in up.places]
    if len({across.places[n] for n in both}) < 2 or len({up.places[n] for n in both}) < 2:
        return None
    levels = MaxNLocator(nbins=5, min_n_ticks=2).tick_values(min(shown.values()), max(shown.values()))
    return Plane(x=across, y=up, scores=shown, levels=tuple(float(v) for v in levels))


def _paint_plane(figure: Figure, narrow: bool, plane: Plane) -> None:
    off, found, wide = plane.trials(off=True), surface(plane), 230 if narrow else 520
    strips = (6, 1) if off else (1,)
    panels = figure.subplots(len(strips), sharex=True, squeeze=False, height_ratios=strips)[:, 0]
    axes = panels[0]
    if found:
        shades = [(BLUE, _shade(band, plane)) for band in range(len(plane.levels) - 1)]
        axes.tricontourf(*found, levels=plane.levels, colors=shades, zorder=0)
    _dots(axes, plane, plane.trials(off=False), (wide, 260))
    axes.set_ylabel(plane.y.name)
    axes.set_yticks(*zip(*spaced(plane.y.ticks, 260, lambda _: 16), strict=True))
    axes.set_ylim(-0.08, 1.1)
    if off:
        _dots(panels[1], plane, off, (wide, 20))
        panels[1].set_yticks([0], [NUMERACY_OFF])
        panels[1].set_ylim(-1, 2)
    panels[-1].set_xticks(*zip(*spaced(plane.x.ticks, wide, lambda word: LETTER * len(word) + 8), strict=True))
    panels[-1].set_xlabel(plane.x.name)
    axes.set_xlim(-0.08, 1.08)
    _bands(figure, plane, found is not None, narrow)


def _bands(figure: Figure, plane: Plane, shaded: bool, narrow: bool) -> None:
    handles: list[Any] = [
        (Patch(color=BLUE, alpha=_shade(band, plane) if shaded else 0, linewidth=0), Line2D([], [], **_look(band)))
        for band in range(len(plane.levels) - 1)
    ]
    digits = next((d for d in (2, 3, 4) if all(abs(v - round(v, d)) < 1e-9 for v in plane.levels)), 5)
    words = [f"{low:.{digits}f} – {high:.{digits}f}" for low, high in pairwise(plane.levels)]
    handles, words = [*handles, Line2D([], [], **STAR | {"markersize": 13})], [*words, "best"]
    figure.legend(
        handles,
        words,
        loc="outside upper left",
        ncols=3 if narrow else 6,
        columnspacing=1.2,
        frameon=False,
        fontsize=11,
    )


def _shade(band: int, plane: Plane) -> float:
    return 0.06 + 0.36 * band / max(1, len(plane.levels) - 2)


def _look(band: int) -> dict[str, Any]:
    """Returns how a dot of a band looks: the better the larger, because shades alone are not seen by everyone."""
    return {"color": BLUE, "marker": "o", "markersize": 5 + 1.5 * band, "markeredgecolor": PAPER, "linestyle": ""}


def _dots(axes: Axes, plane: Plane, trials: list[int], room: tuple[int, int]) -> None:
    """Draws trials as dots by their band, the best of all as a star, with their scores where there is room."""
    places = {n: (plane.x.places[n], plane.y.places.get(n, 0.0)) for n in trials}
    band = {n: int(np.searchsorted(plane.levels[1:-1], plane.scores[n], side="right")) for n in trials}
    top = next(iter(plane.scores))
    for number in reversed(trials):
        axes.plot(*places[number], **(STAR if number == top else _look(band[number])))
    written = trials if len(plane.scores) <= MOST_NUMBERS else trials[:1]
    for number, shift in _free(places, written, room):
        look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 11, "color": INK}
        axes.annotate(f"{plane.scores[number]:.2f}", places[number], shift, textcoords="offset points", **look)


def _free(
    places: dict[int, tuple[float, float]], numbers: list[int], room: tuple[int, int]
) -> list[tuple[int, tuple[int, int]]]:
    """Returns which trials have room for a number, the first first, and how far from the dot it stands, in points."""
    middles = {n: (x * room[0], y * room[1]) for n, (x, y) in places.items()}
    taken = [(x, y, 6.0, 6.0) for x, y in middles.values()]  # half widths and heights
    found = []
    for number in numbers:
        for shift in ((0, 15), (0, -15), (24, 0), (-24, 0)):
            x, y = middles[number][0] + shift[0], middles[number][1] + shift[1]
            inside = -0.08 * room[0] <= x - 14 and x + 14 <= 1.15 * room[0]
            if inside and all(abs(x - t[0]) >= 14 + t[2] or abs(y - t[1]) >= 7 + t[3] for t in taken):
                taken.append((x, y, 14.0, 7.0))
                found.append((number, shift))
                break
    return found
