"""Reads a study folder and computes every number of its page; nothing is drawn here."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from reports.numbers.calibration import Calibration, calibration
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
from reports.numbers.descriptions import Words, words
from reports.numbers.embedding_maps import Maps, lay_out
from reports.numbers.ledger import Ledger, check_predictions, ledger
from reports.numbers.nested import Nested, baseline_predictions, nested
from reports.numbers.search import SearchStory, tell_search
from reports.numbers.statistics import (
    Array,
    ClassScore,
    FoldScore,
    Level,
    Null,
    Spread,
    class_scores,
    confusion,
    fold_scores,
    level_scores,
    metrics_of,
    mistakes,
    permutation_null,
)
from reports.numbers.subgroups import Subgroups, subgroups
from reports.numbers.training_curves import curve
from trainables.errors import StridefoldError
from trainables.study.fold_embeddings import FoldMaps
from trainables.study.leaderboard import TrialRecord, chosen, pareto, ranked, read_trials
from trainables.study.metrics import at_level, log_loss, score
from trainables.study.readable import Readable, ReadableRecord
from trainables.study.records import CODE_CHANGED, Attribute, Cohort, FoldResult, Splits, StudyRecord, read_ledger
from trainables.study.vocabulary import LEVELS, parse_metric

RESULTS_SCHEMA = 1
"""Of results.json; docs/results.md says what each of its fields is."""


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
    levels: tuple[Level, ...]
    counts: Array
    """Confusion matrix [C, C] at subject level."""
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
    cohort: Cohort
    splits: Splits
    ledger: Ledger
    leaderboard: tuple[TrialRecord, ...]
    search: SearchStory
    results: Results | None
    """None until a trial has finished every fold."""
    nested: Nested | None
    """None where no outer folds were asked for."""
    front: tuple[TrialRecord, ...]
    """Trials that no other beats in score and cost; empty where the search had one objective."""
    words: Words
    warnings: tuple[StudyWarning, ...]
    """Signs that the chosen configuration has learned nothing, or nothing of motion."""
    notices: tuple[str, ...]
    """What is missing or does not fit together."""

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
    trials, folds = read_trials(folder, study.name), len(splits.folds)
    trial = chosen(trials, folds, study.options)
    results = None if trial is None else _results(folder, study, cohort, splits, trial, ranked(trials, folds))
    search = tell_search(trials, folds)
    entries = ledger(cohort, splits)
    cost = study.options.get("cost")
    outer = nested(folder, study, cohort, _metrics(study))
    return Analysis(
        study=study,
        cohort=cohort,
        splits=splits,
        ledger=entries,
        leaderboard=ranked(trials, folds),
        search=search,
        results=results,
        nested=outer,
        front=pareto(trials, folds, cost) if cost else (),
        words=words(cohort, study.task, results.folds_done if results else ()),
        warnings=_warnings(results, outer, cohort.classes),
        notices=_notices(study, cohort, splits, entries, search, results),
    )


def numbers(analysis: Analysis) -> dict[str, Any]:
    """Returns every number of the page as plain JSON values."""
    found = analysis.results
    plain: dict[str, Any] = {
        "schema": RESULTS_SCHEMA,
        "study": {
            name: getattr(analysis.study, name)
            for name in ("name", "metric", "started", "finished", "wall_seconds", "cohort_sha256")
        }
        | {"training_seconds": analysis.training_seconds},
        "classes": analysis.cohort.classes,
        "cohort": dataclasses.asdict(analysis.ledger) | {"excluded": analysis.cohort.excluded},
        "search": dataclasses.asdict(analysis.search),
        "leaderboard": [_plain_trial(t) for t in analysis.leaderboard],
        "words": dataclasses.asdict(analysis.words),
        "nested": None if analysis.nested is None else dataclasses.asdict(analysis.nested),
        "pareto": [t.number for t in analysis.front],
        "warnings": [dataclasses.asdict(w) for w in analysis.warnings],
        "notices": analysis.notices,
        "chosen": None,
    }
    if found is not None:
        parts = {
            name: [dataclasses.asdict(p) for p in getattr(found, name)]
            for name in ("levels", "classes", "folds", "spreads", "comparisons", "subgroups", "readable")
        }
        plain["chosen"] = parts | {
            "trial": found.trial.number,
            "config": found.trial.config,
            "score": found.score,
            "log_loss": found.log_loss,
            "confusion": found.counts.tolist(),
            "permutation_null": None
            if found.null is None
            else dataclasses.asdict(found.null) | {"values": analysis.study.permutations},
            "shuffled": None
            if found.shuffled is None
            else dataclasses.asdict(found.shuffled) | {"windows_share": found.shuffled.share},
            "by_seed": None
            if found.by_seed is None
            else dataclasses.asdict(found.by_seed) | {"deviation": found.by_seed.deviation},
            "loss_fall": None if found.loss_fall is None else dataclasses.asdict(found.loss_fall),
            "curves": [{"fold": r.fold, "points": curve(r)} for r in found.folds_done],
            "calibration": None if found.calibration is None else dataclasses.asdict(found.calibration),
            "maps": None if found.maps is None else found.maps.plain(),
            "class_windows": found.class_windows,
            "mistakes": found.mistakes.to_dicts(),
            "wrong_videos": found.wrong_videos,
        }
    return plain


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
    """Returns the predictions of every baseline and of the best trial beside the chosen one, where they are whole."""
    others = baseline_predictions(folder, study)
    runner_up = next((t for t in leaders if t.scored and len(t.folds) == len(trial.folds) and t != trial), None)
    if runner_up is not None and all((folder / "folds" / key / "result.json").exists() for key in runner_up.folds):
        folds = [FoldResult.load(folder / "folds" / key) for key in runner_up.folds]
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
    subjects, videos = (at_level(predictions, level) for level in ("subject", "video"))
    counts = confusion(subjects["true"].to_numpy(), subjects["predicted"].to_numpy(), classes)
    folds, spreads = fold_scores(predictions, {r.fold: r.seconds for r in done}, classes, metrics)
    value = score(predictions, study.metric, classes)
    return Results(
        trial=trial,
        folds_done=done,
        predictions=predictions,
        score=value,
        log_loss=log_loss(predictions),
        levels=tuple(level_scores(predictions, level, classes, metrics) for level in LEVELS),
        counts=counts,
        classes=class_scores(counts, cohort.classes),
        folds=folds,
        spreads=spreads,
        null=permutation_null(value, study.permutations),
        comparisons=compare(predictions, _compared(folder, study, trial, leaders), study.metric, classes),
        shuffled=shuffled(done, study.metric, classes),
        by_seed=seed_scores(done, study.metric, classes),
        loss_fall=loss_fall(done, ordinal=bool(study.task.get("ordinal")), classes=classes),
        calibration=calibration(predictions),
        subgroups=_by_attribute(study, cohort, predictions),
        readable=ReadableRecord.load(folder).found,
        maps=_maps(folder, done, cohort.classes),
        class_windows=tuple(int((predictions["true"] == c).sum()) for c in range(classes)),
        mistakes=mistakes(predictions),
        wrong_videos=int((videos["true"] != videos["predicted"]).sum()),
    )


def _by_attribute(study: StudyRecord, cohort: Cohort, predictions: pl.DataFrame) -> tuple[Subgroups, ...]:
    """Returns the scores by subgroup; the column that gave the folds, a site's say, is an attribute too."""
    videos, attributes = cohort.videos, cohort.attributes
    column = study.options.get("fold_column")
    if column and "fold" in videos.columns and column not in {a.name for a in attributes}:
        site = Attribute(name=str(column), kind="category")
        videos, attributes = videos.with_columns(pl.col("fold").alias(site.column)), (*attributes, site)
    return subgroups(predictions, videos, attributes, len(cohort.classes))


def _maps(folder: Path, done: tuple[FoldResult, ...], classes: tuple[str, ...]) -> Maps | None:
    for result in done:
        if (found := FoldMaps.load(folder / "folds" / result.key)) is not None:
            return lay_out(found, result.fold, classes, str(result.config["numeracy.encoding"]))
    return None


def _load_fold(folder: Path, key: str, trial: int) -> FoldResult:
    if not (folder / "folds" / key / "result.json").exists():
        raise StridefoldError(
            f"{folder / 'folds' / key} is missing, but the chosen trial {trial} was scored on it; "
            "restore it, or run the same search command again"
        )
    return FoldResult.load(folder / "folds" / key)


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


def _plain_trial(trial: TrialRecord) -> dict[str, Any]:
    kept = ("number", "state", "value", "log_loss", "params", "folds", "problem", "seconds")
    return {name: getattr(trial, name) for name in kept}
