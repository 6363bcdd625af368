"""A walker's silhouette over time: how far the legs are apart, where the trunk is, and how tall the walker is.

Letters: F frames at 30 frames/s. All lengths are in pixels of the video.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainables.tracking.camera import held_still, sway
from trainables.tracking.foreground import Mask, SmallVideo, masks

Floats = NDArray[np.float64]

LEGS = 0.28
"""Of the walker's height, from the soles up: shanks and feet, without hands that hang down."""
TRUNK = (0.15, 0.5)
"""Of the walker's height, from the top down: between head and hips."""
BESIDE = 0.1
"""Of the walker's height: what a smoothed box may have cut off at a side."""


@dataclass(frozen=True, kw_only=True)
class Silhouette:
    """What is measured of a silhouette, [F]; NaN in frames that are not used."""

    spread: Floats
    """Standard deviation of where the pixels of the shanks and feet are across the picture: large when the legs are apart."""
    trunk: Floats
    """Where the trunk's middle is, from the left."""
    height: Floats
    """From the soles to the top of the head."""


def silhouette_of(
    video: SmallVideo, boxes: Floats, passes: list[tuple[int, int]], *, still: bool = False
) -> Silhouette | None:
    """Returns what the silhouette shows in the frames of some passes; None before a camera that moves.

    Args:
        boxes: [F, 4] of the walker, in pixels of the video.
        still: The picture does not move as a whole: where the walker fills it, sway cannot be told from walking.
    """
    swayed = np.zeros((len(video.frames), 2), dtype=np.int64) if still else sway(video.frames)
    if swayed is None:
        return None
    steady = boxes / video.scale - np.tile(swayed, 2)  # [F, 4], where the walker is in the frames held still
    used = np.zeros(len(boxes), dtype=bool)
    for first, last in passes:
        used[first:last] = True
    values = np.full((3, len(boxes)), np.nan)
    for index, mask in enumerate(masks(held_still(video.frames, swayed))):
        if used[index] and not np.isnan(steady[index]).any():
            values[:, index] = _measured(mask, steady[index])
    values[1] += swayed[:, 0]
    return Silhouette(spread=values[0] * video.scale, trunk=values[1] * video.scale, height=values[2] * video.scale)


def _measured(mask: Mask, box: Floats) -> tuple[float, float, float]:
    """Returns (spread of the legs, middle of the trunk, height) of the silhouette in a box, in pixels of the mask."""
    left, top, right, bottom = box
    tall = bottom - top
    columns = slice(max(round(left - BESIDE * tall), 0), round(right + BESIDE * tall) + 1)
    legs = _across(mask[max(round(bottom - LEGS * tall), 0) : round(bottom), columns])
    trunk = _across(mask[max(round(top + TRUNK[0] * tall), 0) : round(top + TRUNK[1] * tall), columns])
    return legs[1], trunk[0] + columns.start, float(tall)


def _across(part: Mask) -> tuple[float, float]:
    """Returns mean and standard deviation of the columns of a part's pixels; NaN where it is empty."""
    weight = part.sum(axis=0).astype(np.float64)
    if not weight.any():
        return np.nan, np.nan
    at = np.arange(len(weight)) + 0.5
    mean = np.average(at, weights=weight)
    return float(mean), float(np.sqrt(np.average((at - mean) ** 2, weights=weight)))
