"""A few small frames of a video with what the tracker made of it, for people to look at. Faces are blurred unless asked for."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from trainables.recordings.decode import decode
from trainables.tracking.track import Track

Frame = NDArray[np.uint8]

SHOWN = 8
"""Frames of a video."""
HEIGHT = 135
"""Pixels of a frame that is shown."""
HEAD = 0.22
"""Of the walker's height: from the top to below the chin, with what a box may have missed above."""
TILES = 12
"""Tiles on the walker's height: a head is about as wide as one and a half of them."""


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Some frames of a video, and its track."""

    frames: tuple[Frame, ...]
    """uint8 [HEIGHT, w, 3]."""
    numbers: tuple[int, ...]
    """Which frames of the video they are, at 30 frames/s."""
    scale: float
    """Pixels of a shown frame per pixel of the video."""
    track: Track


def strip_of(path: Path, fps: float | None, track: Track, *, faces: bool = False) -> Strip:
    """Returns some frames of a video that are equally far apart, with its track.

    Args:
        fps: Frames per second that replace the file's own.
        faces: Show the picture as it is. Else all of it is coarse but for the walker below the head; where no walker was
            found everything is.

    Raises:
        VideoError: The video cannot be read to its end.
    """
    wanted = np.unique(np.linspace(0, track.frames - 1, SHOWN).round().astype(int))
    frames: list[Frame] = []
    scale, before = 1.0, 0
    pictures = decode(path, fps=fps)
    for number in wanted:
        picture = next(islice(pictures, number - before, None))
        before = number + 1
        scale = HEIGHT / picture.shape[0]
        box = track.boxes[number] if len(track.boxes) else np.full(4, np.nan)
        shown = picture if faces else without_faces(picture, box)
        frames.append(_resized(shown, HEIGHT, max(1, round(picture.shape[1] * scale))))
    return Strip(frames=tuple(frames), numbers=tuple(wanted.tolist()), scale=scale, track=track)


def without_faces(picture: Frame, box: NDArray[np.float64]) -> Frame:
    """Returns a picture [H, W, 3] in coarse tiles, but for what is inside a box below the head.

    Args:
        box: left, top, right, bottom in pixels, NaN where nobody is.
    """
    height, width = picture.shape[:2]
    tall = height if np.isnan(box).any() else box[3] - box[1]
    tile = max(tall / TILES, 2.0)
    coarse = _resized(picture, max(1, round(height / tile)), max(1, round(width / tile)))
    shown = _resized(coarse, height, width)
    if not np.isnan(box).any():
        left, right = (int(np.clip(round(side), 0, width)) for side in (box[0], box[2]))
        top, bottom = (int(np.clip(round(side), 0, height)) for side in (box[1] + HEAD * tall, box[3]))
        shown[top:bottom, left:right] = picture[top:bottom, left:right]
    return shown


def _resized(picture: Frame, height: int, width: int) -> Frame:
    pixels = torch.from_numpy(np.ascontiguousarray(picture)).unsqueeze(0).permute(0, 3, 1, 2)  # [1, 3, H, W]
    resized = functional.interpolate(pixels, size=(height, width), mode="bilinear", antialias=True)
    pixels_last: Frame = resized[0].permute(1, 2, 0).contiguous().numpy()
    return pixels_last
