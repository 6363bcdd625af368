"""Scores of held-out predictions with their uncertainty: plain records, nothing drawn.

Letters: C classes, S subjects, B bootstrap draws. Everything is computed from confusion matrices [..., C, C] (rows are the
true class), so that thousands of resampled cohorts cost one matrix product.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import norm

from reports.numbers.intervals import DRAWS, SHARED_TRAINING, Array, ends, resampled_counts
from trainables.study.metrics import at_level
from trainables.study.vocabulary import parse_metric

NOMINAL = ("balanced_accuracy", "macro_f1", "accuracy")
ORDINAL = ("quadratic_kappa", "mean_absolute_error")
SHUFFLES = 1000
RARE = 8
"""Subjects of a class below which a mean over the classes has no interval that holds: with 16, 5 and 3 it covers 78 %."""


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
    """Answers; a subject that was held out several times has several."""
    scores: tuple[Score, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScore:
    """How well one class is found, over units of one level; None where it is undefined (no unit to divide by)."""

    label: str
    units: int
    subjects: int
    precision: float | None
    precision_interval: tuple[float, float] | None
    """Wilson 95 % interval, all units of a subject taken as one observation; as that of the recall."""
    recall: float | None
    recall_interval: tuple[float, float] | None
    f1: float | None
    f1_interval: tuple[float, float] | None
    """As a score's interval; None for fewer than RARE subjects of the class."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldScore:
    """One fold's scores at subject level."""

    fold: int
    subjects: int
    videos: int
    windows: int
    scores: dict[str, float | None]
    """Over the classes that the fold tests; None where a metric is undefined there."""
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """A metric over the folds; None where no fold has it."""

    metric: str
    mean: float | None
    deviation: float | None
    """Standard deviation with n - 1; None for one fold."""
    low: float | None
    high: float | None


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


def fold_value(counts: Array, metric: str) -> float | None:
    """Returns a metric of one fold's confusion matrix [C, C], over the classes that the fold has subjects of.

    A fold may have none of a class, and of one subject it has one class only: macro F1 would then count the missing
    classes as 0, and kappa, which is None here for fewer than two classes, would be 0 for perfect answers.
    """
    present = counts.sum(1) > 0
    if metric == "macro_f1":
        true, predicted, hits = counts.sum(1), counts.sum(0), np.diagonal(counts)
        return float(_ratio(2.0 * hits, true + predicted)[present].mean()) if present.any() else None
    if metric == "quadratic_kappa" and present.sum() < 2:
        return None
    return float(metric_values(counts, metric))


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


def score_interval(
    matrices: Array, metric: str, rng: np.random.Generator, shared_training: float = SHARED_TRAINING
) -> tuple[float, float]:
    """Returns the 95 % interval of a cross-validated score: never without width, wider than `bootstrap`'s.

    docs/decisions/0020 has its coverage for nested cross-validation of 24 and 60 subjects.

    Args:
        matrices: One confusion matrix per subject [S, C, C].
        metric: As in `metric_values`.
        rng: Draws the subjects.
        shared_training: As in `resampled_counts`.
    """
    counts = resampled_counts(matrices, rng, shared_training=shared_training)
    return ends(metric_values(counts, metric), len(matrices))


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


def level_scores(
    predictions: pl.DataFrame,
    level: str,
    classes: int,
    metrics: tuple[str, ...],
    *,
    shared_training: float = SHARED_TRAINING,
) -> Level:
    """Returns a level's scores; subjects are what is resampled at every level, because their videos are not independent."""
    units = at_level(predictions, level)
    matrices = subject_matrices(units, classes)
    counts = matrices.sum(0)
    constant = np.zeros_like(counts)
    constant[:, counts.sum(1).argmax()] = counts.sum(1)
    guesses = shuffled(units, classes, np.random.default_rng(0))
    scores = []
    for metric in metrics:
        low, high = score_interval(matrices, metric, np.random.default_rng(0), shared_training)
        scores.append(
            Score(
                metric=metric,
                value=(value := float(metric_values(counts, metric))),
                low=min(low, value),
                high=max(high, value),
                chance=float(metric_values(guesses, metric).mean()),
                largest_class=float(metric_values(constant, metric)),
            )
        )
    return Level(level=level, units=len(units), scores=tuple(scores))


