"""Everything about optimisation: learning rates, their decay, anchors, draws, and the weights inside the loss."""

from typing import Any

import optuna

from trainables.config import TrainConfig


def suggest(trial: optuna.Trial, reference: TrainConfig) -> TrainConfig:
    """Draws the settings of optimiser and loss; steps and batch size stay, so that trials cost alike."""
    return reference.with_values(draw(trial, reference))


def draw(trial: optuna.Trial, reference: TrainConfig) -> dict[str, Any]:
    """Returns drawn settings by their dotted names; the class distance's weight only where the classes are ordered."""
    values: dict[str, Any] = {
        "optimizer.lr": trial.suggest_float("optimizer.lr", 1e-5, 1e-2, log=True),
        "optimizer.prompt_lr": trial.suggest_float("optimizer.prompt_lr", 0.1, 3.0, log=True),
        "optimizer.numeric_lr": trial.suggest_float("optimizer.numeric_lr", 1.0, 30.0, log=True),
        "optimizer.weight_decay": trial.suggest_float("optimizer.weight_decay", 0.0, 0.3),
        "optimizer.text_anchor": trial.suggest_float("optimizer.text_anchor", 0.0, 16.0),
        "optimizer.video_anchor": trial.suggest_float("optimizer.video_anchor", 0.0, 16.0),
        "optimizer.balance": trial.suggest_categorical("optimizer.balance", (True, False)),
        "optimizer.focal_gamma": trial.suggest_float("optimizer.focal_gamma", 0.0, 4.0),
    }
    if reference.optimizer.ordinal_beta:
        values["optimizer.ordinal_beta"] = trial.suggest_float("optimizer.ordinal_beta", 0.0, 1.0)
    return values
