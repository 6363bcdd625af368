"""Whether one configuration scores better than another on the same held-out subjects, and what this cohort could show.

Letters: C classes, S subjects, B draws, K folds. Subjects are what is swapped and resampled, at every level: the
answers for one subject's windows and videos are not independent.

Two questions have two tests. Whether these trained models differ is asked by swapping their answers. Whether the two
methods would differ again, trained on other subjects, is asked by the corrected resampled t-test over the folds: the
first rejects too often for that, because it takes the trained models as given (docs/decisions/0020).

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

from reports.numbers.intervals import DRAWS, Array, ends, pseudo_subjects, shifted_to_agree
from reports.numbers.power import detectable_difference, least_difference
from reports.numbers.statistics import confusion, fold_value, metric_values, subject_matrices
from trainables.errors import StridefoldError
from trainables.study.metrics import at_level
from trainables.study.vocabulary import LEVELS, parse_metric

ENUMERATED = 2**14
"""The most swaps that are all tried; above it they are drawn."""
SWAPS = 10_000
LEVEL = 0.05
SAME = 1e-12
"""Scores this close are equal: the rounding of sums in another order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The chosen configuration ("ours") vs. another one, scored on the same held-out units."""

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
    """95 % interval of the difference between these trained models, the same subjects drawn for both. It holds 0 exactly
    where p_value is above .05."""
    high: float
    p_value: float
    """Of these trained models: two-sided, of swapping the two configurations' answers of whole subjects."""
    adjusted: float
    """p_value after Holm's correction for all comparisons made together."""
    smallest_p: float
    """What p_value could at best be, by the subjects whose answers differ."""
    folds_p_value: float | None
    """Of the two methods: two-sided corrected resampled t-test over the folds' scores per subject, or per video where
    a subject's videos have several labels; None where undefined."""
    folds_adjusted: float | None
    """folds_p_value after Holm's correction for those of all comparisons made together."""
    folds_low: float | None
    """95 % interval of the methods' difference by the same test, around the mean of the folds' differences."""
    folds_high: float | None
    only_ours: int
    """Subjects that ours has right and the other has not; with labels per video, those whose every video is right."""
    only_other: int
    detectable: float | None
    """Smallest true difference in the share of subjects answered right that the exact test finds with 80 % power at the
    level of Holm's first step; None where even the largest is not found."""
    least: float | None
    """Difference in that share below which p cannot reach that level; None where no difference can."""


def compare(
    ours: pl.DataFrame, others: Mapping[str, pl.DataFrame], metric: str, classes: int
) -> tuple[Comparison, ...]:
    """Returns ours vs. each of the others, in their order; their p-values are corrected together.

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
    found = [_compare_with(ours, o, label, level, name, classes, LEVEL / len(others)) for label, o in others.items()]
    adjusted = holm([c.p_value for c in found])
    by_folds = iter(holm([c.folds_p_value for c in found if c.folds_p_value is not None]))
    return tuple(
        replace(c, adjusted=p, folds_adjusted=None if c.folds_p_value is None else next(by_folds))
        for c, p in zip(found, adjusted, strict=True)
    )


def _compare_with(
    ours: pl.DataFrame, other: pl.DataFrame, label: str, level: str, metric: str, classes: int, alpha: float
) -> Comparison:
    if level == "window" and set(ours.select(LEVELS).rows()) != set(other.select(LEVELS).rows()):
        level = "video"
    _check_same(ours, other, label, level)
    one, two = (subject_matrices(at_level(p, level), classes) for p in (ours, other))  # [S, C, C]
    value, other_value = (float(metric_values(m.sum(0), metric)) for m in (one, two))
    p_value, smallest = permutation_test(one, two, metric, np.random.default_rng(0))
    low, high = difference_interval(one, two, metric, p_value)
    unit = "video" if _per_video_labels(ours) else "subject"
    units, other_units = (at_level(p, unit) for p in (ours, other))
    right, other_right = _right(units), _right(other_units)
    differences, held_out = _fold_differences(units, other_units, metric, classes)
    folds_low, folds_high = nadeau_bengio_interval(differences, held_out) or (None, None)
    only_ours, only_other = len(right - other_right), len(other_right - right)
    return Comparison(
        other=label,
        metric=metric,
        level=level,
        value=value,
        other_value=other_value,
        difference=value - other_value,
        low=low,
        high=high,
        p_value=p_value,
        adjusted=p_value,
        smallest_p=smallest,
        folds_p_value=nadeau_bengio(differences, held_out),
        folds_adjusted=None,
        folds_low=folds_low,
        folds_high=folds_high,
        only_ours=only_ours,
        only_other=only_other,
        detectable=detectable_difference(len(one), only_ours + only_other, alpha),
        least=least_difference(len(one), alpha),
    )


def paired_difference(ours: Array, other: Array, metric: str) -> tuple[float, float, float]:
    """Returns a metric's difference between two sets of answers for the same subjects, with its 95 % interval, untested."""
    difference = float(_difference(ours.sum(0), other.sum(0), metric))
    low, high = difference_interval(ours, other, metric, None)
    return difference, low, high


