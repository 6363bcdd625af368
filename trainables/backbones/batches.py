"""Batches for the training of the backbone `small`: frames of clips as they are seen, and a new sentence about each."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import BatchEncoding, CLIPTokenizer

from trainables.backbones.clips import FRAMES, Clips
from trainables.backbones.recipe import Recipe
from trainables.backbones.sentences import describe
from trainables.backbones.tokenizer import CONTEXT
from trainables.knowledge.parameters import load_parameters
from trainables.model.backbone import PIXEL_MEAN, PIXEL_STD


class SentenceSource:
    """Draws sentences about the walks of a set of clips."""

    def __init__(self, clips: Clips, seed: int):
        self.clips = clips
        self.rng = np.random.default_rng(seed)
        self.parameters = load_parameters()

    def of(self, index: int) -> str:
        """Returns a new sentence about clip `index`."""
        walk = self.clips.walks[index]
        return describe(walk.gait, walk.parameters, self.rng, numbers=self.parameters)

    def any(self) -> str:
        """Returns a new sentence about some clip."""
        return self.of(int(self.rng.integers(len(self.clips.walks))))


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """What one step sees."""

    pixels: Tensor
    """[B, T, 3, H, W], normalised."""
    joints: Tensor
    """[B*T, J, 2]."""
    poses: Tensor
    """[B*T, 2J + pairs]."""
    traits: Tensor
    """[B, traits]."""
    tokens: BatchEncoding | None
    """Of each clip's sentence; None before the contrastive loss joins."""


def batches(clips: Clips, source: SentenceSource, tokenizer: CLIPTokenizer, recipe: Recipe) -> Iterator[Batch]:
    """Yields the batch of every step; a thread draws the next one while a step is computed."""
    rng = np.random.default_rng(recipe.seed + 1)

    def draw(step: int) -> Batch:
        with_texts, plain = step >= recipe.poses_first, step < recipe.plain_first
        among = np.flatnonzero(clips.plain) if plain else np.arange(len(clips.walks))
        size = min(recipe.batch if with_texts else recipe.first_batch, len(among))
        chosen = rng.choice(among, size=size, replace=False)
        tokens = _tokens([source.of(int(i)) for i in chosen], tokenizer) if with_texts else None
        return _draw_batch(clips, chosen, tokens, rng, frames=recipe.frames, recolour=not plain)

    with ThreadPoolExecutor(max_workers=1) as pool:
        following = pool.submit(draw, 0)
        for step in range(recipe.steps):
            batch = following.result()
            following = pool.submit(draw, step + 1)
            yield batch


def _tokens(texts: list[str], tokenizer: CLIPTokenizer) -> BatchEncoding:
    return tokenizer(texts, padding=True, truncation=True, max_length=CONTEXT, return_tensors="pt")


def _draw_batch(
    clips: Clips,
    chosen: np.ndarray,
    tokens: BatchEncoding | None,
    rng: np.random.Generator,
    *,
    frames: int,
    recolour: bool,
) -> Batch:
    size = len(chosen)
    seen = rng.permuted(np.tile(np.arange(FRAMES), (size, 1)), axis=1)[:, :frames]
    moves = rng.integers(-5, 6, size=(size, 2))  # x, y in pixels
    pixels = torch.from_numpy(clips.pixels[chosen[:, None], seen])
    joints = clips.joints[chosen[:, None], seen] - (moves / pixels.shape[-1])[:, None, None, :]  # [B, T, J, 2]
    return Batch(
        pixels=augment(pixels, moves, rng, recolour=recolour),
        joints=torch.from_numpy(joints).float().flatten(0, 1),
        poses=torch.from_numpy(clips.poses[chosen[:, None], seen]).flatten(0, 1),
        traits=torch.from_numpy(clips.traits[chosen]),
        tokens=tokens,
    )


def augment(pixels: Tensor, moves: np.ndarray, rng: np.random.Generator, *, recolour: bool) -> Tensor:
    """Returns normalised pixels [B, T, 3, H, W]; each clip is moved by its `moves`, dimmed, tinted and recoloured as a whole."""
    b, size = len(pixels), pixels.shape[-1]
    moved = pixels.clone()
    for i, (dx, dy) in enumerate(moves):
        rows = np.clip(np.arange(size) + dy, 0, size - 1)
        columns = np.clip(np.arange(size) + dx, 0, size - 1)
        moved[i] = pixels[i][:, :, rows][..., columns]
        if recolour:
            moved[i] = _recoloured(moved[i], rng)
    gain = torch.from_numpy(rng.uniform(0.75, 1.25, (b, 1, 1, 1, 1)) * rng.uniform(0.92, 1.08, (b, 1, 3, 1, 1)))
    lift = torch.from_numpy(rng.uniform(-0.08, 0.08, (b, 1, 1, 1, 1)))
    lit = (moved / 255 * gain.float() + lift.float()).clamp(0, 1)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (PIXEL_MEAN, PIXEL_STD))
    return (lit - mean) / std


def _recoloured(clip: Tensor, rng: np.random.Generator) -> Tensor:
    """Returns a clip [T, 3, H, W] as it is, or with exchanged channels, in grey, or as a negative."""
    kind = rng.random()
    if kind < 0.2:
        clip = clip[:, torch.from_numpy(rng.permutation(3))]
    elif kind < 0.3:
        clip = clip.float().mean(dim=1, keepdim=True).to(clip.dtype).expand_as(clip)
    elif kind < 0.4:
        clip = 255 - clip
    return clip
