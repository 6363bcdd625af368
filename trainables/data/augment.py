"""Augmentation of a training window: light, place, size and side, the same for all its frames."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trainables.settings import AugmentConfig


class Augmentation(NamedTuple):
    """What is done to the frames of one window."""

    gain: float = 1.0
    """Factor of the contrast around mid-grey."""
    lift: float = 0.0
    """Added brightness; the range of a pixel is 1."""
    right: float = 0.0
    """Shift to the right, in sides of the frame; `down` likewise."""
    down: float = 0.0
    zoom: float = 1.0
    mirror: bool = False
    """Left and right are exchanged; so are the window's left and right parameters."""


def draw_augmentation(config: AugmentConfig, generator: np.random.Generator) -> Augmentation:
    """Returns an augmentation, each part drawn evenly up to the setting's size."""

    def within(size: float) -> float:
        return float(generator.uniform(-size, size))

    return Augmentation(
        gain=1 + within(config.light),
        lift=within(config.light / 2),
        right=within(config.shift),
        down=within(config.shift),
        zoom=1 + within(config.scale),
        mirror=bool(config.mirror and generator.random() < 0.5),
    )


def augmented(frames: Tensor, augmentation: Augmentation) -> Tensor:
    """Returns augmented frames, uint8 [T, 3, S, S]; what comes in from outside the frame is black."""
    pixels = frames.float() / 255
    if (augmentation.right, augmentation.down, augmentation.zoom) != (0.0, 0.0, 1.0):
        # The grid names for each pixel where it comes from, in half sides: the inverse of the shift and the zoom.
        back = 1 / augmentation.zoom
        theta = torch.tensor(
            [[back, 0.0, -2 * augmentation.right * back], [0.0, back, -2 * augmentation.down * back]]
        ).expand(len(pixels), 2, 3)  # fmt: skip
        grid = functional.affine_grid(theta, list(pixels.shape), align_corners=False)
        pixels = functional.grid_sample(pixels, grid, align_corners=False)
    if augmentation.mirror:
        pixels = pixels.flip(-1)
    lit = (pixels - 0.5) * augmentation.gain + 0.5 + augmentation.lift
    return (lit.clamp(0, 1) * 255).round().to(torch.uint8)
