"""Everything about prompts: the text context, the knowledge in it, and the tokens inside the vision transformer."""

from typing import Any

import optuna

from trainables.config import TrainConfig
from trainables.settings import CONTEXT_INITS, NOTIONS, PER_CLASS_OR_SHARED


def suggest(trial: optuna.Trial, reference: TrainConfig) -> TrainConfig:
    """Draws the settings of text and video prompts; those of notions and projector only where knowledge is on."""
    return reference.with_values(draw(trial))


def draw(trial: optuna.Trial) -> dict[str, Any]:
    """Returns drawn settings by their dotted names."""
    values: dict[str, Any] = {
        "text.n_ctx": trial.suggest_int("text.n_ctx", 4, 20, step=4),
        "text.context_init": trial.suggest_categorical("text.context_init", CONTEXT_INITS),
        "text.keywords": trial.suggest_categorical("text.keywords", (True, False)),
        "text.knowledge": trial.suggest_categorical("text.knowledge", (True, False)),
        "video.n_global": trial.suggest_categorical("video.n_global", (0, 4, 8, 16)),
        "video.local": trial.suggest_categorical("video.local", (True, False)),
        "video.summary": trial.suggest_categorical("video.summary", (True, False)),
    }
    if values["text.knowledge"]:
        values["text.projector"] = trial.suggest_categorical("text.projector", PER_CLASS_OR_SHARED)
        values["text.notions"] = trial.suggest_categorical("text.notions", NOTIONS)
        values["text.bottleneck"] = trial.suggest_categorical("text.bottleneck", (32, 128, 512))
    return values
