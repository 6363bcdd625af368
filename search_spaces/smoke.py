"""Two axes, for a first look: how far the motion read-out is trusted, and how strongly it is regularised."""

import optuna

from trainables.config import TrainConfig


def suggest(trial: optuna.Trial, reference: TrainConfig) -> TrainConfig:
    """Draws the share of CLIP's answer and the read-out's ridge penalty; without that read-out, the learning rate."""
    if reference.effective().motion.readout != "statistics":
        return reference.with_values({"optimizer.lr": trial.suggest_float("optimizer.lr", 1e-4, 1e-2, log=True)})
    return reference.with_values(
        {
            "motion.share": trial.suggest_float("motion.share", 0.0, 1.0),
            "motion.penalty": trial.suggest_float("motion.penalty", 1.0, 100.0, log=True),
        }
    )
