"""Two configurations on the same folds, against scipy, brute force and cases worked out by hand."""

import dataclasses
import itertools
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reports.numbers.comparisons import (
    bootstrap_differences,
    compare,
    holm,
    nadeau_bengio,
    permutation_p_value,
)
from reports.numbers.statistics import fold_scores
from tests.errors import coded
from trainables.errors import ConfigurationError, StridefoldError
from trainables.study.metrics import score

PAIRS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=12)


def _predictions(true: list[int], answers: list[int], folds: int = 2) -> pl.DataFrame:
    """Returns one window per subject of three classes, 0.8 sure of its answer."""
    rows = [
        {"fold": i % folds, "subject": f"s{i:03}", "video": "v0", "window": 0, "true": t}
        | {"probabilities": [0.8 if c == a else 0.1 for c in range(3)]}
        for i, (t, a) in enumerate(zip(true, answers, strict=True))
    ]
    return pl.DataFrame(rows, schema_overrides={"probabilities": pl.List(pl.Float64)})


def _cohort(rng: np.random.Generator, subjects: int, skill: float = 1.0, videos: int = 2) -> pl.DataFrame:
    """Returns two windows per video, with random probabilities that favour the true class by `skill`."""
    rows = []
    for i in range(subjects):
        true = (0, 1, 0, 1, 2)[i % 5]
        for video, window in itertools.product(range(videos), range(2)):
            logits = rng.normal(size=3) + skill * (np.arange(3) == true)
            row = {"fold": i % 3, "subject": f"s{i:03}", "video": f"v{video}", "window": window, "true": true}
            rows.append(row | {"probabilities": (np.exp(logits) / np.exp(logits).sum()).tolist()})
    return pl.DataFrame(rows)


def _right_matrices(right: np.ndarray) -> np.ndarray:
    """Returns confusion matrices [S, 2, 2] of one unit per subject, all of class 0, for answers right or not."""
    matrices = np.zeros((len(right), 2, 2), dtype=int)
    matrices[np.arange(len(right)), 0, 1 - right.astype(int)] = 1
    return matrices


@pytest.mark.parametrize("metric", ["macro_f1", "balanced_accuracy", "video/macro_f1", "window/quadratic_kappa"])
def test_p_value_is_that_of_all_swaps_by_hand(metric):
    """Swapping the rows of every set of 6 subjects and scoring again gives the same share of differences as large."""
    ours, other = _cohort(np.random.default_rng(1), 6, 2.5), _cohort(np.random.default_rng(2), 6, 0.5)
    names = sorted(ours["subject"].unique())
    differences = []
    for swapped in itertools.chain.from_iterable(itertools.combinations(names, n) for n in range(7)):
        inside = pl.col("subject").is_in(swapped)
        one = pl.concat([ours.filter(~inside), other.filter(inside)])
        two = pl.concat([other.filter(~inside), ours.filter(inside)])
        differences.append(score(one, metric, 3) - score(two, metric, 3))
    expected = np.mean(np.abs(differences) >= abs(differences[0]) - 1e-9)
    assert 0 < expected < 1
    assert compare(ours, {"other": other}, metric, 3)[0].p_value == expected


