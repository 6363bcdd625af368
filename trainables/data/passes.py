"""Windows within the frames that show a whole walker. Numbers only, like windows.py, which says how a pass is cut."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trainables.config import VideoConfig
from trainables.data.windows import frame_indices, heldout_windows, training_windows


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A window of a video."""

    start: int
    """Its first frame."""
    first: int
    """The first frame of the pass that it lies in."""
    last: int
    """The first frame after the pass."""

    def indices(self, video: VideoConfig) -> np.ndarray:
        """Returns the indices of the window's T frames, int64 [T]; what is repeated at its end is the pass's last frame."""
        return self.first + frame_indices(self.start - self.first, self.last - self.first, video)


def windows_of(
    frames: int, passes: Sequence[Sequence[int]] | None, video: VideoConfig, *, training: bool
) -> list[Window]:
    """Returns the windows of a video; none lies in two passes.

    Args:
        frames: Of the video.
        passes: (first, past the last) frame of each walk through the picture; None is the whole video.
        training: Overlapping training windows, else held-out windows side by side.
    """
    starts: Callable[[int, VideoConfig], list[int]] = training_windows if training else heldout_windows
    spans = [(0, frames)] if passes is None else [(int(first), int(last)) for first, last in passes]
    return [
        Window(start=first + start, first=first, last=last)
        for first, last in spans
        for start in starts(last - first, video)
    ]
