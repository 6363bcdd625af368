"""What decoded words rest on, over the folds: skill, attention, separation, controls, and what differs between classes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trainables.study.descriptions import (
    CONTROLS,
    OTHER_CLASS,
    UNTRAINED,
    ClassDescription,
    ClassValue,
    ParameterSkill,
    skilled,
)
from trainables.study.records import FoldResult

SHOWN_DIFFERENCES = 4
COUNTED = (UNTRAINED, OTHER_CLASS)
"""Controls that a stable term must outnumber. The class mean and untrained texts with trained heads look at the same class,
so that they name the same terms is no argument against these."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SkillRow:
    """One parameter's skill, mean over the folds."""

    parameter: str
    unit: str
    error: float
    """Mean absolute error in the unit, on subjects that were not fitted to; held-out subjects where a fold has any."""
    median_error: float
    skill: float
    mixed: float | None
    """Skill on mixes of held-out training subjects."""
    named: float | None
    """Share of the records with the parameter in whose sentence it is named."""
    printed: int
    """Folds in which it may be printed."""
    folds: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlRow:
    """A control of one class, mean over the folds."""

    name: str
    own: float
    separation: float
    sentences: tuple[tuple[int, str], ...]
    """(fold, sentence)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A parameter in which a class as decoded departs from all training subjects, mean over the folds that have it."""

    parameter: str
    unit: str
    value: float
    pooled: float
    departure: float
    """In standard deviations of all training subjects."""
    folds: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassEvidence:
    """What the words of one class rest on, over the folds that were described."""

    refusals: tuple[str, ...]
    """Why it has no words in some folds, each sentence once."""
    folds: int
    """Folds with words."""
    own: float
    """Share of the query's weight on the class's own subjects: mean, lowest and highest fold."""
    own_low: float
    own_high: float
    chance: float
    effective: float
    """Effective number of subjects, in the fold with the fewest."""
    largest: float
    """Largest weight of one subject in any fold."""
    inside: float
    others: float
    separation: float
    controls: tuple[ControlRow, ...]
    differences: tuple[Difference, ...]
    """The largest departure, times the reader's skill, first; parameters with skill and separation in at least half of the folds."""
    sentence: str
    """The first differences in words; '' without any."""


def class_evidence(results: Sequence[FoldResult], label: str) -> ClassEvidence | None:
    """Returns what a class's words rest on; None where no fold was described by a version that measures it."""
    found = [c for r in results if r.descriptions is not None and (c := r.descriptions.of(label)) is not None]
    if not found:
        return None
    folds = [r.fold for r in results if r.descriptions is not None and r.descriptions.of(label) is not None]
    told = [(fold, c) for fold, c in zip(folds, found, strict=True) if c.attention is not None]
    attention = [c.attention for _, c in told if c.attention is not None]
    differences = _differences([c for _, c in told])
    return ClassEvidence(
        refusals=tuple(dict.fromkeys(c.refusal for c in found if c.refusal)),
        folds=len(told),
        own=_mean(a.own for a in attention),
        own_low=min((a.own for a in attention), default=0.0),
        own_high=max((a.own for a in attention), default=0.0),
        chance=_mean(a.chance for a in attention),
        effective=min((a.effective for a in attention), default=0.0),
        largest=max((a.largest for a in attention), default=0.0),
        inside=_mean(c.inside for _, c in told),
        others=_mean(c.others for _, c in told),
        separation=_mean(c.separation for _, c in told),
        controls=tuple(_control(name, told) for name in CONTROLS) if told else (),
        differences=differences,
        sentence=difference_sentence(differences),
    )


def stable_terms(results: Sequence[FoldResult], label: str) -> tuple[str, ...] | None:
    """Returns the terms named in at least two folds and half of them, and in more folds than a counted control names them.

    A term is a parameter together with its side of the pooled median. None where nothing was measured of it.
    """
    told = [
        c
        for r in results
        if r.descriptions is not None and (c := r.descriptions.of(label)) is not None and c.attention is not None
    ]
    if not told:
        return None
    terms = dict.fromkeys(term for c in told for term in c.terms)
    return tuple(
        name
        for name, above in terms
        if (count := sum((name, above) in c.terms for c in told)) >= 2
        and 2 * count >= len(told)
        and all(
            count > sum((name, above) in k.terms for c in told for k in c.controls if k.name == control)
            for control in COUNTED
        )
    )