def test_p_value_equals_scipy_permutation_test():
    """For accuracy at subject level it is scipy's exact permutation test of paired samples."""
    rng = np.random.default_rng(5)
    right, other_right = rng.random(12) < 0.9, rng.random(12) < 0.4
    ours, other = (_predictions([0] * 12, np.where(r, 0, 1).tolist()) for r in (right, other_right))
    expected = stats.permutation_test(
        (right.astype(float), other_right.astype(float)),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    (found,) = compare(ours, {"other": other}, "accuracy", 3)
    assert found.p_value == pytest.approx(expected.pvalue, abs=1e-12)
    assert found.difference == pytest.approx(expected.statistic, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(PAIRS)
def test_p_value_of_accuracy_is_exact_mcnemar(rows):
    """With one unit per subject it is the two-sided binomial test of the subjects that one alone has right."""
    true, answers, other_answers = (list(side) for side in zip(*rows, strict=True))
    (found,) = compare(_predictions(true, answers), {"o": _predictions(true, other_answers)}, "accuracy", 3)
    discordant = found.only_ours + found.only_other
    expected = stats.binomtest(found.only_ours, discordant).pvalue if discordant else 1.0
    assert found.p_value == pytest.approx(expected, abs=1e-12)


def test_drawn_swaps_come_near_to_exact_mcnemar():
    """30 differing subjects are too many to try all swaps; 10,000 draws are within 0.01 of the exact p, and never 0."""
    right = np.arange(40) < 30
    other_right = (np.arange(40) >= 20) & right | (np.arange(40) >= 30)
    one, two = _right_matrices(right), _right_matrices(other_right)
    found = permutation_p_value(one, two, "accuracy", np.random.default_rng(0))
    assert found == pytest.approx(stats.binomtest(20, 30).pvalue, abs=0.01)
    apart = permutation_p_value(one[:30], one[:30, :, ::-1], "accuracy", np.random.default_rng(0))
    assert apart == 1 / 10_001


def test_identical_predictions_do_not_differ():
    """A configuration beside itself has difference 0 and p 1, an interval around 0, and no fold test."""
    ours = _cohort(np.random.default_rng(0), 12)
    (found,) = compare(ours, {"itself": ours}, "macro_f1", 3)
    assert (found.difference, found.p_value, found.adjusted, found.smallest_p) == (0, 1, 1, 1)
    assert found.low < 0 < found.high
    assert (found.only_ours, found.only_other) == (0, 0)
    assert (found.folds_p_value, found.folds_adjusted, found.folds_low) == (None, None, None)


def test_the_other_way_round_is_the_same_comparison():
    """Ours and the other exchanged turn the sign of the difference and of its interval, and leave the p-values."""
    ours, other = _cohort(np.random.default_rng(1), 30, 1.5), _cohort(np.random.default_rng(2), 30, 1.0)
    (one,), (two,) = (compare(a, {"b": b}, "macro_f1", 3) for a, b in ((ours, other), (other, ours)))
    assert (one.value, one.difference) == (two.other_value, -two.difference)
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low), abs=0.02)  # the imagined subjects change places
    assert (one.p_value, one.detectable) == (two.p_value, pytest.approx(two.detectable))
    assert one.folds_p_value == pytest.approx(two.folds_p_value)
    assert (one.only_ours, one.only_other) == (two.only_other, two.only_ours)


def test_a_null_cohort_is_called_different_once_in_twenty():
    """Of 200 cohorts where both configurations are equally good, about 5 % have p <= 0.05."""
    rng = np.random.default_rng(7)
    true, found = np.arange(18) % 3, []
    for _ in range(200):
        one, two = (np.zeros((18, 3, 3), dtype=int) for _ in range(2))
        for counts, _video in itertools.product((one, two), range(2)):
            answers = np.where(rng.random(18) < 0.5, true, rng.integers(0, 3, 18))
            counts[np.arange(18), true, answers] += 1
        found.append(permutation_p_value(one, two, "macro_f1", rng))
    assert 3 <= sum(p <= 0.05 for p in found) <= 19
    assert 70 <= sum(p <= 0.5 for p in found) <= 130


def test_the_bootstrap_is_paired():
    """Accuracy's standard error is that of the paired differences, far below what two unrelated cohorts would have."""
    right = np.arange(60) % 2 == 0
    other_right = right & (np.arange(60) >= 6)
    one, two = _right_matrices(right), _right_matrices(other_right)
    draws = bootstrap_differences(one, two, "accuracy", np.random.default_rng(0), draws=20_000)
    paired = (right.astype(float) - other_right).std() / np.sqrt(60)
    assert draws.mean() == pytest.approx(3 / 60, abs=0.001)
    assert draws.std() == pytest.approx(paired, rel=0.03)
    assert paired < 0.4 * np.sqrt(right.var() / 60 + other_right.var() / 60)


