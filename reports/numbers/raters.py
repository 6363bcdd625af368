"""How far two raters agree, and the model with each of them: the raters' agreement is what a model can hope to reach.

Letters: C classes, S subjects, B draws.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from reports.numbers.detail import leading_unit
from reports.numbers.intervals import (
    DRAWS,
    SHARED_TRAINING,
    Array,
    ends,
    pseudo_subjects,
    resampled_counts,
    resampled_times,
)
from reports.numbers.statistics import subject_matrices
from trainables.study.metrics import at_level
from trainables.study.records import SECOND_RATING, Cohort

RATERS, MODEL_FIRST, MODEL_SECOND = "the two raters", "the model and the label", "the model and the second rater"


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Cohen's kappa of two lists of answers for the same units."""

    between: str
    kappa: float
    low: float
    """95 % interval, subjects resampled."""
    high: float
    same: float
    """Share of the units with the same answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Raters:
    """Agreement between the raters, and of the model with each, on the units that both have rated."""

    unit: str
    units: int
    """Answers for subjects or videos; a subject that was held out several times has several."""
    subjects: int
    unrated: int
    """Subjects or videos without a second rating, which are left out."""
    weighted: bool
    """Whether far answers cost more, by the square of their distance; so where the classes have an order."""
    agreements: tuple[Agreement, ...]
    """Of the raters, of the model with the label, of the model with the second rater."""
    gap: float
    """Kappa of the model with the label minus that of the second rater with the label."""
    gap_low: float
    gap_high: float


def raters(predictions: pl.DataFrame, cohort: Cohort, *, ordinal: bool) -> Raters | None:
    """Returns the agreements; None where no unit has a second rating.

    Args:
        predictions: One row per held-out window, as FoldResult.predictions.
        cohort: Its videos may have the column SECOND_RATING.
        ordinal: Whether the classes have an order.
    """
    if SECOND_RATING not in cohort.videos.columns:
        return None
    unit, classes = leading_unit(cohort), len(cohort.classes)
    keys = ["subject"] if unit == "subject" else ["subject", "video"]
    second = cohort.videos.group_by(keys).agg(pl.col(SECOND_RATING).drop_nulls().first())
    units = at_level(predictions, unit).join(second, on=keys, how="left")
    rated = units.drop_nulls(SECOND_RATING)
    if rated.is_empty():
        return None
    by_pair = {
        RATERS: _matrices(rated, "true", SECOND_RATING, classes),
        MODEL_FIRST: _matrices(rated, "true", "predicted", classes),
        MODEL_SECOND: _matrices(rated, SECOND_RATING, "predicted", classes),
    }
    agreements = tuple(_agreement(name, matrices, ordinal) for name, matrices in by_pair.items())
    gap = agreements[1].kappa - agreements[0].kappa
    low, high = _gap_interval(by_pair[MODEL_FIRST], by_pair[RATERS], ordinal)
    return Raters(
        unit=unit,
        units=len(rated),
        subjects=len(by_pair[RATERS]),
        unrated=units.filter(pl.col(SECOND_RATING).is_null()).select(keys).n_unique(),
        weighted=ordinal,
        agreements=agreements,
        gap=gap,
        gap_low=min(low, gap),
        gap_high=max(high, gap),
    )


def kappas(counts: Array, *, weighted: bool) -> Array:
    """Returns Cohen's kappa of confusion matrices [..., C, C]: [...]; 0 where chance alone would agree always.

    Args:
        counts: Rows are the answers of one, columns those of the other.
        weighted: By the square of the distance between the classes; else all disagreements cost the same.
    """
    classes = counts.shape[-1]
    distance = np.abs(np.subtract.outer(np.arange(classes), np.arange(classes)))
    cost = distance.astype(float) ** 2 if weighted else (distance > 0).astype(float)
    total = np.maximum(counts.sum((-1, -2)), 1e-12)
    expected = counts.sum(-1)[..., :, None] * counts.sum(-2)[..., None, :] / total[..., None, None]
    by_chance, observed = (expected * cost).sum((-1, -2)), (counts * cost).sum((-1, -2))
    found: Array = np.where(by_chance > 0, 1 - observed / np.where(by_chance > 0, by_chance, 1), 0.0)
    return found


def _agreement(name: str, matrices: Array, ordinal: bool) -> Agreement:
    shared = 1.0 if name == RATERS else SHARED_TRAINING  # two people share no training
    counts = matrices.sum(0)
    kappa = float(kappas(counts, weighted=ordinal))
    drawn = resampled_counts(matrices, np.random.default_rng(0), shared_training=shared)
    low, high = ends(kappas(drawn, weighted=ordinal), len(matrices))
    same = float(counts.trace() / counts.sum())
    return Agreement(between=name, kappa=kappa, low=min(low, kappa), high=max(high, kappa), same=same)


def _gap_interval(one: Array, other: Array, ordinal: bool) -> tuple[float, float]:
    """Returns the 95 % interval of the difference between two kappas [S, C, C], the same subjects drawn for both.

    Two imagined subjects are added, each answered right in one of the two alone; so equal answers have an interval too.
    """
    right, wrong = pseudo_subjects(one)
    whole = len(one) + 2
    times = resampled_times(whole, np.random.default_rng(0), DRAWS, max(1, round(whole / SHARED_TRAINING)))
    first, second = (
        np.tensordot(times, np.concatenate([matrices.astype(float), np.stack(imagined)]), axes=1)
        for matrices, imagined in ((one, (right, wrong)), (other, (wrong, right)))
    )
    return ends(kappas(first, weighted=ordinal) - kappas(second, weighted=ordinal), len(one))


def _matrices(units: pl.DataFrame, one: str, other: str, classes: int) -> Array:
    """Returns the confusion matrix of two columns for each subject [S, C, C]."""
    return subject_matrices(
        units.select("subject", pl.col(one).alias("true"), pl.col(other).alias("predicted")), classes
    )
