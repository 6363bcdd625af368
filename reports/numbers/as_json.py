"""results.json: every number of the page as plain JSON values."""

import dataclasses
from typing import Any

from reports.numbers.analysis import Analysis
from reports.numbers.detail import Detail
from reports.numbers.nested import Nested
from reports.numbers.training_curves import curve
from trainables.study.leaderboard import TrialRecord

RESULTS_SCHEMA = 2
"""Of results.json; docs/results.md says what each of its fields is."""


def numbers(analysis: Analysis) -> dict[str, Any]:
    """Returns every number of the page as plain JSON values."""
    found = analysis.results
    plain: dict[str, Any] = {
        "schema": RESULTS_SCHEMA,
        "study": {
            name: getattr(analysis.study, name)
            for name in ("name", "metric", "started", "finished", "wall_seconds", "cohort_sha256")
        }
        | {"training_seconds": analysis.training_seconds},
        "classes": analysis.cohort.classes,
        "cohort": dataclasses.asdict(analysis.ledger) | {"excluded": analysis.cohort.excluded},
        "missing": _plain(analysis.missing),
        "walkers": None if analysis.walkers is None else dataclasses.asdict(analysis.walkers),
        "search": dataclasses.asdict(analysis.search),
        "leaderboard": [_plain_trial(t) for t in analysis.leaderboard],
        "words": dataclasses.asdict(analysis.words),
        "nested": None if analysis.nested is None else _plain_nested(analysis.nested),
        "raters": _plain(analysis.raters),
        "learning_curve": None
        if analysis.learning is None
        else dataclasses.asdict(analysis.learning) | {"reading": analysis.learning.reading},
        "pareto": [t.number for t in analysis.front],
        "warnings": [dataclasses.asdict(w) for w in analysis.warnings],
        "notices": analysis.notices,
        "beyond_chance": analysis.beyond_chance,
        "plan": None
        if analysis.plan is None
        else dataclasses.asdict(analysis.plan) | {"sha256": analysis.plan.sha256()},
        "sessions": analysis.study.sessions,
        "prediction_sets": _plain(analysis.sets),
        "decision_curve": _plain(analysis.decisions),
        "chosen": None,
    }
    if found is not None:
        parts = {
            name: [dataclasses.asdict(p) for p in getattr(found, name)]
            for name in ("levels", "classes", "folds", "spreads", "comparisons", "subgroups", "readable")
        }
        parts |= {name: _plain(getattr(found.detail, name)) for name in ("rankings", "operating")}
        plain["chosen"] = parts | {
            "trial": found.trial.number,
            "config": found.trial.config,
            "score": found.score,
            "log_loss": found.log_loss,
            "confusion": found.counts.tolist(),
            "permutation_null": None
            if found.null is None
            else dataclasses.asdict(found.null) | {"values": analysis.study.permutations},
            "shuffled": None
            if found.shuffled is None
            else dataclasses.asdict(found.shuffled) | {"windows_share": found.shuffled.share},
            "by_seed": None
            if found.by_seed is None
            else dataclasses.asdict(found.by_seed) | {"deviation": found.by_seed.deviation},
            "loss_fall": None if found.loss_fall is None else dataclasses.asdict(found.loss_fall),
            "curves": [{"fold": r.fold, "points": curve(r)} for r in found.folds_done],
            "calibration": None if found.calibration is None else dataclasses.asdict(found.calibration),
            "own_videos": _plain(found.detail.own_videos),
            "maps": None if found.maps is None else found.maps.plain(),
            "class_windows": found.class_windows,
            "mistakes": found.mistakes.to_dicts(),
            "wrong_videos": found.wrong_videos,
        }
    return plain


def _plain_nested(nested: Nested) -> dict[str, Any]:
    apart = {f.name: getattr(nested, f.name) for f in dataclasses.fields(nested) if f.name != "detail"}
    records = {name: _plain(value) for name, value in apart.items()}
    return records | {"detail": None if nested.detail is None else plain_detail(nested.detail)}


def _plain(value: Any) -> Any:
    """Returns a record, or a tuple of records, as plain values."""
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value


def plain_detail(detail: Detail) -> dict[str, Any]:
    """Returns what held-out predictions say as plain values; the predictions themselves are in their own file."""
    apart = ("predictions", "counts", "mistakes")
    values = {f.name: _plain(getattr(detail, f.name)) for f in dataclasses.fields(detail) if f.name not in apart}
    return values | {"confusion": detail.counts.tolist(), "mistakes": detail.mistakes.to_dicts()}


def _plain_trial(trial: TrialRecord) -> dict[str, Any]:
    kept = ("number", "state", "value", "log_loss", "params", "folds", "problem", "seconds")
    return {name: getattr(trial, name) for name in kept}
