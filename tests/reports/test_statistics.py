"""The report's numbers against scikit-learn, scipy and cases worked out by hand."""

import dataclasses

import numpy as np
import optuna
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from reports.numbers.analysis import analyse
from reports.numbers.descriptions import recurring_terms, split_at_terms
from reports.numbers.ledger import check_predictions, ledger
from reports.numbers.null import permutation_null
from reports.numbers.search import axes, tell_search
from reports.numbers.statistics import (
    bootstrap,
    class_scores,
    confusion,
    fold_scores,
    level_scores,
    metric_values,
    mistakes,
    score_interval,
    standard_error,
    subject_matrices,
    wilson,
)
from tests.errors import coded
from tests.make_study import make_study
from trainables.errors import LeakageError
from trainables.study.leaderboard import TrialRecord, best, chosen, pareto, ranked
from trainables.study.metrics import at_level, score
from trainables.study.records import Cohort, FoldResult, Splits, read_ledger

LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


def _predictions(answers: list[tuple[str, int, int]], fold: int = 0) -> pl.DataFrame:
    """Returns one window per (subject, true, predicted) of three classes, 0.8 sure of the answer."""
    rows = []
    for number, (subject, true, predicted) in enumerate(answers):
        sure = [0.8 if c == predicted else 0.1 for c in range(3)]
        row = {"fold": fold, "subject": subject, "video": f"v{number}", "window": 0, "true": true}
        rows.append(row | {"probabilities": sure})
    return pl.DataFrame(rows)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label was found")
@given(LABELS)
def test_metrics_equal_scikit_learn(pairs):
    """Every metric of a confusion matrix is what scikit-learn computes from the labels themselves."""
    true, predicted = (np.array(side) for side in zip(*pairs, strict=True))
    counts = confusion(true, predicted, 4)
    expected = {
        "accuracy": sk.accuracy_score(true, predicted),
        "macro_f1": sk.f1_score(true, predicted, labels=range(4), average="macro", zero_division=0),
        "balanced_accuracy": sk.balanced_accuracy_score(true, predicted),
        "mean_absolute_error": sk.mean_absolute_error(true, predicted),
    }
    if len(np.union1d(true, predicted)) > 1:
        expected["quadratic_kappa"] = sk.cohen_kappa_score(true, predicted, labels=range(4), weights="quadratic")
    for metric, value in expected.items():
        assert metric_values(counts, metric) == pytest.approx(value, abs=1e-12), metric


def test_kappa_without_any_disagreement_to_expect_is_zero():
    """One class only, always named, shows no agreement beyond chance."""
    assert metric_values(np.diag([5, 0, 0]), "quadratic_kappa") == 0


def test_metrics_are_those_that_choose(tmp_path):
    """The page's metrics agree with trainables.study.metrics, by which the search chooses, at every level."""
    study = make_study(tmp_path / "s", trials=1)
    found = analyse(study).results
    for level in found.levels:
        for s in level.scores:
            if s.metric != "mean_absolute_error":
                assert s.value == pytest.approx(score(found.predictions, f"{level.level}/{s.metric}", 3), abs=1e-12)


def test_unknown_metric_is_named():
    """A metric that does not exist is an error that lists those that do."""
    with pytest.raises(ValueError, match="'auc' is not a metric; metrics are balanced_accuracy, macro_f1, accuracy"):
        metric_values(np.eye(2), "auc")


@pytest.mark.parametrize("level", ["video", "window"])
def test_intervals_of_a_level_resample_its_subjects(level):
    """At every level the page's interval is that of the subjects' matrices of that level, from seed 0, and wider than `bootstrap`."""
    answers = [(f"s{i % 7}", i % 7 % 3, i * i % 3) for i in range(35)]
    frame = pl.concat([_predictions(answers).with_columns(window=pl.lit(w)) for w in (0, 70)])
    matrices = subject_matrices(at_level(frame, level), 3)
    assert matrices.sum() == (35 if level == "video" else 70)
    for found in level_scores(frame, level, 3, ("accuracy", "macro_f1")).scores:
        assert (found.low, found.high) == score_interval(matrices, found.metric, np.random.default_rng(0))
        low, high = bootstrap(matrices, found.metric, np.random.default_rng(0))
        assert found.high - found.low > high - low


