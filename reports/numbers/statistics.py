"""Scores of held-out predictions with their uncertainty: plain records, nothing drawn.

Letters: C classes, S subjects, B bootstrap draws. Everything is computed from confusion matrices [..., C, C] (rows are the
true class), so that thousands of resampled cohorts cost one matrix product.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import binomtest, norm
from scipy.stats import t as student

from trainables.study.metrics import at_level
from trainables.study.vocabulary import parse_metric

Array = np.ndarray[Any, np.dtype[Any]]
NOMINAL = ("balanced_accuracy", "macro_f1", "accuracy")
ORDINAL = ("quadratic_kappa", "mean_absolute_error")
DRAWS = 2000
SHUFFLES = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """One metric at one level, with its 95 % interval and what guessing would give."""

    metric: str
    value: float
    low: float
    high: float
    chance: float
    """Mean over shuffles of the true labels among the units: what these answers would score if they had no skill."""
    largest_class: float
    """What answering the largest class every time would score."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """All scores at one level: subject, video or window."""

    level: str
    units: int
    scores: tuple[Score, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScore:
    """How well one class is found, over units of one level; None where it is undefined (no unit to divide by)."""

    label: str
    units: int
    precision: float | None
    precision_interval: tuple[float, float] | None
    """Wilson 95 % interval, units taken as independent; as that of the recall."""
    recall: float | None
    recall_interval: tuple[float, float] | None
    f1: float | None
    f1_interval: tuple[float, float] | None
    """Bootstrap 95 % interval: units are drawn with replacement."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldScore:
    """One fold's scores at subject level."""

    fold: int
    subjects: int
    videos: int
    windows: int
    scores: dict[str, float]
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """A metric over the folds."""

    metric: str
    mean: float
    deviation: float | None
    """Standard deviation with n - 1; None for one fold."""
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Null:
    """The chosen score beside the same search on permuted labels."""

    permutations: int
    observed: float
    mean: float
    high: float
    """95 % quantile of the permuted searches' best scores."""
    p_value: float
    """(1 + permuted searches at least as good) / (1 + permutations)."""


def metrics_of(ordinal: bool, selected: str) -> tuple[str, ...]:
    """Returns the metrics that a task is described by, in the order shown; the one that chose comes first."""
    shown = NOMINAL + ORDINAL if ordinal else NOMINAL
    return (selected, *(m for m in shown if m != selected))


