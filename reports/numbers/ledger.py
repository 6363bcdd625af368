"""The cohort and its folds in numbers, and the proof that nothing stands on both sides."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from trainables.errors import LeakageError
from trainables.study.files import read_parquet
from trainables.study.records import Cohort, FoldResult, Splits, read_ledger


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
    tested: int
    """Test sides that every subject of the cohort is on, as often as the folds were drawn; 0 where it is not the same number."""
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
        tested=splits.held_out if sorted(tested) == sorted(everyone * splits.held_out) else 0,
        never_tested=tuple(sorted(set(everyone) - set(tested))),
    )


def check_predictions(results: tuple[FoldResult, ...], cohort: Cohort, splits: Splits, noted: pl.DataFrame) -> None:
    """Checks, by the ledger that was noted before training, that every scored video was held out in its fold.

    Args:
        noted: ledger.parquet of the study.

    Raises:
        LeakageError: The ledger is not that of the cohort and its folds, or a fold scored a video that is not on its test
            side, or whose contents are on its training side.
    """
    if not noted.equals(splits.ledger(cohort)):
        raise LeakageError(
            "ledger.parquet is not that of the study's cohort and folds: one of the files was changed after the search "
            "began; restore them, or begin another study",
            code="leakage.ledger_changed",
        )
    for result in results:
        sides = noted.filter(pl.col("fold") == result.fold)
        test = sides.filter(pl.col("side") == "test")
        trained = set(sides.filter(pl.col("side") == "train")["sha256"])
        held_out = {(s, v): sha for s, v, sha in test.select("subject", "video", "sha256").iter_rows()}
        for subject, video in (
            result.predictions.select("subject", "video").unique().sort("subject", "video").iter_rows()
        ):
            if (subject, video) not in held_out or held_out[subject, video] in trained:
                raise LeakageError(
                    f"fold {result.fold} scored video {video!r} of subject {subject!r}, which is not on its test side alone; "
                    "delete that fold's folder and run the search again",
                    code="leakage.scored_outside_test",
                )


def check_everything(folder: Path) -> int:
    """Checks a study and the studies inside it (outer folds, permutations, learning curve), as `check_folder`; returns the folds checked."""
    places = ("outer", "outer/*", "permutations/*", "learning/*/*")
    inside = [place for pattern in places for place in folder.glob(pattern)]
    whole = [place for place in inside if (place / "study.json").exists() and (place / "ledger.parquet").exists()]
    return sum(check_folder(place) for place in (folder, *whole))


def check_folder(folder: Path) -> int:
    """Checks the predictions of every finished fold of a study folder, of all trials and baselines, by its ledger.

    Returns:
        How many folds were checked.

    Raises:
        LeakageError: As `check_predictions`.
    """
    cohort, splits, noted = Cohort.load(folder), Splits.load(folder / "splits.json"), read_ledger(folder)
    if not noted.equals(splits.ledger(cohort)):
        check_predictions((), cohort, splits, noted)
    held_out = noted.filter(side="test").select("fold", "subject", "video", "sha256")
    trained = noted.filter(side="train").select("fold", "sha256")
    good = held_out.join(trained, on=["fold", "sha256"], how="anti").select("fold", "subject", "video")
    finished = sorted(path.parent for path in folder.glob("folds/*/result.json"))
    for place in finished:
        scored = read_parquet(place / "predictions.parquet").select("fold", "subject", "video").unique()
        if len(wrong := scored.join(good, on=["fold", "subject", "video"], how="anti").sort("subject", "video")):
            fold, subject, video = wrong.row(0)
            raise LeakageError(
                f"{place} scored video {video!r} of subject {subject!r}, which is not on the test side of fold {fold} alone; "
                "delete that folder and run the search again",
                code="leakage.scored_outside_test",
            )
    return len(finished)


def _entry(cohort: Cohort, index: int, train: tuple[str, ...], test: tuple[str, ...]) -> FoldEntry:
    training, testing = cohort.of_subjects(train), cohort.of_subjects(test)
    shared_subjects = set(training["subject"]) & set(testing["subject"])
    shared_files = set(training["sha256"]) & set(testing["sha256"])
    if shared_files:
        video = testing.filter(pl.col("sha256").is_in(list(shared_files)))["video"][0]
        raise LeakageError(
            f"fold {index} has the file of video {video!r} on both sides; remake the splits",
            code="leakage.file_on_both_sides",
        )
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
