"""Whether one configuration scores better than another on the same held-out subjects, and what this cohort could show.

Letters: C classes, S subjects, B draws, K folds. Subjects are what is swapped and resampled, at every level: the
answers for one subject's windows and videos are not independent.

The winner of a search was picked by the very score that is compared here, and no p-value of this file knows of it:
every difference leans towards the winner, and the more trials the search had, the more. Outer folds, which no trial was
chosen on, have no such lean.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy.stats import t as student

from reports.numbers.statistics import DRAWS, Array, confusion, ends, metric_values, subject_matrices
from trainables.errors import StridefoldError
from trainables.study.metrics import at_level
from trainables.study.vocabulary import LEVELS, parse_metric

ENUMERATED = 2**14
"""The most swaps that are all tried; above it they are drawn."""
SWAPS = 10_000
POWER_80 = 1.96 + 0.84
"""Standard errors between no difference and one that is found with 80 % power at two-sided 5 %."""
SAME = 1e-12
"""Scores this close are equal: the rounding of sums in another order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The chosen configuration ("ours") beside another one, scored on the same held-out units."""

    other: str
    metric: str
    """Its name without the level; higher is better."""
    level: str
    """What was compared: subject, video or window; video where the two cut their windows differently."""
    value: float
    other_value: float
    difference: float
    """value - other_value."""
    low: float
    """95 % percentile interval of the difference, the same subjects drawn for both."""
    high: float
    p_value: float
    """Two-sided, of swapping the two configurations' answers of whole subjects."""
    adjusted: float
    """p_value after Holm's correction for all comparisons made together."""
    folds_p_value: float | None
    """Two-sided corrected resampled t-test over the folds' subject-level scores; None where it is undefined."""
    only_ours: int
    """Subjects that ours has right and the other has not, at subject level."""
    only_other: int
    detectable: float | None
    """Smallest difference found with 80 % power at two-sided 5 %, as `detectable_difference`."""


def compare(
    ours: pl.DataFrame, others: Mapping[str, pl.DataFrame], metric: str, classes: int
) -> tuple[Comparison, ...]:
    """Returns ours beside each of the others, in their order; their p-values are corrected together.

    Args:
        ours: One row per held-out window, as FoldResult.predictions, all folds together.
        others: The same of each other configuration, by its name.
        metric: As 'macro_f1' (subject level) or 'video/macro_f1'; see trainables.study.metrics.
        classes: C.

    Raises:
        ConfigurationError: The metric is not known.
        StridefoldError: Another configuration was not scored on the same subjects (at video or window level: videos) in
            the same folds with the same true classes.
    """
    level, name = parse_metric(metric)
    found = [_compare_with(ours, other, label, level, name, classes) for label, other in others.items()]
    adjusted = holm([c.p_value for c in found])
    return tuple(replace(c, adjusted=p) for c, p in zip(found, adjusted, strict=True))


def _compare_with(
    ours: pl.DataFrame, other: pl.DataFrame, label: str, level: str, metric: str, classes: int
) -> Comparison:
    if level == "window" and set(ours.select(LEVELS).rows()) != set(other.select(LEVELS).rows()):
        level = "video"
    _check_same(ours, other, label, level)
    one, two = (subject_matrices(at_level(p, level), classes) for p in (ours, other))  # [S, C, C]
    value, other_value = (float(metric_values(m.sum(0), metric)) for m in (one, two))
    p_value = permutation_p_value(one, two, metric, np.random.default_rng(0))
    draws = bootstrap_differences(one, two, metric, np.random.default_rng(0))
    low, high = ends(draws, len(one))
    subjects, other_subjects = (at_level(p, "subject") for p in (ours, other))
    right, other_right = _right(subjects), _right(other_subjects)
    differences, held_out = _fold_differences(subjects, other_subjects, metric, classes)
    return Comparison(
        other=label,
        metric=metric,
        level=level,
        value=value,
        other_value=other_value,
        difference=value - other_value,
        low=float(low),
        high=float(high),
        p_value=p_value,
        adjusted=p_value,
        folds_p_value=nadeau_bengio(differences, held_out),
        only_ours=len(right - other_right),
        only_other=len(other_right - right),
        detectable=detectable_difference(float(draws.std(ddof=1))),
    )


def _check_same(ours: pl.DataFrame, other: pl.DataFrame, label: str, level: str) -> None:
    """Raises StridefoldError at the first unit that the two did not both score, in one fold and as one class."""
    keys = LEVELS[: 1 + LEVELS.index(level)]
    one, two = (_asked(p, keys) for p in (ours, other))
    remedy = "score both on the study's splits.json, then compare"
    for unit in sorted(one.keys() | two.keys()):
        what = ", ".join(f"{key} {part!r}" for key, part in zip(keys, unit, strict=True))
        if unit not in one or unit not in two:
            scorer, missing = (
                ("the chosen configuration", label) if unit in one else (label, "the chosen configuration")
            )
            raise StridefoldError(f"{what} was scored by {scorer} but not by {missing}; {remedy}")
        for number, asked in enumerate(("held out by fold", "taken as class")):
            ours_says, other_says = (sorted({row[number] for row in side[unit]}) for side in (one, two))
            if ours_says != other_says:
                says = [" and ".join(map(str, numbers)) for numbers in (ours_says, other_says)]
                raise StridefoldError(
                    f"{what} was {asked} {says[0]} for the chosen configuration but {says[1]} for {label}; {remedy}"
                )


