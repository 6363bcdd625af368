"""Permuted labels keep the design: classes, sites and the likeness of a subject's own labels."""

from collections import Counter
from dataclasses import replace
from platform.options import SearchOptions
from platform.permuted_labels import exchanged
from platform.study_parts import permuted
from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.platform.test_splits import cohort, sites
from trainables.study.records import Cohort


def per_video(vectors: list[list[int]]) -> Cohort:
    """Returns a cohort whose subjects have these labels, one for each of their videos."""
    whole = cohort([v[0] for v in vectors], [len(v) for v in vectors])
    labels = pl.Series([label for v in vectors for label in v])
    return replace(whole, videos=whole.videos.with_columns(label=labels), per_video_labels=True)


def vectors_of(whole: Cohort) -> list[list[int]]:
    return (
        whole.videos.sort("subject", "video").group_by("subject", maintain_order=True).agg("label")["label"].to_list()
    )


@settings(deadline=None, max_examples=80)
@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=4), min_size=2, max_size=10), st.integers(0, 2**31))
def test_labels_per_video_keep_their_classes(vectors: list[list[int]], seed: int):
    """No class wins or loses a video, and every subject keeps as many videos as it had."""
    before = per_video(vectors)
    after = exchanged(before, seed, by_fold=False)
    assert Counter(after.videos["label"].to_list()) == Counter(before.videos["label"].to_list())
    assert [len(v) for v in vectors_of(after)] == [len(v) for v in vectors]
    assert after.videos.drop("label").equals(before.videos.drop("label"))


def test_whole_label_vectors_change_hands():
    """Subjects with as many videos exchange all their labels together; none is taken apart."""
    vectors = [[0, 0, 1], [2, 2, 2], [1, 0, 1], [0, 1], [2, 0]]
    found = [vectors_of(exchanged(per_video(vectors), seed, by_fold=False)) for seed in range(60)]
    assert len({str(v) for v in found}) == 6 * 2  # every order of the three, and of the two
    assert all(sorted(v) == sorted(vectors) for v in found)


def test_labels_stay_within_the_folds_of_a_column():
    """With sites as folds each site keeps its classes, so every permutation has folds."""
    whole = sites([0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1], 3)
    for seed in range(40):
        after = exchanged(whole, seed, by_fold=True)
        for site in ("site 0", "site 1", "site 2"):
            kept = [sorted(c.videos.filter(fold=site)["label"].to_list()) for c in (whole, after)]
            assert kept[0] == kept[1]


def test_shuffles_without_folds_are_drawn_again(tmp_path):
    """With classes on one site each in some shuffles, every permuted search still gets folds."""
    from tests.platform.test_splits import make_splits
    from trainables.study.records import StudyRecord

    whole = per_video([[0, 0], [1, 1], [0, 1], [1, 0], [0, 0], [1, 1]])
    record = StudyRecord(
        name="s", options={}, task={}, metric="video/macro_f1", cohort_sha256="", splits_sha256="", backbone={},
        versions={}, git="", started="",
    )  # fmt: skip
    study = SimpleNamespace(folder=tmp_path, record=record, cohort=whole, splits=make_splits(whole, folds=2, seed=0))
    for number in range(20):
        made = permuted(study, number, SearchOptions(folds=2))
        labels = dict(made.cohort.videos.group_by("subject").agg("label").iter_rows())
        for fold in made.splits.folds:
            assert {label for s in fold.train for label in labels[s]} == {0, 1}
        assert permuted(study, number, SearchOptions(folds=2)).cohort.sha256() == made.cohort.sha256()


@pytest.mark.parametrize("seed", [0, 5])
def test_one_label_per_subject_is_the_draw_that_it_was(seed: int):
    """Without folds of a column the labels are those of polars' shuffle over the subjects, as in studies of before."""
    whole = cohort([0, 1, 2, 0, 1, 2, 0], [1, 2, 3, 1, 2, 3, 1])
    subjects = whole.subjects()
    expected = dict(zip(subjects["subject"], subjects["label"].shuffle(seed=seed), strict=True))
    assert dict(exchanged(whole, seed, by_fold=False).subjects().select("subject", "label").iter_rows()) == expected
