"""Decodes each class of a fold: where its query looks, what is read there, and the same from controls.

Letters: C classes, U units, P parameters, O head width.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainables.inference.reader import Reader
from trainables.inference.subject_records import SubjectRecords
from trainables.model.gait_clip import GaitCLIP
from trainables.model.numeracy import NumericMemory
from trainables.model.scaling import from_bin, to_bin
from trainables.study.descriptions import (
    CLASS_MEAN,
    LEAST_SUBJECTS,
    OTHER_CLASS,
    UNTRAINED,
    UNTRAINED_TEXTS,
    Attention,
    ClassDescription,
    ClassValue,
    Control,
    ParameterSkill,
    class_range,
    group_median,
    inside_ranges,
    skilled,
    subject_means,
)
from trainables.study.records import DecodedClass, DecodedValue
from trainables.training.job import FoldJob, parameter_values


@dataclass(frozen=True, kw_only=True)
class Queries:
    """Every class's query and every unit's keys, in the space of the numeric heads."""

    classes: Tensor
    """[C, O]."""
    keys: Tensor
    """[U, C or 1, O]."""

    @classmethod
    @torch.inference_mode()
    def of(
        cls, model: GaitCLIP, units: SubjectRecords, memory: NumericMemory, class_features: Tensor | None = None
    ) -> "Queries":
        """Returns the queries of a model's class features, or of other ones [C, D], through the model's heads."""
        assert model.numeric is not None
        features = model.class_features().float() if class_features is None else class_features
        keys = units.keys(model.numeric, memory, model.log_scale.device)
        return cls(classes=model.numeric.project_classes(features).cpu().double(), keys=keys)

    def weights(self, units: SubjectRecords, label: int) -> np.ndarray:
        """Returns the attention of a class's query over the units of all classes, [U]."""
        heads = self.keys.expand(-1, len(self.classes), -1)
        return units.attention(torch.einsum("uco,co->uc", heads, self.classes), label)


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What decoded values are held against: the fold's training subjects, in units."""

    ranges: np.ndarray
    """[C, 3, P] 5 %, median and 95 % of each class's subjects; NaN where too few are measured."""
    pooled: np.ndarray
    """[P] median of all subjects."""
    deviation: np.ndarray
    """[P] standard deviation of all subjects."""

    @classmethod
    def of(cls, job: FoldJob) -> "Ground":
        """Returns the training subjects' distribution; a subject's videos are averaged first."""
        train = job.cohort.of_subjects(job.fold.train)
        values, subjects, labels = parameter_values(job.cohort, train), train["subject"].to_numpy(), train["label"]
        ranges = [
            class_range(subject_means(values[own], subjects[own]))
            for own in (labels.to_numpy() == label for label in range(len(job.cohort.classes)))
        ]
        every = subject_means(values, subjects)
        count = np.isfinite(every).sum(0)
        deviation = np.zeros(every.shape[1])
        deviation[count > 1] = np.nanstd(every[:, count > 1], axis=0)
        return cls(ranges=np.stack(ranges), pooled=group_median(every), deviation=deviation)