def skill_rows(results: Sequence[FoldResult]) -> tuple[SkillRow, ...]:
    """Returns each parameter's skill over the folds, in the order of the folds' own lists."""
    found = [r.descriptions for r in results if r.descriptions is not None]
    rows = []
    for name in dict.fromkeys(s.parameter for d in found for s in d.training):
        own = [s for d in found for s in (d.held_out or d.training) if s.parameter == name]
        training = [s for d in found for s in d.training if s.parameter == name]
        if not own:
            continue
        row = _skill_row(own, folds=len(found), printed=sum(name in skilled(d.training) for d in found))
        rows.append(
            replace(row, mixed=_mean_or_none(s.mixed for s in training), named=_mean_or_none(s.named for s in own))
        )
    return tuple(rows)


def video_rows(results: Sequence[FoldResult]) -> tuple[SkillRow, ...]:
    """Returns the skill of what is estimated of a video, over the folds."""
    found: list[tuple[ParameterSkill, ...]] = [r.descriptions.video for r in results if r.descriptions is not None]
    rows = []
    for name in dict.fromkeys(s.parameter for skills in found for s in skills):
        own = [s for skills in found for s in skills if s.parameter == name]
        rows.append(_skill_row(own, folds=len(found), printed=sum(s.skill > 0 for s in own)))
    return tuple(rows)


def _skill_row(own: Sequence[ParameterSkill], *, folds: int, printed: int) -> SkillRow:
    """Returns the mean over the folds of one parameter's errors and skill."""
    return SkillRow(
        parameter=own[0].parameter,
        unit=own[0].unit,
        error=_mean(s.error for s in own),
        median_error=_mean(s.median_error for s in own),
        skill=_mean(s.skill for s in own),
        mixed=None,
        named=None,
        printed=printed,
        folds=folds,
    )


def difference_sentence(differences: Sequence[Difference]) -> str:
    """Returns 'lower walking speed (0.71 instead of 1.02 leg/s, 1.3 SD), ...' of the first differences."""
    return ", ".join(
        f"{comparative(d.parameter, d.unit, d.departure > 0)} {d.parameter} "
        f"({d.value:.3g} instead of {d.pooled:.3g}{' ' + d.unit if d.unit else ''}, {abs(d.departure):.1f} SD)"
        for d in differences[:SHOWN_DIFFERENCES]
    )


def comparative(parameter: str, unit: str, above: bool) -> str:
    """Returns the word that says on which side of the others a parameter is: wider, shorter, lower ..."""
    if "difference" in parameter or "angle" in parameter:
        return "larger" if above else "smaller"  # signed: towards the left or out, which the numbers say
    if "base of support" in parameter or "width" in parameter:
        return "wider" if above else "narrower"
    if "speed" not in parameter and (unit in ("s", "ms", "leg", "cm", "m", "mm")):
        return "longer" if above else "shorter"
    return "higher" if above else "lower"


def _differences(told: Sequence[ClassDescription]) -> tuple[Difference, ...]:
    separating: dict[str, list[ClassValue]] = {}
    for c in told:
        for value in c.differences():
            separating.setdefault(value.parameter, []).append(value)
    rows = [
        Difference(
            parameter=name,
            unit=values[0].unit,
            value=_mean(v.value for v in values),
            pooled=_mean(v.pooled for v in values),
            departure=_mean(v.departure for v in values),
            folds=len(values),
        )
        for name, values in separating.items()
        if 2 * len(values) >= len(told)
    ]
    return tuple(sorted(rows, key=lambda d: -_mean(v.weight for v in separating[d.parameter])))


def _control(name: str, told: Sequence[tuple[int, ClassDescription]]) -> ControlRow:
    own = [(fold, k) for fold, c in told for k in c.controls if k.name == name]
    return ControlRow(
        name=name,
        own=_mean(k.own for _, k in own),
        separation=_mean(k.separation for _, k in own),
        sentences=tuple((fold, k.sentence) for fold, k in own),
    )


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return float(np.mean(found)) if found else 0.0


def _mean_or_none(values: Iterable[float | None]) -> float | None:
    found = [v for v in values if v is not None]
    return float(np.mean(found)) if found else None
