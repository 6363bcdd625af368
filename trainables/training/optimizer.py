"""AdamW with a cosine to zero, and which weights decay."""

import math

import torch

from trainables.config import OptimizerConfig
from trainables.model.gait_clip import GaitCLIP

PROMPTS = ("context", "global_prompts", "local_prompts", "time_embedding", "log_scale")


def make_optimizer(
    model: GaitCLIP, config: OptimizerConfig, steps: int
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """Returns AdamW over the trained weights and its schedule; biases, norms, prompts and scales do not decay.

    Args:
        steps: optimiser steps of the whole training, at whose end the rate is zero.
    """
    decayed = [p for name, p in model.trained() if decays(name, p)]
    plain = [p for name, p in model.trained() if not decays(name, p)]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * min(step / steps, 1)))
    )
    return optimizer, schedule


def decays(name: str, parameter: torch.Tensor) -> bool:
    """Returns whether weight decay applies to a weight of this name and shape."""
    leaf = name.rpartition(".")[2]
    return leaf not in PROMPTS and "bias" not in leaf and "norm" not in name and parameter.ndim >= 2
