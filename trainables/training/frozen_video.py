"""What the frozen tower makes of a cached video, computed once and kept beside its frames.

A file holds the features of all frames and the motion statistics of a window every GRID_STEP frames. For the embedded
backbone it is a sixth as large as the frames, for a ViT-B/16 a seventh. While it is made, CHUNK frames' tokens are in memory:
0.1 GB for the embedded backbone, 0.7 GB for a ViT-B/16.
Letters: F frames, D joint width, N windows, S statistics.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from trainables.data.cache import open_cached
from trainables.model.backbone import PIXEL_MEAN, PIXEL_STD, Backbone
from trainables.model.motion import FrozenTokens, frozen_tokens, window_statistics
from trainables.study.files import digest, write_atomic

VERSION = 1
"""Counts up whenever the same frames would give other numbers."""
GRID_STEP = 5
"""Frames between two windows whose statistics are kept; one that starts between them takes the nearest."""
CHUNK = 512
BATCH = 64
"""Frames that the tower reads at once."""


@dataclass(frozen=True, kw_only=True)
class FrozenVideo:
    """What is kept of one video."""

    features: Tensor
    """[F, D], not normalised."""
    starts: Tensor
    """First frames of the windows, [N]."""
    statistics: Tensor
    """[N, S]."""
    shuffled_starts: Tensor
    shuffled: Tensor
    """Statistics of windows side by side with their frames in random order, which tell whether order matters."""

    def at(self, start: int, *, shuffled: bool = False) -> Tensor:
        """Returns the statistics of the kept window nearest to a first frame, [S] in float32."""
        starts, statistics = (self.shuffled_starts, self.shuffled) if shuffled else (self.starts, self.statistics)
        return statistics[int((starts - start).abs().argmin())].float()


def frozen_video(backbone: Backbone, cache: Path, name: str, window: int) -> FrozenVideo:
    """Returns what the backbone makes of a cached video; computed at first use, then read.

    Two processes may compute the same file at once; both write the same.

    Args:
        name: of the video in the frame cache.
        window: frames of a window.
    """
    path = cache / frozen_name(backbone, name, window)
    try:
        return FrozenVideo(**load_file(path))
    except (OSError, SafetensorError, TypeError):
        made = compute(backbone, np.asarray(open_cached(cache, name)), window, seed=int(digest(name)[:8], 16))
        write_atomic(
            path, lambda file: file.write(save({k: v.contiguous() for k, v in vars(made).items()})), private=True
        )
        return made


def frozen_name(backbone: Backbone, name: str, window: int) -> str:
    """Returns the name of a video's file in the frame cache."""
    return f"{Path(name).stem}-{digest([VERSION, backbone.sha256, window])[:12]}.safetensors"


def compute_missing(
    backbone: Backbone,
    cache: Path,
    names: Sequence[str],
    window: int,
    on_video: Callable[[int, int], None] | None = None,
) -> None:
    """Computes what is not there yet, in random order, so that processes beside this one mostly take other videos.

    Args:
        on_video: is told how many videos were read, of how many that were missing.
    """
    missing = [n for n in dict.fromkeys(names) if not (cache / frozen_name(backbone, n, window)).exists()]
    for done, name in enumerate(random.sample(missing, len(missing)), start=1):
        if not (cache / frozen_name(backbone, name, window)).exists():
            frozen_video(backbone, cache, name, window)
        if on_video is not None:
            on_video(done, len(missing))


@torch.inference_mode()
def compute(backbone: Backbone, frames: np.ndarray, window: int, seed: int) -> FrozenVideo:
    """Returns what the tower makes of frames, uint8 [F, S, S, 3].

    Args:
        seed: of the random orders.
    """
    count = len(frames)
    starts = window_starts(count, window, GRID_STEP)
    controls = window_starts(count, window, window)
    generator = torch.Generator().manual_seed(seed)
    orders = {s: torch.randperm(min(window, count), generator=generator) for s in controls}
    features: list[Tensor] = []
    statistics: dict[int, Tensor] = {}
    shuffled: dict[int, Tensor] = {}
    held: FrozenTokens | None = None  # tokens of frames from `first` on
    first = 0
    for begin in range(0, count, CHUNK):
        read = _read(backbone, frames[begin : begin + CHUNK])
        features.append(read.features)
        held = read if held is None else FrozenTokens(*(torch.cat(pair) for pair in zip(held, read, strict=True)))
        end = first + len(held.features)
        for start in sorted({*starts, *controls}):
            if start not in statistics and start + window <= max(end, window if end == count else 0):
                part = FrozenTokens(*(t[start - first : start - first + window] for t in held))
                statistics[start] = window_statistics(part)
                if start in orders:
                    shuffled[start] = window_statistics(FrozenTokens(*(t[orders[start]] for t in part)))
        kept = max(end - window + 1, first)
        held = FrozenTokens(*(t[kept - first :] for t in held))
        first = kept
    return FrozenVideo(
        features=torch.cat(features).half().cpu(),
        starts=torch.tensor(starts, dtype=torch.int32),
        statistics=torch.stack([statistics[s] for s in starts]).half().cpu(),
        shuffled_starts=torch.tensor(controls, dtype=torch.int32),
        shuffled=torch.stack([shuffled[s] for s in controls]).half().cpu(),
    )


def window_starts(frames: int, window: int, step: int) -> list[int]:
    """Returns the first frame of a window every `step` frames, and of the one that ends with the video."""
    last = max(frames - window, 0)
    return [*range(0, last, step), last]


def _read(backbone: Backbone, frames: np.ndarray) -> FrozenTokens:
    clip = backbone.clip
    device = clip.visual_projection.weight.device
    mean, std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (PIXEL_MEAN, PIXEL_STD))
    parts = []
    for begin in range(0, len(frames), BATCH):
        pixels = torch.from_numpy(np.array(frames[begin : begin + BATCH])).to(device).permute(0, 3, 1, 2)
        parts.append(frozen_tokens(clip.vision_model, clip.visual_projection, (pixels.float() / 255 - mean) / std))
    return FrozenTokens(*(torch.cat(part) for part in zip(*parts, strict=True)))
