"""What moves before a fixed camera: small frames of a video, its background, and a mask per frame.

Letters: F frames, h and w pixels of a small frame.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter
from torch.nn import functional

from trainables.recordings.decode import VideoError, decode

Frame = NDArray[np.uint8]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

LONGER_SIDE = 320
"""Pixels of a small frame's longer side; a larger video is made smaller. One of them is 6 pixels of a 1080p video."""
SAMPLES = 61
"""Frames whose median is the background."""
NOISE = 4.0
"""Least standard deviation of a background pixel, in grey levels; compression alone makes about as much."""
DISTANCE = 16.0
"""Squared distance from the background, in variances, from which a pixel is foreground."""
DARKEST_SHADOW = 0.3
"""A shadow leaves this share of the background's brightness at least, and its colour."""
APART = 5
"""Frames between those that show what is moving."""
STIRRED = 12.0
"""Change of a pixel from one frame to the next that is movement, in grey levels."""


@dataclass(frozen=True, kw_only=True)
class SmallVideo:
    """A video's frames at 30 frames/s, made small enough to look through quickly."""

    frames: Frame
    """[F, h, w, 3]."""
    scale: float
    """Pixels of the video per pixel of a small frame."""
    width: int
    """Pixels of the video's upright frame."""
    height: int


def read_small(path: Path, fps: float | None) -> SmallVideo:
    """Returns all frames of a video at 30 frames/s, in an unnamed temporary file that ends with the object.

    Args:
        fps: Frames per second that replace the file's own.

    Raises:
        VideoError: The video cannot be read to its end.
    """
    last, small = None, np.empty(0, dtype=np.uint8)
    with tempfile.TemporaryFile() as file:
        for frame in decode(path, fps=fps):
            if frame is not last:  # a low frame rate repeats frames
                last, small = frame, _made_small(frame)
            file.write(small.data)
        file.flush()
        frames = np.memmap(file, dtype=np.uint8, mode="r").reshape(-1, *small.shape)
    if last is None:
        raise VideoError(path, "holds no frames; export it again", code="video.empty")
    height, width = last.shape[:2]
    return SmallVideo(frames=frames, scale=max(last.shape) / max(small.shape), width=width, height=height)


def _made_small(frame: Frame) -> Frame:
    height, width = frame.shape[:2]
    scale = LONGER_SIDE / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(frame)
    small = (max(1, round(height * scale)), max(1, round(width * scale)))
    pixels = torch.from_numpy(np.ascontiguousarray(frame)).unsqueeze(0).permute(0, 3, 1, 2)  # [1, 3, H, W]
    resized = functional.interpolate(pixels, size=small, mode="bilinear", antialias=True)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())


def movement(frames: Frame) -> NDArray[np.float64]:
    """Returns which share of the pixels changes from each frame to the next, [F - 1]."""
    changed = np.empty(max(len(frames) - 1, 0))
    before = frames[0, ::2, ::2, 1].astype(np.int16)
    for i in range(1, len(frames)):
        now = frames[i, ::2, ::2, 1].astype(np.int16)
        changed[i - 1] = np.mean(np.abs(now - before) > STIRRED)
        before = now
    return changed


class Background:
    """The median of a video's frames and how much each pixel varies around it.

    The frames are spread evenly over what moves and not over time alone: who stands still for half of the video is no
    part of the background. Changes of the camera's exposure and white balance are divided out, frame by frame.
    """

    def __init__(self, frames: Frame):
        sample = frames[_spread(frames)].astype(np.float32)  # [N, h, w, 3]
        light = np.median(sample[:, ::3, ::3], axis=(1, 2)) + 1  # [N, 3]
        sample *= (np.median(light, axis=0) / light)[:, None, None]
        self._median = np.median(sample, axis=0)  # [h, w, 3]
        deviation = 1.4826 * np.median(np.abs(sample - self._median), axis=0).max(axis=2)
        self._limit = DISTANCE * np.maximum(deviation, NOISE) ** 2  # [h, w]
        self._power = np.maximum(_dot(self._median, self._median), 1.0)

    def masks(self, picture: Floats) -> tuple[Mask, Mask]:
        """Returns which pixels [h, w] of an evened frame are not background, and which of them may be a shadow on it."""
        along = _dot(picture, self._median)
        own = _dot(picture, picture)
        far = own - 2 * along + self._power > self._limit
        share = along / self._power  # the brightness that a shadow would leave
        faded = own - along * share  # squared distance from the background's own colour, darkened
        shadow = far & (share < 1) & (share > DARKEST_SHADOW) & (faded < self._limit * share**2)
        return np.asarray(far), np.asarray(shadow)

    def evened(self, frame: Frame) -> Floats:
        """Returns a frame with the background's exposure and white balance."""
        picture = frame.astype(np.float32)
        ratios = (picture[::3, ::3] + 1) / (self._median[::3, ::3] + 1)
        return picture / np.median(ratios, axis=(0, 1))


def masks(frames: Frame) -> Iterator[Mask]:
    """Yields for each frame what moves before the background, its holes closed and its specks gone: [h, w].

    Grey trousers before a grey wall look like a shadow on it. So what may be a shadow counts above and below what is
    none: a walker's shadow falls to the side. What moves from frame to frame counts too: the trunk of somebody who
    walks towards the camera is in the middle of the picture all the time, and so a part of the background.
    """
    background = Background(frames)
    reach = LONGER_SIDE // 64
    evened = lru_cache(maxsize=2 * APART + 3)(lambda index: background.evened(frames[index]))
    for index in range(len(frames)):
        far, shadow = background.masks(evened(index))
        before, after = max(index - APART, 0), min(index + APART, len(frames) - 1)
        sure = _without_specks(far & ~shadow) | _without_specks(_moving(evened(before), evened(index), evened(after)))
        columns = maximum_filter1d(sure.any(axis=0), reach)
        whole = sure | _without_specks(far & columns)
        # A person is taller than wide: legs and trunk of different clothes are joined sooner than two people.
        yield _closed(_closed(whole, 3 * reach, axis=0), reach, axis=1)


def _moving(before: Floats, now: Floats, after: Floats) -> Mask:
    """Returns which pixels [h, w] differ from a little before and from a little after, so that they are moving now."""
    changed = [np.abs(now - other).max(axis=2) > 2 * STIRRED for other in (before, after)]
    return np.asarray(changed[0] & changed[1])


def _without_specks(mask: Mask) -> Mask:
    return np.asarray(uniform_filter(mask.astype(np.float32), 3) > 0.5)


def _closed(mask: Mask, size: int, axis: int) -> Mask:
    grown = maximum_filter1d(mask.view(np.uint8), size, axis=axis, mode="constant")
    return np.asarray(minimum_filter1d(grown, size, axis=axis, mode="constant", cval=1)).astype(bool) | mask


def _spread(frames: Frame) -> NDArray[np.intp]:
    """Returns up to SAMPLES frame numbers, at equal steps of what has moved so far."""
    steps = movement(frames)
    steps += max(float(steps.mean()), 1e-6) / 10 if len(steps) else 0  # where nothing moves, a tenth as often
    course = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0, course[-1], min(SAMPLES, len(frames)))
    return np.unique(np.searchsorted(course, wanted - 1e-9))


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.einsum("hwc,hwc->hw", a, b))