@dataclass(frozen=True, kw_only=True)
class ClassWriter:
    """Puts classes of one fold into words."""

    job: FoldJob
    memory: NumericMemory
    units: SubjectRecords
    reader: Reader
    ground: Ground
    beams: int

    def describe(
        self, label: int, weights: np.ndarray, controls: dict[str, np.ndarray]
    ) -> tuple[DecodedClass | None, ClassDescription]:
        """Returns a class's words and what they rest on; no words where no parameter can be printed.

        Args:
            weights: of the class's query, [U].
            controls: other weights by the control's name.
        """
        name = self.job.cohort.classes[label]
        every = [weights, *controls.values()]
        values = np.stack([self._quantised(self.units.read(w, self.reader.head)) for w in every])  # [1 + controls, P]
        told = self._printable(label, values[0])
        if not told:
            reason = (
                f"{name} is not described: no parameter that the decoder reads better than its median is measured in at "
                f"least {LEAST_SUBJECTS} of the class's training subjects; add measured parameters"
            )
            return None, ClassDescription(label=name, refusal=reason)
        features = torch.from_numpy(np.stack(every)) @ self.units.features
        scaled = np.nan_to_num(values)
        said = self.reader.say(features, [frozenset(told)] * len(every), scaled, self.beams)
        inside = [inside_ranges(self._in_units(v), self.ground.ranges[:, [0, 2]], label) for v in values]
        found = tuple(
            Control(
                name=control,
                sentence=sentence(tuple(self._decoded(label, p, values[row, p]) for p, _ in said[row])),
                terms=self._terms(said[row], values[row]),
                own=self._own_share(label, w),
                inside=float(inside[row][0][told].mean()),
                others=float(inside[row][1][told].mean()),
            )
            for row, (control, w) in enumerate(controls.items(), start=1)
        )
        decoded = tuple(self._decoded(label, p, values[0, p]) for p, _ in said[0])
        return DecodedClass(label=name, sentence=sentence(decoded), values=decoded), ClassDescription(
            label=name,
            attention=self._attention(label, weights),
            terms=self._terms(said[0], values[0]),
            values=tuple(self._value(p, values[0, p], *(part[p] for part in inside[0])) for p in told),
            controls=found,
        )

    def _printable(self, label: int, values: np.ndarray) -> list[int]:
        """Returns the parameters with skill that are measured in enough of the class's subjects."""
        names = skilled(self.reader.skills)
        measured = np.isfinite(self.ground.ranges[label, 1]) & np.isfinite(values) & np.isfinite(self.ground.pooled)
        return [p for p, name in enumerate(self.job.frozen.names) if name in names and measured[p]]

    def _quantised(self, values: np.ndarray) -> np.ndarray:
        """Returns values [P] in clip limits as the middle of their bins, which is what a number token says; NaN stays."""
        return np.where(np.isnan(values), np.nan, from_bin(to_bin(np.nan_to_num(values), 1.0), 1.0))

    def _in_units(self, values: np.ndarray) -> np.ndarray:
        scaler = self.memory.scaler
        return scaler.centre + values * scaler.clip * scaler.unit_per_v

    def _terms(self, pairs: list[tuple[int, int]], values: np.ndarray) -> tuple[tuple[str, bool], ...]:
        units = self._in_units(values)
        return tuple((self.job.frozen.names[p], bool(units[p] > self.ground.pooled[p])) for p, _ in pairs)

    def _decoded(self, label: int, parameter: int, value: float) -> DecodedValue:
        about = self.job.cohort.parameters[parameter]
        low, median, high = self.ground.ranges[label, :, parameter].tolist()
        scaled = float(value) * self.memory.scaler.clip
        said = self.memory.scaler.in_units(scaled, parameter)
        return DecodedValue(parameter=about.name, unit=about.unit, value=said, low=low, median=median, high=high)

    def _value(self, parameter: int, value: float, inside: bool, others: float) -> ClassValue:
        about = self.job.cohort.parameters[parameter]
        return ClassValue(
            parameter=about.name,
            unit=about.unit,
            value=self.memory.scaler.in_units(float(value) * self.memory.scaler.clip, parameter),
            pooled=float(self.ground.pooled[parameter]),
            deviation=float(self.ground.deviation[parameter]),
            inside=bool(inside),
            others=float(others),
            skill=next((_mixed(s) for s in self.reader.skills if s.parameter == about.name), 0.0),
        )

    def _own_share(self, label: int, weights: np.ndarray) -> float:
        return float(weights[self.units.labels == label].sum())

    def _attention(self, label: int, weights: np.ndarray) -> Attention:
        names, place = np.unique(self.units.subjects, return_inverse=True)
        by_subject = np.bincount(place, weights, len(names))
        own = len(np.unique(self.units.subjects[self.units.labels == label]))
        return Attention(
            own=self._own_share(label, weights),
            chance=own / len(names),
            effective=float(1 / (by_subject**2).sum()),
            largest=float(by_subject.max()),
        )


def class_weights(
    units: SubjectRecords, trained: Queries, untrained: Queries, untrained_texts: Queries, label: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns the weights of a class's query, [U], and those of its controls by name."""
    other = (label + 1) % len(trained.classes)
    return trained.weights(units, label), {
        UNTRAINED: untrained.weights(units, label),
        UNTRAINED_TEXTS: untrained_texts.weights(units, label),
        CLASS_MEAN: units.uniform(label),
        OTHER_CLASS: trained.weights(units, other),
    }


def sentence(values: tuple[DecodedValue, ...]) -> str:
    """Returns 'walking speed is 0.84 leg/s, cadence is 92.9 steps/min'."""
    return ", ".join(f"{v.parameter} is {_three_digits(v.value)}{' ' + v.unit if v.unit else ''}" for v in values)


def _mixed(skill: ParameterSkill) -> float:
    """Returns the skill on mixes, as descriptions are; on single records where it was not measured on mixes."""
    return skill.skill if skill.mixed is None else skill.mixed


def _three_digits(value: float) -> str:
    """Returns a number with three digits or all before the point: 0.842, 92.9, 1234."""
    return f"{value:.0f}" if abs(value) >= 999.5 else f"{value:.3g}"
