"""Two axes, for a first look: how long the prompt is, and how much the numbers weigh."""

import optuna

from trainables.config import TrainConfig


def suggest(trial: optuna.Trial, reference: TrainConfig) -> TrainConfig:
    """Draws the prompt length and the weight of the numeric loss."""
    return reference.with_values(
        {
            "text.n_ctx": trial.suggest_int("text.n_ctx", 4, 20, step=4),
            "numeracy.weight": trial.suggest_float("numeracy.weight", 0.01, 1.0, log=True),
        }
    )
