"""Everything about time: what is read of motion, how many frames the prompted tower sees, and how windows are cut."""

from typing import Any

import optuna

from trainables.config import TrainConfig
from trainables.settings import READOUTS, TAILS


def suggest(trial: optuna.Trial, reference: TrainConfig) -> TrainConfig:
    """Draws the settings of the motion read-out, those of its kind alone, and of windows and frames."""
    return reference.with_values(draw(trial))


def draw(trial: optuna.Trial) -> dict[str, Any]:
    """Returns drawn settings by their dotted names."""
    values: dict[str, Any] = {
        "motion.readout": trial.suggest_categorical("motion.readout", READOUTS),
        "video.frames": trial.suggest_categorical("video.frames", (8, 16, 35)),
        "video.time_positions": trial.suggest_categorical("video.time_positions", (True, False)),
        "video.tail": trial.suggest_categorical("video.tail", TAILS),
    }
    if values["motion.readout"] == "statistics":
        values |= {
            "motion.components": trial.suggest_categorical("motion.components", (16, 32, 64, 128)),
            "motion.penalty": trial.suggest_float("motion.penalty", 1.0, 100.0, log=True),
            "motion.share": trial.suggest_float("motion.share", 0.0, 1.0),
            "motion.temperature": trial.suggest_float("motion.temperature", 2.0, 8.0, log=True),
            "optimizer.readout_lr": trial.suggest_categorical("optimizer.readout_lr", (0.0, 0.1, 1.0)),
        }
    return values