def test_interval_is_near_scipys_paired_bootstrap():
    """The interval of accuracy's difference is scipy's bootstrap of paired differences at expanded percentiles, to 0.02."""
    rng = np.random.default_rng(4)
    right, other_right = rng.random(80) < 0.8, rng.random(80) < 0.6
    ours, other = (_predictions([0] * 80, np.where(r, 0, 1).tolist()) for r in (right, other_right))
    (found,) = compare(ours, {"other": other}, "accuracy", 3)
    tail = stats.norm.cdf(-np.sqrt(80 / 79) * stats.t.ppf(0.975, 79))  # Hesterberg 2015
    expected = stats.bootstrap(
        (right.astype(float) - other_right,),
        np.mean,
        n_resamples=9999,
        method="percentile",
        confidence_level=1 - 2 * tail,
        rng=rng,
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.02)


def test_nadeau_bengio_by_hand():
    """Five folds of mean 0.11 and variance 0.0055: t = 0.11 / sqrt((1/5 + 0.2/0.8) 0.0055), 4 degrees of freedom."""
    found = nadeau_bengio([0.1, 0.2, 0.0, 0.1, 0.15], 0.2)
    assert found == pytest.approx(2 * stats.t.sf(0.11 / np.sqrt(0.45 * 0.0055), 4))


def test_nadeau_bengio_without_shared_training_is_the_plain_t_test():
    """With nothing held out the correction vanishes and the test is scipy's one-sample t-test."""
    differences = [0.1, -0.05, 0.2, 0.02]
    assert nadeau_bengio(differences, 0) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    assert nadeau_bengio(differences, 0.25) > nadeau_bengio(differences, 0)


@pytest.mark.parametrize("differences", [[], [0.1], [0.1, 0.1, 0.1], [0.3 - 0.2, 0.1]])
def test_nadeau_bengio_is_undefined_without_variance(differences):
    """Fewer than two folds, or folds that all differ alike, have no t-test."""
    assert nadeau_bengio(differences, 0.2) is None


def test_folds_are_tested_on_their_subject_level_scores():
    """The fold test takes the folds' scores as the report shows them, and a third of the subjects as held out."""
    ours, other = _cohort(np.random.default_rng(1), 30, 2.0), _cohort(np.random.default_rng(2), 30)
    seconds = {0: 1.0, 1: 1.0, 2: 1.0}
    (one, _), (two, _) = (fold_scores(p, seconds, 3, ("macro_f1",)) for p in (ours, other))
    differences = [a.scores["macro_f1"] - b.scores["macro_f1"] for a, b in zip(one, two, strict=True)]
    (found,) = compare(ours, {"other": other}, "video/macro_f1", 3)
    assert found.folds_p_value == pytest.approx(nadeau_bengio(differences, 1 / 3))


def test_holm_by_hand():
    """Of four p-values the smallest counts four times, the next three times, and none falls below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([]) == ()
    assert holm([0.2]) == (0.2,)
    assert holm([0.6, 0.9]) == (1.0, 1.0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_stays_below_bonferroni(p_values):
    """An adjusted p-value is at least the plain one and at most Bonferroni's, and the order stays."""
    adjusted = holm(p_values)
    for p, a in zip(p_values, adjusted, strict=True):
        assert p <= a <= min(1, len(p_values) * p)
    assert [adjusted[i] for i in np.argsort(p_values, kind="stable")] == sorted(adjusted)


def test_comparisons_made_together_are_corrected_together():
    """Two others keep their names and order, their p-values are Holm's, and each record is plain JSON."""
    rng = np.random.default_rng(0)
    ours, good, bad = (_cohort(rng, 25, skill) for skill in (2.0, 1.5, 0.0))
    found = compare(ours, {"runner-up": good, "baseline": bad}, "macro_f1", 3)
    assert [c.other for c in found] == ["runner-up", "baseline"]
    assert tuple(c.adjusted for c in found) == holm([c.p_value for c in found])
    for one, other in zip(found, (good, bad), strict=True):
        assert (one.metric, one.level) == ("macro_f1", "subject")
        assert one.value == pytest.approx(score(ours, "macro_f1", 3))
        assert one.other_value == pytest.approx(score(other, "macro_f1", 3))
        assert one.low <= one.difference <= one.high
        assert json.loads(json.dumps(dataclasses.asdict(one))) == dataclasses.asdict(one)
    assert compare(ours, {}, "macro_f1", 3) == ()