def test_chance_and_largest_class_of_a_lopsided_cohort():
    """Of 6, 2 and 2 subjects, naming the largest class is right in 60 %; answers of shuffled truth in what the margins say."""
    answers = [(f"s{i}", t, 0) for i, t in enumerate([0] * 6 + [1] * 2 + [2] * 2)]
    accuracy, macro = level_scores(_predictions(answers), "subject", 3, ("accuracy", "macro_f1")).scores
    assert (accuracy.largest_class, accuracy.chance) == pytest.approx((0.6, 0.6))
    assert macro.largest_class == pytest.approx(0.75 / 3)


def test_wilson_interval_of_nine_of_ten():
    """9 of 10 gives 0.596 - 0.982, worked out by Wilson's formula."""
    z, n, p = stats.norm.ppf(0.975), 10, 0.9
    middle, half = (p + z * z / (2 * n)), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    expected = ((middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n))
    assert wilson(9, 10) == pytest.approx(expected)


def test_class_scores_equal_scikit_learn_and_are_none_where_undefined():
    """Precision, recall and F1 of each class are scikit-learn's; a class that was never named has no precision."""
    true, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 1, 0])
    rows = class_scores(
        np.stack([confusion(t[None], p[None], 3) for t, p in zip(true, predicted, strict=True)]), ("a", "b", "c")
    )
    precision, recall, f1, units = sk.precision_recall_fscore_support(true, predicted, zero_division=0)
    assert [r.recall for r in rows] == pytest.approx(list(recall))
    assert [r.f1 for r in rows] == pytest.approx(list(f1))
    assert [r.precision for r in rows[:2]] == pytest.approx(list(precision[:2]))
    assert rows[2].precision is None
    assert [r.units for r in rows] == list(units)


def test_folds_and_their_spread():
    """Two folds at 1 and 0.5 have mean 0.75 and standard deviation 0.354."""
    frame = pl.concat([_predictions([("a", 0, 0), ("b", 1, 1)], 0), _predictions([("c", 0, 0), ("d", 1, 0)], 1)])
    folds, (spread,) = fold_scores(frame, {0: 1.0, 1: 2.0}, 3, ("accuracy",))
    assert [f.scores["accuracy"] for f in folds] == [1.0, 0.5]
    assert (spread.mean, spread.low, spread.high) == (0.75, 0.5, 1.0)
    assert spread.deviation == pytest.approx(np.sqrt(0.125))


def test_permutation_p_value_counts_the_study_itself():
    """Of four shuffled searches one is as good: p is (1 + 1) / (4 + 1)."""
    null = permutation_null(0.7, (0.2, 0.3, 0.7, 0.4), {"trials": 8})
    assert (null.p_value, null.permutations, null.smallest_p) == (0.4, 4, 0.2)
    assert permutation_null(0.7, (), {}) is None


def test_shorter_permuted_searches_give_no_p_value():
    """The best of 2 trials on noise is no measure for the best of 8; with the same budget or a larger one there is a p."""
    values = tuple(0.2 + i / 100 for i in range(19))
    assert permutation_null(0.7, values, {"trials": 8, "permutation_trials": 2}).p_value is None
    assert permutation_null(0.7, values, {"trials": 8, "permutation_trials": 9}).p_value == 0.05
    assert permutation_null(0.7, values, {"trials": 8, "permutation_trials": None}).p_value == 0.05


def test_quantiles_are_read_from_enough_permutations():
    """The 95 % quantile of 19 permutations would be beyond the largest; 20 have one."""
    values = tuple(i / 100 for i in range(20))
    assert permutation_null(0.7, values[:19], {}).high is None
    assert permutation_null(0.7, values, {}).high == pytest.approx(np.quantile(values, 0.95))


def test_mistakes_begin_with_the_most_confident():
    """Right answers are left out, and the surest wrong answer is first."""
    frame = pl.DataFrame(
        {
            "fold": [0, 0, 0],
            "subject": ["a", "b", "c"],
            "video": ["va", "vb", "vc"],
            "window": [0, 0, 0],
            "true": [0, 0, 1],
            "probabilities": [[0.4, 0.6], [0.1, 0.9], [0.2, 0.8]],
        }
    )
    assert mistakes(frame).select("video", "confidence", "right").rows() == [("vb", 0.9, 0.1), ("va", 0.6, 0.4)]


