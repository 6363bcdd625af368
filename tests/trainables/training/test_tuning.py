"""The tuned baselines: scikit-learn's own grid search as the oracle, whole subjects, and nothing of the held-out side."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.model_selection import GridSearchCV

from tests.errors import coded
from tests.tiny_cohort import CONFIG, TinyCohort, make_cohort
from trainables.errors import ConfigurationError
from trainables.training.fold import train_fold
from trainables.training.tuning import (
    INVERSE_PENALTIES,
    UNTUNED,
    inner_folds,
    logistic_regression,
    tuned_inverse_penalty,
)


def rows_of(signal: float, seed: int, subjects: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns features [N, 20], labels and subjects of two classes, three rows a subject; one feature has the signal."""
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(subjects), 3)
    labels = people % 2
    features = rng.normal(size=(len(people), 20)) + rng.normal(size=(subjects, 20))[people]
    features[:, 0] += signal * labels
    return features, labels, people


@pytest.mark.parametrize("seed", range(3))
def test_the_penalty_is_that_of_scikit_learns_grid_search(seed):
    """On folds of equal size the least pooled log loss is the best mean score of GridSearchCV over the same folds."""
    features, labels, subjects = rows_of(1.5, seed)
    folds = inner_folds(labels, subjects)
    assert len({len(test) for _, test in folds}) == 1
    search = GridSearchCV(
        logistic_regression(), {"logisticregression__C": INVERSE_PENALTIES}, scoring="neg_log_loss", cv=folds
    ).fit(features, labels)
    assert tuned_inverse_penalty(features, labels, subjects) == search.best_params_["logisticregression__C"]


def test_noise_is_penalised_more_than_signal():
    """Where no feature says anything the strongest penalties win; where one says everything, weak ones."""
    noise = np.mean([np.log10(tuned_inverse_penalty(*rows_of(0.0, seed))) for seed in range(4)])
    signal = np.mean([np.log10(tuned_inverse_penalty(*rows_of(12.0, seed))) for seed in range(4)])
    assert noise < -2
    assert signal > noise + 1.5


def test_inner_folds_hold_out_whole_subjects():
    """No subject is on both sides, and every row is held out once."""
    _, labels, subjects = rows_of(1.0, 0, subjects=7)
    folds = inner_folds(labels, subjects)
    assert len(folds) == 3  # the rarer class has three subjects
    for train, test in folds:
        assert not set(subjects[train]) & set(subjects[test])
    assert sorted(np.concatenate([test for _, test in folds]).tolist()) == list(range(len(labels)))


def test_a_class_of_one_subject_leaves_the_penalty_alone():
    """There is nobody to leave out, so the baseline is the untuned one."""
    features, labels, subjects = rows_of(1.0, 0, subjects=3)
    assert tuned_inverse_penalty(features, labels, subjects) == UNTUNED


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyCohort:
    return make_cohort(tmp_path_factory.mktemp("tuned"))


@pytest.mark.parametrize("model", ["parameters", "linear_probe"])
def test_the_tuned_baseline_is_the_plain_one_at_its_penalty(tiny, tmp_path, model):
    """It says which penalty it took, its predictions have the same rows, and the plain baseline stays as it was."""
    plain = train_fold(CONFIG.with_values({"model": model}), tiny.job(tmp_path / "plain"))
    tuned = train_fold(CONFIG.with_values({"model": f"tuned_{model}"}), tiny.job(tmp_path / "tuned"))
    assert plain.notes == ()
    assert tuned.notes[0].startswith(f"baseline tuned_{model}: C = ")
    rows = ["fold", "subject", "video", "window", "true"]
    assert tuned.predictions.select(rows).equals(plain.predictions.select(rows))
    np.testing.assert_allclose(np.array(tuned.predictions["probabilities"].to_list()).sum(1), 1, atol=1e-9)
    assert tuned.trained_parameters == plain.trained_parameters


def test_held_out_subjects_do_not_choose_the_penalty(tiny, tmp_path):
    """Other labels and numbers of the held-out subjects change neither the penalty nor the weights."""
    config = CONFIG.with_values({"model": "tuned_parameters"})
    job = tiny.job(tmp_path / "before")
    before = train_fold(config, job)
    out = pl.col("subject").is_in(list(job.fold.test))
    swapped = job.cohort.videos.with_columns(pl.when(out).then(1 - pl.col("label")).otherwise("label").alias("label"))
    other = tiny.job(tmp_path / "after")
    after = train_fold(config, replace(other, cohort=replace(other.cohort, videos=swapped)))
    assert after.notes == before.notes
    assert after.predictions["probabilities"].equals(before.predictions["probabilities"])


def test_it_needs_numbers_too(tiny, tmp_path):
    """Without gait parameters it is the same error as of the plain baseline."""
    job = tiny.job(tmp_path)
    bare = replace(job, cohort=replace(job.cohort, parameters=()))
    with pytest.raises(ConfigurationError, check=coded("baseline.no_numeric_columns")):
        train_fold(CONFIG.with_values({"model": "tuned_parameters"}), bare)
