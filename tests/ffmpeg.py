"""What the program ffmpeg shows of a video: the judge of our own reading."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

MISSING = "ffmpeg is not installed, so nobody compared our frames with its own (apt-get install ffmpeg)"
NEAR = 12
"""Largest difference of a colour value to Debian's ffmpeg of 2022, whose chroma of interlaced and 10-bit pictures is another."""


def frames_of_ffmpeg(path: Path, height: int, width: int) -> np.ndarray:
    """Returns every frame that ffmpeg shows, uint8 [F, height, width, 3]; without ffmpeg skips, or fails where CI is set."""
    if shutil.which("ffmpeg") is None:
        pytest.fail(MISSING) if os.environ.get("CI") else pytest.skip(MISSING)
    command = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        "-i",
        path,
        "-fps_mode",
        "passthrough",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    shown = subprocess.run(list(map(str, command)), capture_output=True, check=True).stdout
    return np.frombuffer(shown, np.uint8).reshape(-1, height, width, 3)


def same_frames(ours: list[np.ndarray], path: Path) -> bool:
    """Returns whether ffmpeg shows the same frames, up to rounding."""
    theirs = frames_of_ffmpeg(path, *ours[0].shape[:2])
    return len(ours) == len(theirs) and all(
        np.abs(a.astype(int) - b).max() <= NEAR for a, b in zip(ours, theirs, strict=True)
    )