def _trial(number: int, value: float | None, folds: int = 3, state: str = "COMPLETE", **about) -> TrialRecord:
    return TrialRecord(number=number, state=state, value=value, folds=("k",) * folds, **about)


def test_best_trial_has_every_fold_and_ties_fall_by_log_loss_then_number():
    """A better score on fewer folds, or of a pruned trial, never wins."""
    trials = (
        _trial(0, 0.8, log_loss=0.5),
        _trial(1, 0.99, folds=1),
        _trial(2, 0.99, state="PRUNED"),
        _trial(3, 0.8, log_loss=0.4),
        _trial(4, 0.8, log_loss=0.4),
        _trial(5, float("inf")),
    )
    assert best(trials, 3).number == 3
    assert [t.number for t in ranked(trials, 3)] == [3, 4, 0, 1, 2, 5]
    assert best((), 3) is None


def test_slices_show_numeracy_off_beside_the_weights():
    """The weight of a trial without numeracy is 'off', and head width is only of trials that have numeracy."""
    on = {"numeracy.enabled": True, "text.n_ctx": 8, "seed": 0}
    off = on | {"numeracy.enabled": False, "seed": 1}
    trials = (
        _trial(0, 0.7, config=on | {"numeracy.weight": 0.1, "numeracy.head_width": 32}),
        _trial(1, 0.8, config=on | {"numeracy.weight": 0.5, "numeracy.head_width": 64}),
        _trial(2, 0.6, config=off | {"numeracy.weight": 0.3, "numeracy.head_width": 32}),
    )
    assert axes(trials) == ("numeracy.weight", "numeracy.head_width")
    weight, width = tell_search(trials, 3).slices
    assert weight.points == (("off", 0.6, 2), (0.1, 0.7, 0), (0.5, 0.8, 1))
    assert width.points == ((32, 0.7, 0), (64, 0.8, 1))
    assert width.note == "only trials with numeracy.enabled on"


def _weighed(trials: int, value) -> tuple[TrialRecord, ...]:
    """Returns complete trials of two settings, with a value that depends on them."""
    rng = np.random.default_rng(0)
    ranges = {name: optuna.distributions.FloatDistribution(0, 1) for name in ("matters", "does_not")}
    found = []
    for number in range(trials):
        params = {name: float(rng.random()) for name in ranges}
        found.append(_trial(number, value(params, rng), config=params, params=params, distributions=ranges))
    return tuple(found)


def test_importance_finds_the_setting_that_matters():
    """The setting that decides the scores has more than noise would give it; of 19 trials with two settings nothing is said."""
    story = tell_search(_weighed(24, lambda params, _: params["matters"]), 3)
    assert story.importance[0][0] == "matters"
    assert sum(share for _, share in story.importance) == pytest.approx(1)
    assert story.importance[0][1] > story.importance_noise + 0.1
    few = tell_search(_weighed(19, lambda params, _: params["matters"]), 3)
    assert (few.importance, few.importance_noise) == ((), None)
    assert "20 here, and there are 19" in few.importance_note


def test_importance_of_noise_is_that_of_shuffled_scores():
    """Scores that depend on nothing give the first setting about the share that shuffled ones do."""
    story = tell_search(_weighed(20, lambda _, rng: float(rng.random())), 3)
    assert story.importance[0][1] == pytest.approx(story.importance_noise, abs=0.35)
    assert story.importance_noise > 0.5


def test_terms_recur_when_half_of_the_folds_name_them():
    """A term of 2 of 4 folds recurs, one of 1 of 1 fold does not: a single fold shows no recurrence."""
    assert recurring_terms([["speed", "cadence"], ["speed"], ["base"], ["base"]])[1] == ("base", "speed")
    assert recurring_terms([["speed"]])[1] == ()


def test_longer_terms_win_where_two_begin():
    """'step time' is not found inside 'step time difference', nor inside another word."""
    parts = split_at_terms(
        "step time difference is 2, step time is 3, step times", ("step time", "step time difference")
    )
    assert [text for text, marked in parts if marked] == ["step time difference", "step time"]


