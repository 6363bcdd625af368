"""Paired pruning: a trial stops between folds when it is worse on the same subjects, and only then."""

import math
import warnings
from platform.pruning import SCORES, VALUES, PairedPruner, subject_scores

import numpy as np
import optuna
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.samplers._tpe.sampler import _split_trials, default_gamma
from optuna.trial import TrialState
from scipy.stats import wilcoxon

from tests.errors import coded
from trainables.errors import ConfigurationError
from trainables.study.leaderboard import best, read_trials

FOLDS = 3
SUBJECTS = [f"P{i:02}" for i in range(24)]
BEST = {s: 0.5 + 0.01 * i for i, s in enumerate(SUBJECTS)}
"""Scores of the trial to beat, all different and worse in the earlier folds."""


def first(folds: int) -> list[str]:
    """Returns the subjects of the first folds, eight in each."""
    return SUBJECTS[: 8 * folds]


def shifted(by: float) -> dict[str, float]:
    """Returns the best trial's scores, higher by about `by` in every subject and by no two the same."""
    return {s: v + by * (1 + 0.01 * i) for i, (s, v) in enumerate(BEST.items())}


def memory(**about) -> optuna.Study:
    return optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0), **about)


def run(
    pruner: PairedPruner, study: optuna.Study, scores: dict[str, float], value: float, total: float | None = None
) -> int:
    """Runs a trial as a search does, and returns after how many folds it ended.

    `value` is the metric after each fold; `total` is what is told at the end, where it differs.
    """
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    for folds in range(1, FOLDS + 1):
        pruner.report(trial, folds, {s: scores[s] for s in first(folds)}, value)
        trial.set_user_attr("folds", [f"key {k}" for k in range(folds)])
        if pruner.should_prune(trial, FOLDS):
            study.tell(trial, state=TrialState.PRUNED)
            return folds
    study.tell(trial, value if total is None else total)
    return FOLDS


def test_worse_trial_stops_after_the_first_fold():
    """A trial that is worse in each of eight subjects stops after one fold, by p = 1 / 2**8 and by how much it says."""
    pruner, study = PairedPruner(p=0.05), memory()
    run(pruner, study, BEST, 0.7)
    trial = study.ask()
    pruner.report(trial, 1, {s: shifted(-0.1)[s] for s in first(1)}, 0.6)
    assert pruner.should_prune(trial, FOLDS)
    found = pruner.compare(trial)
    assert (found.best, found.folds, found.subjects, found.p) == (0, 1, 8, 2**-8)
    assert found.difference == pytest.approx(-0.1035, abs=1e-4)
    assert found.value == pytest.approx(-0.1)


@given(st.floats(0, 0.3), st.floats(0, 0.3))
@settings(max_examples=30, deadline=None)
def test_better_or_equal_trial_never_stops(more: float, value: float):
    """A trial with the best trial's scores and metric, or higher ones, runs to its end at any p."""
    pruner, study = PairedPruner(p=0.5), memory()
    run(pruner, study, BEST, 0.7)
    assert run(pruner, study, shifted(more), 0.7 + value) == FOLDS


def test_softer_trial_of_the_same_decisions_never_stops():
    """Lower probabilities alone are no reason: a trial that is not behind in the metric is not worse, only softer."""
    pruner, study = PairedPruner(p=0.5), memory()
    run(pruner, study, BEST, 0.7)
    assert run(pruner, study, shifted(-0.2), 0.7) == FOLDS


def test_few_large_gains_outweigh_many_small_losses():
    """A trial whose mean over subjects is higher runs on, however many subjects are a little worse."""
    pruner, study = PairedPruner(p=0.5), memory()
    run(pruner, study, BEST, 0.7)
    assert run(pruner, study, shifted(-0.001) | dict.fromkeys(first(3)[::8], 0.99), 0.6) == FOLDS


def test_easy_first_fold_shields_nobody():
    """A worse trial stops in an easy fold too, where its mean is far above the best trial's over all folds."""
    easy = {s: BEST[s] + (0.4 if s in first(1) else -0.3) for s in SUBJECTS}
    pruner, study = PairedPruner(p=0.05), memory()
    run(pruner, study, easy, 0.7)
    worse = {s: v - 0.05 - 0.001 * i for i, (s, v) in enumerate(easy.items())}
    assert np.mean([worse[s] for s in first(1)]) > np.mean(list(easy.values())) + 0.1
    assert run(pruner, study, worse, 0.6) == 1


def test_p_zero_is_off():
    """At p = 0 nothing stops."""
    pruner, study = PairedPruner(p=0), memory()
    run(pruner, study, BEST, 0.7)
    assert run(pruner, study, shifted(-0.4), 0.1) == FOLDS


@pytest.mark.parametrize("p", [-0.1, 0.6, math.nan])
def test_p_outside_its_range(p):
    """p is 0 to 0.5."""
    with pytest.raises(ConfigurationError, check=coded("option.prune.range", f"p = {p}")):
        PairedPruner(p=p)


