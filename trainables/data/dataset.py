"""Windows of cached videos, as a torch dataset."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch.utils.data import Dataset

from trainables.data.cache import open_cached
from trainables.data.windows import frame_indices, heldout_windows, training_windows
from trainables.errors import StridefoldError
from trainables.settings import VideoConfig
from trainables.study.passes import pass_name, spans_of


class WindowDataset(Dataset[dict[str, Any]]):
    """The windows of some videos of an ingested cohort.

    An item is a dict of frames (uint8 [T, 3, S, S], T frames of S by S pixels), label (class index), video (row of
    `videos`) and window (the window's first frame in the video). A video that shows several walks through the picture,
    passes, has its rows of windows for each of them, and no window lies in two.

    Args:
        videos: Rows of a cohort after `ingest_cohort`.
        cache: Folder of the frame cache.
        training: Overlapping training windows, else held-out windows side by side.

    Raises:
        StridefoldError: The videos were not ingested.
    """

    windows: pl.DataFrame
    """One row per item: row (of the pass), subject, video, window (first frame in the video), label."""

    def __init__(self, videos: pl.DataFrame, cache: Path, video: VideoConfig, *, training: bool):
        if videos["cached"].null_count() or videos["frames"].null_count():
            raise StridefoldError(
                "the cohort's videos are not in the frame cache yet; run ingest_cohort first", code="cache.not_filled"
            )
        self._cache, self._video = cache, video
        self.prefix: Callable[[str], np.ndarray] | None = None
        """Where set, it gives what the frozen layers make of a pass's frames, [F, ...], and an item has that in place of pixels."""
        found = [(row, number, *span) for row, some in enumerate(spans_of(videos)) for number, span in enumerate(some)]
        self.video_rows: Sequence[int] = [row for row, *_ in found]
        """Row of `videos` of each pass."""
        self.first_frames: Sequence[int] = [first for *_, first, _ in found]
        """Where each pass begins in its video."""
        self._names: Sequence[str] = [pass_name(videos["cached"][row], number) for row, number, *_ in found]
        self._frames: Sequence[int] = [last - first for *_, first, last in found]
        self._labels: Sequence[int] = [videos["label"][row] for row in self.video_rows]
        starts = training_windows if training else heldout_windows
        rows = [
            (row, self.first_frames[row] + start)
            for row, frames in enumerate(self._frames)
            for start in starts(frames, video)
        ]
        index = pl.DataFrame(rows, schema={"row": pl.Int64, "window": pl.Int64}, orient="row")
        shown = pl.Series(self.video_rows, dtype=pl.UInt32)
        columns = videos.select(pl.col("subject", "video", "label").gather(shown)).with_row_index("row")
        self.windows = index.join(columns.cast({"row": pl.Int64}), on="row", how="left", maintain_order="left").select(
            "row", "subject", "video", "window", "label"
        )
        self._items = self.windows.select("row", "window").rows()

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row, window = self._items[index]
        return self.window(row, window - self.first_frames[row])

    @property
    def frames(self) -> Sequence[int]:
        """Returns the frames of each pass."""
        return self._frames

    @property
    def names(self) -> Sequence[str]:
        """Returns the name of each pass in the frame cache."""
        return self._names

    @property
    def settings(self) -> VideoConfig:
        """Returns how windows are cut."""
        return self._video

    def window(self, row: int, start: int, shift: int = 0) -> dict[str, Any]:
        """Returns the item of any window of a pass.

        Args:
            row: of the pass.
            start: first frame in the pass.
            shift: frames by which the T frames are moved inside the window.
        """
        indices = frame_indices(start, self._frames[row], self._video, shift)
        if self.prefix is not None:
            pixels = torch.from_numpy(np.ascontiguousarray(self.prefix(self._names[row])[indices]))
        else:
            frames = open_cached(
                self._cache, self._names[row]
            )  # [F, S, S, 3]; opening costs less than keeping files open
            pixels = torch.from_numpy(np.ascontiguousarray(np.moveaxis(frames[indices], 3, 1)))  # [T, 3, S, S]
        of = {"video": self.video_rows[row], "window": self.first_frames[row] + start}
        return {"frames": pixels, "label": self._labels[row], **of}
