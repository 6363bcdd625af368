"""Subject-wise folds: nothing stands on both sides, and every class is trained on."""

from dataclasses import replace
from platform.splits import _pair, check_ledger, make_splits, only_fold, outer_splits, splits_of_column

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import LeaveOneGroupOut

from tests.errors import coded
from trainables.errors import ConfigurationError, LeakageError
from trainables.study.records import Cohort, Splits


def cohort(labels: list[int], videos: list[int] | None = None) -> Cohort:
    """Returns subjects P00, P01, ... with one label each, and as many videos as `videos` says (2)."""
    rows = [
        (f"P{i:02}", f"P{i:02}/{v}.mp4", f"hash of {i} {v}", label)
        for i, label in enumerate(labels)
        for v in range(videos[i] if videos else 2)
    ]
    table = pl.DataFrame(rows, schema=["subject", "video", "sha256", "label"], orient="row")
    classes = tuple(f"class {c}" for c in range(max(labels) + 1))
    return Cohort(name="c", simulated=False, label="label", classes=classes, parameters=(), videos=table)


# Every class has subjects enough for the folds: 2 to 4 classes, 2 to 4 folds, 1 to 5 videos a subject.
cohorts = st.integers(2, 4).flatmap(
    lambda folds: st.lists(st.integers(folds, folds + 4), min_size=2, max_size=4).flatmap(
        lambda counts: st.tuples(
            st.just(folds),
            st.permutations([c for c, n in enumerate(counts) for _ in range(n)]),
            st.lists(st.integers(1, 5), min_size=sum(counts), max_size=sum(counts)),
        )
    )
)