def test_nothing_stops_before_a_trial_is_complete():
    """A running, stopped or failed trial is nothing to compare with; nor is a complete one without scores."""
    pruner, study = PairedPruner(p=0.5), memory()
    for state in (None, TrialState.PRUNED, TrialState.FAIL):
        trial = study.ask()
        pruner.report(trial, 1, {s: BEST[s] for s in first(1)}, 0.7)
        if state:
            study.tell(trial, state=state)
    for _ in range(3):
        study.tell(study.ask(), 0.9)
    assert run(pruner, study, shifted(-0.4), 0.1) == FOLDS


def test_last_fold_never_prunes():
    """After its last fold a trial is complete, however bad."""
    pruner, study = PairedPruner(p=0.5), memory()
    run(pruner, study, BEST, 0.7)
    trial = study.ask()
    pruner.report(trial, FOLDS, shifted(-0.4), 0.1)
    assert not pruner.should_prune(trial, FOLDS)
    assert pruner.compare(trial).p < 1e-6


def test_best_trial_is_the_leaderboards():
    """The trial to beat has the highest value, then the lowest log loss; one without scores is passed over."""
    pruner, study = PairedPruner(p=0.1), memory()
    study.tell(study.ask(), 0.99)
    for value, loss in ((0.7, 0.2), (0.8, 0.5), (0.8, 0.4), (0.8, 0.4)):
        trial = study.ask()
        pruner.report(trial, 1, {s: BEST[s] for s in first(1)}, value)
        trial.set_user_attr("log_loss", loss)
        study.tell(trial, value)
    trial = study.ask()
    pruner.report(trial, 1, {s: shifted(-0.1)[s] for s in first(1)}, 0.6)
    assert pruner.compare(trial).best == 3


def test_report_again_after_a_resume(tmp_path):
    """A continued trial reports its finished folds again, in a new process, and nothing changes or is said twice."""
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    pruner, study = PairedPruner(p=0.1), memory(storage=storage, study_name="s")
    run(pruner, study, BEST, 0.7)
    trial = study.ask()
    pruner.report(trial, 1, {s: BEST[s] for s in first(1)}, 0.7)
    again = optuna.Trial(optuna.load_study(study_name="s", storage=storage), trial._trial_id)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pruner.report(again, 1, dict.fromkeys(first(1), 0.0), 0.0)
    kept = study.get_trials()[1].user_attrs
    assert kept[SCORES] == {s: round(BEST[s], 4) for s in first(1)}
    assert kept[VALUES] == {"1": 0.7}
    assert not pruner.should_prune(again, FOLDS)
    pruner.report(again, 2, {s: shifted(-0.1)[s] for s in first(2)}, 0.6)
    assert pruner.compare(again).subjects == 16


def test_stopped_trial_has_no_value_and_is_never_best(tmp_path):
    """In a study on disk a stopped trial is PRUNED with no value, and the leaderboard's best is a complete one."""
    study = memory(storage=f"sqlite:///{tmp_path / 'study.db'}", study_name="s")
    pruner = PairedPruner(p=0.1)
    ends = [run(pruner, study, shifted(by), 0.7 + by) for by in (0, -0.1, -0.2, 0.1)]
    assert ends == [FOLDS, 1, 1, FOLDS]
    trials = read_trials(tmp_path, "s")
    assert [(t.state, t.value) for t in trials[1:3]] == [("PRUNED", None)] * 2
    assert all(not t.intermediate_values for t in study.get_trials())
    assert best(trials, FOLDS).number == study.best_trial.number == 3


@settings(max_examples=15, deadline=None)
@given(st.permutations(SUBJECTS), st.floats(-0.02, 0.02), st.integers(0, 1000))
def test_order_of_subjects_does_not_matter(order: list[str], shift: float, seed: int):
    """The same p comes out whatever order the subjects are reported in."""
    noise = dict(zip(SUBJECTS, np.random.default_rng(seed).normal(shift, 0.05, len(SUBJECTS)), strict=True))
    mine = {s: v + noise[s] for s, v in BEST.items()}
    pruner, study = PairedPruner(p=0.1), memory()
    run(pruner, study, {s: BEST[s] for s in order}, 0.7)
    found = []
    for subjects in (SUBJECTS, order):
        trial = study.ask()
        pruner.report(trial, 2, {s: mine[s] for s in subjects}, 0.6)
        found.append(pruner.compare(trial))
    assert found[0] == found[1]
    difference = np.array([round(mine[s], 4) - round(BEST[s], 4) for s in SUBJECTS]).round(4)
    if difference.mean() < 0:
        unequal = difference[difference != 0]
        assert found[0].p == pytest.approx(wilcoxon(unequal, alternative="less", method="exact").pvalue)
    else:
        assert found[0] is None


def test_differences_below_the_fourth_decimal_are_none():
    """What another machine computes differently in the last digits stops nothing."""
    pruner, study = PairedPruner(p=0.5), memory()
    run(pruner, study, BEST, 0.7)
    assert run(pruner, study, {s: v - 1e-6 for s, v in BEST.items()}, 0.6) == FOLDS


