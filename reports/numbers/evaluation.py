"""What a finished model does on a second cohort, in numbers: nothing was fitted on it."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import polars as pl

from reports.numbers.calibration import Calibration, calibration
from reports.numbers.detail import leading_unit
from reports.numbers.prediction_sets import SetCoverage, set_coverage
from reports.numbers.statistics import ClassScore, Level, class_scores, level_scores, metrics_of, subject_matrices
from reports.numbers.subgroups import Subgroups, subgroups
from trainables.study.metrics import at_level, log_loss
from trainables.study.prediction_sets import PredictionSets
from trainables.study.records import Cohort
from trainables.study.vocabulary import LEVELS, parse_metric

EVALUATION_SCHEMA = 1
"""Of an evaluation's results.json."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The model that is evaluated, and what its own study says of it."""

    name: str
    simulated: bool
    subjects: int
    """In the cohort that it was trained on."""
    models: str
    """What predicts, in words, as '3 folds of trial 6'."""
    metric: str
    """As 'subject/macro_f1'."""
    ordinal: bool
    kind: str | None
    """'nested' or 'selection': what the own estimate is; None where there is none."""
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Drop:
    """The study's own estimate vs. the score here."""

    kind: str
    metric: str
    own: float
    here: float
    difference: float
    """here - own: below 0 the model does worse here."""
    low: float
    high: float
    """95 % interval of the difference of two scores on different people, from their intervals."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Everything that the page of an evaluation says."""

    source: Source
    cohort: Cohort
    levels: tuple[Level, ...]
    """Without subject where videos of one subject may have several labels."""
    counts: tuple[tuple[int, ...], ...]
    """Confusion matrix [C, C] of subjects, or of videos where labels are per video; row: true class."""
    classes: tuple[ClassScore, ...]
    subjects: tuple[int, ...]
    """Of each class."""
    absent: tuple[str, ...]
    """Classes of the model that this cohort has not."""
    log_loss: float
    calibration: Calibration | None
    subgroups: tuple[Subgroups, ...]
    drop: Drop | None
    promised: PredictionSets | None
    """The model's prediction sets; None where it has none."""
    sets: tuple[SetCoverage, ...]
    """What they hold here, for subjects and videos; empty where there are none."""
    checks: tuple[str, ...]
    """What was checked so that nobody of the training is scored here, one sentence each."""
    predictions: pl.DataFrame


def evaluation(
    cohort: Cohort,
    predictions: pl.DataFrame,
    source: Source,
    checks: tuple[str, ...],
    sets: PredictionSets | None = None,
) -> Evaluation:
    """Returns the evaluation of a model on a cohort whose class indices are the model's.

    Args:
        cohort: The second one.
        predictions: The ensemble's, one row per window, as PREDICTIONS.
        source: The model.
        checks: What was checked of the overlap with the training.
        sets: The model's prediction sets.
    """
    classes = len(cohort.classes)
    level_name, name = parse_metric(source.metric)
    metrics = metrics_of(source.ordinal, name)
    unit = leading_unit(cohort)
    shown = LEVELS[LEVELS.index(unit) :]
    levels = tuple(level_scores(predictions, level, classes, metrics, shared_training=1.0) for level in shown)
    matrices = subject_matrices(at_level(predictions, unit), classes)
    counts = matrices.sum(0)
    by_class = class_scores(matrices, cohort.classes, shared_training=1.0)
    return Evaluation(
        source=source,
        cohort=cohort,
        levels=levels,
        counts=tuple(map(tuple, counts.tolist())),
        classes=by_class,
        subjects=tuple(c.subjects for c in by_class),
        absent=tuple(c.label for c in by_class if not c.units),
        log_loss=log_loss(predictions),
        calibration=calibration(predictions),
        subgroups=subgroups(predictions, cohort.videos, cohort.attributes, classes, unit),
        drop=_drop(source, next((one for one in levels if one.level == level_name), levels[0]), name),
        promised=sets,
        sets=_held(cohort, predictions, sets),
        checks=checks,
        predictions=predictions,
    )


def _held(cohort: Cohort, predictions: pl.DataFrame, sets: PredictionSets | None) -> tuple[SetCoverage, ...]:
    """Returns what the model's sets hold here; a subject whose videos have several labels has no set of its own."""
    held = []
    for rule in sets.rules if sets is not None else ():
        if rule.level == "video" or not cohort.per_video_labels:
            units = at_level(predictions, rule.level)
            members = rule.members(units["probabilities"].to_list())
            held.append(set_coverage(units, members, cohort.classes, rule.level))
    return tuple(held)


def _drop(source: Source, level: Level, metric: str) -> Drop | None:
    if source.kind is None or source.value is None or source.low is None or source.high is None:
        return None
    here = next(s for s in level.scores if s.metric == metric)
    own = (source.value, source.low, source.high)
    low, high = difference_interval((here.value, here.low, here.high), own)
    return Drop(
        kind=source.kind,
        metric=source.metric,
        own=source.value,
        here=here.value,
        difference=here.value - source.value,
        low=low,
        high=high,
    )


def difference_interval(one: tuple[float, float, float], other: tuple[float, float, float]) -> tuple[float, float]:
    """Returns the interval of the difference one - other of two independent estimates, from their own intervals.

    Args:
        one: Value, low and high; other likewise, with the same confidence.

    Source: Zou and Donner 2008, Construction of confidence limits about effect measures (MOVER), Statistics in Medicine 27:1693.
    """
    (a, a_low, a_high), (b, b_low, b_high) = one, other
    return a - b - math.hypot(a - a_low, b_high - b), a - b + math.hypot(a_high - a, b - b_low)


def as_results_json(found: Evaluation) -> dict[str, Any]:
    """Returns every number of the page as plain JSON values; docs/another-hospital.md says what each is."""
    plain = dataclasses.asdict
    return {
        "schema": EVALUATION_SCHEMA,
        "model": plain(found.source),
        "cohort": {
            "name": found.cohort.name,
            "simulated": found.cohort.simulated,
            "subjects": found.predictions["subject"].n_unique(),
            "videos": found.predictions.select("subject", "video").n_unique(),
            "excluded": found.cohort.excluded,
        },
        "classes": found.cohort.classes,
        "absent": found.absent,
        "levels": [plain(level) for level in found.levels],
        "class_scores": [plain(c) for c in found.classes],
        "confusion": found.counts,
        "log_loss": found.log_loss,
        "calibration": None if found.calibration is None else plain(found.calibration),
        "subgroups": [plain(s) for s in found.subgroups],
        "drop": None if found.drop is None else plain(found.drop),
        "prediction_sets": {
            "record": None if found.promised is None else plain(found.promised),
            "measured": [plain(m) for m in found.sets],
        },
        "checks": found.checks,
    }
