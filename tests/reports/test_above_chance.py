"""'Above chance' is said by what can decide it: the nested interval, a null of equal searches, or one configuration alone."""

import dataclasses
from pathlib import Path

import pytest

from reports.documents.page import render
from reports.numbers.analysis import analyse
from reports.numbers.null import above_chance, permutation_null
from reports.numbers.statistics import Score
from tests.make_study import add_outer_folds, make_study
from trainables.study.records import StudyRecord

NOT_DECIDED = "Whether that is more than chance is not decided"


def scored(low: float) -> Score:
    """Returns a score with chance at 0.33."""
    return Score(metric="macro_f1", value=0.9, low=low, high=0.95, chance=0.33, largest_class=0.3)


@pytest.mark.parametrize("low", [0.2, 0.5])
def test_the_best_of_several_decides_nothing(low: float):
    """Wherever its interval lies, of the best of 2 or 50 nothing is said; of a single configuration its interval decides."""
    assert above_chance(None, None, scored(low), 2) is above_chance(None, None, scored(low), 50) is None
    assert above_chance(None, None, scored(low), 1) is (low > 0.33)


def test_the_nested_interval_comes_first():
    """A null that rejects does not overrule a nested interval that holds chance."""
    null = permutation_null(0.9, tuple(0.3 + i / 1000 for i in range(19)), {"trials": 8})
    assert above_chance(None, null, scored(0.5), 8) is True
    assert above_chance(scored(0.2), null, scored(0.5), 8) is False
    assert above_chance(scored(0.4), null, scored(0.5), 8) is True


def test_a_null_that_cannot_reject_decides_nothing():
    """Of 18 permutations, and of searches shorter than the study's, no p is .05 or less, so the null decides nothing."""
    few = permutation_null(0.9, (0.3,) * 18, {"trials": 8})
    short = permutation_null(0.9, (0.3,) * 40, {"trials": 8, "permutation_trials": 2})
    for null in (few, short):
        assert not null.decides
        assert above_chance(None, null, scored(0.5), 8) is None


def test_the_page_says_that_it_is_not_decided(tmp_path: Path):
    """The chosen score is high and its interval above chance, and still the best of several is not called above chance."""
    analysis = analyse(make_study(tmp_path / "s", trials=6))
    score = analysis.results.detail.score(analysis.study.metric)
    assert score.low > score.chance
    assert analysis.beyond_chance is None
    page = render(analysis)
    assert NOT_DECIDED in page
    assert "above chance" not in page.split('id="answer"')[1].split("</section>")[0]
    nested = render(analyse(add_outer_folds(tmp_path / "s")))
    assert NOT_DECIDED not in nested
    assert "The whole 95 % interval of the nested estimate lies above chance" in nested


def test_the_page_names_what_decided(tmp_path: Path):
    """With four permutations and one configuration it is the interval that decides, and the page does not name the null."""
    folder = make_study(tmp_path / "s", trials=1, permutations=4)
    page = render(analyse(folder))
    assert "The whole 95 % interval of the one configuration is above chance" in page
    record = StudyRecord.load(folder)
    dataclasses.replace(record, permutations=(0.3,) * 19).save(folder)
    assert "The score vs. that of the same search on permuted labels (p = 0.050) is above chance" in render(
        analyse(folder)
    )


def test_configurations_that_were_stopped_count(tmp_path: Path):
    """One complete trial among stopped ones was still chosen from several."""
    analysis = analyse(make_study(tmp_path / "s", trials=8))
    complete = next(t for t in analysis.leaderboard if t.scored)
    stopped = next(t for t in analysis.leaderboard if not t.scored and t.folds)
    assert dataclasses.replace(analysis, leaderboard=(complete, stopped)).beyond_chance is None
    assert dataclasses.replace(analysis, leaderboard=(complete,)).beyond_chance is True