@given(cohorts, st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_every_subject_is_held_out_once(case: tuple[int, list[int], list[int]], seed: int):
    """Each subject is held out in exactly one fold and trained on in all others; every class is on both sides."""
    folds, labels, videos = case
    whole = cohort(labels, videos)
    splits = make_splits(whole, folds=folds, seed=seed)
    check_ledger(whole, splits)
    everyone = whole.subjects()["subject"].to_list()
    assert sorted(s for fold in splits.folds for s in fold.test) == everyone
    label_of = dict(zip(everyone, whole.subjects()["label"], strict=True))
    for fold in splits.folds:
        assert sorted(fold.train + fold.test) == everyone
        assert {label_of[s] for s in fold.train} == set(labels)
        assert {label_of[s] for s in fold.test} == set(labels)


def test_one_subject_per_fold_is_leave_one_group_out():
    """As many folds as subjects gives scikit-learn's LeaveOneGroupOut."""
    whole = cohort([0, 1, 2, 0, 1, 2, 0])
    splits = make_splits(whole, folds=7, seed=5)
    groups = whole.videos["subject"].to_numpy()
    oracle = LeaveOneGroupOut().split(groups, groups=groups)
    expected = [(tuple(sorted(set(groups[train]))), tuple(set(groups[test]))) for train, test in oracle]
    assert [(fold.train, fold.test) for fold in splits.folds] == expected
    assert splits.method == "leave one subject out"


def test_seed_decides():
    """The same seed gives the same folds, whatever the order of the rows; another seed gives others."""
    whole = cohort([0, 1] * 10)
    shuffled = replace(whole, videos=whole.videos.sample(fraction=1, shuffle=True, seed=1))
    assert make_splits(whole, folds=5, seed=3) == make_splits(shuffled, folds=5, seed=3)
    assert make_splits(whole, folds=5, seed=3) != make_splits(whole, folds=5, seed=4)
    assert make_splits(whole, folds=5, seed=3).method == "StratifiedGroupKFold(5), seed 3"


def test_rare_class_is_always_trained_on():
    """A class of two subjects is held out in two of five folds, and never without a subject left to train on."""
    whole = cohort([0] * 10 + [1] * 10 + [2] * 2)
    for seed in range(20):
        splits = make_splits(whole, folds=5, seed=seed)
        held_out = [{"P20", "P21"} & set(fold.test) for fold in splits.folds]
        assert sorted(map(len, held_out)) == [0, 0, 0, 1, 1]


@given(cohorts, st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_classes_are_spread_by_subjects_and_not_by_videos(case: tuple[int, list[int], list[int]], seed: int):
    """However many videos a subject has, no test side has two subjects of a class more than another."""
    folds, labels, videos = case
    whole = cohort(labels, videos)
    label_of = dict(whole.subjects().select("subject", "label").iter_rows())
    counts = [[[label_of[s] for s in f.test].count(c) for c in set(labels)] for f in make_splits(whole, folds=folds, seed=seed).folds]  # fmt: skip
    for of_class in zip(*counts, strict=True):
        assert max(of_class) - min(of_class) <= 1


def sites(labels: list[int], count: int) -> Cohort:
    """Returns subjects in turn of as many sites, which the column fold names."""
    whole = cohort(labels)
    names = {f"P{i:02}": f"site {i % count}" for i in range(len(labels))}
    return replace(whole, videos=whole.videos.with_columns(fold=pl.col("subject").replace_strict(names, return_dtype=pl.String)))  # fmt: skip


def test_outer_folds_of_a_column_leave_one_site_out():
    """Each outer fold is one site; another number of outer folds, or two sites, is an error."""
    whole = sites([0, 0, 0, 1, 1, 1] * 2, 3)
    splits = outer_splits(whole, folds=3, seed=0, by_column=True)
    site_of = dict(whole.videos.select("subject", "fold").unique().iter_rows())
    assert [{site_of[s] for s in f.test} for f in splits.folds] == [{"site 0"}, {"site 1"}, {"site 2"}]
    for fold in splits.folds:
        assert not {site_of[s] for s in fold.test} & {site_of[s] for s in fold.train}
    with pytest.raises(ConfigurationError, check=coded("option.outer_folds.conflict", "5", "3 folds")):
        outer_splits(whole, folds=5, seed=0, by_column=True)
    with pytest.raises(ConfigurationError, check=coded("option.fold_column.too_few", "2 folds")):
        outer_splits(sites([0, 0, 1, 1] * 2, 2), folds=2, seed=0, by_column=True)


@pytest.mark.parametrize("names", [("a.mp4", "b.mp4"), ("a=1.mp4", "b=2.mp4")])
def test_an_allowed_duplicate_is_a_pair(names: tuple[str, str]):
    """A pair is read in either order, also where names hold '='; one video alone, or an unknown one, is an error."""
    whole = cohort([0, 1], [1, 1])
    whole = replace(whole, videos=whole.videos.with_columns(video=pl.Series(names)))
    assert _pair("=".join(names), whole) == _pair("=".join(names[::-1]), whole) == set(names)
    for wrong in (names[0], f"{names[0]}={names[0]}", f"{names[0]}=other.mp4"):
        with pytest.raises(ConfigurationError, check=coded("option.allow_duplicate.unknown")):
            _pair(wrong, whole)


def test_labels_per_video():
    """Subjects whose videos carry different labels stay whole."""
    videos = cohort([0] * 6).videos.with_columns(label=pl.Series([0, 1] * 6))
    whole = replace(cohort([0, 1]), videos=videos, per_video_labels=True)
    splits = make_splits(whole, folds=3, seed=0)
    check_ledger(whole, splits)
    assert [len(fold.test) for fold in splits.folds] == [2, 2, 2]


@pytest.mark.parametrize("folds", [1, 7])
def test_number_of_folds(folds):
    """Folds are at least 2 and at most the subjects."""
    with pytest.raises(ConfigurationError, check=coded("splits.too_few_subjects", f"--folds {folds}", "2 to 6")):
        make_splits(cohort([0, 1] * 3), folds=folds, seed=0)


def test_class_of_one_subject():
    """A class with one subject cannot be cross-validated."""
    with pytest.raises(ConfigurationError, check=coded("splits.single_subject_class", "'class 1'")):
        make_splits(cohort([0, 0, 0, 0, 1]), folds=2, seed=0)


def test_more_folds_than_any_class_has_videos():
    """Folds that cannot be stratified say how many can, and that one subject each can be left out."""
    with pytest.raises(ConfigurationError, check=coded("splits.class_too_small", "2 at most", "4")):
        make_splits(cohort([0, 0, 1, 1], [1, 1, 1, 1]), folds=3, seed=0)


def test_ledger():
    """The ledger has one row per fold and video, with its side and its file's hash."""
    whole = cohort([0, 1, 0, 1], [1, 2, 1, 1])
    table = make_splits(whole, folds=4, seed=0).ledger(whole)
    assert table.filter(fold=1).rows() == [
        (1, "train", "P00", "P00/0.mp4", "hash of 0 0"),
        (1, "train", "P02", "P02/0.mp4", "hash of 2 0"),
        (1, "train", "P03", "P03/0.mp4", "hash of 3 0"),
        (1, "test", "P01", "P01/0.mp4", "hash of 1 0"),
        (1, "test", "P01", "P01/1.mp4", "hash of 1 1"),
    ]
    assert table.group_by("fold").len()["len"].to_list() == [5] * 4


def test_repeated_folds():
    """Folds that are drawn again hold each subject out once each time, and are not the same folds again."""
    whole = cohort([0, 1] * 6)
    splits = make_splits(whole, folds=3, seed=0, repeats=3)
    check_ledger(whole, splits)
    assert [fold.index for fold in splits.folds] == list(range(9))
    rounds = [{fold.test for fold in splits.folds[i : i + 3]} for i in (0, 3, 6)]
    assert all(sorted(s for test in r for s in test) == whole.subjects()["subject"].to_list() for r in rounds)
    assert rounds[0] != rounds[1] != rounds[2]
    assert rounds[0] == {fold.test for fold in make_splits(whole, folds=3, seed=0).folds}
    with pytest.raises(ConfigurationError, check=coded("option.repeats.leave_one_out")):
        make_splits(whole, folds=12, seed=0, repeats=2)


def test_folds_of_a_column():
    """The manifest's own folds are taken as they are, in the order of their names."""
    whole = cohort([0, 1] * 3)
    names = {"P00": "10", "P01": "10", "P02": "9", "P03": "9", "P04": "b2", "P05": "b2"}
    named = replace(
        whole, videos=whole.videos.with_columns(fold=pl.col("subject").replace_strict(names, return_dtype=pl.String))
    )
    splits = splits_of_column(named)
    assert [fold.test for fold in splits.folds] == [("P02", "P03"), ("P00", "P01"), ("P04", "P05")]
    assert splits.method == "the manifest's own folds (9, 10, b2)"
    check_ledger(named, splits)


def test_column_that_holds_out_a_whole_class():
    """A fold without training subjects of a class is an error."""
    whole = cohort([0, 0, 1, 1])
    halves = pl.col("subject").is_in(["P00", "P01"]).cast(pl.String)
    named = replace(whole, videos=whole.videos.with_columns(fold=halves))
    with pytest.raises(ConfigurationError, check=coded("splits.class_missing", "fold 'true'")):
        splits_of_column(named)


def test_one_fold_alone():
    """One fold keeps its number and its sides, and need not hold every subject out."""
    whole = cohort([0, 1] * 3)
    splits = make_splits(whole, folds=3, seed=0)
    alone = only_fold(splits, 2)
    assert alone.folds == (splits.folds[2],)
    assert alone.method == "fold 2 alone of StratifiedGroupKFold(3), seed 0"
    check_ledger(whole, alone)
    with pytest.raises(ConfigurationError, check=coded("fold.range", "(0-2)")):
        only_fold(splits, 3)


def spoilt(splits: Splits, side: str, subjects: tuple[str, ...]) -> Splits:
    """Returns the splits with one side of fold 0 overwritten, behind the back of Fold's own check."""
    object.__setattr__(splits.folds[0], side, subjects)
    return splits


def test_subject_on_both_sides():
    """A subject on both sides is an error, even where the record's own check was passed by."""
    whole = cohort([0, 1] * 2)
    splits = make_splits(whole, folds=2, seed=0)
    splits = spoilt(splits, "train", splits.folds[0].train + splits.folds[0].test[:1])
    with pytest.raises(LeakageError, check=coded("leakage.subject_on_both_sides", "fold 0")):
        check_ledger(whole, splits)


def test_file_on_both_sides():
    """The same file under two subjects is an error where folds part them."""
    whole = cohort([0, 1, 0, 1], [1] * 4)
    same = whole.videos.with_columns(sha256=pl.Series(["a", "b", "a", "c"]))
    splits = make_splits(whole, folds=4, seed=0)
    with pytest.raises(
        LeakageError,
        check=coded("leakage.file_on_both_sides", "P02/0.mp4", "P00/0.mp4"),
    ):
        check_ledger(replace(whole, videos=same), splits)


def test_splits_of_another_cohort():
    """Splits that do not hold exactly the cohort's subjects are an error."""
    splits = make_splits(cohort([0, 1] * 2), folds=2, seed=0)
    with pytest.raises(LeakageError, check=coded("splits.other_cohort", "'P04'")):
        check_ledger(cohort([0, 1] * 3), splits)


def test_subject_held_out_twice():
    """A subject that is held out in two folds is an error."""
    whole = cohort([0, 1] * 2)
    splits = make_splits(whole, folds=2, seed=0)
    everyone = splits.folds[0].train + splits.folds[0].test
    splits = spoilt(spoilt(splits, "train", ()), "test", everyone)
    with pytest.raises(LeakageError, check=coded("leakage.held_out_count", "2 times")):
        check_ledger(whole, splits)
