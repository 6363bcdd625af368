"""Nested cross-validation in numbers: what a search chose without some subjects, and how that did on them."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from reports.numbers.comparisons import Comparison, compare
from reports.numbers.statistics import Level, Score, level_scores
from trainables.errors import LeakageError
from trainables.model_kinds import BASELINES
from trainables.study.metrics import score
from trainables.study.outer_records import OuterResult
from trainables.study.records import Cohort, FoldResult, Splits, StudyRecord
from trainables.study.vocabulary import parse_metric


@dataclass(frozen=True, kw_only=True, slots=True)
class OuterFold:
    """One outer fold: what was chosen without its subjects, and its score on them."""

    fold: int
    subjects: int
    trial: int
    params: dict[str, Any]
    inner_score: float
    """By which the trial was chosen; optimistic."""
    score: float
    scorings: int
    """Times that the subjects were scored; above 1 a choice was looked at before the last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recurring:
    """In how many outer folds something came out."""

    what: str
    """A setting, or a class."""
    values: tuple[tuple[str, int], ...]
    """(value or parameter, outer folds), the most frequent first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Nested:
    """The outer folds together."""

    folds: tuple[OuterFold, ...]
    wanted: int
    """Outer folds in all; the estimate needs every one."""
    estimate: Score | None
    """The study's metric on subjects that no search saw; None until all outer folds are scored."""
    level: Level | None
    """All scores at the metric's level."""
    optimism: float | None
    """Mean inner score minus the estimate."""
    comparisons: tuple[Comparison, ...]
    """The estimate beside the baselines on the same outer folds."""
    settings: tuple[Recurring, ...]
    decoded: tuple[Recurring, ...]


def nested(folder: Path, study: StudyRecord, cohort: Cohort, metrics: tuple[str, ...]) -> Nested | None:
    """Returns the nested cross-validation of a study; None where none was begun.

    Raises:
        LeakageError: An outer fold was scored on a subject that its search saw.
    """
    outer = folder / "outer"
    if not (outer / "study.json").exists():
        return None
    splits, record = Splits.load(outer / "splits.json"), StudyRecord.load(outer)
    found = [r for fold in splits.folds if (r := OuterResult.load(outer, fold.index)) is not None]
    for result in found:
        _check(result, splits, Cohort.load(outer / str(result.fold)))
    classes = len(cohort.classes)
    whole = len(found) == len(splits.folds)
    level_name, metric = parse_metric(study.metric)
    level = estimate = optimism = None
    comparisons: tuple[Comparison, ...] = ()
    if whole:
        predictions = pl.concat([r.predictions for r in found])
        level = level_scores(predictions, level_name, classes, metrics)
        estimate = next(s for s in level.scores if s.metric == metric)
        optimism = float(np.mean([r.inner_score for r in found])) - estimate.value
        comparisons = compare(predictions, baseline_predictions(outer, record), study.metric, classes)
    return Nested(
        folds=tuple(_outer_fold(r, study.metric, classes) for r in found),
        wanted=len(splits.folds),
        estimate=estimate,
        level=level,
        optimism=optimism,
        comparisons=comparisons,
        settings=_settings(found),
        decoded=_decoded(outer, found, cohort.classes),
    )


def baseline_predictions(folder: Path, record: StudyRecord) -> dict[str, pl.DataFrame]:
    """Returns the held-out predictions of a study's baselines, by name; those that are not whole are left out.

    They stand in the order of BASELINES: the nearest to the trained model first.
    """
    found = {}
    place = {name: index for index, name in enumerate(BASELINES)}
    for name, keys in sorted(record.baselines.items(), key=lambda item: place.get(item[0], len(place))):
        folders = [folder / "folds" / key for key in keys]
        if all((f / "result.json").exists() for f in folders):
            found[name] = pl.concat([FoldResult.load(f).predictions for f in folders])
    return found


def _check(result: OuterResult, splits: Splits, inner: Cohort) -> None:
    scored = set(result.predictions["subject"])
    test = next(set(fold.test) for fold in splits.folds if fold.index == result.fold)
    if wrong := sorted((scored & set(inner.videos["subject"])) | (scored - test)):
        raise LeakageError(
            f"outer fold {result.fold} scored subject {wrong[0]!r}, whom its search saw; begin another study"
        )


def _outer_fold(result: OuterResult, metric: str, classes: int) -> OuterFold:
    return OuterFold(
        fold=result.fold,
        subjects=result.predictions["subject"].n_unique(),
        trial=result.trial,
        params=result.params,
        inner_score=result.inner_score,
        score=score(result.predictions, metric, classes),
        scorings=len(result.scorings),
    )


def _settings(found: list[OuterResult]) -> tuple[Recurring, ...]:
    """Returns how often each value of each drawn setting was chosen."""
    names = sorted({name for r in found for name in r.params})
    rows = ((name, [_shown(r.params[name]) for r in found if name in r.params]) for name in names)
    return tuple(Recurring(what=name, values=_counted(values)) for name, values in rows)


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _decoded(outer: Path, found: list[OuterResult], classes: tuple[str, ...]) -> tuple[Recurring, ...]:
    """Returns in how many outer folds each parameter was named in a class's words, by whichever of its inner folds."""
    named: dict[str, list[str]] = {name: [] for name in classes}
    for result in found:
        here: dict[str, set[str]] = {name: set() for name in classes}
        for key in result.keys:
            folder = outer / str(result.fold) / "folds" / key
            for words in FoldResult.load(folder).decoded if (folder / "result.json").exists() else ():
                here[words.label] |= {value.parameter for value in words.values}
        for name, parameters in here.items():
            named[name] += sorted(parameters)
    return tuple(Recurring(what=name, values=_counted(values)) for name, values in named.items() if values)


def _counted(values: list[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))
