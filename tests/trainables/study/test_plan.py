"""A study's plan is written once, and what departs from it is seen."""

import dataclasses
import json

import pytest

from reports.numbers.analysis import analyse
from tests.errors import coded
from tests.make_study import make_study
from trainables.errors import LeakageError
from trainables.study.plan import StudyPlan

PLAN = StudyPlan(
    written="2026-03-14T09:26:53+00:00", metric="subject/macro_f1", comparisons=("untrained",), trials=12, prune=0.1,
    choose="best", refit="folds", outer_folds=0, permutations=0, permutation_trials=None, cohort_sha256="c", splits_sha256="s",
)  # fmt: skip


def test_a_plan_is_written_once(tmp_path):
    """A second plan leaves the first as it is, and what is read is what was written."""
    PLAN.save(tmp_path)
    dataclasses.replace(PLAN, trials=99).save(tmp_path)
    assert StudyPlan.load(tmp_path) == PLAN
    assert StudyPlan.load(tmp_path / "nowhere") is None


def test_a_changed_plan_is_refused(tmp_path):
    """Its hash shows that it was changed by hand."""
    PLAN.save(tmp_path)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"trials": 40}))
    with pytest.raises(LeakageError, check=coded("leakage.plan_changed")):
        StudyPlan.load(tmp_path)


def test_departures_from_the_plan_are_on_the_page(tmp_path):
    """More trials and other comparisons than planned are named; a study that keeps to its plan says nothing."""
    folder = make_study(tmp_path / "s", trials=1)
    PLAN.save(folder)
    assert not any("departs from its plan" in n for n in analyse(folder).notices)
    assert PLAN.changes({"trials": 12, "baselines": ["untrained"]}) == ()
    changed = PLAN.changes({"trials": 40, "baselines": ["untrained", "vita_clip"]})
    assert changed == ("comparisons untrained, vita_clip instead of untrained", "trials 40 instead of 12")
    (folder / "plan.json").unlink()
    dataclasses.replace(PLAN, trials=8).save(folder)
    assert any(
        "departs from its plan of 2026-03-14T09:26:53+00:00: trials 12 instead of 8" in n
        for n in analyse(folder).notices
    )
