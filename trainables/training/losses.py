"""The losses, each a pure function. Letters: B videos, M numerical records, C classes, O head width."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional


def video_loss(
    logits: Tensor, labels: Tensor, *, gamma: float, alpha: float, beta: float, through_weight: bool = False
) -> Tensor:
    """Returns cross-entropy weighted by alpha * (1 - p_y)^gamma + beta * |y - argmax| / (C - 1), one value a video, [B].

    The weight takes no gradient unless `through_weight`, which multiplies the focal part's gradient by
    1 + gamma p (-log p) / (1 - p), from 1 at p = 0 to 1 + gamma at p = 1 (docs/decisions/0016). gamma 0, alpha 1 and beta 0 are plain cross-entropy; beta 0 is a focal loss. beta is
    for ordered classes: a guess two classes away costs more than a neighbour.

    Args:
        logits: [B, C].
        labels: class indices, [B].

    Source: method of arXiv 2403.13756, with the focal and ordinal weight of its journal extension.
    """
    entropy = functional.cross_entropy(logits, labels, reduction="none")
    with torch.set_grad_enabled(through_weight and torch.is_grad_enabled()):
        true = logits.softmax(-1).gather(1, labels[:, None])[:, 0]
        distance = (labels - logits.argmax(-1)).abs() / max(logits.shape[1] - 1, 1)
        weight = alpha * (1 - true) ** gamma + beta * distance
    return weight * entropy


def numeric_loss(logits: Tensor, labels: Tensor, present: Tensor) -> Tensor:
    """Returns the mean cross-entropy of numerical records over the classes that have records, a scalar.

    Args:
        logits: [M, C].
        labels: class indices, [M].
        present: which classes have records at all, [C] bool; the others are no alternatives.
    """
    return functional.cross_entropy(logits.masked_fill(~present, float("-inf")), labels)


def pairing_loss(videos: Tensor, numbers: Tensor, scale: float = 1 / 0.07) -> Tensor:
    """Returns the symmetric InfoNCE between videos and their own numbers, one value a pair, [B].

    Args:
        videos, numbers: unit features in the same order, [B, O].
        scale: inverse temperature; 1/0.07 is CLIP's start.
    """
    logits = scale * videos @ numbers.T
    own = torch.arange(len(logits), device=logits.device)
    forth = functional.cross_entropy(logits, own, reduction="none")
    back = functional.cross_entropy(logits.T, own, reduction="none")
    return (forth + back) / 2


def total_loss(parts: Mapping[str, float], numeric_weight: float) -> float:
    """Returns the loss that is minimised, of the means of its parts; the numeric one alone is not weighted yet."""
    return parts["video"] + numeric_weight * parts["numeric"] + parts["pairing"] + parts["anchor"]