def test_subjects_that_one_alone_has_right_are_counted():
    """Three subjects that ours alone has right and one that the other alone has right."""
    ours, other = _predictions([0, 0, 1, 1, 2], [0, 0, 1, 0, 1]), _predictions([0, 0, 1, 1, 2], [1, 2, 0, 1, 0])
    (found,) = compare(ours, {"other": other}, "accuracy", 3)
    assert (found.only_ours, found.only_other) == (3, 1)


def test_a_subject_of_two_classes_is_right_where_both_answers_are():
    """Of a subject with videos of two classes, one right answer of two is not enough."""
    rows = _predictions([0, 1, 2, 2], [0, 1, 2, 2]), _predictions([0, 1, 2, 2], [0, 2, 2, 2])
    ours, other = (p.with_columns(subject=pl.Series(["a", "a", "b", "c"]), fold=0) for p in rows)
    (found,) = compare(ours, {"other": other}, "accuracy", 3)
    assert (found.only_ours, found.only_other) == (1, 0)


def test_windows_cut_differently_are_compared_as_videos():
    """A baseline with one prediction a video is compared at video level and says so; equal windows stay windows."""
    ours = _cohort(np.random.default_rng(1), 10)
    baseline = _cohort(np.random.default_rng(2), 10).filter(pl.col("window") == 0)
    (windows,) = compare(ours, {"other": _cohort(np.random.default_rng(2), 10)}, "window/macro_f1", 3)
    (videos,) = compare(ours, {"baseline": baseline}, "window/macro_f1", 3)
    assert (windows.level, videos.level) == ("window", "video")
    assert videos.value == pytest.approx(score(ours, "video/macro_f1", 3))


@pytest.mark.parametrize(
    ("change", "metric", "code", "values"),
    [
        (
            lambda p: p.filter(pl.col("subject") != "s003"),
            "macro_f1",
            "comparison.not_scored",
            ("subject 's003'", "probe"),
        ),
        (
            lambda p: p.with_columns(subject=pl.col("subject").str.replace("s003", "s0030")),
            "macro_f1",
            "comparison.not_scored",
            ("subject 's003'", "probe"),
        ),
        (
            lambda p: p.filter(pl.col("subject") != "s003").vstack(p.filter(pl.col("subject") == "s003")[:2]),
            "video/macro_f1",
            "comparison.not_scored",
            ("subject 's003', video 'v1'", "probe"),
        ),
        (
            lambda p: p.with_columns(fold=(pl.col("fold") + 1) % 3),
            "macro_f1",
            "comparison.other_truth",
            ("subject 's000'", "fold 0", "1 for probe"),
        ),
        (
            lambda p: p.with_columns(true=2 - pl.col("true")),
            "window/macro_f1",
            "comparison.other_truth",
            ("subject 's000', video 'v0', window 0", "class 0", "2 for probe"),
        ),
    ],
)
def test_what_was_not_scored_alike_is_not_compared(change, metric, code, values):
    """A subject, video, fold or true class that differs is named in one sentence."""
    ours = _cohort(np.random.default_rng(1), 6)
    with pytest.raises(StridefoldError, check=coded(code, *values)):
        compare(ours, {"probe": change(ours)}, metric, 3)


def test_unknown_metric_is_named():
    """A metric that does not exist is the error that the search gives too."""
    with pytest.raises(ConfigurationError, check=coded("option.metric.unknown", "auc")):
        compare(_cohort(np.random.default_rng(1), 6), {}, "auc", 3)
