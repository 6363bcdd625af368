"""Prediction sets in numbers: calibrated by nested predictions, and what they hold of people who did not calibrate them.

Letters: U units (videos or subjects), C classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from reports.numbers.calibration import share_interval
from reports.numbers.nested import Nested
from reports.numbers.statistics import Array
from trainables.study.metrics import at_level
from trainables.study.prediction_sets import PredictionSets, SetRule, fewest, set_rule, unknown
from trainables.study.records import Cohort, StudyRecord
from trainables.study.vocabulary import COVERAGE, LEVELS

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassCoverage:
    """How often the sets of one class's units hold it."""

    label: str
    units: int
    held: float | None
    """None where there are no units."""
    held_interval: Interval | None
    """Wilson 95 %, all units of one subject taken as one observation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SetCoverage:
    """What the sets of one level hold, of people who did not calibrate them."""

    level: str
    units: int
    held: float
    """Share of the units whose set holds the true class."""
    held_interval: Interval
    """Wilson 95 %, as of a class."""
    classes: tuple[ClassCoverage, ...]
    sizes: tuple[int, ...]
    """Units whose set has 0, 1, ... C classes."""
    unknown: float
    """Share of the units whose set says 'does not know': it is empty or holds all classes."""
    unknown_interval: Interval
    single: int
    """Units whose set is one class."""
    single_right: float | None
    """Share of those whose class is the true one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudySets:
    """The sets of a study's model, and what they were worth."""

    record: PredictionSets
    fewest: int
    """Subjects that a calibration needs at this coverage."""
    rare: tuple[tuple[str, int], ...]
    """(class, its fewest subjects outside an outer fold) of classes too small to be calibrated by themselves."""
    measured: tuple[SetCoverage, ...]
    """For each rule: each outer fold's units by the rule of the other outer folds' people."""


def study_sets(study: StudyRecord, cohort: Cohort, nested: Nested | None, trial: int) -> StudySets:
    """Returns the sets of a study's chosen trial, or a record that says why there are none.

    Each class is calibrated by its own people where there are enough of them outside every outer fold, else all people
    together are: a rule whose coverage cannot be measured is not given.

    Args:
        study: Its record.
        cohort: Its cohort.
        nested: Its outer folds; None where there are none.
        trial: The chosen trial.
    """
    coverage, refit = float(study.options.get("coverage", COVERAGE)), str(study.options.get("refit", "folds"))
    few = fewest(coverage)
    if nested is None or nested.detail is None:
        record = PredictionSets(trial=trial, refit=refit, coverage=coverage, refusal=_not_nested(nested))
        return StudySets(record=record, fewest=few, rare=(), measured=())
    predictions = nested.detail.predictions
    levels = LEVELS[LEVELS.index(nested.detail.unit) : LEVELS.index("window")]
    there = _outside(predictions, len(cohort.classes))
    own = () if cohort.per_video_labels else there[:-1]
    rare = tuple((name, n) for name, n in zip(cohort.classes, own, strict=False) if n < few)
    by_class = bool(own) and not rare
    if there[-1] < few:
        refusal = f"a set with {100 * coverage:.3g} % coverage needs {few} subjects outside every outer fold, and there are {there[-1]}"
        record = PredictionSets(trial=trial, refit=refit, coverage=coverage, refusal=refusal)
        return StudySets(record=record, fewest=few, rare=rare, measured=())
    rules = [_rule(predictions, level, cohort, coverage, by_class) for level in levels]
    measured = tuple(cross_fitted(predictions, level, cohort, coverage, by_class) for level in levels)
    first = measured[0]
    record = PredictionSets(
        trial=trial,
        refit=refit,
        coverage=coverage,
        by_class=by_class,
        subjects=predictions["subject"].n_unique(),
        rules=tuple(rules),
        held=first.held,
        held_low=first.held_interval[0],
        held_high=first.held_interval[1],
    )
    return StudySets(record=record, fewest=few, rare=rare, measured=measured)


def _not_nested(nested: Nested | None) -> str:
    if nested is None:
        return "sets are calibrated by people whom no search saw, and the study has no outer folds; --outer-folds adds them"
    if nested.outdated:
        return "sets are calibrated by outer folds, and those of the study are not of the procedure that made its model"
    return f"sets are calibrated by outer folds, and {len(nested.folds)} of {nested.wanted} are scored"


def _outside(predictions: pl.DataFrame, classes: int) -> list[int]:
    """Returns the fewest subjects outside an outer fold, of each class and last of all together."""
    counts = []
    for _, others in _folds(predictions):
        own = [others.filter(true=c)["subject"].n_unique() for c in range(classes)]
        counts.append([*own, others["subject"].n_unique()])
    return [int(n) for n in np.min(counts, axis=0)]


def _folds(predictions: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yields each fold's predictions, and those of the other subjects."""
    for fold in predictions["fold"].unique().sort():
        own = predictions.filter(fold=fold)
        yield own, predictions.filter(~pl.col("subject").is_in(own["subject"].unique().to_list()))


def _rule(predictions: pl.DataFrame, level: str, cohort: Cohort, coverage: float, by_class: bool) -> SetRule:
    rule = set_rule(at_level(predictions, level), level, len(cohort.classes), coverage, by_class=by_class)
    assert rule is not None, "the subjects were counted before"
    return rule


def cross_fitted(predictions: pl.DataFrame, level: str, cohort: Cohort, coverage: float, by_class: bool) -> SetCoverage:
    """Returns what the sets of a level hold when each fold's people are given those that the other folds calibrate.

    Args:
        predictions: Nested predictions, one row per window.
        level: 'subject' or 'video'.
        cohort: For its classes.
        coverage: 0-1.
        by_class: Whether each class is calibrated by its own people.
    """
    parts, members = [], []
    for own, others in _folds(predictions):
        rule = _rule(others, level, cohort, coverage, by_class)
        parts.append(at_level(own, level))
        members.append(rule.members(parts[-1]["probabilities"].to_list()))
    return set_coverage(pl.concat(parts), np.concatenate(members), cohort.classes, level)


def set_coverage(units: pl.DataFrame, members: Array, labels: tuple[str, ...], level: str) -> SetCoverage:
    """Returns what sets hold.

    Args:
        units: Labelled units that did not calibrate them, as `at_level` gives them.
        members: Whether each class is in the set of each unit, bool [U, C].
        labels: Class names.
        level: Of the units.
    """
    true, subjects = units["true"].to_numpy(), units["subject"].to_numpy()
    held = members[np.arange(len(true)), true]
    sizes, unsure = members.sum(1), unknown(members)
    single = sizes == 1
    share = float(held.mean())
    return SetCoverage(
        level=level,
        units=len(units),
        held=share,
        held_interval=share_interval(share, subjects.tolist()),
        classes=tuple(_of_class(label, held[true == c], subjects[true == c]) for c, label in enumerate(labels)),
        sizes=tuple(int((sizes == n).sum()) for n in range(len(labels) + 1)),
        unknown=float(unsure.mean()),
        unknown_interval=share_interval(float(unsure.mean()), subjects.tolist()),
        single=int(single.sum()),
        single_right=float(held[single].mean()) if single.any() else None,
    )


def _of_class(label: str, held: Array, subjects: Array) -> ClassCoverage:
    if not len(held):
        return ClassCoverage(label=label, units=0, held=None, held_interval=None)
    share = float(held.mean())
    return ClassCoverage(
        label=label, units=len(held), held=share, held_interval=share_interval(share, subjects.tolist())
    )
