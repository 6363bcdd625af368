"""Reads a study folder and computes every number of its page; nothing is drawn here."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from reports.numbers.calibration import Calibration
from reports.numbers.comparisons import Comparison, compare
from reports.numbers.controls import (
    LossFall,
    SeedScores,
    Shuffled,
    StudyWarning,
    loss_fall,
    seed_scores,
    shuffled,
    study_warnings,
)
from reports.numbers.decision_curve import DecisionCurve, decision_curve
from reports.numbers.descriptions import Words, words
from reports.numbers.detail import Detail, detail, leading_unit
from reports.numbers.embedding_maps import Maps, lay_out
from reports.numbers.learning import LearningCurve, learning_curve
from reports.numbers.ledger import Ledger, check_everything, check_predictions, ledger
from reports.numbers.missing import Missing, missing
from reports.numbers.nested import Nested, baseline_predictions, nested
from reports.numbers.notices import study_notices
from reports.numbers.null import Null, above_chance, permutation_null
from reports.numbers.prediction_sets import StudySets, study_sets
from reports.numbers.raters import Raters, raters
from reports.numbers.search import SearchStory, tell_search
from reports.numbers.statistics import (
    Array,
    ClassScore,
    FoldScore,
    Level,
    Spread,
    fold_scores,
    metrics_of,
)
from reports.numbers.subgroups import Subgroups, subgroups
from trainables.errors import StridefoldError
from trainables.study.files import fold_folder
from trainables.study.fold_embeddings import FoldMaps
from trainables.study.leaderboard import TrialRecord, chosen, pareto, ranked, read_trials
from trainables.study.metrics import log_loss, score
from trainables.study.plan import StudyPlan
from trainables.study.readable import Readable, ReadableRecord
from trainables.study.records import CODE_CHANGED, Attribute, Cohort, FoldResult, Splits, StudyRecord, read_ledger
from trainables.study.vocabulary import parse_metric
from trainables.study.walker_flow import WalkerFlow, walker_flow


@dataclass(frozen=True, kw_only=True)
class Results:
    """The chosen configuration's scores."""

    trial: TrialRecord
    folds_done: tuple[FoldResult, ...]
    predictions: pl.DataFrame
    """Out-of-fold, one row per window."""
    score: float
    """The study's metric, computed again from the predictions."""
    log_loss: float
    detail: Detail
    """What the predictions say; the following stand in it too."""
    levels: tuple[Level, ...]
    counts: Array
    """Confusion matrix [C, C] of the units that lead: subjects, or videos where labels are per video."""
    classes: tuple[ClassScore, ...]
    folds: tuple[FoldScore, ...]
    spreads: tuple[Spread, ...]
    null: Null | None
    comparisons: tuple[Comparison, ...]
    """With each baseline and with the runner-up."""
    shuffled: Shuffled | None
    """None where the configuration was not scored on shuffled frames, as a baseline of numbers is not."""
    by_seed: SeedScores | None
    """None where each fold was trained once."""
    loss_fall: LossFall | None
    """None where nothing was trained in steps."""
    calibration: Calibration | None
    subgroups: tuple[Subgroups, ...]
    """By each attribute of the cohort, and by the manifest's own folds where they were used."""
    readable: tuple[Readable, ...]
    """Whether places of recording can be read from the video features."""
    maps: Maps | None
    """Of the first fold that has them; None where numbers are off."""
    class_windows: tuple[int, ...]
    """Held-out windows of each class."""
    mistakes: pl.DataFrame
    wrong_videos: int


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """Everything that the page says."""

    study: StudyRecord
    plan: StudyPlan | None
    """None of a study that was begun before there were plans."""
    cohort: Cohort
    splits: Splits
    ledger: Ledger
    missing: Missing | None
    """Which gait parameters were not measured; None where the cohort has none."""
    walkers: WalkerFlow | None
    """None where no walker was looked for."""
    leaderboard: tuple[TrialRecord, ...]
    search: SearchStory
    results: Results | None
    """None until a trial has finished every fold."""
    nested: Nested | None
    """None where no outer folds were asked for."""
    learning: LearningCurve | None
    """None where no learning curve was asked for, or none of the chosen trial is there yet."""
    raters: Raters | None
    """None where the cohort has no second rating."""
    front: tuple[TrialRecord, ...]
    """Trials that no other beats in score and cost; empty where the search had one objective."""
    words: Words
    warnings: tuple[StudyWarning, ...]
    """Signs that the chosen configuration has learned nothing, or nothing of motion."""
    notices: tuple[str, ...]
    """What is missing or does not fit together."""

    @property
    def shown(self) -> Detail | None:
        """Returns what the page details: of the nested predictions where there are any, else of the search's own folds."""
        if self.nested is not None and self.nested.detail is not None:
            return self.nested.detail
        return None if self.results is None else self.results.detail

    @cached_property
    def sets(self) -> StudySets | None:
        """Returns the prediction sets of the chosen configuration; None until there is one."""
        if self.results is None:
            return None
        return study_sets(self.study, self.cohort, self.nested, self.results.trial.number)

    @cached_property
    def decisions(self) -> DecisionCurve | None:
        """Returns the decision curve of what the page details; None without two classes."""
        if self.results is None or self.shown is None:
            return None
        kind = "selection" if self.shown is self.results.detail else "nested"
        return decision_curve(self.shown, self.study, self.cohort, kind)

    @property
    def beyond_chance(self) -> bool | None:
        """Whether the study shows more than chance, as `above_chance`; None where nothing decides it."""
        if self.results is None:
            return None
        selected = self.results.detail.score(self.study.metric)
        compared = sum(t.scored or bool(t.folds) for t in self.leaderboard)
        return above_chance(self.nested.estimate if self.nested else None, self.results.null, selected, compared)

    @property
    def training_seconds(self) -> float:
        """Returns what the complete trials' folds took together, each from its start to its score."""
        return sum(t.costs.get("seconds", 0.0) for t in self.leaderboard)

    @property
    def ordinal(self) -> bool:
        return bool(self.study.task.get("ordinal"))


