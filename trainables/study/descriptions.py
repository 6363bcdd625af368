"""What a fold's descriptions of its classes rest on: skill, attention, controls and separation. No torch and no Ray here.

A skill is 1 - error / error of always saying the training median: 1 is exact, 0 is no better than the median.
Letters: S subjects, P parameters, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LEAST_SUBJECTS = 3
"""k: no subject has more than 1/k of the weight of a description, and no quantile is of fewer subjects."""
NORMAL_95 = 1.645
"""Standard deviations from the mean to the 95 % quantile of a normal distribution."""
UNTRAINED, UNTRAINED_TEXTS, CLASS_MEAN, OTHER_CLASS = CONTROLS = (
    "the untrained model",
    "untrained texts, trained heads",
    "the class mean",
    "another class's query",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterSkill:
    """How well one parameter is read on subjects that the reader was not fitted to; errors are mean absolute ones in units."""

    parameter: str
    unit: str
    error: float
    median_error: float
    """Of always saying the training median."""
    skill: float
    mixed: float | None = None
    """Skill on random mixes of several subjects' records, as descriptions are; None where it was not measured."""
    named: float | None = None
    """Share of the records with the parameter in whose sentence it is named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attention:
    """Where a class's query looks among the records of all training classes."""

    own: float
    """Share of the weight on the class's own subjects."""
    chance: float
    """The class's share of the subjects."""
    effective: float
    """Effective number of subjects, 1 / sum of squared weights."""
    largest: float
    """Largest weight of one subject, at most 1 / LEAST_SUBJECTS."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassValue:
    """One parameter of a class as decoded, whether its sentence names it or not."""

    parameter: str
    unit: str
    value: float
    pooled: float
    """Median of all training subjects."""
    deviation: float
    """Standard deviation of all training subjects, in the unit."""
    inside: bool
    """Whether the value lies in the class's own range (5 to 95 % of its training subjects)."""
    others: float
    """Share of the other classes whose range holds it too."""
    skill: float = 1.0
    """Of the reader in mixes of held-out training subjects; studies of older versions have 1."""

    @property
    def departure(self) -> float:
        """Returns how far the value is from the pooled median, in standard deviations."""
        return (self.value - self.pooled) / self.deviation if self.deviation > 0 else 0.0

    @property
    def weight(self) -> float:
        """Returns the departure's size times the skill: what is read badly does not lead."""
        return abs(self.departure) * max(self.skill, 0.0)

    @property
    def separates(self) -> bool:
        """Returns whether the value is inside the class's own range and outside the range of another class."""
        return self.inside and self.others < 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """The same decoding of one class, from weights that are not its trained query's."""

    name: str
    sentence: str
    terms: tuple[tuple[str, bool], ...]
    """(parameter, whether its value is above the pooled median) of the sentence."""
    own: float
    """Share of the weight on the class's own subjects."""
    inside: float
    """Share of all values inside the class's own range, and mean share of the other classes' ranges that hold them."""
    others: float

    @property
    def separation(self) -> float:
        return self.inside - self.others


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassDescription:
    """One class in one fold: why it is not described, or what its description rests on."""

    label: str
    refusal: str = ""
    """Why the class has no sentence; '' where it has one."""
    attention: Attention | None = None
    terms: tuple[tuple[str, bool], ...] = ()
    """(parameter, whether its value is above the pooled median) of the sentence."""
    values: tuple[ClassValue, ...] = ()
    """Every parameter with skill that is measured in enough of the class's subjects."""
    controls: tuple[Control, ...] = ()

    @property
    def inside(self) -> float:
        """Returns the share of the values that lie in the class's own range."""
        return float(np.mean([v.inside for v in self.values])) if self.values else 0.0

    @property
    def others(self) -> float:
        """Returns the mean share of the other classes' ranges that hold the values."""
        return float(np.mean([v.others for v in self.values])) if self.values else 0.0

    @property
    def separation(self) -> float:
        return self.inside - self.others

    @property
    def holds(self) -> bool:
        """Returns whether the description may stand beside a prediction: the query prefers its own class's subjects."""
        return not self.refusal and self.attention is not None and self.attention.own > self.attention.chance

    def differences(self) -> tuple[ClassValue, ...]:
        """Returns the separating parameters, the largest departure from the pooled median, times the reader's skill, first."""
        return tuple(sorted((v for v in self.values if v.separates), key=lambda v: -v.weight))


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldDescriptions:
    """Everything that a fold's descriptions rest on."""

    classes: tuple[ClassDescription, ...]
    training: tuple[ParameterSkill, ...]
    """On training subjects, each held out of what reads it: this decides which parameters may be printed."""
    held_out: tuple[ParameterSkill, ...]
    """On the fold's held-out subjects: reported, and decides nothing."""
    video: tuple[ParameterSkill, ...] = ()
    """Of the estimate from a video's features, on training subjects held out of it."""
    steps: int = 0
    """Steps of the language model that its loss on held-out training subjects chose."""
    penalty: float = 0.0
    """Ridge penalty of the number head, chosen likewise."""

    def of(self, label: str) -> ClassDescription | None:
        """Returns the description of a class; None for a class that the fold does not know."""
        return next((c for c in self.classes if c.label == label), None)