def confusion(true: Array, predicted: Array, classes: int) -> Array:
    """Returns counts [C, C]; row: true class, column: predicted class."""
    counts: Array = np.bincount(true * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


def metric_values(counts: Array, metric: str) -> Any:
    """Returns a metric [...] of confusion matrices [..., C, C], defined as in trainables.study.metrics.

    'mean_absolute_error' is in classes and lower is better; every other metric is better when higher.
    """
    counts = np.asarray(counts, dtype=float)
    true, predicted, hits = counts.sum(-1), counts.sum(-2), np.diagonal(counts, axis1=-2, axis2=-1)
    total = true.sum(-1)
    if metric == "accuracy":
        return _ratio(hits.sum(-1), total)
    if metric == "balanced_accuracy":
        return _ratio(_ratio(hits, true).sum(-1), (true > 0).sum(-1))
    if metric == "macro_f1":
        return _ratio(2 * hits, true + predicted).mean(-1)
    distance = np.abs(np.subtract.outer(np.arange(counts.shape[-1]), np.arange(counts.shape[-1])))
    if metric == "mean_absolute_error":
        return _ratio((counts * distance).sum((-1, -2)), total)
    if metric == "quadratic_kappa":
        expected = _ratio(true[..., :, None] * predicted[..., None, :], total[..., None, None])
        by_chance = (expected * distance**2).sum((-1, -2))
        observed = (counts * distance**2).sum((-1, -2))
        return (1 - _ratio(observed, by_chance)) * (by_chance > 0)
    raise ValueError(f"{metric!r} is not a metric; metrics are {', '.join(NOMINAL + ORDINAL)}")


def _ratio(top: Array, bottom: Array) -> Array:
    ratio: Array = np.divide(top, bottom, out=np.zeros(np.broadcast(top, bottom).shape), where=bottom > 0)
    return ratio


def subject_matrices(units: pl.DataFrame, classes: int) -> Array:
    """Returns one confusion matrix per subject [S, C, C], subjects sorted by name."""
    return np.stack(
        [
            confusion(group["true"].to_numpy(), group["predicted"].to_numpy(), classes)
            for _, group in units.sort("subject").group_by("subject", maintain_order=True)
        ]
    )


def bootstrap(matrices: Array, metric: str, rng: np.random.Generator, draws: int = DRAWS) -> tuple[float, float]:
    """Returns the 95 % interval of a metric when whole subjects are drawn with replacement, by expanded percentiles.

    Args:
        matrices: One confusion matrix per subject [S, C, C].
        metric: As in `metric_values`.
        rng: Draws the subjects.
        draws: Resampled cohorts, B.
    """
    return ends(_resampled(matrices, metric, rng, draws), len(matrices))


def ends(draws: Array, subjects: int) -> tuple[float, float]:
    """Returns the expanded percentiles of bootstrap draws [B] that stand for 95 %.

    The 2.5 and 97.5 % percentiles are too narrow for few subjects; these lie further out by Student's t and by
    sqrt(S / (S - 1)). Source: Hesterberg, The American Statistician 69 (2015), 371-386; docs/decisions/0010 for coverages.
    """
    outer = np.array([0.0, 1.0])
    if subjects > 1:
        low = norm.cdf(student.ppf(0.025, subjects - 1) * math.sqrt(subjects / (subjects - 1)))
        outer = np.array([low, 1 - low])
    low, high = np.quantile(draws, outer)
    return float(low), float(high)


def _resampled(matrices: Array, metric: str, rng: np.random.Generator, draws: int) -> Array:
    """Returns the metric of each resampled cohort, [B]."""
    subjects = len(matrices)
    chosen = rng.integers(0, subjects, (draws, subjects))
    values: Array = metric_values(np.tensordot(_count_rows(chosen, subjects), matrices, axes=1), metric)
    return values


def standard_error(predictions: pl.DataFrame, metric: str, classes: int) -> float:
    """Returns the bootstrap standard error of a study's metric ('subject/macro_f1') when whole subjects are drawn."""
    level, name = parse_metric(metric)
    matrices = subject_matrices(at_level(predictions, level), classes)
    values = _resampled(matrices, name, np.random.default_rng(0), DRAWS)
    return float(values.std(ddof=1))


def shuffled(units: pl.DataFrame, classes: int, rng: np.random.Generator) -> Array:
    """Returns a confusion matrix for each shuffle of the true labels among the units [shuffles, C, C]; the answers stay."""
    true = rng.permuted(np.tile(units["true"].to_numpy(), (SHUFFLES, 1)), axis=1)
    cells = _count_rows(true * classes + units["predicted"].to_numpy(), classes * classes)
    return cells.reshape(SHUFFLES, classes, classes)


def _count_rows(numbers: Array, kinds: int) -> Array:
    """Returns how often each of 0 ... kinds - 1 stands in each row: [rows, kinds]."""
    rows = len(numbers)
    counts: Array = np.bincount((numbers + kinds * np.arange(rows)[:, None]).ravel(), minlength=rows * kinds)
    return counts.reshape(rows, kinds)


def level_scores(predictions: pl.DataFrame, level: str, classes: int, metrics: tuple[str, ...]) -> Level:
    """Returns a level's scores; subjects are what is resampled at every level, because their videos are not independent."""
    units = at_level(predictions, level)
    matrices = subject_matrices(units, classes)
    counts = matrices.sum(0)
    constant = np.zeros_like(counts)
    constant[:, counts.sum(1).argmax()] = counts.sum(1)
    guesses = shuffled(units, classes, np.random.default_rng(0))
    scores = []
    for metric in metrics:
        low, high = bootstrap(matrices, metric, np.random.default_rng(0))
        scores.append(
            Score(
                metric=metric,
                value=float(metric_values(counts, metric)),
                low=low,
                high=high,
                chance=float(metric_values(guesses, metric).mean()),
                largest_class=float(metric_values(constant, metric)),
            )
        )
    return Level(level=level, units=len(units), scores=tuple(scores))


def wilson(hits: int, units: int) -> tuple[float, float]:
    """Returns the Wilson 95 % interval of a share of independent units."""
    interval = binomtest(hits, units).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def class_scores(counts: Array, labels: tuple[str, ...]) -> tuple[ClassScore, ...]:
    """Returns precision, recall and F1 of each class of a confusion matrix [C, C], with 95 % intervals."""
    drawn = np.random.default_rng(0).multinomial(counts.sum(), counts.ravel() / max(counts.sum(), 1), DRAWS)
    drawn = drawn.reshape(DRAWS, *counts.shape)  # resampled units are a multinomial over the cells
    rows = []
    for index, label in enumerate(labels):
        hits, true, predicted = (int(n) for n in (counts[index, index], counts[index].sum(), counts[:, index].sum()))
        share = _ratio(2.0 * drawn[:, index, index], drawn[:, index].sum(-1) + drawn[:, :, index].sum(-1))
        interval = ends(share, int(counts.sum()))
        rows.append(
            ClassScore(
                label=label,
                units=true,
                precision=hits / predicted if predicted else None,
                precision_interval=wilson(hits, predicted) if predicted else None,
                recall=hits / true if true else None,
                recall_interval=wilson(hits, true) if true else None,
                f1=2 * hits / (true + predicted) if true + predicted else None,
                f1_interval=interval if true + predicted else None,
            )
        )
    return tuple(rows)


def fold_scores(
    predictions: pl.DataFrame, seconds: dict[int, float], classes: int, metrics: tuple[str, ...]
) -> tuple[tuple[FoldScore, ...], tuple[Spread, ...]]:
    """Returns each fold's scores at subject level, and their spread over the folds.

    Args:
        predictions: One row per held-out window, as FoldResult.predictions.
        seconds: Training and scoring time by fold.
        classes: C.
        metrics: Names as in `metric_values`.
    """
    folds = []
    for fold in sorted(seconds):
        part = predictions.filter(pl.col("fold") == fold)
        units = at_level(part, "subject")
        counts = confusion(units["true"].to_numpy(), units["predicted"].to_numpy(), classes)
        scores = {metric: float(metric_values(counts, metric)) for metric in metrics}
        videos = part.select("subject", "video").n_unique()
        subjects = part["subject"].n_unique()
        folds.append(
            FoldScore(
                fold=fold, subjects=subjects, videos=videos, windows=len(part), scores=scores, seconds=seconds[fold]
            )
        )
    return tuple(folds), tuple(_spread(metric, [f.scores[metric] for f in folds]) for metric in metrics)


def _spread(metric: str, values: list[float]) -> Spread:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(metric=metric, mean=float(np.mean(values)), deviation=deviation, low=min(values), high=max(values))


def permutation_null(observed: float, permuted: tuple[float, ...]) -> Null | None:
    """Returns the permutation test of the whole search, or None where none was run."""
    finite = [v for v in permuted if math.isfinite(v)]
    if not finite:
        return None
    at_least = sum(v >= observed - 1e-12 for v in finite)
    return Null(
        permutations=len(finite),
        observed=observed,
        mean=float(np.mean(finite)),
        high=float(np.quantile(finite, 0.95)),
        p_value=(1 + at_least) / (1 + len(finite)),
    )


def mistakes(predictions: pl.DataFrame, limit: int = 15) -> pl.DataFrame:
    """Returns the wrongly answered videos, the most confident first.

    Returns:
        Frame with subject, video, fold, true, predicted, confidence (probability of the answer) and right (that of the
        true class).
    """
    videos = at_level(predictions, "video").filter(pl.col("true") != pl.col("predicted"))
    shown = videos.with_columns(
        confidence=pl.col("probabilities").list.get(pl.col("predicted")),
        right=pl.col("probabilities").list.get(pl.col("true")),
    )
    columns = ["subject", "video", "fold", "true", "predicted", "confidence", "right"]
    return shown.select(columns).sort("confidence", "subject", "video", descending=[True, False, False]).head(limit)
