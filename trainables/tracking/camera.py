"""Whether a camera stands still: how the picture as a whole moves, whoever walks through it.

The picture is cut into blocks, each is compared with the same block of another frame, and the median of the blocks decides: a
walker covers a few of them only. Letters: F frames, h and w pixels of a small frame, N blocks.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2

Frame = NDArray[np.uint8]
Shift = tuple[int, int]
"""Pixels to the right and down by which the picture's contents move from one frame to another."""

BLOCKS = (3, 4)
"""Blocks from top to bottom and from left to right; of a picture taller than wide the other way around."""
EVERY = 5
"""Frames between two that are compared."""
TEXTURE = 6.0
"""Standard deviation within a block, in grey levels, from which it can be told where it went."""
LEAST = 4
"""Blocks with texture that are needed; of a plain wall nothing can be said."""
SWAY = 0.08
"""Of the picture's longer side: a camera in somebody's hands sways within it; beyond it the camera moves."""


def sway(frames: Frame) -> NDArray[np.int64] | None:
    """Returns by how much the picture has moved in each frame since the middle one, [F, 2] to the right and down.

    All zeros before a camera that stands still; None before one that turns or moves along.
    """
    course = [(0, 0)]
    for a, b in pairwise(frames[::EVERY]):
        right, down = shift(a, b)
        course.append((course[-1][0] + right, course[-1][1] + down))
    steps = np.array(course)
    if np.ptp(steps, axis=0).max() > SWAY * max(frames.shape[1:3]):
        return None
    moved = np.zeros((len(frames), 2), dtype=np.int64)
    if steps.any():
        middle = frames[len(frames) // 2]
        moved[:] = [shift(middle, frame) for frame in frames]
    return moved


def held_still(frames: Frame, swayed: NDArray[np.int64]) -> Frame:
    """Returns the frames as a camera that does not sway would see them; the picture's edge is repeated where it ends."""
    if not swayed.any():
        return frames
    height, width = frames.shape[1:3]
    still = np.empty_like(frames)
    for index, (right, down) in enumerate(swayed):
        rows = (np.arange(height) + down).clip(0, height - 1)
        columns = (np.arange(width) + right).clip(0, width - 1)
        still[index] = frames[index][rows[:, None], columns]
    return still


def shift(a: Frame, b: Frame) -> Shift:
    """Returns how the picture moves from frame `a` to frame `b`, [h, w, 3] both; (0, 0) where nothing can be told."""
    one, other = _blocks(a), _blocks(b)  # [N, y, x]
    seen = np.minimum(one.std(axis=(1, 2)), other.std(axis=(1, 2))) >= TEXTURE
    if seen.sum() < LEAST:
        return 0, 0
    size = one.shape[1:]
    fade = np.outer(np.hanning(size[0]), np.hanning(size[1]))
    first, second = (
        rfft2((part[seen] - part[seen].mean(axis=(1, 2), keepdims=True)) * fade, axes=(1, 2)) for part in (one, other)
    )
    cross = second * np.conj(first)
    peaks = irfft2(cross / np.maximum(np.abs(cross), 1e-9), s=size, axes=(1, 2))
    down, right = np.unravel_index(peaks.reshape(len(peaks), -1).argmax(axis=1), size)
    down, right = (np.where(way > side // 2, way - side, way) for way, side in zip((down, right), size, strict=True))
    return int(np.median(right)), int(np.median(down))


def _blocks(frame: Frame) -> NDArray[np.float32]:
    """Returns the brightness of the blocks of a frame [h, w, 3]: [N, y, x]."""
    rows, columns = BLOCKS if frame.shape[1] >= frame.shape[0] else BLOCKS[::-1]
    high, wide = frame.shape[0] // rows, frame.shape[1] // columns
    grey = frame[: rows * high, : columns * wide].mean(axis=2, dtype=np.float32)
    return np.ascontiguousarray(grey.reshape(rows, high, columns, wide).swapaxes(1, 2).reshape(-1, high, wide))
