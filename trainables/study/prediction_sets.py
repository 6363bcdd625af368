"""prediction_sets.json: the probability from which a class belongs to the set of answers for one person. No torch and no Ray here.

A set holds every class that a new person like the study's may well have: at a coverage of 0.9 the true class is missing
for at most one person in ten (split conformal prediction). Calibration needs people whom no search saw: those of outer folds.

Letters: U units (videos or subjects), S subjects, C classes.

Source: Vovk, Gammerman and Shafer 2005, Algorithmic Learning in a Random World; several videos of one person as in Lee,
Barber and Willett 2023, Distribution-free inference with hierarchical data, arXiv:2306.06342.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from trainables.study.formats import build, read_record, write_record

NAME = "prediction_sets.json"
UNKNOWN = "does not know"
LEAST = 1e-6
"""A class whose people can be given a smaller probability than this belongs to every set."""
ROUNDING = 1e-9
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class SetRule:
    """Which classes belong to the set of one video or subject."""

    level: str
    """'subject' or 'video'."""
    smallest: tuple[float, ...]
    """Probability from which each class belongs to the set, 0-1."""

    def members(self, probabilities: Sequence[Sequence[float]] | Array) -> Array:
        """Returns whether each class is in the set of each unit, bool [..., C]; probabilities are [..., C]."""
        return np.greater_equal(np.asarray(probabilities, dtype=float), np.array(self.smallest))


@dataclass(frozen=True, kw_only=True)
class PredictionSets:
    """The sets that go with a study's model, or why it has none."""

    trial: int
    """Of the model; sets of another trial's model are not this one's."""
    refit: str
    """What predicts, as --refit."""
    coverage: float
    """Share of new people whose set holds the true class, as asked for: 0.9."""
    by_class: bool = False
    """Whether that holds in each class, or only for the people of all classes together."""
    subjects: int = 0
    """By whom the sets were calibrated."""
    rules: tuple[SetRule, ...] = ()
    """For subjects and videos; for videos alone where labels are per video; empty where `refusal` says why."""
    held: float | None = None
    """Share of held-out units of the first rule whose set held the truth, by the scores of the other outer folds."""
    held_low: float | None = None
    """Wilson 95 % interval; held_high likewise."""
    held_high: float | None = None
    refusal: str = ""
    """Why there are no sets, as a clause."""

    def rule(self, level: str) -> SetRule | None:
        """Returns the rule of a level; None where there is none."""
        return next((rule for rule in self.rules if rule.level == level), None)

    @property
    def percent(self) -> str:
        """Returns the coverage for reading: '90 %'."""
        return f"{100 * self.coverage:.3g} %"

    def sentence(self) -> str:
        """Returns what a reader of sets must know, as a clause."""
        if not self.rules:
            return f"there are no prediction sets: {self.refusal}"
        of = "each class" if self.by_class else "all classes together"
        share = "" if self.held is None else f" ({self.held:.0%} of those held out)"
        return (
            f"a set of {self.percent} holds the true class of about {self.percent} of new people of {of} who are like the study's "
            f"{self.subjects}{share}; one with no class or all of them is {UNKNOWN!r}"
        )

    def of_model(self, trial: int, refit: str) -> Self:
        """Returns the sets of a study's model; without rules where they are those of another one."""
        if (self.trial, self.refit) == (trial, refit):
            return self
        refusal = (
            f"those of the study are of trial {self.trial}'s model; python -m platform.report STUDY computes them again"
        )
        return dataclasses.replace(self, trial=trial, refit=refit, rules=(), refusal=refusal)

    def save(self, folder: Path) -> None:
        """Writes prediction_sets.json."""
        write_record(folder / NAME, dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Reads what `save` wrote; None where a study has none."""
        path = folder / NAME
        return build(cls, read_record(path), path) if path.exists() else None


def fewest(coverage: float) -> int:
    """Returns the fewest subjects by whom sets of a coverage can be calibrated: 1 / alpha - 1, with alpha = 1 - coverage."""
    return max(1, math.ceil(1 / (1 - coverage) - 1 - ROUNDING))


def smallest_probability(true: Array, subjects: Array, coverage: float) -> float | None:
    """Returns the probability that a new person's true class reaches with this coverage; None for too few subjects.

    A subject counts once, however many units there are: each unit has the weight 1 / (units of its subject), and the new
    person stands for one subject more, of whom nothing is known.

    Args:
        true: Probability of the true class of each unit [U].
        subjects: The subject of each unit [U].
        coverage: 0-1.
    """
    names, place, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    order = np.argsort(-true, kind="stable")
    reached = np.cumsum(1 / counts[place][order]) >= (len(names) + 1) * coverage - ROUNDING
    return float(true[order][reached.argmax()]) if reached.any() else None


def set_rule(units: pl.DataFrame, level: str, classes: int, coverage: float, *, by_class: bool) -> SetRule | None:
    """Returns the rule that units calibrate; None for too few subjects.

    Probabilities are rounded down to two digits, so that none of them is that of one person; the sets grow by no more.

    Args:
        units: Of people whom no model saw, as `at_level` gives them.
        level: 'subject' or 'video'.
        classes: C.
        coverage: 0-1.
        by_class: Whether each class is calibrated by its own people alone.
    """
    true = units["true"].to_numpy()
    own = np.array(units["probabilities"].to_list()).reshape(-1, classes)[np.arange(len(true)), true]
    subjects = units["subject"].to_numpy()
    groups = [true == c for c in range(classes)] if by_class else [np.ones(len(true), dtype=bool)]
    found = [smallest_probability(own[group], subjects[group], coverage) for group in groups]
    if any(value is None for value in found):
        return None
    smallest = [rounded_down(value) for value in found if value is not None]
    return SetRule(level=level, smallest=tuple(smallest if by_class else smallest * classes))


def rounded_down(value: float) -> float:
    """Returns a probability with two digits, never a larger one."""
    if value < LEAST:
        return 0.0
    digits = 1 - math.floor(math.log10(value))
    return math.floor(value * 10**digits) / 10**digits


def unknown(members: Array) -> Array:
    """Returns where the sets [..., C] say nothing: they hold no class, or all of them."""
    return np.logical_or(members.all(-1), ~members.any(-1))


def in_words(members: Sequence[int], classes: Sequence[str]) -> str:
    """Returns a set for reading: 'healthy', 'healthy or AD', or 'does not know'.

    Args:
        members: Indices of the classes in the set.
        classes: All class names.
    """
    if len(members) in (0, len(classes)):
        return UNKNOWN
    names = [classes[index] for index in members]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
