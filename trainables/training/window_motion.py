"""What the motion read-out and the anchors know of a fold's windows: statistics and features of the un-prompted tower.

Letters: B windows, F frames of a window, D joint width, S statistics, K components.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trainables.data.dataset import WindowDataset
from trainables.model.backbone import Backbone
from trainables.model.motion import MotionBasis
from trainables.training.draws import Window
from trainables.training.frozen_video import FrozenVideo, compute_missing, frozen_video

KEPT = 64
"""Videos whose file is kept in memory between two readings."""


class WindowMotion:
    """The frozen features and statistics of the windows of one side of a fold, read from beside the frame cache."""

    def __init__(
        self,
        backbone: Backbone,
        cache: Path,
        data: WindowDataset,
        on_video: Callable[[int, int], None] | None = None,
    ):
        """Computes what is not there yet.

        Args:
            on_video: is told how many videos were read, of how many that were missing.
        """
        self.frames, self.window = data.frames, data.settings.window
        compute_missing(backbone, cache, data.names, self.window, on_video)
        self._components: dict[int, tuple[Tensor, Tensor]] = {}

        @lru_cache(maxsize=KEPT)
        def video(row: int) -> FrozenVideo:
            return frozen_video(backbone, cache, data.names[row], self.window)

        self._video = video

    def statistics(self, windows: list[Window], *, shuffled: bool = False) -> Tensor:
        """Returns the statistics of windows, [B, S]; shuffled are those of the same frames in a random order."""
        return torch.stack([self._video(w.row).at(w.start, shuffled=shuffled) for w in windows])

    def read(self, readout: str, windows: list[Window], *, order: np.ndarray | None = None) -> Tensor | None:
        """Returns what a trained read-out reads of windows: [B, S] statistics, [B, F, D] features, or None where it is off.

        Args:
            readout: `motion.readout`.
            order: of the frames inside each window, [F]: a control of whether order matters. Statistics have an order
                of their own for it.
        """
        if readout == "off":
            return None
        if readout == "statistics":
            return self.statistics(windows, shuffled=order is not None)
        rows, starts = (np.array([getattr(w, name) for w in windows]) for name in ("row", "start"))
        return self.features(rows, starts, order=order)

    def keep_components(self, rows: list[int], basis: MotionBasis) -> None:
        """Keeps the components of every window of some videos, so that training reads no file."""
        for row in rows:
            found = self._video(row)
            self._components[row] = (found.starts, basis.scores(found.statistics.float()))

    def components(self, rows: np.ndarray, starts: np.ndarray) -> Tensor:
        """Returns the components of windows whose videos were kept, [B, K]."""
        parts = []
        for row, start in zip(rows.tolist(), starts.tolist(), strict=True):
            kept, scores = self._components[row]
            parts.append(scores[int((kept - start).abs().argmin())])
        return torch.stack(parts)

    def features(self, rows: np.ndarray, starts: np.ndarray, *, order: np.ndarray | None = None) -> Tensor:
        """Returns the frozen features of all frames of windows, [B, F, D]; past a video's end its last frame stands still.

        Args:
            order: of the frames inside a window, [F]; None is as filmed.
        """
        inside = np.arange(self.window) if order is None else order
        parts = []
        for row, start in zip(rows.tolist(), starts.tolist(), strict=True):
            frames = np.minimum(start + inside, self.frames[row] - 1)
            parts.append(self._video(row).features[torch.from_numpy(frames)].float())
        return torch.stack(parts)

    def mean_features(self, rows: np.ndarray, starts: np.ndarray) -> Tensor:
        """Returns the mean frozen feature of windows, [B, D]."""
        return self.features(rows, starts).mean(1)
