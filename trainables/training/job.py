"""One fold of a cohort as the trainers see it: its videos, its windows, its numbers, its folder."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from trainables.config import TrainConfig
from trainables.data.augment import augmented
from trainables.errors import StridefoldError
from trainables.training.frozen import FrozenFeatures

if TYPE_CHECKING:  # a step takes a Batch and needs neither cohorts nor videos, nor polars and PyAV, which read them
    import polars as pl

    from trainables.data.dataset import WindowDataset
    from trainables.study.records import Cohort, Fold
    from trainables.training.draws import Window


NO_LABEL = -1
"""Of a new video, which is only predicted."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some windows."""

    frames: Tensor
    """uint8 [B, T, 3, S, S]."""
    labels: Tensor
    """[B]; NO_LABEL for a new video."""
    videos: np.ndarray
    """[B] row of each window's video among the videos of its side of the fold."""
    passes: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """[B] row of each window's pass in its data set; only what reads motion needs it and the next."""
    starts: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """[B] first frame of each window in its pass."""
    mirrored: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=bool))
    """[B] whether left and right are exchanged."""


@dataclass(frozen=True, kw_only=True)
class FoldJob:
    """One fold of a cohort, and where its results go."""

    cohort: Cohort
    fold: Fold
    frozen: FrozenFeatures
    cache: Path
    """Folder of the ingested frames."""
    folder: Path
    """Folder of this result; a finished one holds result.json."""
    key: str

    def training(self, config: TrainConfig) -> WindowDataset:
        """Returns the overlapping windows of the training subjects."""
        return self._windows(self.fold.train, config, training=True)

    def held_out(self, config: TrainConfig) -> WindowDataset:
        """Returns the windows of the held-out subjects, which do not overlap."""
        return self._windows(self.fold.test, config, training=False)

    def _windows(self, subjects: tuple[str, ...], config: TrainConfig, *, training: bool) -> WindowDataset:
        from trainables.data.dataset import WindowDataset

        data = WindowDataset(self.cohort.of_subjects(subjects), self.cache, config.video, training=training)
        if not len(data):
            raise StridefoldError(
                f"fold {self.fold.index} has no {'training' if training else 'held-out'} windows: each of its videos is "
                f"shorter than video.min_tail, {config.video.min_tail} frames; lower it, or leave the videos out",
                code="training.no_windows",
            )
        return data


def parameter_values(cohort: Cohort, videos: pl.DataFrame) -> np.ndarray:
    """Returns the numeric parameters of some videos in units, [N, P], NaN where not measured."""
    import polars as pl

    return videos.select(pl.col([p.key for p in cohort.parameters]).cast(pl.Float64).fill_null(float("nan"))).to_numpy()


def mirrored_values(cohort: Cohort, values: np.ndarray) -> np.ndarray:
    """Returns parameters with left and right exchanged, [N, P]; a left-right difference changes its sign."""
    keys = [p.key for p in cohort.parameters]
    partner = [keys.index(p.mirror) if p.mirror in keys else i for i, p in enumerate(cohort.parameters)]
    signs = np.array([-1.0 if p.side == "difference" else 1.0 for p in cohort.parameters])
    return values[:, partner] * signs


def healthy_class(frozen: FrozenFeatures) -> int | None:
    """Returns the index of the class on which numbers are centred."""
    task = frozen.task
    return None if task.healthy is None else task.value_index().get(task.healthy)


def load(data: WindowDataset, windows: Sequence[Window]) -> Batch:
    """Returns some windows of a data set."""
    items = [data.window(window.row, window.start, window.shift) for window in windows]
    frames = [
        item["frames"] if window.augmentation is None else augmented(item["frames"], window.augmentation)
        for item, window in zip(items, windows, strict=True)
    ]
    return Batch(
        frames=torch.stack(frames) if frames else torch.empty(0, dtype=torch.uint8),
        labels=torch.tensor([NO_LABEL if item["label"] is None else item["label"] for item in items], dtype=torch.long),
        videos=np.array([data.video_rows[window.row] for window in windows], dtype=np.int64),
        passes=np.array([window.row for window in windows], dtype=np.int64),
        starts=np.array([window.start for window in windows], dtype=np.int64),
        mirrored=np.array([w.augmentation is not None and w.augmentation.mirror for w in windows], dtype=bool),
    )


def load_ahead(data: WindowDataset, batches: Sequence[Sequence[Window]], device: torch.device) -> Iterator[Batch]:
    """Yields batches of a data set's windows; a thread reads the next one while the caller computes with this one."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming: deque[Future[Batch]] = deque()
        for windows in batches:
            coming.append(reader.submit(_load_for, device, data, windows))
            if len(coming) > 1:
                yield coming.popleft().result()
        if coming:
            yield coming.popleft().result()


def _load_for(device: torch.device, data: WindowDataset, windows: Sequence[Window]) -> Batch:
    batch = load(data, windows)
    return replace(batch, frames=batch.frames.pin_memory()) if device.type == "cuda" else batch
