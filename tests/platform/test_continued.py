"""A study that is continued: what another search's null is worth, which sessions are noted, and when nothing is pruned."""

from pathlib import Path
from platform.options import SearchOptions
from platform.study import Study, open_study

from tests.platform.test_splits import cohort
from trainables.knowledge.tasks import load_task
from trainables.study.plan import StudyPlan
from trainables.study.records import StudyRecord


def opened(folder: Path, **changes) -> Study:
    """Returns the study in a folder as a command with these options opens it."""
    options = SearchOptions(study=str(folder), folds=2, **changes)
    return open_study(folder, options, cohort([0, 0, 0, 1, 1, 1]), load_task("updrs"), {"name": "small", "sha256": "0"})


def test_the_null_of_another_search_goes(tmp_path: Path):
    """More trials, or longer permuted searches, make the old null one of another search; the same options keep it."""
    study = opened(tmp_path, trials=8).noted(permutations=(0.3, 0.4), finished="2026-03-14T11:02:10+00:00")
    assert study.record.permutations == (0.3, 0.4)
    assert opened(tmp_path, trials=8).record.permutations == (0.3, 0.4)
    assert opened(tmp_path, trials=12).record.permutations == ()
    opened(tmp_path, trials=12).noted(permutations=(0.5,))
    assert opened(tmp_path, trials=12, permutation_trials=4).record.permutations == ()
    assert StudyRecord.load(tmp_path).finished is None


def test_every_session_is_noted(tmp_path: Path):
    """Each command that works on the study leaves its time and what it asked for; the plan stays that of the first."""
    opened(tmp_path, trials=8)
    opened(tmp_path, trials=8, baselines=("untrained",))
    record = opened(tmp_path, trials=12, outer_folds=2).record
    assert [session["trials"] for session in record.sessions] == [8, 8, 12]
    assert [session["outer_folds"] for session in record.sessions] == [0, 0, 2]
    assert record.sessions[1]["baselines"] == ["untrained"]
    assert all(session["started"] >= record.started for session in record.sessions)
    plan = StudyPlan.load(tmp_path)
    assert (plan.trials, plan.outer_folds, plan.written) == (8, 0, record.started)
    assert "trials 12 instead of 8" in plan.changes(record.options)


def test_one_standard_error_and_cost_prune_nothing():
    """A trial that is behind may be the one to choose under either, so the pruner is off whatever --prune says."""
    assert SearchOptions(prune=0.2).prune_level == 0.2
    assert SearchOptions(prune=0.2, choose="one_se").prune_level == 0
    assert SearchOptions(prune=0.2, cost="seconds").prune_level == 0
