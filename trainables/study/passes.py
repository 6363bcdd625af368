"""The walks through the picture that a video shows. Each is a video of its own to whatever cuts windows.

The frame cache holds a file per pass, so that no window shows frames that are not used, and none goes from one pass to
the next. Numbers and names only.
"""

from collections.abc import Sequence

import polars as pl

Span = tuple[int, int]
"""First frame and first frame after, in the video at 30 frames/s."""


def spans(frames: int, passes: Sequence[Sequence[int]] | None) -> list[Span]:
    """Returns the passes of a video, which is one pass where `passes` is None."""
    return [(0, frames)] if passes is None else [(int(first), int(last)) for first, last in passes]


def spans_of(videos: pl.DataFrame) -> list[list[Span]]:
    """Returns the passes of each video of an ingested cohort; one that was not followed is one pass."""
    passes = videos["passes"].to_list() if "passes" in videos.columns else [None] * len(videos)
    return [spans(frames, found) for frames, found in zip(videos["frames"], passes, strict=True)]


def pass_name(cached: str, number: int) -> str:
    """Returns the file in the frame cache of a pass of a video, whose first pass is in `cached`."""
    return cached if number == 0 else f"{cached.removesuffix('.npy')}-{number}.npy"
