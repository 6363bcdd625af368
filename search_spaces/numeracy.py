"""Everything about numbers as text: whether they are used, how they are written, and how much they weigh."""

from typing import Any

import optuna

from trainables.config import TrainConfig
from trainables.settings import ENCODINGS, PER_CLASS_OR_SHARED

WRITTEN_OUT = ("digits", "words")
"""Encodings that read the scaled value as text; the others divide it by the largest, so that its range changes nothing."""


def suggest(trial: optuna.Trial, reference: TrainConfig) -> TrainConfig:
    """Draws the settings of the numeric side; all but the first only where it is on."""
    return reference.with_values(draw(trial))


def draw(trial: optuna.Trial) -> dict[str, Any]:
    """Returns drawn settings by their dotted names."""
    values: dict[str, Any] = {"numeracy.enabled": trial.suggest_categorical("numeracy.enabled", (True, False))}
    if values["numeracy.enabled"]:
        values |= {
            "numeracy.encoding": trial.suggest_categorical("numeracy.encoding", ENCODINGS),
            "numeracy.subset_size": trial.suggest_int("numeracy.subset_size", 1, 5),
            "numeracy.max_correlation": trial.suggest_float("numeracy.max_correlation", 0.2, 1.0),
            "numeracy.weight": trial.suggest_float("numeracy.weight", 0.01, 1.0, log=True),
            "numeracy.heads": trial.suggest_categorical("numeracy.heads", PER_CLASS_OR_SHARED),
            "numeracy.head_width": trial.suggest_categorical("numeracy.head_width", (32, 64, 128)),
            "numeracy.temperature": trial.suggest_float("numeracy.temperature", 5.0, 200.0, log=True),
            "numeracy.memory_batch": trial.suggest_categorical("numeracy.memory_batch", (32, 64, 128)),
        }
        if values["numeracy.encoding"] in WRITTEN_OUT:
            values["numeracy.clip"] = trial.suggest_categorical("numeracy.clip", (1.0, 2.5, 5.0))
    return values
