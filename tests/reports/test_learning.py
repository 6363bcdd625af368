"""The learning curve's numbers and reading, from studies whose skill at each share is known."""

import re
from dataclasses import replace
from html import unescape

import pytest

from reports.documents.page import render
from reports.numbers.analysis import analyse
from reports.numbers.as_json import numbers
from reports.numbers.learning import LearningCurve
from tests.make_study import add_learning_curve, make_study
from trainables.study.learning_records import LearningRecord
from trainables.study.metrics import score


def curve_of(folder, folds: int = 6, **skills: float) -> LearningCurve:
    """Returns the curve of a study whose model with all subjects has a skill of about 1.5."""
    analysis = analyse(add_learning_curve(make_study(folder / "s", folds=folds, per_class=12), **skills))
    assert analysis.learning is not None
    return analysis.learning


def test_points_are_scored_on_the_same_subjects(tmp_path):
    """The last point is the chosen trial's own score, and each gain is its distance from the point."""
    study = make_study(tmp_path / "s")
    analysis = analyse(add_learning_curve(study, share_40=0.0, share_80=0.5))
    small, large, everyone = analysis.learning.points
    assert [p.share for p in analysis.learning.points] == [40, 80, 100]
    assert everyone.score.value == pytest.approx(analysis.results.score)
    assert everyone.gain is None
    for point in (small, large):
        assert point.gain.difference == pytest.approx(everyone.score.value - point.score.value)
        assert point.score.low < point.score.value < point.score.high
    key = LearningRecord.load(study).points[0].keys[0]
    assert (study / "learning" / "40" / "0" / "folds" / key / "predictions.parquet").exists()
    assert score(analysis.results.predictions, analysis.study.metric, 3) == pytest.approx(everyone.score.value)


@pytest.mark.parametrize(
    ("skills", "reading"),
    [
        ({"share_40": -3.0, "share_80": -3.0}, "rising"),
        ({"share_40": -3.0, "share_80": 1.4}, "risen"),
        ({"share_40": 1.4, "share_80": 1.4}, "undecided"),
    ],
)
def test_the_reading_follows_the_skill(skills, reading, tmp_path):
    """A model that fewer subjects make much worse, or better, or that they do not change, is read as that."""
    assert curve_of(tmp_path, **skills).reading == reading


def test_worse_with_all_subjects_is_falling(tmp_path):
    """The same differences the other way round are not read as a rise."""
    rising = curve_of(tmp_path, share_40=-3.0, share_80=-3.0)
    turned = [
        p if p.gain is None else replace(p, gain=replace(p.gain, folds_low=-p.gain.folds_high, folds_high=-p.gain.folds_low))
        for p in rising.points
    ]  # fmt: skip
    assert rising.reading == "rising"
    assert replace(rising, points=tuple(turned)).reading == "falling"


def test_two_folds_decide_nothing(tmp_path):
    """With two folds the test of the method can show little, so a small gain is undecided."""
    assert curve_of(tmp_path, folds=2, share_40=1.3).reading == "undecided"


def test_a_curve_of_another_choice_is_not_shown(tmp_path):
    """After more trials another one may be chosen; the old curve is then not of this study's model."""
    study = add_learning_curve(make_study(tmp_path / "s"), share_40=0.0)
    record = LearningRecord.load(study)
    LearningRecord(trial=record.trial + 1, points=record.points).save(study)
    assert analyse(study).learning is None
    assert "The learning curve" not in render(analyse(study))


def test_the_page_and_results_json_have_it(tmp_path):
    """The page answers in plain words, with the figure and the table; results.json has the same numbers."""
    analysis = analyse(add_learning_curve(make_study(tmp_path / "s"), share_40=0.0, share_60=0.5, share_80=0.7))
    page = re.sub(r"\s+", " ", unescape(render(analysis)))
    assert "Would more patients help? The learning curve over subjects" in page
    assert "against the number of training subjects" in page
    written = numbers(analysis)["learning_curve"]
    assert written["reading"] == analysis.learning.reading
    assert [p["share"] for p in written["points"]] == [40, 60, 80, 100]