def test_ledger_counts_and_refuses_a_file_on_both_sides(tmp_path):
    """Two subjects with the same file, one on each side, are leakage whatever the file is called."""
    study = make_study(tmp_path / "s", trials=0, per_class=3)
    cohort, splits = Cohort.load(study), Splits.load(study / "splits.json")
    entries = ledger(cohort, splits)
    assert (entries.subjects, entries.videos, entries.tested) == (9, 18, 1)
    assert [f.test.subjects for f in entries.folds] == [(1, 1, 1)] * 3
    other_side = splits.folds[0].train[0]
    same = cohort.videos.filter(pl.col("subject") == splits.folds[0].test[0])["sha256"][0]
    twin = cohort.videos.with_columns(
        sha256=pl.when(pl.col("subject") == other_side).then(pl.lit(same)).otherwise(pl.col("sha256"))
    )
    with pytest.raises(LeakageError, check=coded("leakage.file_on_both_sides", "fold 0", "'S000_a.mp4'")):
        ledger(dataclasses.replace(cohort, videos=twin), splits)


def test_a_score_of_a_training_subject_is_leakage(tmp_path):
    """Predictions of a subject that its fold trained on are refused, and so is a ledger of other folds."""
    study = make_study(tmp_path / "s", trials=0, per_class=3)
    cohort, splits, noted = Cohort.load(study), Splits.load(study / "splits.json"), read_ledger(study)
    trained, held_out = splits.folds[0].train[0], splits.folds[0].test[0]
    scored = [
        FoldResult(
            key="k",
            fold=0,
            config={},
            predictions=pl.DataFrame({"fold": [0], "subject": [subject], "video": [f"{subject}_a.mp4"]}),
            history=(),
            seconds=1.0,
        )
        for subject in (held_out, trained)
    ]
    check_predictions((scored[0],), cohort, splits, noted)
    with pytest.raises(
        LeakageError, check=coded("leakage.scored_outside_test", "fold 0", f"'{trained}_a.mp4'", f"'{trained}'")
    ):
        check_predictions((scored[1],), cohort, splits, noted)
    swapped = noted.with_columns(sha256=pl.col("sha256").reverse())
    with pytest.raises(LeakageError, check=coded("leakage.ledger_changed")):
        check_predictions((scored[0],), cohort, splits, swapped)
    (study / "ledger.parquet").unlink()
    with pytest.raises(LeakageError, check=coded("leakage.ledger_missing")):
        read_ledger(study)


def test_one_standard_error_rule_takes_the_cheapest_of_the_best():
    """Among the trials within one standard error of the best score the cheapest is chosen; others, however cheap, are not."""
    trials = (
        _trial(0, 0.80, costs={"trained_parameters": 900.0, "seconds": 5.0}, standard_error=0.05),
        _trial(1, 0.76, costs={"trained_parameters": 100.0, "seconds": 9.0}, standard_error=0.2),
        _trial(2, 0.76, costs={"trained_parameters": 100.0, "seconds": 9.0}, log_loss=0.1),
        _trial(3, 0.74, costs={"trained_parameters": 1.0, "seconds": 1.0}),
    )
    assert best(trials, 3).number == 0
    assert best(trials, 3, "one_se").number == 2
    assert best(trials, 3, "one_se", "seconds").number == 0
    assert chosen(trials, 3, {"choose": "one_se", "cost": None}).number == 2
    assert chosen(trials, 3, {}).number == 0


def test_pareto_front():
    """The front holds the trials that none beats in score at the same or less cost, from the cheapest up."""
    costs = [5.0, 3.0, 4.0, 3.0, 9.0]
    trials = tuple(
        _trial(i, value, costs={"seconds": cost})
        for i, (value, cost) in enumerate(zip([0.8, 0.6, 0.5, 0.7, 0.8], costs, strict=True))
    )
    assert [t.number for t in pareto(trials, 3, "seconds")] == [3, 0]
    assert pareto(trials, 2, "seconds") == ()


def test_standard_error_is_scipys_bootstrap():
    """On accuracy it is scipy's bootstrap standard error of the subjects' mean, up to the noise of resampling."""
    rng = np.random.default_rng(1)
    units = [(f"s{i:02}", int(i % 2), int((i % 2) ^ (rng.random() < 0.3))) for i in range(40)]
    right = np.array([true == told for _, true, told in units], dtype=float)
    oracle = stats.bootstrap((right,), np.mean, n_resamples=4000, random_state=0).standard_error
    assert standard_error(_predictions(units), "accuracy", 3) == pytest.approx(oracle, rel=0.06)
