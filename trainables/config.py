"""One configuration of the trainer: frozen, checked, and a unit under each field.

The defaults are those of the recipe in docs/decisions/0017; `PUBLISHED` gives those of the published method (arXiv
2403.13756 and its extension).
"""

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from trainables.errors import ConfigurationError
from trainables.model_kinds import KINDS, ModelKind
from trainables.setting_types import checked, settings_of
from trainables.settings import (
    LARGEST_SEED,
    AugmentConfig,
    DecoderConfig,
    MotionConfig,
    NumeracyConfig,
    OptimizerConfig,
    TextConfig,
    VideoConfig,
    require,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Everything that decides what one fold's training computes, but for its data."""

    model: Literal[
        "clip",
        "untrained",
        "frozen_motion",
        "vita_clip",
        "linear_probe",
        "parameters",
        "tuned_linear_probe",
        "tuned_parameters",
        "attributes",
        "recording",
        "single_frame",
    ] = "clip"
    """The knowledge-augmented video CLIP, or a baseline on the same folds."""
    seed: int = 0
    """Seed of initialisation, order and draws."""
    trainings: int = 1
    """Trainings with the seeds seed, seed + 1, ...; their probabilities are averaged, and their spread is kept."""
    video: VideoConfig = field(default_factory=VideoConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    motion: MotionConfig = field(default_factory=MotionConfig)
    text: TextConfig = field(default_factory=TextConfig)
    numeracy: NumeracyConfig = field(default_factory=NumeracyConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)

    def __post_init__(self) -> None:
        require(self.model in KINDS, "model", self.model, f"one of {tuple(KINDS)}")
        require(self.trainings >= 1, "trainings", self.trainings, "at least 1")
        require(0 <= self.seed <= LARGEST_SEED, "seed", self.seed, f"0 to {LARGEST_SEED}")

    @property
    def kind(self) -> ModelKind:
        """Returns what kind of model this is."""
        return KINDS[self.model]

    def effective(self) -> Self:
        """Returns the configuration with the settings that its kind of model overrides."""
        return self.with_values(self.kind.left_out)

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns settings by their dotted names, each value as the type of its field; text is read as on a command line.

        Raises:
            ConfigurationError: A setting does not exist, or its value is not of its type.
        """
        kinds = settings_of(cls)
        for name in values:
            if name not in kinds:
                near = difflib.get_close_matches(name, kinds, n=1)
                meant = f" (did you mean {near[0]}?)" if near else ""
                raise ConfigurationError(
                    f"{name!r} is not a setting{meant}; settings are {', '.join(sorted(kinds))}", code="setting.unknown"
                )
        return {name: checked(name, value, kinds[name]) for name, value in values.items()}

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """Returns a copy with dotted fields replaced, as {"text.n_ctx": 12, "seed": 1}.

        Raises:
            ConfigurationError: A field does not exist, or its value is not allowed.
        """
        changes: dict[str, dict[str, Any]] = {}
        top: dict[str, Any] = {}
        for name, value in self.checked(values).items():
            section, _, leaf = name.partition(".")
            if leaf:
                changes.setdefault(section, {})[leaf] = value
            else:
                top[section] = value
        sections = {name: dataclasses.replace(getattr(self, name), **change) for name, change in changes.items()}
        return dataclasses.replace(self, **top, **sections)

    def flat(self) -> dict[str, Any]:
        """Returns every setting by its dotted name, as {"text.n_ctx": 8, ...}."""
        flat: dict[str, Any] = {}
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, dict):
                flat |= {f"{name}.{leaf}": v for leaf, v in value.items()}
            else:
                flat[name] = value
        return flat

    @classmethod
    def from_flat(cls, values: dict[str, Any]) -> Self:
        """Returns the configuration whose `flat()` is `values`; missing settings take their defaults."""
        return cls().with_values(values)


PUBLISHED: dict[str, Any] = {
    "video.frames": 70,
    "video.tail": "pad",
    "video.time_positions": False,
    "motion.readout": "off",
    "text.projector": "per_class",
    "text.notions": "raw",
    "optimizer.focal_gradient": True,
    "optimizer.lr": 1e-4,
    "optimizer.attention_lr": 1.0,
    "optimizer.numeric_lr": 1.0,
    "optimizer.warmup": 0.0,
    "optimizer.clip_norm": 0.0,
    "optimizer.max_scale": 0.0,
    "optimizer.text_anchor": 0.0,
    "optimizer.video_anchor": 0.0,
    "optimizer.steps": 0,
    "optimizer.balance": False,
    "optimizer.jitter": False,
}
"""The settings in which the published method differs from the defaults."""
