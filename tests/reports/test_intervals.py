"""Intervals always have a width, agree with their tests, and power is that of the exact test."""

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reports.numbers.comparisons import compare
from reports.numbers.intervals import SHARED_TRAINING, resampled_counts
from reports.numbers.power import detectable_difference, exact_power, least_difference
from reports.numbers.statistics import fold_scores, fold_value, level_scores, score_interval, wilson
from trainables.study.metrics import score


def predictions(true: list[int], answers: list[int], folds: int = 3) -> pl.DataFrame:
    """Returns one window per subject of three classes, 0.8 sure of its answer."""
    rows = [
        {"fold": i % folds, "subject": f"s{i:03}", "video": "v0", "window": 0, "true": t}
        | {"probabilities": [0.8 if c == a else 0.1 for c in range(3)]}
        for i, (t, a) in enumerate(zip(true, answers, strict=True))
    ]
    return pl.DataFrame(rows, schema_overrides={"probabilities": pl.List(pl.Float64)})


TRUE = [i % 3 for i in range(24)]


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "balanced_accuracy", "quadratic_kappa"])
@pytest.mark.parametrize("shift", [0, 1])
def test_all_right_or_all_wrong_has_an_interval(metric, shift):
    """24 of 24 right is not known to be 1.00, and 0 of 24 not 0: the accuracy's end lies near Wilson's."""
    frame = predictions(TRUE, [(t + shift) % 3 for t in TRUE])
    (found,) = level_scores(frame, "subject", 3, (metric,)).scores
    assert found.low <= found.value <= found.high
    assert found.high - found.low > 0.05
    if metric == "accuracy":
        assert (found.low, found.high) == pytest.approx(wilson(24 * (1 - shift), 24), abs=0.06)


def test_cross_validated_scores_have_wider_intervals_than_independent_answers():
    """With 300 subjects the imagined two hardly count: the interval is the binomial's, wider by the root of the allowance."""
    rng = np.random.default_rng(0)
    right = rng.random(300) < 0.6
    matrices = np.zeros((300, 2, 2), dtype=int)
    matrices[np.arange(300), 0, 1 - right.astype(int)] = 1
    low, high = score_interval(matrices, "accuracy", np.random.default_rng(1))
    expected = 2 * 1.96 * np.sqrt(SHARED_TRAINING * right.var() / 300)
    assert high - low == pytest.approx(expected, rel=0.06)
    assert resampled_counts(matrices, np.random.default_rng(0)).sum((1, 2)) == pytest.approx(
        302 / SHARED_TRAINING, abs=0.5
    )


def test_equal_answers_do_not_show_that_two_methods_are_equal():
    """Two that answer alike on 24 subjects may still differ on others, and the interval says by how much."""
    frame = predictions(TRUE, TRUE)
    (found,) = compare(frame, {"same": frame}, "macro_f1", 3)
    assert found.p_value == 1
    assert found.low < -0.05
    assert found.high > 0.05


def test_four_disagreements_one_way_are_no_difference():
    """At p = .125 the interval of the difference holds 0; the page prints that no smaller p was possible."""
    other = [(t + 1) % 3 if i < 4 else t for i, t in enumerate(TRUE)]
    (found,) = compare(predictions(TRUE, TRUE), {"o": predictions(TRUE, other)}, "accuracy", 3)
    assert found.p_value == found.smallest_p == 0.125
    assert found.low <= 0 < found.high


ANSWERS = st.lists(st.integers(0, 2), min_size=15, max_size=15)


@settings(deadline=None, max_examples=60)
@given(ANSWERS, ANSWERS, st.sampled_from(["accuracy", "macro_f1", "quadratic_kappa"]))
def test_interval_of_a_difference_agrees_with_its_test(answers, other, metric):
    """The interval holds 0 exactly where p is above .05, and it holds the difference."""
    (found,) = compare(predictions(TRUE[:15], answers), {"o": predictions(TRUE[:15], other)}, metric, 3)
    assert (found.low <= 0 <= found.high) == (found.p_value > 0.05)
    assert found.low <= found.difference <= found.high
    assert found.low < found.high


@pytest.mark.parametrize(("subjects", "discordant", "level"), [(12, 0.4, 0.05), (24, 0.3, 0.025), (9, 1.0, 0.05)])
def test_power_is_that_of_all_outcomes(subjects, discordant, level):
    """Power equals the sum over every number of wins and losses of its probability where scipy's exact test rejects."""
    difference = 0.6 * discordant
    ours, other = (discordant + difference) / 2, (discordant - difference) / 2
    expected = 0.0
    for wins, losses in itertools.product(range(subjects + 1), repeat=2):
        if (
            wins + losses <= subjects
            and wins + losses > 0
            and stats.binomtest(wins, wins + losses).pvalue <= level + 1e-12
        ):
            parts = [wins, losses, subjects - wins - losses]
            expected += stats.multinomial.pmf(parts, subjects, [ours, other, 1 - discordant])
    assert exact_power(subjects, discordant, difference, level) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("subjects", "differing", "level"), [(24, 6, 0.05), (24, 6, 0.05 / 3), (60, 10, 0.025)])
def test_detectable_difference_is_found_in_four_of_five_studies(subjects, differing, level):
    """The exact test has a power of 80 % at the printed difference, and less below it."""
    found = detectable_difference(subjects, differing, level)
    share = max(differing / subjects, found)
    assert exact_power(subjects, share, found, level) == pytest.approx(0.8, abs=0.01)
    assert exact_power(subjects, differing / subjects, found / 2, level) < 0.6


def test_few_subjects_can_detect_nothing():
    """Five subjects cannot reach p = .05 even if all differ one way; six can, at 1/32; three comparisons need seven."""
    assert detectable_difference(5, 5, 0.05) is None
    assert least_difference(5, 0.05) is None
    assert least_difference(6, 0.05) == 1
    assert least_difference(24, 0.05) == 6 / 24
    assert least_difference(24, 0.05 / 3) == 7 / 24


def test_methods_are_tested_over_folds_and_corrected_together():
    """The test over folds has its own Holm correction, and an interval that holds 0 exactly where its p is above .05."""
    rng = np.random.default_rng(3)
    true = [i % 3 for i in range(60)]
    ours, *others = ([t if rng.random() < skill else (t + 1) % 3 for t in true] for skill in (0.9, 0.7, 0.2))
    found = compare(
        predictions(true, ours, 6), {str(i): predictions(true, o, 6) for i, o in enumerate(others)}, "macro_f1", 3
    )
    assert [c.folds_adjusted for c in found] == sorted(
        [min(1, 2 * min(c.folds_p_value for c in found)), max(c.folds_p_value for c in found)], reverse=True
    )
    for c in found:
        assert (c.folds_low <= 0 <= c.folds_high) == (c.folds_p_value > 0.05)


def test_leaving_one_subject_out_does_not_make_perfect_answers_bad():
    """A fold of one subject has one class: right answers score 1 there, not a third, and kappa is not defined."""
    frame = predictions(TRUE, TRUE, 24)
    folds, spreads = fold_scores(frame, dict.fromkeys(range(24), 1.0), 3, ("macro_f1", "quadratic_kappa", "accuracy"))
    assert {f.scores["macro_f1"] for f in folds} == {1.0}
    assert {f.scores["quadratic_kappa"] for f in folds} == {None}
    assert [s.mean for s in spreads] == [1.0, None, 1.0]
    wrong = fold_value(np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]]), "macro_f1")
    assert wrong == 0
    assert score(frame, "macro_f1", 3) == 1