def analyse(folder: Path) -> Analysis:
    """Returns the analysis of a study folder, finished or not.

    Raises:
        StridefoldError: The folder is not a study, or a file in it is missing or damaged.
        LeakageError: A subject or a file stands on both sides of a fold.
    """
    study, cohort, splits = StudyRecord.load(folder), Cohort.load(folder), Splits.load(folder / "splits.json")
    check_everything(folder)
    plan = StudyPlan.load(folder)
    trials, folds = read_trials(folder, study.name), len(splits.folds)
    trial = chosen(trials, folds, study.options)
    results = None if trial is None else _results(folder, study, cohort, splits, trial, ranked(trials, folds))
    search = tell_search(trials, folds)
    entries = ledger(cohort, splits)
    cost = study.options.get("cost")
    outer = nested(folder, study, cohort, _metrics(study))
    return Analysis(
        study=study,
        plan=plan,
        cohort=cohort,
        splits=splits,
        ledger=entries,
        missing=missing(cohort, splits),
        walkers=walker_flow(cohort.videos, results.folds_done[0].config if results else {}),
        leaderboard=ranked(trials, folds),
        search=search,
        results=results,
        nested=outer,
        raters=_raters(study, cohort, results, outer),
        learning=learning_curve(folder, study, cohort, splits, trial),
        front=pareto(trials, folds, cost) if cost else (),
        words=words(cohort, study.task, results.folds_done if results else ()),
        warnings=_warnings(results, outer, cohort.classes),
        notices=(
            *_notices(study, cohort, splits, entries, search, results),
            *study_notices(study, plan, outer, results),
        ),
    )


def _raters(study: StudyRecord, cohort: Cohort, results: Results | None, outer: Nested | None) -> Raters | None:
    """Returns the raters' agreement, with the predictions that the page details."""
    shown = outer.detail if outer is not None and outer.detail is not None else results and results.detail
    return raters(shown.predictions, cohort, ordinal=bool(study.task.get("ordinal"))) if shown else None


def _warnings(results: Results | None, outer: Nested | None, classes: tuple[str, ...]) -> tuple[StudyWarning, ...]:
    if results is None:
        return ()
    compared = [("the chosen configuration", c) for c in results.comparisons]
    compared += [
        ("what the searches chose, on subjects that none of them saw,", c) for c in (outer.comparisons if outer else ())
    ]
    return study_warnings(results.counts, classes, compared, results.shuffled, results.loss_fall)


def _metrics(study: StudyRecord) -> tuple[str, ...]:
    return metrics_of(bool(study.task.get("ordinal")), parse_metric(study.metric)[1])


def _compared(
    folder: Path, study: StudyRecord, trial: TrialRecord, leaders: tuple[TrialRecord, ...]
) -> dict[str, pl.DataFrame]:
    """Returns the predictions of every baseline and of the best trial apart from the chosen one, where they are whole."""
    others = baseline_predictions(folder, study)
    runner_up = next((t for t in leaders if t.scored and len(t.folds) == len(trial.folds) and t != trial), None)
    if runner_up is not None and all((fold_folder(folder, key) / "result.json").exists() for key in runner_up.folds):
        folds = [FoldResult.load(fold_folder(folder, key)) for key in runner_up.folds]
        others[f"trial {runner_up.number}, the runner-up"] = pl.concat([f.predictions for f in folds])
    return others


