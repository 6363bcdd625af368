"""Everything about optimisation: the learning rate, its decay, and the weights inside the loss."""

from typing import Any

import optuna

from trainables.config import TrainConfig


def suggest(trial: optuna.Trial, reference: TrainConfig) -> TrainConfig:
    """Draws the settings of optimiser and loss; epochs and batch size stay, so that trials cost alike."""
    return reference.with_values(draw(trial))


def draw(trial: optuna.Trial) -> dict[str, Any]:
    """Returns drawn settings by their dotted names."""
    return {
        "optimizer.lr": trial.suggest_float("optimizer.lr", 1e-5, 1e-2, log=True),
        "optimizer.weight_decay": trial.suggest_float("optimizer.weight_decay", 0.0, 0.3),
        "optimizer.focal_gamma": trial.suggest_float("optimizer.focal_gamma", 0.0, 4.0),
        "optimizer.ordinal_beta": trial.suggest_float("optimizer.ordinal_beta", 0.0, 1.0),
    }
