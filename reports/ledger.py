"""The cohort and its folds in numbers, and the proof that nothing stands on both sides."""

from dataclasses import dataclass

import polars as pl

from trainables.errors import LeakageError
from trainables.records import Cohort, FoldResult, Splits


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Subjects and videos of each class somewhere: in the cohort, or on a side of a fold."""

    subjects: tuple[int, ...]
    videos: tuple[int, ...]

    @property
    def total_subjects(self) -> int:
        """Returns the sum over the classes; a subject with videos of two classes counts in both."""
        return sum(self.subjects)

    @property
    def total_videos(self) -> int:
        return sum(self.videos)


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldEntry:
    """One line of the fold ledger."""

    fold: int
    train_subjects: int
    train_videos: int
    test_subjects: int
    test_videos: int
    test: Group
    names: tuple[str, ...]
    """Subjects of the test side."""
    shared_subjects: int
    shared_files: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """Who is where."""

    subjects: int
    videos: int
    cohort: Group
    folds: tuple[FoldEntry, ...]
    tested_once: bool
    """Whether every subject of the cohort is on exactly one test side."""
    never_tested: tuple[str, ...]


def ledger(cohort: Cohort, splits: Splits) -> Ledger:
    """Returns the counts per class and fold, with the overlaps of the two sides.

    Raises:
        LeakageError: A file stands on both sides of a fold, under whatever name.
    """
    entries = tuple(_entry(cohort, fold.index, fold.train, fold.test) for fold in splits.folds)
    tested = [name for entry in entries for name in entry.names]
    everyone = cohort.subjects()["subject"].to_list()
    return Ledger(
        subjects=len(everyone),
        videos=len(cohort.videos),
        cohort=_group(cohort.videos, len(cohort.classes)),
        folds=entries,
        tested_once=sorted(tested) == sorted(everyone),
        never_tested=tuple(sorted(set(everyone) - set(tested))),
    )


def check_predictions(results: tuple[FoldResult, ...], splits: Splits) -> None:
    """Checks that every scored subject was held out in its fold.

    Raises:
        LeakageError: A fold's predictions hold a subject that is not on the fold's test side.
    """
    held_out = {fold.index: set(fold.test) for fold in splits.folds}
    for result in results:
        known = held_out.get(result.fold, set())
        if strangers := sorted(set(result.predictions["subject"]) - known):
            raise LeakageError(
                f"fold {result.fold} scored subject {strangers[0]!r}, which is not on its test side; "
                "delete that fold's folder and run the search again"
            )


def _entry(cohort: Cohort, index: int, train: tuple[str, ...], test: tuple[str, ...]) -> FoldEntry:
    training, testing = cohort.of_subjects(train), cohort.of_subjects(test)
    shared_subjects = set(training["subject"]) & set(testing["subject"])
    shared_files = set(training["sha256"]) & set(testing["sha256"])
    if shared_files:
        video = testing.filter(pl.col("sha256").is_in(list(shared_files)))["video"][0]
        raise LeakageError(f"fold {index} has the file of video {video!r} on both sides; remake the splits")
    return FoldEntry(
        fold=index,
        train_subjects=training["subject"].n_unique(),
        train_videos=len(training),
        test_subjects=testing["subject"].n_unique(),
        test_videos=len(testing),
        test=_group(testing, len(cohort.classes)),
        names=tuple(sorted(test)),
        shared_subjects=len(shared_subjects),
        shared_files=len(shared_files),
    )


def _group(videos: pl.DataFrame, classes: int) -> Group:
    parts = [videos.filter(pl.col("label") == label) for label in range(classes)]
    return Group(subjects=tuple(p["subject"].n_unique() for p in parts), videos=tuple(len(p) for p in parts))
