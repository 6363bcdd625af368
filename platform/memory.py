"""How much memory a worker takes, so that no more of them run side by side than the machine holds. No torch and no Ray."""

from collections.abc import Mapping
from typing import Any

from trainables.config import TrainConfig

GIB = 1 << 30
PROCESS, GPU_PROCESS = 1 * GIB, 3 * GIB
"""What a process that trains holds before its model: torch, transformers and Ray, and with a GPU CUDA's part."""
FLOAT = 4
"""Bytes."""
LAYER_TENSORS = 17
"""Tensors as large as a layer's input that a layer keeps for its backward pass; one more where it is computed again."""
FORWARD_TENSORS = 6
"""The same while a layer computes without gradient: its input, the residual, and four of the MLP."""
SCORED = 16
"""Windows that are scored at once (trainables.training.fold.EVALUATION_BATCH)."""


def worker_memory(config: TrainConfig, backbone: Mapping[str, Any], workers: int = 1, *, gpu: bool = False) -> int:
    """Returns about how many bytes a worker of a trial takes in the machine's memory.

    Within a fifth of what `benchmarks/full_size_step.py` measures at ViT-B/16, and above it rather than below.

    Args:
        backbone: as `Backbone.about` gives it.
        workers: that share each batch.
        gpu: whether activations are in a GPU's memory instead.
    """
    weights = FLOAT * backbone["parameters"]
    if gpu:
        return int(GPU_PROCESS + weights)
    layers, width = backbone["layers"], backbone["vision_width"]
    trained = 4 * FLOAT * 4 * layers * width**2  # attention over frames in each layer: weights, gradients, two moments
    patches = (backbone["image_size"] // backbone["patch_size"]) ** 2
    window = (
        FLOAT * width * config.video.frames * (patches + 2)
    )  # of one layer's input: patches, class and summary tokens
    optimizer = config.optimizer
    windows = -(-optimizer.batch_size // (optimizer.accumulation * workers))
    kept = 2 * layers + LAYER_TENSORS if optimizer.gradient_checkpointing else LAYER_TENSORS * layers
    return int(PROCESS + weights + trained + window * max(windows * kept, SCORED * FORWARD_TENSORS))
