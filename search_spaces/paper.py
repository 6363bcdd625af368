"""The published method alone, without a search: no motion read-out, one learning rate, passes over all windows."""

import optuna

from trainables.config import PUBLISHED, TrainConfig

SETTINGS = PUBLISHED
CELLS = 1


def suggest(trial: optuna.Trial, reference: TrainConfig) -> TrainConfig:
    """Draws nothing."""
    return reference
