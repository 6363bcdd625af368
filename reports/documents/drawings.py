"""Draws every figure of a study's page."""

from collections.abc import Sequence
from typing import Any

from reports.documents.kept_drawings import KeptDrawings
from reports.figures import scores as score_figures
from reports.figures import search as search_figures
from reports.figures.calibration import draw_calibration
from reports.figures.curves import draw_curves
from reports.figures.decision_curve import draw_decision_curve
from reports.figures.embedding_maps import draw_numbers, draw_plane
from reports.figures.learning import draw_learning_curve
from reports.figures.parallel_coordinates import contour, parallel_coordinates
from reports.figures.style import Drawing
from reports.numbers.analysis import Analysis


def all_drawings(analysis: Analysis, kept: KeptDrawings, chance: float | None) -> dict[str, Any]:
    """Returns every figure of a study's page by its name; None where there is nothing to draw.

    Args:
        kept: Figures of an earlier page, which are not drawn again where they would be the same.
        chance: The metric's value by chance; None where the page has no score.
    """
    found, metric = analysis.results, analysis.study.metric
    scores = [s for axis in analysis.search.slices for _, s, _ in axis.points]
    room = 0.06 + 0.04 * (max(scores) - min(scores)) if scores else 0.0
    limits = (min(scores) - room, max(scores) + room) if scores else (0.0, 1.0)
    permuted = analysis.study.permutations
    drawings: dict[str, Drawing | Sequence[Drawing | None] | None] = {
        "intervals": score_figures.intervals(analysis.shown.levels[0]) if analysis.shown else None,
        "permutation": score_figures.permutation(found.null, permuted, metric) if found and found.null else None,
        "folds": score_figures.folds(found.folds) if found else None,
        "training": kept.of(draw_curves, found.folds_done) if found else (),
        "history": search_figures.history(
            analysis.leaderboard, analysis.search, metric, chance, len(analysis.splits.folds)
        ),
        "slices": [search_figures.axis(s, i, metric, limits) for i, s in enumerate(analysis.search.slices)],
        "importance": search_figures.importance(analysis.search.importance),
        "calibration": draw_calibration(analysis.shown.calibration)
        if analysis.shown and analysis.shown.calibration
        else None,
        "learning": draw_learning_curve(analysis.learning) if analysis.learning else None,
        "decisions": draw_decision_curve(analysis.decisions) if analysis.decisions else None,
        "parallel": parallel_coordinates(analysis.leaderboard, metric, len(analysis.splits.folds), analysis.search),
        "contour": contour(analysis.leaderboard, metric, len(analysis.splits.folds), story=analysis.search),
        "planes": [kept.of(draw_plane, found.maps, i) for i in range(len(found.maps.planes))]
        if found and found.maps
        else [],
        "numbers": kept.of(draw_numbers, found.maps) if found and found.maps else None,
        "decoded": [kept.of(score_figures.decoded, c, i) for i, c in enumerate(analysis.words.classes)],
    }
    return drawings
