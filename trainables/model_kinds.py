"""The kinds of model that a trial can be: the method itself, and the baselines on the same folds. Read by every command line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelKind:
    """One value of the setting `model`."""

    network: bool
    """Whether it is a video CLIP, whose weights are kept and can predict new videos."""
    trained: bool
    """Whether it takes optimiser steps."""
    shortcut: bool = False
    """Whether it scores without looking at the gait; a model that is not better may have learned what it knows."""
    tunes: str | None = None
    """The baseline that it is with its penalty chosen inside each fold; None for those that choose nothing."""
    left_out: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Settings that it overrides, which switch off parts of the method."""


METHOD = "clip"
KINDS: Mapping[str, ModelKind] = MappingProxyType(
    {
        METHOD: ModelKind(network=True, trained=True),
        "untrained": ModelKind(network=True, trained=False, left_out={"motion.readout": "off"}),
        "frozen_motion": ModelKind(network=True, trained=False, left_out={"motion.readout": "statistics"}),
        "parameters": ModelKind(network=False, trained=False),
        "linear_probe": ModelKind(network=False, trained=False),
        "tuned_parameters": ModelKind(network=False, trained=False, tunes="parameters"),
        "tuned_linear_probe": ModelKind(network=False, trained=False, tunes="linear_probe"),
        "vita_clip": ModelKind(
            network=True,
            trained=True,
            left_out={
                "text.knowledge": False,
                "text.keywords": False,
                "numeracy.enabled": False,
                "motion.readout": "off",
            },
        ),
        "attributes": ModelKind(network=False, trained=False, shortcut=True),
        "recording": ModelKind(network=False, trained=False, shortcut=True),
        "single_frame": ModelKind(network=False, trained=False, shortcut=True),
    }
)
FROM_NUMBERS = ("parameters", "tuned_parameters")
"""Kinds that see the gait parameters and no video."""
BASELINES = tuple(name for name in KINDS if name != METHOD)
SHORTCUTS = tuple(name for name, kind in KINDS.items() if kind.shortcut)
