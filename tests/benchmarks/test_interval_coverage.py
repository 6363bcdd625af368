"""What benchmarks/interval_coverage.py says of its simulation and of the intervals that it compares."""

import numpy as np
import pytest
from scipy import stats

from benchmarks.interval_coverage import (
    COPIED,
    NOMINAL,
    SHARES,
    Design,
    answers_of,
    basic,
    bca,
    bootstrap_t,
    expanded,
    main,
    measured_icc,
    percentile,
    sample,
    simulate,
)
from reports.numbers.statistics import bootstrap, metric_values


def _times(subjects: int, draws: int, seed: int) -> np.ndarray:
    chosen = np.random.default_rng(seed).integers(0, subjects, (draws, subjects))
    return np.stack([np.bincount(row, minlength=subjects) for row in chosen]).astype(float)


@pytest.mark.parametrize("skill", [0.0, 0.6])
def test_answers_have_the_truth_and_the_correlation_that_are_claimed(skill):
    """Classes, answers and the correlation of right/wrong in pairs of videos are the designed ones, within 4 errors."""
    rng = np.random.default_rng(3)
    counts = simulate(rng, 1, 50_000, "window", answers_of(skill), 0.5)[0]
    per_class = counts.sum(0)
    assert (counts.sum((1, 2)) >= 2).all()
    assert (counts.sum(2) > 0).any(1).all()
    assert (per_class.sum(1) / per_class.sum()) == pytest.approx(SHARES, abs=0.011)
    assert (per_class / per_class.sum(1, keepdims=True)) == pytest.approx(answers_of(skill), abs=0.016)
    assert measured_icc(rng, answers_of(skill), 0.5) == pytest.approx(0.5, abs=0.02)
    assert 0 < COPIED < 1


@pytest.mark.parametrize("metric", NOMINAL)
def test_intervals_equal_scipys(metric):
    """Percentile, basic and BCa are scipy's on the same resamples, and the expanded percentile one is the report's."""
    matrices = Design(skill=0.6, subjects=20, level="video").matrices(1, 0.5)[0]
    found = sample(matrices, _times(20, 2000, 0), metric)
    for method, interval in (("percentile", percentile), ("basic", basic), ("BCa", bca)):
        expected = stats.bootstrap(
            (np.arange(20),),
            lambda chosen, axis=-1: metric_values(matrices[chosen].sum(-3), metric),
            n_resamples=2000,
            method=method,
            vectorized=True,
            rng=np.random.default_rng(0),
        ).confidence_interval
        assert interval(found) == pytest.approx(tuple(expected), abs=1e-12)
    assert bootstrap(matrices, metric, np.random.default_rng(0)) == pytest.approx(expanded(found), abs=1e-12)


def test_bootstrap_t_by_hand():
    """With one answer per subject the standard error is that of a mean, and the interval follows from each resample's t."""
    right = np.arange(25) % 3 != 0
    matrices = np.zeros((25, 3, 3), dtype=int)
    matrices[np.arange(25), 0, np.where(right, 0, 1)] = 1
    found = sample(matrices, _times(25, 500, 1), "accuracy")
    chosen = right[np.random.default_rng(1).integers(0, 25, (500, 25))].astype(float)
    error = right.std(ddof=1) / 5
    assert found.error == pytest.approx(error)
    t = (chosen.mean(1) - right.mean()) / (chosen.std(1, ddof=1) / 5)
    low, high = np.quantile(t, [0.025, 0.975])
    assert bootstrap_t(found) == pytest.approx((right.mean() - high * error, right.mean() - low * error))


def test_command_prints_a_row_for_each_design_and_interval(capsys):
    """A short run prints its tables, and a correlation of 1 is a sentence."""
    assert main(["--cohorts", "3", "--subjects", "15", "--skills", "0", "0.6"]) == 0
    assert main(["--cohorts", "3", "--subjects", "15", "--skills", "0", "--intervals"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("| none | 15 | ") == 1 + 7
    assert printed.count("| 0.6 | 15 | ") == 1
    with pytest.raises(SystemExit):
        main(["--icc", "1"])
    assert "--icc 1.0, but it must lie between 0 and 1, for instance 0.5" in capsys.readouterr().err
