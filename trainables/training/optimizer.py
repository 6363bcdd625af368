"""AdamW with warm-up and cosine decay to zero: groups of weights, their learning rates, and which weights decay."""

import math
from collections import defaultdict
from collections.abc import Callable

import torch

from trainables.model.gait_clip import GaitCLIP
from trainables.settings import OptimizerConfig

PROMPTS = ("context", "global_prompts", "local_prompts", "time_embedding", "summary_positions", "log_scale")
GROUPS = ("text", "prompts", "attention", "numeric", "readout", "scale")
"""Groups of weights with a learning rate of their own."""


def make_optimizer(
    model: GaitCLIP, config: OptimizerConfig, steps: int
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """Returns AdamW over the trained weights and its schedule; biases, norms, prompts and scales do not decay.

    Each parameter group has a `name`, one of GROUPS.

    Args:
        steps: optimiser steps of the whole training, at whose end the rate is zero.
    """
    rates = learning_rates(config, learned_readout=model.motion.readout == "convolution")
    groups: dict[tuple[str, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in model.trained():
        groups.setdefault((group_of(name), decays(name, parameter)), []).append(parameter)
    optimizer = torch.optim.AdamW(
        [
            {
                "params": found,
                "lr": rates[group],
                "weight_decay": config.weight_decay if decayed else 0.0,
                "name": group,
            }
            for (group, decayed), found in groups.items()
        ],
        lr=config.lr,
        fused=True,
    )
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(steps, config.warmup))


def schedule(steps: int, warmup: float) -> Callable[[int], float]:
    """Returns the factor of the learning rate by step: up to 1 in the share `warmup` of the steps, times a cosine to 0."""
    rising = warmup * steps

    def factor(step: int) -> float:
        up = min(1.0, (step + 1) / rising) if rising else 1.0
        return up * 0.5 * (1 + math.cos(math.pi * min(step / steps, 1)))

    return factor


def learning_rates(config: OptimizerConfig, *, learned_readout: bool = False) -> dict[str, float]:
    """Returns the learning rate of each group of weights after warm-up.

    Args:
        learned_readout: the read-out has no closed form to start from, so it learns as fast as the texts.
    """
    factors = {
        "text": 1.0,
        "prompts": config.prompt_lr,
        "attention": config.attention_lr,
        "numeric": config.numeric_lr,
        "readout": 1.0 if learned_readout else config.readout_lr,
        "scale": 1.0,
    }
    return {group: config.lr * factor for group, factor in factors.items()}


def group_of(name: str) -> str:
    """Returns the group of a weight of this name."""
    if name == "log_scale":
        return "scale"
    if name.startswith("readout"):
        return "readout"
    if name.startswith("video_encoder"):
        return "attention" if "cls_projection" in name or "summary_" in name else "prompts"
    return "numeric" if name.startswith(("numeric", "pairing")) else "text"


def decays(name: str, parameter: torch.Tensor) -> bool:
    """Returns whether weight decay applies to a weight of this name and shape."""
    leaf = name.rpartition(".")[2]
    return leaf not in PROMPTS and "bias" not in leaf and "norm" not in name and parameter.ndim >= 2


def clip_gradients(optimizer: torch.optim.Optimizer, largest: float) -> dict[str, float]:
    """Scales the gradients down to a norm of at most `largest` (0 means no limit) and returns each group's norm before."""
    names: list[str] = []
    gradients: list[torch.Tensor] = []
    for group in optimizer.param_groups:
        found = [p.grad for p in group["params"] if p.grad is not None]
        names += [group["name"]] * len(found)
        gradients += found
    squares: defaultdict[str, float] = defaultdict(float)
    if gradients:  # read at once, because each reading waits for the GPU
        for name, norm in zip(names, torch.stack(torch._foreach_norm(gradients)).tolist(), strict=True):
            squares[name] += norm**2
    norm = math.sqrt(sum(squares.values()))
    if largest and norm > largest:
        torch._foreach_mul_(gradients, largest / norm)
    return {name: math.sqrt(square) for name, square in squares.items()}