def difference_interval(ours: Array, other: Array, metric: str, p_value: float | None) -> tuple[float, float]:
    """Returns the 95 % interval of a metric's difference between two sets of answers, as they are, for new subjects.

    Two imagined subjects are added, each answered right by one of the two alone; so equal answers have an interval too.

    Args:
        ours: One confusion matrix per subject [S, C, C].
        other: The same of the other configuration, subjects in the same order.
        metric: As in reports.statistics.metric_values.
        p_value: Of the test that the interval is to agree with, if there is one.
    """
    right, wrong = pseudo_subjects(ours)
    whole, other_whole = np.concatenate([ours, [right, wrong]]), np.concatenate([other, [wrong, right]])
    low, high = ends(bootstrap_differences(whole, other_whole, metric, np.random.default_rng(0)), len(ours))
    difference = float(_difference(ours.sum(0), other.sum(0), metric))
    low, high = min(low, difference), max(high, difference)
    return (low, high) if p_value is None else shifted_to_agree(low, high, difference, p_value)


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
            raise StridefoldError(
                f"{what} was scored by {scorer} but not by {missing}; {remedy}", code="comparison.not_scored"
            )
        for number, asked in enumerate(("held out by fold", "taken as class")):
            ours_says, other_says = (sorted({row[number] for row in side[unit]}) for side in (one, two))
            if ours_says != other_says:
                says = [" and ".join(map(str, numbers)) for numbers in (ours_says, other_says)]
                raise StridefoldError(
                    f"{what} was {asked} {says[0]} for the chosen configuration but {says[1]} for {label}; {remedy}",
                    code="comparison.other_truth",
                )


def _asked(predictions: pl.DataFrame, keys: tuple[str, ...]) -> dict[tuple[str | int, ...], list[tuple[int, int]]]:
    """Returns the (fold, true class) pairs of every unit."""
    asked: dict[tuple[str | int, ...], list[tuple[int, int]]] = {}
    for *unit, fold, true in predictions.select(*keys, "fold", "true").unique().iter_rows():
        asked.setdefault(tuple(unit), []).append((fold, true))
    return asked


def _per_video_labels(predictions: pl.DataFrame) -> bool:
    """Returns whether a subject has videos of several classes, which are not averaged: that would need the true class."""
    return bool((predictions.group_by("subject").agg(pl.col("true").n_unique())["true"] > 1).any())


def _right(units: pl.DataFrame) -> set[str]:
    """Returns the subjects whose every answer is right."""
    right = units.group_by("subject").agg((pl.col("true") == pl.col("predicted")).all().alias("right"))
    return set(right.filter("right")["subject"])


def permutation_p_value(ours: Array, other: Array, metric: str, rng: np.random.Generator) -> float:
    """Returns the p-value of `permutation_test` alone."""
    return permutation_test(ours, other, metric, rng)[0]


def permutation_test(ours: Array, other: Array, metric: str, rng: np.random.Generator) -> tuple[float, float]:
    """Returns the two-sided p-value of a metric's difference when whole subjects' answers are swapped at random.

    Were the two configurations alike, either could have given either answer, so each subject's pair is swapped with
    probability 1/2. Only subjects whose answers differ matter. All their swaps are tried where there are at most 2**14;
    else 10,000 are drawn and p is (1 + hits) / (1 + draws), which is never 0.

    Args:
        ours: One confusion matrix per subject [S, C, C], counts.
        other: The same of the other configuration, subjects in the same order.
        metric: As in reports.numbers.statistics.metric_values.
        rng: Draws the swaps.

    Returns:
        The p-value, and the smallest that could have been reached: that of the swap with the largest difference.
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
    sizes = np.abs(differences)
    hits, fewest = (int((sizes >= size - SAME).sum()) for size in (abs(observed), sizes.max()))
    if exact:
        return hits / len(swaps), fewest / len(swaps)
    return (1 + hits) / (1 + len(swaps)), 1 / (1 + len(swaps))


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


def _fold_differences(ours: pl.DataFrame, other: pl.DataFrame, metric: str, classes: int) -> tuple[list[float], float]:
    """Returns the metric's difference in each fold [K], and the mean share of the subjects that is held out."""
    differences = []
    folds = sorted(ours["fold"].unique())
    for fold in folds:
        parts = (units.filter(pl.col("fold") == fold) for units in (ours, other))
        one, two = (confusion(u["true"].to_numpy(), u["predicted"].to_numpy(), classes) for u in parts)
        values = fold_value(one, metric), fold_value(two, metric)
        differences.append(math.nan if None in values else values[0] - values[1])  # type: ignore[operator]
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
    if (found := _fold_error(differences, test_fraction)) is None:
        return None
    mean, error, freedom = found
    return float(2 * student.sf(abs(mean) / error, freedom))


def nadeau_bengio_interval(differences: Sequence[float], test_fraction: float) -> tuple[float, float] | None:
    """Returns the 95 % interval that goes with `nadeau_bengio`, around the mean difference."""
    if (found := _fold_error(differences, test_fraction)) is None:
        return None
    mean, error, freedom = found
    half = float(student.ppf(0.975, freedom)) * error
    return mean - half, mean + half


def _fold_error(differences: Sequence[float], test_fraction: float) -> tuple[float, float, int] | None:
    """Returns mean, corrected standard error and degrees of freedom of fold differences; None where they do not vary."""
    folds = len(differences)
    if folds < 2 or not np.isfinite(differences).all() or np.ptp(differences) <= SAME:
        return None
    factor = 1 / folds + test_fraction / (1 - test_fraction)
    return float(np.mean(differences)), math.sqrt(factor * np.var(differences, ddof=1)), folds - 1


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Returns Holm's adjusted p-values, in the order given: rejecting those <= 0.05 errs in at most 5 % of families.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6:65.
    """
    count, adjusted, largest = len(p_values), [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (count - rank) * p_values[index]))
        adjusted[index] = largest
    return tuple(adjusted)
