"""What each part is worth: the reference, the reference without one part, and the baselines. A list, not a search."""

from typing import Any

import optuna

from trainables.config import TrainConfig

VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "no knowledge": {"text.knowledge": False},
    "no keywords": {"text.keywords": False},
    "swapped knowledge": {"text.knowledge_source": "swapped"},
    "random knowledge": {"text.knowledge_source": "random"},
    "raw notions": {"text.notions": "raw"},
    "a projector for each class": {"text.projector": "per_class"},
    "no numeracy": {"numeracy.enabled": False},
    "no global prompts": {"video.n_global": 0},
    "no local prompts": {"video.local": False},
    "no summary": {"video.summary": False},
    "no positions in time": {"video.time_positions": False},
    "8 frames": {"video.frames": 8},
    "padded tail": {"video.tail": "pad"},
    "no read-out": {"motion.readout": "off"},
    "convolution as read-out": {"motion.readout": "convolution"},
    "no anchors": {"optimizer.text_anchor": 0.0, "optimizer.video_anchor": 0.0},
    "no balance": {"optimizer.balance": False},
    "no jitter": {"optimizer.jitter": False},
    "one learning rate": {"optimizer.attention_lr": 1.0, "optimizer.numeric_lr": 1.0},
    "untrained": {"model": "untrained"},
    "frozen_motion": {"model": "frozen_motion"},
    "vita_clip": {"model": "vita_clip"},
    "linear_probe": {"model": "linear_probe"},
    "parameters": {"model": "parameters"},
}
REFERENCE = {"ablation": "full"}
CELLS = len(VARIANTS)


def suggest(trial: optuna.Trial, reference: TrainConfig) -> TrainConfig:
    """Takes the next variant of the list."""
    return reference.with_values(VARIANTS[trial.suggest_categorical("ablation", list(VARIANTS))])
