"""What the layers below the first prompted one make of a cached video, computed once and kept beside its frames.

A frame's file is its tokens in float32: a third less than the frame itself for the embedded backbone, four times as much for a
ViT-B/16; where no layer is prompted, it is one feature. Letters: F frames, P patches, W vision width, D joint width.
"""

from pathlib import Path

import numpy as np
import torch

from trainables.data.cache import open_cached
from trainables.data.dataset import WindowDataset
from trainables.model.backbone import Backbone
from trainables.model.gait_clip import GaitCLIP
from trainables.study.files import digest, write_atomic

VERSION = 1
"""Counts up whenever the same frames would give other numbers."""
BATCH = 64
"""Frames that the tower reads at once."""


class FrozenPrefix:
    """Reads the prefix of cached videos, which is computed at first use."""

    def __init__(self, model: GaitCLIP, cache: Path, backbone: Backbone):
        """Takes a model whose first prompted layer is not the first layer."""
        self._model, self._cache = model, cache
        self._about = digest([VERSION, backbone.sha256, model.video_encoder.first])[:12]

    def __call__(self, name: str) -> np.ndarray:
        """Returns the tokens of each frame, [F, 1 + P, W], or its features, [F, D], read from disk as they are used.

        Two processes may compute the same file at once; both write the same.

        Args:
            name: of the video in the frame cache.
        """
        path = self._cache / f"{Path(name).stem}-prefix-{self._about}.npy"
        try:
            return np.asarray(np.lib.format.open_memmap(path, mode="r"))
        except (OSError, ValueError, EOFError):
            made = self._computed(np.asarray(open_cached(self._cache, name)))
            write_atomic(path, lambda file: np.save(file, made), private=True)
            return made

    def _computed(self, frames: np.ndarray) -> np.ndarray:
        """Returns the prefix of frames, uint8 [F, S, S, 3], in float32."""
        device = self._model.mean.device
        parts = []
        for begin in range(0, len(frames), BATCH):
            some = torch.from_numpy(np.array(frames[begin : begin + BATCH])).to(device).permute(0, 3, 1, 2)
            with torch.autocast(device.type, enabled=False):
                prefix = self._model.video_encoder.prefix(some.unsqueeze(0), (self._model.mean, self._model.std))
            parts.append(prefix[0].float().cpu().numpy())
        return np.concatenate(parts)


def use_prefix(model: GaitCLIP, data: WindowDataset, cache: Path, backbone: Backbone) -> None:
    """Lets a data set's windows begin at the model's first prompted layer; all of its videos are computed that are not there.

    A model that is prompted from its first layer on reads pixels, as before.
    """
    if not model.first_prompted_layer:
        return
    data.prefix = FrozenPrefix(model, cache, backbone)
    for name in data.names:
        data.prefix(name)
