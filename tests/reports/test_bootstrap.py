"""The bootstrap of whole subjects against scipy's, with scikit-learn's scores."""

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn import metrics as sk

from reports.numbers.statistics import bootstrap, confusion, subject_matrices

METRICS = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "macro_f1": lambda true, told: sk.f1_score(true, told, labels=range(3), average="macro", zero_division=0),
    "quadratic_kappa": lambda true, told: sk.cohen_kappa_score(true, told, labels=range(3), weights="quadratic"),
}


def _expanded(subjects: int) -> float:
    """Returns the nominal level whose percentiles make a 95 % interval of so many subjects (Hesterberg 2015)."""
    return 1 - 2 * stats.norm.cdf(-np.sqrt(subjects / (subjects - 1)) * stats.t.ppf(0.975, subjects - 1))


def test_bootstrap_equals_scipy_on_subject_means():
    """With one answer per subject, the accuracy's interval is scipy's percentile bootstrap of the mean, draw for draw.

    Its percentiles are those that Student's t and S - 1 ask for.
    """
    right = np.random.default_rng(3).random(31) < 0.7
    frame = pl.DataFrame(
        {"subject": [f"s{i:02}" for i in range(31)], "true": [1] * 31, "predicted": np.where(right, 1, 2)}
    )
    matrices = subject_matrices(frame, 3)
    expected = stats.bootstrap(
        (right.astype(float),),
        np.mean,
        n_resamples=2000,
        method="percentile",
        confidence_level=_expanded(31),
        rng=np.random.default_rng(11),
    ).confidence_interval
    assert bootstrap(matrices, "accuracy", np.random.default_rng(11)) == pytest.approx(tuple(expected), abs=1e-12)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("metric", METRICS)
def test_bootstrap_equals_scipy_on_whole_subjects(metric):
    """With several answers per subject it is scipy's bootstrap of subjects, each scored by scikit-learn, draw for draw."""
    rng = np.random.default_rng(5)
    true = np.arange(18) % 3
    told = [
        np.where(rng.random(videos) < 0.6, t, rng.integers(0, 3, videos))
        for t, videos in zip(true, [1, 2, 5] * 6, strict=True)
    ]
    matrices = np.stack([confusion(np.full(len(a), t), a, 3) for t, a in zip(true, told, strict=True)])
    expected = stats.bootstrap(
        (np.arange(18),),
        lambda chosen: METRICS[metric](
            np.concatenate([np.full(len(told[i]), true[i]) for i in chosen]), np.concatenate([told[i] for i in chosen])
        ),
        n_resamples=300,
        method="percentile",
        confidence_level=_expanded(18),
        vectorized=False,
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert bootstrap(matrices, metric, np.random.default_rng(2), draws=300) == pytest.approx(tuple(expected), abs=1e-12)


def test_bootstrap_draws_subjects_and_not_their_windows():
    """A hundred copies of every window change nothing: the interval depends on the subjects."""
    once = np.array([[[1, 0], [0, 0]], [[0, 1], [0, 0]], [[0, 0], [0, 1]], [[0, 0], [0, 1]]])
    few, many = (bootstrap(m, "accuracy", np.random.default_rng(0)) for m in (once, 100 * once))
    assert few == many
