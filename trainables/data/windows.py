"""Which frames of a video a window takes. Numbers only: frame counts in, frame indices out, at 30 frames/s."""

import numpy as np

from trainables.config import VideoConfig


def training_windows(frames: int, video: VideoConfig) -> list[int]:
    """Returns the first frame of each training window: every `stride` frames, and a padded one for a long enough tail."""
    return _starts(frames, video.window, video.stride, video.min_tail)


def heldout_windows(frames: int, video: VideoConfig) -> list[int]:
    """Returns the first frame of each held-out window: side by side, and a padded one for a long enough tail."""
    return _starts(frames, video.window, video.window, video.min_tail)


def frame_indices(start: int, frames: int, video: VideoConfig) -> np.ndarray:
    """Returns the indices of a window's T frames, int64 [T], the middle of T equal parts of the window.

    With T = window these are all its frames. An index past the video's end becomes its last frame: that is the padding.
    """
    middles = (2 * np.arange(video.frames) + 1) * video.window // (2 * video.frames)
    return np.minimum(start + middles, frames - 1)


def _starts(frames: int, window: int, step: int, min_tail: int) -> list[int]:
    whole = list(range(0, frames - window + 1, step))
    following = whole[-1] + step if whole else 0
    tail = frames - max(following, whole[-1] + window if whole else 0)  # frames that no whole window shows
    return [*whole, following] if tail >= min_tail else whole
