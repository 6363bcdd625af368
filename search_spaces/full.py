"""Prompts, motion, numbers and optimisation together."""

import optuna

from search_spaces import motion, numeracy, optimizer, prompts
from trainables.config import TrainConfig


def suggest(trial: optuna.Trial, reference: TrainConfig) -> TrainConfig:
    """Draws from every axis; settings of a part that is off are not drawn."""
    drawn = prompts.draw(trial) | motion.draw(trial) | numeracy.draw(trial) | optimizer.draw(trial, reference)
    return reference.with_values(drawn)