def test_equal_subjects_are_left_out():
    """Of eight subjects with four equal, four worse ones reach p = 1 / 2**4 and no less."""
    pruner, study = PairedPruner(p=0.1), memory()
    run(pruner, study, BEST, 0.7)
    trial = study.ask()
    pruner.report(trial, 1, {s: BEST[s] - (0.1 if i < 4 else 0) for i, s in enumerate(first(1))}, 0.6)
    assert pruner.compare(trial).p == 2**-4


@pytest.mark.parametrize("broken", [{"P03": math.nan}, {"P03": math.inf}])
def test_scores_that_are_not_finite(tmp_path, broken):
    """A trial with a score that is not finite is not stopped: it fails by its own value."""
    pruner, study = PairedPruner(p=0.5), memory(storage=f"sqlite:///{tmp_path / 'study.db'}")
    run(pruner, study, BEST, 0.7)
    assert run(pruner, study, shifted(-0.1) | broken, 0.6) == FOLDS
    assert run(pruner, study, shifted(-0.1), math.nan, total=0.5) == FOLDS


def test_two_objectives_and_minimizing_are_off():
    """Where no one trial is the best, or lower is better, nothing stops."""
    for directions, values in ((["maximize", "minimize"], (0.7, 1)), (["minimize"], (0.7,))):
        pruner, study = PairedPruner(p=0.5), optuna.create_study(directions=directions)
        trial = study.ask()
        pruner.report(trial, 1, {s: BEST[s] for s in first(1)}, 0.7)
        study.tell(trial, values)
        trial = study.ask()
        pruner.report(trial, 1, {s: shifted(-0.3)[s] for s in first(1)}, 0.1)
        assert not pruner.should_prune(trial, FOLDS)


def test_a_tenth_of_the_trials_stays_complete():
    """After one good trial nine worse ones are stopped, and the next runs to its end, so that ten more may be."""
    pruner, study = PairedPruner(p=0.1), memory()
    ends = [run(pruner, study, BEST, 0.7)]
    ends += [run(pruner, study, shifted(-0.1 - 0.01 * i), 0.5) for i in range(20)]
    assert ends == [FOLDS] + [1] * 9 + [FOLDS] + [1] * 9 + [FOLDS]


def test_trials_that_run_count_as_stopped():
    """Twenty trials that run beside two complete ones could all be stopped, which would leave too few complete."""
    pruner, study = PairedPruner(p=0.1), memory()
    for _ in range(2):
        run(pruner, study, BEST, 0.7)
    running = [study.ask() for _ in range(19)]
    for trial in running:
        pruner.report(trial, 1, {s: shifted(-0.1)[s] for s in first(1)}, 0.5)
    assert not pruner.should_prune(running[0], FOLDS)
    study.tell(running[1], 0.5)
    assert pruner.should_prune(running[0], FOLDS)


def test_tpe_never_learns_from_a_stopped_trial_as_a_good_one():
    """Whatever one subject scores, TPE's good trials are complete ones, at every length of the search."""
    pruner, study = PairedPruner(p=0.1), memory()
    run(pruner, study, BEST, 0.7)
    for i in range(40):
        run(pruner, study, shifted(-0.1 - 0.005 * i) | {"P07": 0.999, "P23": 0.999}, 0.5)
        trials = study.get_trials()
        good, bad = _split_trials(study, trials, default_gamma(len(trials)))
        assert {t.state for t in good} == {TrialState.COMPLETE}
        assert {t.number for t in trials if t.state == TrialState.PRUNED} <= {t.number for t in bad}


def test_intermediate_values_would_give_a_stopped_trial_a_value():
    """Why scores are attributes: of intermediate values, one subject's would be the trial's value and its rank."""
    study = memory()
    for last in (0.2, 0.9):
        trial = study.ask()
        for step, score in enumerate((0.4, 0.4, last)):
            trial.report(score, step)
        study.tell(trial, state=TrialState.PRUNED)
    trials = study.get_trials()
    assert [t.value for t in trials] == [0.2, 0.9]
    assert [t.number for t in _split_trials(study, trials, 1)[0]] == [1]


def test_subject_scores():
    """A subject's score is the mean over its videos, and over its labels, of the probability of the true class."""
    rows = [
        ("a", 0, "a/1", 0, [0.9, 0.1]),
        ("a", 0, "a/1", 1, [0.7, 0.3]),
        ("a", 0, "a/2", 0, [0.2, 0.8]),
        ("b", 0, "b/1", 0, [0.6, 0.4]),
        ("b", 1, "b/2", 0, [0.9, 0.1]),
    ]
    frame = pl.DataFrame(rows, schema=["subject", "true", "video", "window", "probabilities"], orient="row")
    found = subject_scores(frame.with_columns(fold=pl.lit(0)).sample(fraction=1, shuffle=True, seed=1))
    assert found == {"a": pytest.approx(0.5), "b": pytest.approx(0.35)}
