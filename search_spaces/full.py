"""Prompts, numbers and optimisation together."""

import optuna

from search_spaces import numeracy, prompts
from trainables.config import TrainConfig


def suggest(trial: optuna.Trial, reference: TrainConfig) -> TrainConfig:
    """Draws from every axis; settings of a part that is off are not drawn."""
    optimisation = {
        "optimizer.lr": trial.suggest_float("optimizer.lr", 1e-5, 1e-2, log=True),
        "optimizer.weight_decay": trial.suggest_float("optimizer.weight_decay", 0.0, 0.3),
        "optimizer.focal_gamma": trial.suggest_float("optimizer.focal_gamma", 0.0, 4.0),
        "optimizer.ordinal_beta": trial.suggest_float("optimizer.ordinal_beta", 0.0, 1.0),
    }
    return reference.with_values(prompts.draw(trial) | numeracy.draw(trial) | optimisation)
