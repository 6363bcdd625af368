"""results.json: every number of the page as plain JSON values."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from reports.numbers.analysis import Analysis
from reports.numbers.controls import SeedScores, Shuffled
from reports.numbers.detail import Detail
from reports.numbers.learning import LearningCurve
from reports.numbers.results_document import results_document
from trainables.study.leaderboard import TrialRecord
from trainables.study.plan import StudyPlan


@dataclass(frozen=True, kw_only=True)
class Form:
    """How a record's JSON object differs from its fields."""

    without: frozenset[str] = frozenset()
    """Fields that it leaves out."""
    derived: dict[str, str] = field(default_factory=dict)
    """Its further names, each with the attribute, property or method that gives the value."""


FORMS = {
    TrialRecord: Form(without=frozenset({"config", "standard_error", "costs", "distributions"})),
    Detail: Form(without=frozenset({"predictions", "counts"}), derived={"confusion": "counts"}),
    LearningCurve: Form(derived={"reading": "reading"}),
    SeedScores: Form(derived={"deviation": "deviation"}),
    Shuffled: Form(derived={"windows_share": "share"}),
    StudyPlan: Form(derived={"sha256": "sha256"}),
}
"""Of every other record the object is its fields. results_schema follows the same rules."""


def numbers(analysis: Analysis) -> dict[str, Any]:
    """Returns every number of the page as plain JSON values."""
    found: dict[str, Any] = plain(results_document(analysis))
    return found


def plain(value: Any) -> Any:
    """Returns a record, or what holds records, as plain JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        form = FORMS.get(type(value), Form())
        shown = {f.name: f.name for f in dataclasses.fields(value) if f.name not in form.without} | form.derived
        return {name: plain(_of(value, attribute)) for name, attribute in shown.items()}
    if isinstance(value, Mapping):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    if isinstance(value, pl.DataFrame):
        return value.to_dicts()
    return value.tolist() if isinstance(value, np.ndarray) else value


def _of(record: Any, attribute: str) -> Any:
    value = getattr(record, attribute)
    return value() if callable(value) else value
