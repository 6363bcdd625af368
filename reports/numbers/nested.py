"""Nested cross-validation in numbers: what a search chose without some subjects, and how that did on them."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from reports.numbers.calibration import expected_error
from reports.numbers.comparisons import Comparison, compare, paired_difference
from reports.numbers.detail import Detail, detail
from reports.numbers.discrimination import operating_points
from reports.numbers.recalibration import recalibrated
from reports.numbers.statistics import Level, Score, subject_matrices
from trainables.errors import LeakageError
from trainables.model_kinds import BASELINES
from trainables.study.files import fold_folder
from trainables.study.leaderboard import read_trials
from trainables.study.metrics import at_level, score
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
    by_chance: float | None = None
    """Outer folds that the most frequent one would have on average if each fold took one of its trials at random, or named as
    many parameters at random; None where the trials are not there to be counted."""


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
    detail: Detail | None
    """Everything that the same predictions say; None as the estimate."""
    optimism: float | None
    """How much better the inner folds' models scored on the subjects that chose them than the same models, each alone, on
    the outer subjects; None where those were not scored by each model."""
    optimism_low: float | None
    """95 % interval, subjects resampled in pairs; optimism_high likewise."""
    optimism_high: float | None
    outdated: str
    """Why the scored outer folds are not of the procedure that made the study's model, as a sentence; '' where they are."""
    comparisons: tuple[Comparison, ...]
    """The estimate vs. the baselines on the same outer folds."""
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
    outdated = _outdated(outer, found, study, cohort, splits)
    said = estimate = None
    optimism: tuple[float, float, float] | tuple[None, None, None] = (None, None, None)
    comparisons: tuple[Comparison, ...] = ()
    if len(found) == len(splits.folds) and not outdated:
        predictions = pl.concat([r.predictions for r in found])
        said = _by_inner_folds(detail(predictions, cohort, metrics), outer, found, cohort.classes)
        estimate = said.score(study.metric)
        optimism = _optimism(outer, found, study.metric, classes) or optimism
        comparisons = compare(predictions, baseline_predictions(outer, record), study.metric, classes)
    return Nested(
        folds=tuple(_outer_fold(r, study.metric, classes) for r in found),
        wanted=len(splits.folds),
        estimate=estimate,
        level=None if said is None else said.level(parse_metric(study.metric)[0]),
        detail=said,
        optimism=optimism[0],
        optimism_low=optimism[1],
        optimism_high=optimism[2],
        outdated=outdated,
        comparisons=comparisons,
        settings=_settings(outer, found),
        decoded=_decoded(outer, found, cohort),
    )


def _outdated(outer: Path, found: list[OuterResult], study: StudyRecord, cohort: Cohort, splits: Splits) -> str:
    """Returns why outer folds are not of the procedure that made the study's model."""
    asked, refit = study.options.get("trials"), study.options.get("refit", "folds")
    for result in found:
        trials = result.trials or _asked_before(outer / str(result.fold))
        if trials is not None and trials != asked:
            return (
                f"The outer folds were searched with {trials} trials and the study with {asked}, so they do not estimate what "
                "this search has chosen; the same command with --outer-folds goes on with them."
            )
        if result.refit != refit:
            return (
                f"The study's model is made with --refit {refit}, and the outer folds were scored with --refit {result.refit}, so "
                "they do not estimate it; the same command with --outer-folds scores them again."
            )
    if study.options.get("fold_column") and "fold" in cohort.videos.columns:
        place = dict(cohort.videos.select("subject", "fold").unique().iter_rows())
        if any({place[s] for s in f.train} & {place[s] for s in f.test} for f in splits.folds):
            return (
                f"The outer folds divide the folds of the column {study.options['fold_column']}, as earlier versions drew them, "
                "so they say nothing about a new one; begin another study."
            )
    return ""


def _asked_before(inner: Path) -> int | None:
    """Returns how many trials an inner study was asked for, of results that do not say it; None where nothing does."""
    return StudyRecord.load(inner).options.get("trials") if (inner / "study.json").exists() else None


def _optimism(outer: Path, found: list[OuterResult], metric: str, classes: int) -> tuple[float, float, float] | None:
    """Returns the searches' optimism with its 95 % interval: inner minus outer score, of the same models one by one."""
    level, name = parse_metric(metric)
    inner_units, outer_units = [], []
    for result in found:
        predictions = _inner_predictions(outer, result)
        if result.by_model is None or predictions is None:
            return None
        inner_units.append(at_level(predictions, level))
        alone = [part.drop("model") for _, part in result.by_model.group_by("model", maintain_order=True)]
        outer_units += [at_level(part, level) for part in alone]
    inner, scored = (subject_matrices(pl.concat(units), classes) for units in (inner_units, outer_units))
    if len(inner) != len(scored):
        return None
    return paired_difference(inner / inner.sum() * len(inner), scored / scored.sum() * len(inner), name)


