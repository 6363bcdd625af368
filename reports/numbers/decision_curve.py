"""Decision curves for two classes: whether acting on the model's answer does more good than acting for everyone, or for nobody.

Letters: U units of one level.
"""

from dataclasses import dataclass

import numpy as np

from reports.numbers.detail import Detail
from reports.numbers.statistics import Array
from trainables.study.metrics import at_level
from trainables.study.records import Cohort, StudyRecord

THRESHOLDS = tuple(round(0.01 * step, 2) for step in range(1, 100))


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionCurve:
    """Net benefit of acting where the model's probability of a class reaches a threshold."""

    kind: str
    """'nested', or 'selection' where the configuration was chosen by the same answers."""
    label: str
    """The class that is acted on."""
    unit: str
    units: int
    prevalence: float
    """Share of the units that are of the class, 0-1."""
    thresholds: tuple[float, ...]
    """Probabilities from which one would act, above 0 and below 1: 0.2 counts a wrong action for a quarter of a missed case."""
    model: tuple[float, ...]
    """Net benefit at each threshold: share of true actions less that of wrong ones, weighed by the threshold's odds."""
    treat_all: tuple[float, ...]
    """That of acting for everyone; of acting for nobody it is 0."""
    better: tuple[tuple[float, float], ...]
    """Ranges of thresholds, first to last, where the model does better than both."""


def decision_curve(said: Detail, study: StudyRecord, cohort: Cohort, kind: str) -> DecisionCurve | None:
    """Returns the decision curve of a task with two classes; None of another.

    The class that is acted on is the one that the task does not call healthy, else the second.

    Source: Vickers and Elkin 2006, Medical Decision Making 26:565-574.

    Args:
        said: Held-out predictions.
        study: For its task.
        cohort: For its classes.
        kind: Of the predictions, 'nested' or 'selection'.
    """
    if len(cohort.classes) != 2:
        return None
    values = [c["value"] for c in study.task.get("classes", ())]
    acted = 0 if len(values) == 2 and values[1] == study.task.get("healthy") else 1
    units = at_level(said.predictions, said.unit)
    is_it, shares = units["true"].to_numpy() == acted, units["probabilities"].list.get(acted).to_numpy()
    limits = np.array(THRESHOLDS)
    model, everyone = net_benefit(is_it, shares, limits), net_benefit(is_it, np.ones(len(is_it)), limits)
    return DecisionCurve(
        kind=kind,
        label=cohort.classes[acted],
        unit=said.unit,
        units=len(units),
        prevalence=float(is_it.mean()),
        thresholds=THRESHOLDS,
        model=tuple(model.tolist()),
        treat_all=tuple(everyone.tolist()),
        better=_ranges(model > np.maximum(everyone, 0) + 1e-12),
    )


def net_benefit(is_it: Array, shares: Array, thresholds: Array) -> Array:
    """Returns the net benefit of acting where a probability [U] reaches each threshold [T], as [T].

    true actions / U - wrong actions / U x threshold / (1 - threshold).
    """
    act = shares >= thresholds[:, None]  # [T, U]
    benefit: Array = (act & is_it).mean(1) - (act & ~is_it).mean(1) * thresholds / (1 - thresholds)
    return benefit


def _ranges(better: Array) -> tuple[tuple[float, float], ...]:
    """Returns the first and the last threshold of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], better, [False]]).astype(int)))
    return tuple((THRESHOLDS[first], THRESHOLDS[past - 1]) for first, past in zip(edges[::2], edges[1::2], strict=True))
