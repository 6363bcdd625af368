"""Subject-wise folds, and the ledger that shows that nothing stands on both sides of one."""

import warnings
from collections.abc import Iterator

import numpy as np
import polars as pl
from sklearn.model_selection import StratifiedGroupKFold

from trainables.errors import ConfigurationError, LeakageError
from trainables.records import Cohort, Fold, Splits

TRIES = 200
"""Shuffles that are tried for folds in which every class is on both sides."""


def make_splits(cohort: Cohort, *, folds: int, seed: int) -> Splits:
    """Returns folds in which each subject is held out exactly once.

    As many folds as subjects leave one subject out each. Else the classes are spread evenly (StratifiedGroupKFold over
    subjects): each class is among every fold's training subjects, and among the held-out ones of as many folds as it
    has subjects for, if one of the shuffles after `seed` manages that.

    Raises:
        ConfigurationError: There are too few subjects, of a class or in all.
    """
    subjects = cohort.subjects()["subject"].to_list()
    _check_feasible(cohort, folds, len(subjects))
    if folds == len(subjects):
        return Splits(method="leave one subject out", folds=_folds([(s,) for s in subjects], subjects))
    classes_of = {s: set(labels) for s, labels in cohort.videos.group_by("subject").agg("label").iter_rows()}
    wanted = sum(min(folds, count) for count in _subjects_per_class(cohort).values())
    best: tuple[int, int, list[tuple[str, ...]]] | None = None
    for shuffle in range(seed, seed + TRIES):
        tests = list(_shuffled(cohort, folds, shuffle))
        reached = sum(len(set().union(*(classes_of[s] for s in test))) for test in tests)
        if _all_trained(tests, subjects, classes_of) and (best is None or reached > best[0]):
            best = (reached, shuffle, tests)
            if reached == wanted:
                break
    if best is None:
        raise ConfigurationError(
            f"--folds {folds}: no way was found to keep every class among the training subjects of each fold; "
            "use fewer folds, or add subjects of the rarest class"
        )
    return Splits(method=f"StratifiedGroupKFold({folds}), seed {best[1]}", folds=_folds(best[2], subjects))


def ledger(cohort: Cohort, splits: Splits) -> pl.DataFrame:
    """Returns one row per fold and subject: fold, side ('train' or 'test'), subject, videos (count)."""
    rows = [
        (fold.index, side, subject)
        for fold in splits.folds
        for side, subjects in (("train", fold.train), ("test", fold.test))
        for subject in subjects
    ]
    sides = pl.DataFrame(rows, schema={"fold": pl.Int64, "side": pl.String, "subject": pl.String}, orient="row")
    counts = cohort.videos.group_by("subject").agg(videos=pl.len().cast(pl.Int64))
    return sides.join(counts, on="subject", how="left", maintain_order="left").with_columns(
        pl.col("videos").fill_null(0)
    )


def check_ledger(cohort: Cohort, splits: Splits) -> None:
    """Passes where no fold has a subject or a file's content on both sides, and every subject is held out once.

    Raises:
        LeakageError: Names the fold, and the subject or the files.
    """
    everyone = set(cohort.videos["subject"])
    for fold in splits.folds:
        train, test = set(fold.train), set(fold.test)
        if both := sorted(train & test):
            raise LeakageError(f"fold {fold.index} has subject {both[0]!r} on both sides; remake the splits")
        if other := sorted(everyone ^ (train | test)):
            raise LeakageError(
                f"fold {fold.index} was made for another cohort: subject {other[0]!r} is in only one of them; "
                "remake the splits"
            )
        shared = cohort.of_subjects(fold.train).join(cohort.of_subjects(fold.test), on="sha256", suffix="_test")
        if len(shared):
            first = shared.sort("video", "video_test").row(0, named=True)
            raise LeakageError(
                f"fold {fold.index} has the same file on both sides: {first['video']} (subject {first['subject']!r}) and "
                f"{first['video_test']} (subject {first['subject_test']!r}); remove one from the manifest"
            )
    held_out = [subject for fold in splits.folds for subject in fold.test]
    if wrong := sorted(s for s in everyone if held_out.count(s) != 1):
        raise LeakageError(
            f"subject {wrong[0]!r} is held out {held_out.count(wrong[0])} times instead of once; remake the splits"
        )


def _check_feasible(cohort: Cohort, folds: int, subjects: int) -> None:
    if not 2 <= folds <= subjects:
        raise ConfigurationError(f"--folds {folds}, but it must be 2 to {subjects}, the number of subjects")
    for label, count in sorted(_subjects_per_class(cohort).items()):
        if count < 2:
            raise ConfigurationError(
                f"class {cohort.classes[label]!r} has one subject among the {subjects} to split, which cannot be both "
                "trained on and held out; add subjects of this class, or leave it out"
            )
    largest = int(cohort.videos["label"].value_counts()["count"].to_numpy().max())
    if largest < folds < subjects:
        raise ConfigurationError(
            f"--folds {folds}, but no class has that many videos; use {largest} at most, or {subjects} to leave one "
            "subject out"
        )


def _subjects_per_class(cohort: Cohort) -> dict[int, int]:
    counts = cohort.videos.group_by("label").agg(pl.col("subject").n_unique())
    return dict(counts.iter_rows())


def _shuffled(cohort: Cohort, folds: int, seed: int) -> Iterator[tuple[str, ...]]:
    """Yields each fold's held-out subjects, sorted."""
    videos = cohort.videos.sort("subject", "video")
    groups, labels = videos["subject"].to_numpy(), videos["label"].to_numpy()
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer videos than folds: counted by the caller
        for _, test in splitter.split(np.zeros(len(labels)), labels, groups):
            yield tuple(sorted(set(groups[test].tolist())))


def _all_trained(tests: list[tuple[str, ...]], subjects: list[str], classes_of: dict[str, set[int]]) -> bool:
    every = set().union(*classes_of.values())
    return all(test and set().union(*(classes_of[s] for s in subjects if s not in test)) == every for test in tests)


def _folds(tests: list[tuple[str, ...]], subjects: list[str]) -> tuple[Fold, ...]:
    return tuple(
        Fold(index=index, train=tuple(s for s in subjects if s not in test), test=test)
        for index, test in enumerate(tests)
    )
