"""Two axes, for a first look: how fast the model learns, and whether it reads motion."""

import optuna

from trainables.config import TrainConfig


def suggest(trial: optuna.Trial, reference: TrainConfig) -> TrainConfig:
    """Draws the learning rate, and the motion read-out in closed form or none."""
    return reference.with_values(
        {
            "optimizer.lr": trial.suggest_float("optimizer.lr", 1e-4, 1e-2, log=True),
            "motion.readout": trial.suggest_categorical("motion.readout", ("statistics", "off")),
        }
    )
