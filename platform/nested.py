"""Nested cross-validation: the whole search is run again without each outer fold's subjects, who are scored once."""

import dataclasses
import datetime
from platform.baselines import run_baselines
from platform.best_model import refit_on_everyone
from platform.options import SearchOptions
from platform.session import Session
from platform.study import Study
from platform.study_parts import inner_study, outer_study

import polars as pl

from trainables.errors import LeakageError, StridefoldError
from trainables.model_kinds import KINDS
from trainables.study.files import fold_folder
from trainables.study.leaderboard import TrialRecord
from trainables.study.metrics import mean_of_models, score
from trainables.study.outer_records import OuterResult
from trainables.study.records import Fold, FoldResult


def open_nested(study: Study, options: SearchOptions) -> tuple[Study, list[Study]]:
    """Returns the study of the outer folds, and for each of them the study of its training subjects.

    Raises:
        ConfigurationError: There are too few subjects, or the study was begun with other outer folds.
    """
    outer = outer_study(study, options)
    return outer, [inner_study(outer, fold, options) for fold in outer.splits.folds]


def run_nested(study: Study, session: Session) -> None:
    """Runs every outer fold, and the baselines on the same outer folds."""
    outer, inners = open_nested(study, session.options)
    for fold, inner in zip(outer.splits.folds, inners, strict=True):
        _run_fold(outer, fold, inner, session)
    run_baselines(outer, session, "outer folds")


def _run_fold(outer: Study, fold: Fold, inner: Study, session: Session) -> OuterResult:
    """Searches without an outer fold's subjects, then scores them by the chosen configuration's folds.

    Subjects that were scored for this choice before are not scored again; for another choice they are, which is noted.

    Raises:
        LeakageError: A subject to be scored is in the study that chose.
    """
    if seen := sorted(set(fold.test) & set(inner.cohort.videos["subject"])):
        raise LeakageError(
            f"subject {seen[0]!r} of outer fold {fold.index} is among those that its search saw",
            code="leakage.outer_subject_seen",
        )
    trial = session.search(inner, f"outer fold {fold.index}")
    before = OuterResult.load(outer.folder, fold.index)
    asked = session.options.trials
    if before is not None and (before.keys, before.refit) == (trial.folds, session.options.refit):
        result = dataclasses.replace(before, trials=asked)  # more trials, and the same choice
        result.save(outer.folder)
        return result
    session.describe(inner, trial.folds)
    predictions, by_model = _predictions(outer, fold, inner, trial, session)
    result = OuterResult(
        fold=fold.index,
        trial=trial.number,
        config=trial.config,
        params=trial.params,
        inner_score=trial.value or 0.0,
        keys=trial.folds,
        predictions=predictions,
        by_model=by_model,
        trials=asked,
        refit=session.options.refit,
        scorings=(
            *(before.scorings if before else ()),
            datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        ),
    )
    result.save(outer.folder)
    value = score(result.predictions, outer.record.metric, len(outer.cohort.classes))
    again = f", scored {len(result.scorings)} times" if before else ""
    session.console.say(
        f"outer fold {fold.index}: {value:.3f} on {len(fold.test)} subjects that its search never saw{again}; "
        f"{result.inner_score:.3f} in the search"
    )
    return result


def _predictions(
    outer: Study, fold: Fold, inner: Study, trial: TrialRecord, session: Session
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Returns the windows of the outer subjects as the study's own model would score them, and by each inner fold's model.

    That is the mean of the inner folds' models, or with --refit all one model of all inner subjects. A baseline that
    keeps no weights is fitted again on all of the outer fold's training subjects.
    """
    if KINDS[trial.config["model"]].network:
        if session.options.refit == "all":
            refit_on_everyone(inner, trial, session)
        by_model = session.score_outer(inner, outer, fold)
        several = by_model["model"].n_unique() > 1
        return mean_of_models(by_model), by_model if several else None
    key = outer.fold_key(session.options.reference().with_values(trial.config), fold)
    if problem := session.train(outer, trial.config, {fold.index: key}):
        raise StridefoldError(f"outer fold {fold.index}: {problem[0]}", code="nested.prediction_failed")
    return FoldResult.load(fold_folder(outer.folder, key)).predictions, None
