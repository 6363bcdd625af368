"""Windows of cached videos, as a torch dataset."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch.utils.data import Dataset

from trainables.config import VideoConfig
from trainables.data.cache import open_cached
from trainables.data.windows import frame_indices, heldout_windows, training_windows
from trainables.errors import StridefoldError


class WindowDataset(Dataset[dict[str, Any]]):
    """The windows of some videos of an ingested cohort.

    An item is a dict of frames (uint8 [T, 3, S, S], T frames of S by S pixels), label (class index), video (row of
    `videos`) and window (the window's first frame).

    Args:
        videos: Rows of a cohort after `ingest_cohort`.
        cache: Folder of the frame cache.
        training: Overlapping training windows, else held-out windows side by side.

    Raises:
        StridefoldError: The videos were not ingested.
    """

    windows: pl.DataFrame
    """One row per item: row (of `videos`), subject, video, window, label."""

    def __init__(self, videos: pl.DataFrame, cache: Path, video: VideoConfig, *, training: bool):
        if videos["cached"].null_count() or videos["frames"].null_count():
            raise StridefoldError("the cohort's videos are not in the frame cache yet; run ingest_cohort first")
        self._cache, self._video = cache, video
        self._names: Sequence[str] = videos["cached"].to_list()
        self._frames: Sequence[int] = videos["frames"].to_list()
        self._labels: Sequence[int] = videos["label"].to_list()
        starts = training_windows if training else heldout_windows
        rows = [(row, start) for row, frames in enumerate(self._frames) for start in starts(frames, video)]
        index = pl.DataFrame(rows, schema={"row": pl.Int64, "window": pl.Int64}, orient="row")
        columns = videos.select("subject", "video", "label").with_row_index("row").cast({"row": pl.Int64})
        self.windows = index.join(columns, on="row", how="left", maintain_order="left").select(
            "row", "subject", "video", "window", "label"
        )
        self._items = self.windows.select("row", "window", "label").rows()

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row, start, _ = self._items[index]
        return self.window(row, start)

    @property
    def frames(self) -> Sequence[int]:
        """Returns the frames of each video."""
        return self._frames

    @property
    def names(self) -> Sequence[str]:
        """Returns the name of each video in the frame cache."""
        return self._names

    @property
    def settings(self) -> VideoConfig:
        """Returns how windows are cut."""
        return self._video

    def window(self, row: int, start: int, shift: int = 0) -> dict[str, Any]:
        """Returns the item of any window of a video.

        Args:
            row: of `videos`.
            start: first frame.
            shift: frames by which the T frames are moved inside the window.
        """
        frames = open_cached(self._cache, self._names[row])  # [F, S, S, 3]; opening costs less than keeping files open
        chosen = frames[frame_indices(start, self._frames[row], self._video, shift)]  # [T, S, S, 3]
        channels_first = np.ascontiguousarray(np.moveaxis(chosen, 3, 1))  # [T, 3, S, S]
        pixels = torch.from_numpy(channels_first)
        return {"frames": pixels, "label": self._labels[row], "video": row, "window": start}