def _inner_predictions(outer: Path, result: OuterResult) -> pl.DataFrame | None:
    """Returns the held-out predictions of the inner folds of an outer fold's choice; None where one is missing."""
    folders = [fold_folder(outer / str(result.fold), key) for key in result.keys]
    if not all((folder / "result.json").exists() for folder in folders):
        return None
    return pl.concat([FoldResult.load(folder).predictions for folder in folders])


def _by_inner_folds(said: Detail, outer: Path, found: list[OuterResult], labels: tuple[str, ...]) -> Detail:
    """Returns the detail with what the inner folds set: temperatures and thresholds; as it is where one is missing."""
    inner = [part for result in found if (part := _inner_predictions(outer, result)) is not None]
    if len(inner) < len(found):
        return said
    scored = [result.predictions for result in found]
    return replace(
        said,
        recalibration=recalibrated(scored, inner, expected_error),
        operating=operating_points(scored, inner, labels, said.unit),
    )


def baseline_predictions(folder: Path, record: StudyRecord) -> dict[str, pl.DataFrame]:
    """Returns the held-out predictions of a study's baselines, by name; those that are not whole are left out.

    They stand in the order of BASELINES: the nearest to the trained model first.
    """
    found = {}
    place = {name: index for index, name in enumerate(BASELINES)}
    for name, keys in sorted(record.baselines.items(), key=lambda item: place.get(item[0], len(place))):
        folders = [fold_folder(folder, key) for key in keys]
        if all((f / "result.json").exists() for f in folders):
            found[name] = pl.concat([FoldResult.load(f).predictions for f in folders])
    return found


def _check(result: OuterResult, splits: Splits, inner: Cohort) -> None:
    scored = set(result.predictions["subject"])
    test = next(set(fold.test) for fold in splits.folds if fold.index == result.fold)
    if wrong := sorted((scored & set(inner.videos["subject"])) | (scored - test)):
        raise LeakageError(
            f"outer fold {result.fold} scored subject {wrong[0]!r}, whom its search saw; begin another study",
            code="leakage.outer_subject_seen",
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


def _settings(outer: Path, found: list[OuterResult]) -> tuple[Recurring, ...]:
    """Returns how often each value of each drawn setting was chosen, and how often at least one would be by chance."""
    names = sorted({name for r in found for name in r.params})
    tried = [
        [t.params for t in read_trials(outer / str(r.fold), StudyRecord.load(outer / str(r.fold)).name) if t.scored]
        for r in found
        if (outer / str(r.fold) / "study.db").exists()
    ]
    rows = []
    for name in names:
        values = [_shown(r.params[name]) for r in found if name in r.params]
        choices = [[_shown(p[name]) for p in trials if name in p] for trials in tried]
        known = len(choices) == len(values) and all(choices)
        chance = expected_agreement([[(v,) for v in c] for c in choices]) if known else None
        rows.append(Recurring(what=name, values=_counted(values), by_chance=chance))
    return tuple(rows)


def expected_agreement(choices: list[list[tuple[str, ...]]], draws: int = 500) -> float:
    """Returns how often the most frequent value comes up on average if each fold takes one of its choices at random.

    Args:
        choices: of each fold, what it could come out with, as the values that this would be.
    """
    rng = np.random.default_rng(0)
    tops = [
        max(Counter(v for fold in choices for v in fold[int(rng.integers(len(fold)))]).values(), default=0)
        for _ in range(draws)
    ]
    return float(np.mean(tops))


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _decoded(outer: Path, found: list[OuterResult], cohort: Cohort) -> tuple[Recurring, ...]:
    """Returns in how many outer folds each parameter was named in a class's words, by whichever of its inner folds."""
    named: dict[str, list[list[str]]] = {name: [] for name in cohort.classes}
    for result in found:
        here: dict[str, set[str]] = {name: set() for name in cohort.classes}
        for key in result.keys:
            folder = fold_folder(outer / str(result.fold), key)
            for words in FoldResult.load(folder).decoded if (folder / "result.json").exists() else ():
                here[words.label] |= {value.parameter for value in words.values}
        for name, parameters in here.items():
            named[name].append(sorted(parameters))
    measured = len(cohort.parameters)
    rng = np.random.default_rng(0)
    rows = []
    for name, folds in named.items():
        if values := [parameter for fold in folds for parameter in fold]:
            choices = [[tuple(map(str, rng.permutation(measured)[: len(f)])) for _ in range(200)] for f in folds]
            rows.append(Recurring(what=name, values=_counted(values), by_chance=expected_agreement(choices)))
    return tuple(rows)


def _counted(values: list[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))
