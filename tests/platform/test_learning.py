"""Shares of the training subjects: stratified, nested, and never a held-out subject among them."""

from platform.learning import repeated_shares, share_study, subset
from platform.splits import check_ledger, make_splits

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.numbers.ledger import check_everything
from tests.make_study import make_study
from trainables.study.learning_records import SHARES, part_folder
from trainables.study.records import Cohort, Fold, Splits, StudyRecord


def cohort_of(sizes: list[int]) -> Cohort:
    """Returns a cohort with so many subjects of each class, two videos each."""
    rows = [
        {"subject": f"{label}-{index:02}", "video": f"{label}-{index}-{v}", "sha256": f"{label}{index}{v}", "label": label}
        for label, size in enumerate(sizes)
        for index in range(size)
        for v in range(2)
    ]  # fmt: skip
    return Cohort(
        name="c",
        simulated=True,
        label="gait",
        classes=tuple(str(i) for i in range(len(sizes))),
        parameters=(),
        videos=pl.DataFrame(rows),
    )


@given(st.lists(st.integers(3, 12), min_size=2, max_size=4), st.integers(0, 5))
def test_shares_are_nested_and_keep_every_class(sizes: list[int], seed: int) -> None:
    """Each share lies inside the next, has at least one subject of each class and about its share, and the test side stays."""
    cohort = cohort_of(sizes)
    for fold in make_splits(cohort, folds=3, seed=seed).folds:
        before: set[str] = set()
        for share in SHARES:
            part = subset(cohort, fold, share, seed)
            kept = set(part.train)
            assert part.test == fold.test
            assert before <= kept <= set(fold.train)
            for label in range(len(sizes)):
                everyone = [s for s in fold.train if s.startswith(f"{label}-")]
                count = sum(s.startswith(f"{label}-") for s in kept)
                assert count >= 1
                assert abs(count - share / 100 * len(everyone)) <= 0.61
            before = kept
        assert subset(cohort, fold, 100, seed) == fold


def test_shares_with_the_same_subjects_are_counted_once() -> None:
    """With two training subjects of a class 80 % are all of them, and 40 % and 60 % are the same one; with twenty none is."""
    small, large = cohort_of([3, 3]), cohort_of([30, 30])
    assert repeated_shares(small, make_splits(small, folds=3, seed=0), 0) == {40: 60, 80: 100}
    assert repeated_shares(large, make_splits(large, folds=3, seed=0), 0) == {}


def test_folds_and_seeds_draw_other_subjects() -> None:
    """The draw follows the seed and the fold, and is the same every time."""
    cohort = cohort_of([20, 20])
    fold = Fold(index=0, train=tuple(cohort.subjects()["subject"].to_list()[:-2]), test=("1-18", "1-19"))
    assert subset(cohort, fold, 40, 0) == subset(cohort, fold, 40, 0)
    assert subset(cohort, fold, 40, 0) != subset(cohort, fold, 40, 1)


def test_subjects_with_labels_of_several_classes_are_a_stratum() -> None:
    """With labels per video a subject of two classes is drawn among those of the same two."""
    videos = pl.DataFrame({"subject": list("AABBCDE"), "video": list("abcdefg"), "sha256": list("abcdefg"),
                           "label": [0, 1, 0, 1, 0, 1, 0]})  # fmt: skip
    cohort = Cohort(name="c", simulated=True, label="g", classes=("0", "1"), parameters=(), videos=videos, per_video_labels=True)  # fmt: skip
    part = subset(cohort, Fold(index=0, train=tuple("ABCDE"), test=()), 40, 0)
    assert len(set(part.train) & {"A", "B"}) == 1
    assert "D" in part.train


@pytest.mark.parametrize("share", SHARES)
def test_a_share_is_a_sound_study_of_one_fold(share: int, tmp_path) -> None:
    """Its ledger holds, it has the study's options, it is checked with the study, and it goes on when it is opened again."""
    from platform.study import Study

    folder = make_study(tmp_path / "s")
    study = Study(
        folder=folder,
        record=StudyRecord.load(folder),
        cohort=Cohort.load(folder),
        splits=Splits.load(folder / "splits.json"),
    )
    before = check_everything(folder)
    fold = study.splits.folds[1]
    part = share_study(study, fold, share, 0)
    check_ledger(part.cohort, part.splits)
    assert part.folder == part_folder(folder, share, 1)
    assert set(part.cohort.videos["subject"]) == {*part.splits.folds[0].train, *fold.test}
    assert len(part.splits.folds[0].train) < len(fold.train)
    assert share_study(study, fold, share, 0).splits == part.splits
    assert check_everything(folder) == before  # it is looked into, and has no fold yet
