"""Frames of a video as small pictures inside the page. They show faces: only where the user asks for them."""

import base64
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

HEIGHT = 120
"""Pixels."""
QUALITY = 70
"""Of the JPEG."""

FramesOf = Callable[[Path], Sequence[np.ndarray[Any, Any]]]
"""Returns the frames to be shown of a video, uint8 [H, W, 3] each; none where it cannot be read any more."""


def filmstrip(frames: Sequence[np.ndarray[Any, Any]], caption: str) -> Markup:
    """Returns img elements of frames, uint8 [H, W, 3] each.

    Args:
        caption: what the pictures are of, for those who do not see them.
    """
    pictures = [
        Markup('<img src="data:image/jpeg;base64,{}" alt="{}, frame {} of {}" height="{}">').format(
            _jpeg(frame), caption, number, len(frames), HEIGHT
        )
        for number, frame in enumerate(frames, start=1)
    ]
    return Markup("").join(pictures)


def _jpeg(frame: np.ndarray[Any, Any]) -> str:
    picture = Image.fromarray(np.ascontiguousarray(frame))
    width = max(1, round(picture.width * HEIGHT / picture.height))
    file = io.BytesIO()
    picture.resize((width, HEIGHT), Image.Resampling.LANCZOS).save(file, "JPEG", quality=QUALITY)
    return base64.b64encode(file.getvalue()).decode("ascii")
