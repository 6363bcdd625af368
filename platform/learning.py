"""`--learning-curve`: the chosen configuration on shares of each fold's training subjects, scored on the same held-out ones."""

import dataclasses
from platform.session import Session
from platform.study import Study
from platform.study_parts import part_of

import numpy as np
import polars as pl

from trainables.config import TrainConfig
from trainables.study.files import fold_folder
from trainables.study.leaderboard import TrialRecord
from trainables.study.learning_records import ALL, SHARES, LearningPoint, LearningRecord, part_folder, point_predictions
from trainables.study.metrics import score
from trainables.study.records import Cohort, Fold, Splits


def run_learning_curve(study: Study, chosen: TrialRecord, session: Session) -> LearningRecord:
    """Trains the chosen configuration on each share of the training subjects; finished folds are not run again.

    A share on which a fold cannot be trained has no point, and the record says why: the search is done by then. Nor has
    one whose subjects are those of a larger share, as in a very small cohort: it would be counted twice.
    """
    points: list[LearningPoint] = []
    same = repeated_shares(study.cohort, study.splits, session.options.seed_of_splits)
    problems = [
        f"{share} % of the training subjects: these are the subjects of {other} %" for share, other in same.items()
    ]
    for problem in problems:
        session.console.say(f"learning curve: {problem}")
    for share in (s for s in SHARES if s not in same):
        found = _run_share(study, chosen, share, session)
        if isinstance(found, str):
            problems.append(f"{share} % of the training subjects: {found}")
            session.console.say(f"learning curve: {problems[-1]}")
        else:
            points.append(found)
            _say(study, found, session)
    everyone = tuple(len(fold.train) for fold in study.splits.folds)
    points.append(LearningPoint(share=ALL, subjects=everyone, keys=chosen.folds))
    _say(study, points[-1], session)
    record = LearningRecord(trial=chosen.number, points=tuple(points), problems=tuple(problems))
    record.save(study.folder)
    return record


def subset(cohort: Cohort, fold: Fold, share: int, seed: int) -> Fold:
    """Returns a fold with a share of its training subjects, and with all that it tests.

    Subjects are drawn within their class (or set of classes, where labels are per video), at least one of each. The subjects
    of a share are among those of every larger one.

    Args:
        cohort: Of the fold.
        fold: One of the study's.
        share: Percent.
        seed: Of the study's folds; the draw also depends on the fold.
    """
    labels = cohort.of_subjects(fold.train).group_by("subject").agg(pl.col("label").unique().sort()).sort("subject")
    strata: dict[tuple[int, ...], list[str]] = {}
    for subject, classes in labels.iter_rows():
        strata.setdefault(tuple(classes), []).append(subject)
    rng = np.random.default_rng([seed % 2**32, fold.index])
    kept: set[str] = set()
    for _, subjects in sorted(strata.items()):
        order = rng.permutation(len(subjects))
        count = max(1, (share * len(subjects) + 50) // 100)
        kept |= {subjects[i] for i in order[:count]}
    return dataclasses.replace(fold, train=tuple(s for s in fold.train if s in kept))


def repeated_shares(cohort: Cohort, splits: Splits, seed: int) -> dict[int, int]:
    """Returns the shares that have the very subjects of a larger one in every fold, with that larger share.

    Args:
        cohort: Of the study.
        splits: Its folds.
        seed: As in `subset`.
    """
    found: dict[int, int] = {}
    larger, kept = ALL, [fold.train for fold in splits.folds]
    for share in sorted(SHARES, reverse=True):
        own = [subset(cohort, fold, share, seed).train for fold in splits.folds]
        if own == kept:
            found[share] = larger
        else:
            larger, kept = share, own
    return dict(sorted(found.items()))


def share_study(study: Study, fold: Fold, share: int, seed: int) -> Study:
    """Returns a study of one fold that trains on a share of its subjects, in learning/SHARE/FOLD."""
    part = subset(study.cohort, fold, share, seed)
    videos = study.cohort.videos.filter(pl.col("subject").is_in([*part.train, *part.test]))
    return part_of(
        study,
        dataclasses.replace(study.cohort, videos=videos),
        part_folder(study.folder, share, fold.index),
        f"learning-{share}-{fold.index}",
        lambda: Splits(method=f"{share} % of the training subjects", folds=(part,), held_out=0),
    )


def _run_share(study: Study, chosen: TrialRecord, share: int, session: Session) -> LearningPoint | str:
    """Returns the point of a share, or why one of its folds cannot be trained."""
    from trainables.ray_loop import train_one

    config, seed = TrainConfig.from_flat(chosen.config), session.options.seed_of_splits
    parts = [share_study(study, fold, share, seed) for fold in study.splits.folds]
    keys = [part.fold_key(config, part.splits.folds[0]) for part in parts]
    calls = [(*session.place(part), key, 0, chosen.config) for part, key in zip(parts, keys, strict=True)]
    folders = [fold_folder(part.folder, key) for part, key in zip(parts, keys, strict=True)]
    with session.console.folds(f"learning curve, {share} % of the subjects", folders):
        problems = [problem for problem in session.tasks(train_one, calls) if problem]
    if problems:
        return str(problems[0])
    subjects = tuple(len(part.splits.folds[0].train) for part in parts)
    return LearningPoint(share=share, subjects=subjects, keys=tuple(keys))


def _say(study: Study, point: LearningPoint, session: Session) -> None:
    predictions = point_predictions(study.folder, tuple(f.index for f in study.splits.folds), point)
    value = score(predictions, study.record.metric, len(study.cohort.classes))
    least, most = min(point.subjects), max(point.subjects)
    subjects = f"{least}" if least == most else f"{least} to {most}"
    session.console.say(f"learning curve: {value:.3f} with {subjects} training subjects ({point.share} %)")