def wilson(hits: float, units: float) -> tuple[float, float]:
    """Returns the Wilson 95 % interval of a share of independent units, of which there may be a broken number."""
    z2, share = float(norm.ppf(0.975)) ** 2, hits / units
    middle = (share + z2 / (2 * units)) / (1 + z2 / units)
    half = math.sqrt(z2 * share * (1 - share) / units + (z2 / (2 * units)) ** 2) / (1 + z2 / units)
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))  # the ends round past 0 and 1


def independent_units(sizes: Array) -> float:
    """Returns how many independent units a share is worth whose units are these many of each subject: N^2 / sum of n^2.

    All units of one subject count as one observation, also where a subject was held out several times. Source: Kish 1965.
    """
    return float(sizes.sum() ** 2 / (sizes.astype(float) ** 2).sum())


def class_scores(
    matrices: Array, labels: tuple[str, ...], *, shared_training: float = SHARED_TRAINING
) -> tuple[ClassScore, ...]:
    """Returns precision, recall and F1 of each class, with 95 % intervals, of one confusion matrix per subject [S, C, C]."""
    counts = matrices.sum(0)
    drawn = resampled_counts(matrices, np.random.default_rng(0), shared_training=shared_training)
    rows = []
    for index, label in enumerate(labels):
        hits, true, predicted = (int(n) for n in (counts[index, index], counts[index].sum(), counts[:, index].sum()))
        share = _ratio(2.0 * drawn[:, index, index], drawn[:, index].sum(-1) + drawn[:, :, index].sum(-1))
        subjects = int((matrices[:, index].sum(-1) > 0).sum())
        rows.append(
            ClassScore(
                label=label,
                units=true,
                subjects=subjects,
                precision=hits / predicted if predicted else None,
                precision_interval=_share_interval(hits, matrices[:, :, index].sum(-1)),
                recall=hits / true if true else None,
                recall_interval=_share_interval(hits, matrices[:, index].sum(-1)),
                f1=2 * hits / (true + predicted) if true + predicted else None,
                f1_interval=ends(share, len(matrices)) if subjects >= RARE else None,
            )
        )
    return tuple(rows)


def _share_interval(hits: int, sizes: Array) -> tuple[float, float] | None:
    if not sizes.sum():
        return None
    units = independent_units(sizes)
    return wilson(hits / sizes.sum() * units, units)


def fold_scores(
    predictions: pl.DataFrame, seconds: dict[int, float], classes: int, metrics: tuple[str, ...], unit: str = "subject"
) -> tuple[tuple[FoldScore, ...], tuple[Spread, ...]]:
    """Returns each fold's scores at subject level, and their spread over the folds.

    Args:
        predictions: One row per held-out window, as FoldResult.predictions.
        seconds: Training and scoring time by fold.
        classes: C.
        metrics: Names as in `metric_values`.
        unit: What is scored: subject, or video where one subject's videos have several labels.
    """
    folds = []
    for fold in sorted(seconds):
        part = predictions.filter(pl.col("fold") == fold)
        units = at_level(part, unit)
        counts = confusion(units["true"].to_numpy(), units["predicted"].to_numpy(), classes)
        scores = {metric: fold_value(counts, metric) for metric in metrics}
        videos = part.select("subject", "video").n_unique()
        subjects = part["subject"].n_unique()
        folds.append(
            FoldScore(
                fold=fold, subjects=subjects, videos=videos, windows=len(part), scores=scores, seconds=seconds[fold]
            )
        )
    return tuple(folds), tuple(_spread(metric, [f.scores[metric] for f in folds]) for metric in metrics)


def _spread(metric: str, values: list[float | None]) -> Spread:
    known = [v for v in values if v is not None]
    if not known:
        return Spread(metric=metric, mean=None, deviation=None, low=None, high=None)
    deviation = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return Spread(metric=metric, mean=float(np.mean(known)), deviation=deviation, low=min(known), high=max(known))


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
