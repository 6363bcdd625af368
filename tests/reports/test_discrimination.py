"""AUROC, average precision and operating points against scikit-learn and cases worked out by hand."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from reports.documents.page import write_report
from reports.numbers.analysis import analyse
from reports.numbers.discrimination import operating_points, rankings, weighted_auroc, weighted_average_precision
from reports.numbers.statistics import wilson
from tests.make_study import make_study
from trainables.study.metrics import at_level
from trainables.study.records import StudyRecord

ROWS = st.lists(
    st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9]), st.booleans(), st.integers(0, 3)), min_size=2, max_size=30
)


def frame(shares: np.ndarray, true: np.ndarray, fold: int = 0) -> pl.DataFrame:
    """Returns one window of one video per subject."""
    rows = {
        "fold": fold,
        "window": 0,
        "subject": [f"s{fold}{i:03}" for i in range(len(true))],
        "video": "v",
        "true": true,
    }
    return pl.DataFrame(
        rows | {"probabilities": shares.tolist()}, schema_overrides={"fold": pl.Int64, "window": pl.Int64}
    )


@given(ROWS)
def test_weighted_scores_are_scikit_learns(rows):
    """With any weights, a resample's for instance, both are scikit-learn's, ties among them."""
    scores, positive, weights = (np.array(column) for column in zip(*rows, strict=True))
    if (weights[positive].sum() == 0) or (weights[~positive].sum() == 0):
        assert np.isnan(weighted_auroc(scores, positive, weights[None].astype(float))[0])
        return
    auroc = sk.roc_auc_score(positive, scores, sample_weight=weights)
    precision = sk.average_precision_score(positive, scores, sample_weight=weights)
    assert weighted_auroc(scores, positive, weights[None].astype(float))[0] == pytest.approx(auroc)
    assert weighted_average_precision(scores, positive, weights[None].astype(float))[0] == pytest.approx(precision)


def test_rankings_of_classes_cuts_and_their_mean():
    """Each class against the rest, their mean and each cut of ordered classes are scikit-learn's, inside their intervals."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 60)
    shares = rng.dirichlet(np.ones(3), 60) + 0.5 * np.eye(3)[true]
    shares /= shares.sum(1, keepdims=True)
    found = {r.label: r for r in rankings(frame(shares, true), ("a", "b", "c"), "subject", ordinal=True)}
    assert list(found) == ["a", "b", "c", "mean", "at least b", "at least c"]
    assert found["b"].auroc == pytest.approx(sk.roc_auc_score(true == 1, shares[:, 1]))
    assert found["mean"].auroc == pytest.approx(sk.roc_auc_score(true, shares, multi_class="ovr"))
    assert found["at least c"].auroc == pytest.approx(sk.roc_auc_score(true >= 2, shares[:, 2]))
    assert found["a"].prevalence == pytest.approx((true == 0).mean())
    for r in found.values():
        assert r.auroc_interval[0] < r.auroc < r.auroc_interval[1]
        assert r.average_precision_interval[0] < r.average_precision < r.average_precision_interval[1]


def test_a_perfect_ranking_has_an_interval():
    """24 subjects without one pair the wrong way round do not show that there is none."""
    true = np.arange(24) % 2
    for r in rankings(frame(np.eye(2)[true] * 0.8 + 0.1, true), ("a", "b"), "subject"):
        assert r.auroc == r.auroc_interval[1] == 1
        assert 0.6 < r.auroc_interval[0] < 0.95


def test_thresholds_come_from_other_subjects():
    """A threshold that the setting subjects make perfect is used as it is on the scored ones."""
    setting = frame(np.array([[0.3, 0.7], [0.35, 0.65], [0.6, 0.4], [0.8, 0.2]]), np.array([1, 1, 0, 0]))
    scored = frame(np.array([[0.3, 0.7], [0.4, 0.6], [0.34, 0.66], [0.9, 0.1]]), np.array([1, 1, 0, 0]), 1)
    _, point = operating_points([scored], [setting], ("a", "b"), "subject")
    assert point.thresholds == (0.65,)
    assert (point.sensitivity, point.specificity, point.ppv, point.npv) == (0.5, 0.5, 0.5, 0.5)
    assert point.sensitivity_interval == pytest.approx(wilson(1, 2))
    nobody = operating_points([scored.head(2)], [setting], ("a", "b"), "subject")[1]
    assert (nobody.specificity, nobody.specificity_interval) == (None, None)


def test_a_study_without_outer_folds_has_them_in_its_results(tmp_path: Path):
    """results.json has the rankings and operating points of the search's own folds, and the page shows them."""
    study = make_study(tmp_path / "s", trials=2)
    page = write_report(study, pdf=False).read_text(encoding="utf-8")
    chosen = json.loads((study / "results.json").read_text())["chosen"]
    units = at_level(analyse(study).results.predictions, "subject")
    auroc = sk.roc_auc_score(units["true"] == 0, units["probabilities"].list.get(0))
    found = chosen["rankings"][0]
    assert found["auroc"] == pytest.approx(auroc)
    assert f"{auroc:.2f}</td>" in page
    assert [r["label"] for r in chosen["rankings"][4:]] == ["at least slight impairment", "at least mild impairment"]
    assert [len(o["thresholds"]) for o in chosen["operating"]] == [3, 3, 3]


def test_classes_without_an_order_have_no_cuts(tmp_path: Path):
    """Also where the metric that chose is one for ordered classes."""
    study = make_study(tmp_path / "s", trials=2)
    record = StudyRecord.load(study)
    plain = dataclasses.replace(record, task=record.task | {"ordinal": False}, metric="subject/quadratic_kappa")
    plain.save(study)
    labels = [r.label for r in analyse(study).results.detail.rankings]
    assert labels == ["normal gait", "slight impairment", "mild impairment", "mean"]