def _results(
    folder: Path,
    study: StudyRecord,
    cohort: Cohort,
    splits: Splits,
    trial: TrialRecord,
    leaders: tuple[TrialRecord, ...],
) -> Results:
    done = tuple(_load_fold(folder, key, trial.number) for key in trial.folds)
    check_predictions(done, cohort, splits, read_ledger(folder))
    predictions = pl.concat([r.predictions for r in done]).sort("fold", "subject", "video", "window")
    classes = len(cohort.classes)
    metrics = _metrics(study)
    said = detail(predictions, cohort, metrics)
    folds, spreads = fold_scores(predictions, {r.fold: r.seconds for r in done}, classes, metrics, said.unit)
    value = score(predictions, study.metric, classes)
    return Results(
        trial=trial,
        folds_done=done,
        predictions=predictions,
        score=value,
        log_loss=log_loss(predictions),
        detail=said,
        levels=said.levels,
        counts=said.counts,
        classes=said.classes,
        folds=folds,
        spreads=spreads,
        null=permutation_null(value, study.permutations, study.options),
        comparisons=compare(predictions, _compared(folder, study, trial, leaders), study.metric, classes),
        shuffled=shuffled(done, study.metric, classes),
        by_seed=seed_scores(done, study.metric, classes),
        loss_fall=loss_fall(done, ordinal=bool(study.task.get("ordinal")), classes=classes),
        calibration=said.calibration,
        subgroups=_by_attribute(study, cohort, predictions),
        readable=ReadableRecord.load(folder).found,
        maps=_maps(folder, done, cohort.classes),
        class_windows=tuple(int((predictions["true"] == c).sum()) for c in range(classes)),
        mistakes=said.mistakes,
        wrong_videos=said.wrong_videos,
    )


def _by_attribute(study: StudyRecord, cohort: Cohort, predictions: pl.DataFrame) -> tuple[Subgroups, ...]:
    """Returns the scores by subgroup; the column that gave the folds, a site's say, is an attribute too."""
    videos, attributes = cohort.videos, cohort.attributes
    column = study.options.get("fold_column")
    if column and "fold" in videos.columns and column not in {a.name for a in attributes}:
        site = Attribute(name=str(column), kind="category")
        videos, attributes = videos.with_columns(pl.col("fold").alias(site.column)), (*attributes, site)
    return subgroups(predictions, videos, attributes, len(cohort.classes), leading_unit(cohort))


def _maps(folder: Path, done: tuple[FoldResult, ...], classes: tuple[str, ...]) -> Maps | None:
    for result in done:
        if (found := FoldMaps.load(fold_folder(folder, result.key))) is not None:
            return lay_out(found, result.fold, classes, str(result.config["numeracy.encoding"]))
    return None


def _load_fold(folder: Path, key: str, trial: int) -> FoldResult:
    if not (fold_folder(folder, key) / "result.json").exists():
        raise StridefoldError(
            f"{fold_folder(folder, key)} is missing, but the chosen trial {trial} was scored on it; "
            "restore it, or run the same search command again",
            code="study.fold_missing",
        )
    return FoldResult.load(fold_folder(folder, key))


def _notices(
    study: StudyRecord, cohort: Cohort, splits: Splits, entries: Ledger, search: SearchStory, results: Results | None
) -> tuple[str, ...]:
    notices = []
    if study.finished is None:
        asked = study.options.get("trials")
        done = search.counts.get("COMPLETE", 0) + search.counts.get("PRUNED", 0)
        of = f" of {asked}" if isinstance(asked, int) else ""
        notices.append(
            f"The search is not finished: {done}{of} trials have a result. The same command goes on from here, and the answer may change."
        )
    if results is None:
        notices.append(
            f"No configuration has finished all {len(splits.folds)} folds yet, so there is no score to report."
        )
    elif results.trial.value is not None and abs(results.score - results.trial.value) > 1e-6:
        notices.append(
            f"The database gives trial {results.trial.number} a score of {results.trial.value:.4f}, but its predictions give "
            f"{results.score:.4f}. This page shows what the predictions give."
        )
    if study.cohort_sha256 != cohort.sha256():
        notices.append(
            "The cohort's files do not match the hash noted when the study began: the cohort was changed since."
        )
    if study.splits_sha256 != splits.sha256():
        notices.append("The folds do not match the hash noted when the study began: they were made again since.")
    if len(study.code) > 1:
        text = CODE_CHANGED.format(version=study.training_version)
        notices.append(f"{text[0].upper()}{text[1:]}. Its hashes: {', '.join(study.code)}.")
    if entries.never_tested:
        notices.append(
            f"{len(entries.never_tested)} subjects of the cohort are on no test side, so nothing here is about them."
        )
    return tuple(notices)
