"""What a study notes of its own course: the plan before the first training, and each command that works on it."""

import datetime
import json
from platform.options import SearchOptions
from typing import Any

from trainables.study.plan import StudyPlan
from trainables.study.records import StudyRecord


def plan_of(options: SearchOptions, record: StudyRecord) -> StudyPlan:
    """Returns the plan of a study that is about to begin."""
    return StudyPlan(
        written=record.started,
        metric=options.metric,
        comparisons=tuple(options.baselines),
        trials=options.trials or 1,
        prune=options.prune_level,
        choose=options.choose,
        refit=options.refit,
        outer_folds=options.outer_folds,
        permutations=options.permutations,
        permutation_trials=options.permutation_trials,
        cohort_sha256=record.cohort_sha256,
        splits_sha256=record.splits_sha256,
    )


def now() -> str:
    """Returns the time in UTC (ISO 8601)."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def of_session(options: SearchOptions) -> dict[str, Any]:
    """Returns what may differ from session to session and decides what a page says."""
    names = ("trials", "permutations", "permutation_trials", "outer_folds", "baselines", "refit")
    return json.loads(json.dumps({name: getattr(options, name) for name in names}))
