"""results.json: every number of the page as plain JSON values."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from reports.numbers.analysis import Analysis, Results
from reports.numbers.detail import Detail
from reports.numbers.nested import Nested
from reports.numbers.training_curves import curve
from trainables.study.leaderboard import TrialRecord

RESULTS_SCHEMA = 2
"""Of results.json; docs/results.md says what each of its fields is."""


def numbers(analysis: Analysis) -> dict[str, Any]:
    """Returns every number of the page as plain JSON values."""
    return {
        "schema": RESULTS_SCHEMA,
        "study": {
            name: getattr(analysis.study, name)
            for name in ("name", "metric", "started", "finished", "wall_seconds", "cohort_sha256")
        }
        | {"training_seconds": analysis.training_seconds},
        "classes": analysis.cohort.classes,
        "cohort": dataclasses.asdict(analysis.ledger) | {"excluded": analysis.cohort.excluded},
        "missing": _plain(analysis.missing),
        "walkers": _plain(analysis.walkers),
        "search": _plain(analysis.search),
        "leaderboard": [_plain_trial(t) for t in analysis.leaderboard],
        "words": _plain(analysis.words),
        "nested": None if analysis.nested is None else _plain_nested(analysis.nested),
        "raters": _plain(analysis.raters),
        "learning_curve": _plain(analysis.learning, "reading"),
        "pareto": [t.number for t in analysis.front],
        "warnings": _plain(analysis.warnings),
        "notices": analysis.notices,
        "beyond_chance": analysis.beyond_chance,
        "plan": None if analysis.plan is None else _plain(analysis.plan) | {"sha256": analysis.plan.sha256()},
        "sessions": analysis.study.sessions,
        "prediction_sets": _plain(analysis.sets),
        "decision_curve": _plain(analysis.decisions),
        "chosen": None if analysis.results is None else _plain_chosen(analysis.results, analysis.study.permutations),
    }


def _plain_chosen(found: Results, permutations: Sequence[float]) -> dict[str, Any]:
    """Returns what is known of the chosen configuration as plain values."""
    parts = {
        name: _plain(getattr(found, name))
        for name in ("levels", "classes", "folds", "spreads", "comparisons", "subgroups", "readable")
    }
    parts |= {name: _plain(getattr(found.detail, name)) for name in ("rankings", "operating")}
    return parts | {
        "trial": found.trial.number,
        "config": found.trial.config,
        "score": found.score,
        "log_loss": found.log_loss,
        "confusion": found.counts.tolist(),
        "permutation_null": None if found.null is None else _plain(found.null) | {"values": permutations},
        "shuffled": None
        if found.shuffled is None
        else _plain(found.shuffled) | {"windows_share": found.shuffled.share},
        "by_seed": _plain(found.by_seed, "deviation"),
        "loss_fall": _plain(found.loss_fall),
        "curves": [{"fold": r.fold, "points": curve(r)} for r in found.folds_done],
        "calibration": _plain(found.calibration),
        "own_videos": _plain(found.detail.own_videos),
        "maps": None if found.maps is None else found.maps.plain(),
        "class_windows": found.class_windows,
        "mistakes": found.mistakes.to_dicts(),
        "wrong_videos": found.wrong_videos,
    }


def _plain_nested(nested: Nested) -> dict[str, Any]:
    apart = {f.name: getattr(nested, f.name) for f in dataclasses.fields(nested) if f.name != "detail"}
    records = {name: _plain(value) for name, value in apart.items()}
    return records | {"detail": None if nested.detail is None else plain_detail(nested.detail)}


def _plain(value: Any, *derived: str) -> Any:
    """Returns a record with some of its properties, or a tuple of records, as plain values; anything else as it is."""
    if isinstance(value, tuple):
        return [_plain(v, *derived) for v in value]
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    return dataclasses.asdict(value) | {name: getattr(value, name) for name in derived}


def plain_detail(detail: Detail) -> dict[str, Any]:
    """Returns what held-out predictions say as plain values; the predictions themselves are in their own file."""
    apart = ("predictions", "counts", "mistakes")
    values = {f.name: _plain(getattr(detail, f.name)) for f in dataclasses.fields(detail) if f.name not in apart}
    return values | {"confusion": detail.counts.tolist(), "mistakes": detail.mistakes.to_dicts()}


def _plain_trial(trial: TrialRecord) -> dict[str, Any]:
    kept = ("number", "state", "value", "log_loss", "params", "folds", "problem", "seconds")
    return {name: getattr(trial, name) for name in kept}
