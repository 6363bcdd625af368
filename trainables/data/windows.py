"""Which frames of a video a window takes. Numbers only: frame counts in, frame indices out, at 30 frames/s."""

import numpy as np

from trainables.settings import VideoConfig


def training_windows(frames: int, video: VideoConfig) -> list[int]:
    """Returns the first frame of each training window: every `stride` frames, and of a last one for a long enough tail."""
    return _starts(frames, video, video.stride)


def heldout_windows(frames: int, video: VideoConfig) -> list[int]:
    """Returns the first frame of each held-out window: side by side, and of a last one for a long enough tail."""
    return _starts(frames, video, video.window)


def jittered_windows(frames: int, video: VideoConfig, step: int) -> list[int]:
    """Returns the first frame of a window every `step` frames, and of the one that ends with the video."""
    last = max(frames - video.window, 0)
    return [*range(0, last, step), last] if frames >= video.min_tail else []


def frame_indices(start: int, frames: int, video: VideoConfig, shift: int = 0) -> np.ndarray:
    """Returns the indices of a window's T frames, int64 [T], the middle of T equal parts of the window.

    With T = window these are all its frames. An index past the video's end becomes its last frame: that is the padding.

    Args:
        shift: frames by which all of them are moved, inside the window.
    """
    middles = (2 * np.arange(video.frames) + 1) * video.window // (2 * video.frames)
    return np.minimum(start + np.clip(middles + shift, 0, video.window - 1), frames - 1)


def largest_shift(video: VideoConfig) -> int:
    """Returns the frames by which a window's T frames can be moved so that each stays in its own part of the window."""
    return (video.window // video.frames) // 2


def _starts(frames: int, video: VideoConfig, step: int) -> list[int]:
    whole = list(range(0, frames - video.window + 1, step))
    shown = whole[-1] + video.window if whole else 0
    following = whole[-1] + step if whole else 0
    tail = frames - (max(following, shown) if video.tail == "pad" else shown)  # frames that no whole window shows
    if tail < video.min_tail:
        return whole
    return [*whole, max(frames - video.window, 0) if video.tail == "shift" else following]