def skilled(skills: Sequence[ParameterSkill]) -> frozenset[str]:
    """Returns the parameters that are read better than by their median, in records and in mixes of them."""
    return frozenset(s.parameter for s in skills if s.skill > 0 and (s.mixed is None or s.mixed > 0))


def class_range(values: np.ndarray) -> np.ndarray:
    """Returns 5 %, median and 95 % [3, P] of subjects' values [S, P], none of them one subject's; NaN where too few are measured.

    The limits are those of a normal distribution, mean -+ 1.645 SD; an empirical quantile of few people is a person's value.
    """
    found = np.full((3, values.shape[1]), np.nan)
    found[1] = group_median(values)
    known = np.isfinite(found[1])
    mean, deviation = np.nanmean(values[:, known], axis=0), np.nanstd(values[:, known], axis=0, ddof=1)
    found[0, known], found[2, known] = mean - NORMAL_95 * deviation, mean + NORMAL_95 * deviation
    return found


def group_median(values: np.ndarray) -> np.ndarray:
    """Returns the median [P] of subjects' values [S, P] smoothed over LEAST_SUBJECTS neighbours; NaN where too few are measured."""
    found = np.full(values.shape[1], np.nan)
    for p, column in enumerate(values.T):
        present = np.sort(column[np.isfinite(column)])
        if len(present) >= LEAST_SUBJECTS:
            found[p] = np.median(np.lib.stride_tricks.sliding_window_view(present, LEAST_SUBJECTS).mean(1))
    return found


def inside_ranges(values: np.ndarray, ranges: np.ndarray, own: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns whether values [P] lie in the own class's range, and the share of other classes' ranges that hold them, [P].

    Args:
        ranges: [C, 2, P] low and high of each class, NaN where a class has none; such a class does not count.
    """
    held = (ranges[:, 0] <= values) & (values <= ranges[:, 1])  # [C, P]
    known = np.isfinite(ranges[:, 0])
    others = np.arange(len(ranges)) != own
    count = known[others].sum(0)
    share = np.divide(held[others].sum(0), count, out=np.zeros(len(values)), where=count > 0)
    return held[own], share


def subject_means(values: np.ndarray, subjects: np.ndarray) -> np.ndarray:
    """Returns each subject's mean of each parameter, [S, P], of its videos' values [N, P] with NaN where not measured."""
    means: list[Any] = []
    for name in np.unique(subjects):
        rows = values[subjects == name]
        present = np.isfinite(rows)
        count = present.sum(0)
        means.append(
            np.divide(np.where(present, rows, 0).sum(0), count, out=np.full(rows.shape[1], np.nan), where=count > 0)
        )
    return np.stack(means) if means else np.empty((0, values.shape[1]))
