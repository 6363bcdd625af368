"""Agreement between raters and the model: scikit-learn's kappa as the oracle, and the page of a study with two raters."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import cohen_kappa_score

from reports.documents.page import render
from reports.numbers.analysis import analyse
from reports.numbers.as_json import numbers
from reports.numbers.raters import kappas, raters
from reports.numbers.statistics import confusion
from tests.make_study import make_study
from trainables.study.metrics import at_level
from trainables.study.records import SECOND_RATING, Cohort


def rated(folder, *, right: float, unrated: int = 0, seed: int = 0):
    """Returns a study whose second rater gives the label with a chance of `right`, else a neighbouring class."""
    study = make_study(folder / "s")
    cohort = Cohort.load(study)
    rng, ratings = np.random.default_rng(seed), {}
    for index, (subject, label) in enumerate(cohort.subjects().select("subject", "label").iter_rows()):
        other = label if rng.random() < right else (label + 1 if label < 2 else label - 1)
        ratings[subject] = None if index < unrated else other
    column = pl.Series([ratings[s] for s in cohort.videos["subject"]], dtype=pl.Int64)
    dataclasses.replace(cohort, videos=cohort.videos.with_columns(column.alias(SECOND_RATING))).save(study)
    return study


@pytest.mark.parametrize("weighted", [True, False])
def test_kappa_is_that_of_scikit_learn(weighted):
    """On random answers both are equal to rounding, also for a stack of matrices."""
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 4, (2, 5, 60))
    counts = np.stack([confusion(a, b, 4) for a, b in zip(one, other, strict=True)])
    weights = "quadratic" if weighted else None
    expected = [cohen_kappa_score(a, b, labels=range(4), weights=weights) for a, b in zip(one, other, strict=True)]
    np.testing.assert_allclose(kappas(counts, weighted=weighted), expected, atol=1e-12)


def test_one_class_shows_no_agreement():
    """Where both say the same of everyone, chance would too, and kappa is 0."""
    assert kappas(np.diag([9, 0, 0]), weighted=True) == 0


def test_the_three_agreements_are_of_the_same_subjects(tmp_path):
    """Each kappa is scikit-learn's over the subjects with two ratings; the others are counted and left out."""
    analysis = analyse(rated(tmp_path, right=0.7, unrated=3))
    found = analysis.raters
    second = dict(analysis.cohort.videos.select("subject", SECOND_RATING).iter_rows())
    units = at_level(analysis.results.predictions, "subject")
    units = units.filter(pl.Series([second[s] is not None for s in units["subject"]]))
    label, model, other = units["true"], units["predicted"], [second[s] for s in units["subject"]]
    assert (found.units, found.unrated) == (len(units), 3)
    for agreement, (a, b) in zip(found.agreements, [(label, other), (label, model), (other, model)], strict=True):
        assert agreement.kappa == pytest.approx(cohen_kappa_score(a, b, weights="quadratic"))
        assert agreement.low < agreement.kappa < agreement.high
    assert found.gap == pytest.approx(found.agreements[1].kappa - found.agreements[0].kappa)


def test_raters_who_always_agree_leave_the_model_behind(tmp_path):
    """Their kappa is 1 with an interval that has a width, and the model is not above it."""
    found = analyse(rated(tmp_path, right=1.0)).raters
    assert found.agreements[0].kappa == 1.0
    assert found.agreements[0].low < 1.0
    assert found.gap < 0
    assert found.gap_low < found.gap < found.gap_high


def test_answers_as_good_as_the_raters_leave_the_gap_open(tmp_path):
    """Where all three say the same the gap is 0, with an interval on both sides of it."""
    study = rated(tmp_path, right=1.0)
    analysis = analyse(study)
    perfect = analysis.results.predictions.with_columns(
        probabilities=pl.Series([np.eye(3)[t].tolist() for t in analysis.results.predictions["true"]])
    )
    found = raters(perfect, analysis.cohort, ordinal=True)
    assert found.gap == 0
    assert found.gap_low < 0 < found.gap_high


def test_a_cohort_with_one_rating_has_none(tmp_path):
    """Nothing is shown, and results.json has null."""
    analysis = analyse(make_study(tmp_path / "s"))
    assert analysis.raters is None
    assert numbers(analysis)["raters"] is None
    assert "How far do two raters agree?" not in render(analysis)


def test_the_page_and_results_json_have_it(tmp_path):
    """The ordered classes of the study are weighted, and unordered ones are not."""
    analysis = analyse(rated(tmp_path, right=0.8))
    assert "Quadratic weighted kappa per subject" in render(analysis)
    assert numbers(analysis)["raters"]["agreements"][0]["kappa"] == analysis.raters.agreements[0].kappa
    plain = raters(analysis.results.predictions, analysis.cohort, ordinal=False)
    assert plain.agreements[0].kappa < analysis.raters.agreements[0].kappa  # all its disagreements are of neighbours