def _asked(predictions: pl.DataFrame, keys: tuple[str, ...]) -> dict[tuple[str | int, ...], list[tuple[int, int]]]:
    """Returns the (fold, true class) pairs of every unit."""
    asked: dict[tuple[str | int, ...], list[tuple[int, int]]] = {}
    for *unit, fold, true in predictions.select(*keys, "fold", "true").unique().iter_rows():
        asked.setdefault(tuple(unit), []).append((fold, true))
    return asked


def _right(subjects: pl.DataFrame) -> set[str]:
    """Returns the subjects whose every answer is right; one with videos of two classes has two."""
    right = subjects.group_by("subject").agg((pl.col("true") == pl.col("predicted")).all().alias("right"))
    return set(right.filter("right")["subject"])


def permutation_p_value(ours: Array, other: Array, metric: str, rng: np.random.Generator) -> float:
    """Returns the two-sided p-value of a metric's difference when whole subjects' answers are swapped at random.

    Were the two configurations alike, either could have given either answer, so each subject's pair is swapped with
    probability 1/2. Only subjects whose answers differ matter. All their swaps are tried where there are at most 2**14;
    else 10,000 are drawn and p is (1 + hits) / (1 + draws), which is never 0.

    Args:
        ours: One confusion matrix per subject [S, C, C], counts.
        other: The same of the other configuration, subjects in the same order.
        metric: As in reports.numbers.statistics.metric_values.
        rng: Draws the swaps.
    """
    differ = (ours != other).any((1, 2))
    subjects = int(differ.sum())
    exact = 2**subjects <= ENUMERATED
    if exact:
        swaps = np.arange(2**subjects)[:, None] >> np.arange(subjects) & 1  # [B, S]
    else:
        swaps = rng.integers(0, 2, (SWAPS, subjects))
    moved = np.tensordot(swaps, (other - ours)[differ], axes=1)  # [B, C, C]
    differences = _difference(ours.sum(0) + moved, other.sum(0) - moved, metric)
    observed = _difference(ours.sum(0), other.sum(0), metric)
    hits = int((np.abs(differences) >= abs(observed) - SAME).sum())
    return hits / len(swaps) if exact else (1 + hits) / (1 + len(swaps))


def bootstrap_differences(
    ours: Array, other: Array, metric: str, rng: np.random.Generator, draws: int = DRAWS
) -> Array:
    """Returns a metric's difference in cohorts of subjects drawn with replacement, the same ones for both: [B].

    Args:
        ours: One confusion matrix per subject [S, C, C], counts.
        other: The same of the other configuration, subjects in the same order.
        metric: As in reports.numbers.statistics.metric_values.
        rng: Draws the subjects.
        draws: B.
    """
    subjects = len(ours)
    times = rng.multinomial(subjects, np.full(subjects, 1 / subjects), draws)  # [B, S]
    return _difference(np.tensordot(times, ours, axes=1), np.tensordot(times, other, axes=1), metric)


def _difference(ours: Array, other: Array, metric: str) -> Array:
    difference: Array = metric_values(ours, metric) - metric_values(other, metric)
    return difference


def detectable_difference(standard_error: float) -> float | None:
    """Returns the smallest true difference found with 80 % power at two-sided 5 %: (1.96 + 0.84) standard errors.

    It is the normal approximation: it takes the difference as normal, with the standard error of the subject bootstrap
    whatever the difference is. The permutation test has somewhat less power: for accuracy, when a third of the subjects
    are right for one of the two alone, 72 % with 70 subjects and 77 % with 400. None where the error is 0, as of two
    that answer alike: nothing can be said then.
    """
    return POWER_80 * standard_error if standard_error > SAME else None


def _fold_differences(ours: pl.DataFrame, other: pl.DataFrame, metric: str, classes: int) -> tuple[list[float], float]:
    """Returns the metric's difference in each fold [K], of subject-level units, and the mean share that is held out."""
    differences = []
    folds = sorted(ours["fold"].unique())
    for fold in folds:
        parts = (units.filter(pl.col("fold") == fold) for units in (ours, other))
        one, two = (confusion(u["true"].to_numpy(), u["predicted"].to_numpy(), classes) for u in parts)
        differences.append(float(_difference(one, two, metric)))
    tests = ours.select("fold", "subject").n_unique()
    return differences, tests / len(folds) / ours["subject"].n_unique()


def nadeau_bengio(differences: Sequence[float], test_fraction: float) -> float | None:
    """Returns the two-sided p-value of the corrected resampled t-test over K folds.

    The folds share most of their training subjects, so their differences vary less than independent ones would; the
    variance of the mean is taken as (1 / K + n_test / n_train) of theirs, with K - 1 degrees of freedom.

    Args:
        differences: One score's difference in each fold [K].
        test_fraction: Share of the subjects that a fold holds out, between 0 and 1: n_test / (n_test + n_train).

    Returns:
        The p-value, or None for fewer than 2 folds or for differences that do not vary.

    Source: Nadeau and Bengio 2003, Inference for the generalization error, Machine Learning 52:239.
    """
    folds = len(differences)
    if folds < 2 or np.ptp(differences) <= SAME:
        return None
    factor = 1 / folds + test_fraction / (1 - test_fraction)
    statistic = np.mean(differences) / math.sqrt(factor * np.var(differences, ddof=1))
    return float(2 * student.sf(abs(statistic), folds - 1))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Returns Holm's adjusted p-values, in the order given: rejecting those <= 0.05 errs in at most 5 % of families.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6:65.
    """
    count, adjusted, largest = len(p_values), [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (count - rank) * p_values[index]))
        adjusted[index] = largest
    return tuple(adjusted)
