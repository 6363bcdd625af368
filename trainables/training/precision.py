"""The number format of the products in training and prediction; weights, losses and optimiser stay in float32."""

import torch


def products(precision: str, device: torch.device) -> torch.autocast:
    """Returns the context in which a model reads videos and texts.

    Args:
        precision: `optimizer.precision`. 'auto' is bf16 on a GPU that computes it; one that emulates it is slower so.
    """
    able = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16" or (precision == "auto" and able))
