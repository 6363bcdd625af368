"""Trains the embedded backbone `small`, or measures it: python -m trainables.backbones.train_small [--evaluate].

A CLIP of a few MB in Hugging Face format, trained from scratch on simulated walkers and sentences about them. A clip's
feature is the mean of its frames' features. First the image tower alone learns where the joints are and how the person
walks, by linear heads that are thrown away; then CLIP's contrastive loss joins. Every number of the run is in `Recipe`.
Letters: B clips in a batch, T frames, P patches, J joints, D width of the joint space.
"""

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from trainables.backbones.clips import FRAMES, Clips, render_clips
from trainables.backbones.probe import probe
from trainables.backbones.sentences import corpus, describe
from trainables.backbones.tokenizer import CONTEXT, train_tokenizer
from trainables.knowledge.parameters import load_parameters

LOSSES, REPORT_EVERY, RENDERERS = ("contrastive", "traits", "joints", "cells"), 100, 2
SMALL = Path(__file__).with_name("small")
PIXEL_MEAN, PIXEL_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""CLIP's own, so that every backbone takes the same input."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """The numbers of one training run."""

    people: int = 2000
    clips_each: int = 2
    steps: int = 4000
    plain_first: int = 500
    """Steps that see only clips shown as in a cohort: where walls and clothes have any colour, nothing is learned at first."""
    joints_first: int = 2000
    """Steps before the contrastive loss joins: it finds nothing to hold on to before the image tower sees a figure."""
    first_batch: int = 24
    """Clips a step until then; many small steps see sooner than few large ones."""
    batch: int = 48
    """Clips a step from then on: each clip has 47 wrong sentences."""
    frames: int = 2
    """Frames of a clip's 8 that a step sees, drawn anew each time: cheaper, and no feature needs all 8."""
    lr: float = 2e-3
    weight_decay: float = 0.05
    warmup: int = 50
    """Steps in which the learning rate rises from 0; then a cosine to 0."""
    traits: float = 0.5
    """Weight of the auxiliary regression of traits, which have a variance of 1."""
    joints: float = 100.0
    """Weight of the auxiliary regression of joints from a frame's feature, in squares of the frame's size."""
    cells: float = 1.0
    """Weight of the auxiliary cross-entropy that finds each joint among the patches."""
    vocabulary: int = 2048
    """Tokens at most."""
    sentences: int = 5000
    """Drawn sentences among the tokenizer's texts."""
    seed: int = 0
    """Added to COHORT_SEEDS for the people that are drawn."""


def small_config(vocabulary: int) -> CLIPConfig:
    """Returns the shape of `small`: 26 tokens and about 36 MFLOP a frame."""
    return CLIPConfig(
        projection_dim=128,
        vision_config={
            "hidden_size": 128,
            "intermediate_size": 512,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "image_size": 80,
            "patch_size": 16,
            "hidden_act": "quick_gelu",
        },
        text_config={
            "hidden_size": 128,
            "intermediate_size": 512,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "vocab_size": vocabulary,
            "max_position_embeddings": CONTEXT,
            "hidden_act": "quick_gelu",
            "bos_token_id": vocabulary - 2,
            "eos_token_id": vocabulary - 1,
            "pad_token_id": vocabulary - 1,
        },
    )


@torch.no_grad()
def _start_seeing(model: CLIPModel, clips: Clips, rng: np.random.Generator) -> None:
    """Starts the patch embedding at the whitened principal components of patches, and the positions at their full size.

    Positions start 25 times smaller than patches in transformers; joints' places are then hard to learn.
    """
    embeddings = model.vision_model.embeddings
    weight = embeddings.patch_embedding.weight  # [hidden, 3, patch, patch]
    chosen = rng.choice(len(clips.walks), size=min(256, len(clips.walks)), replace=False)
    frames = _augment(torch.from_numpy(clips.pixels[chosen, :1]), np.zeros((len(chosen), 2), dtype=int), rng).flatten(
        0, 1
    )
    patches = (
        F.unfold(frames, weight.shape[-1], stride=weight.shape[-1]).transpose(1, 2).flatten(0, 1)
    )  # [patches, 3pp]
    _, size, components = torch.linalg.svd(patches - patches.mean(dim=0), full_matrices=False)
    spread = size[: len(weight)] / len(patches) ** 0.5
    white = components[: len(weight)] / (spread[:, None] + 0.1 * spread[0])
    turn = torch.linalg.qr(torch.randn(len(weight), len(weight)))[0]  # each unit mixes the components
    weight.copy_((turn @ white).view_as(weight))
    embeddings.position_embedding.weight.normal_(std=0.5)
    embeddings.class_embedding.normal_(std=0.5)


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


def train(recipe: Recipe, folder: Path) -> None:
    """Trains a backbone and writes it to `folder` in Hugging Face format; the weights depend on torch's threads."""
    began = time.monotonic()
    torch.manual_seed(recipe.seed)
    image_size = small_config(1000).vision_config.image_size
    clips = render_clips(recipe.people, recipe.clips_each, image_size, recipe.seed, RENDERERS)
    print(f"{len(clips.walks)} clips of {recipe.people} people after {time.monotonic() - began:.0f} s", flush=True)
    source = SentenceSource(clips, recipe.seed)
    tokenizer = train_tokenizer(corpus(source.any, recipe.sentences), recipe.vocabulary)
    model = CLIPModel(small_config(len(tokenizer)))
    _start_seeing(model, clips, np.random.default_rng(recipe.seed))
    _fit(model, tokenizer, clips, source, recipe, began)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _write_preprocessor(folder, image_size)
    print(f"{folder} after {time.monotonic() - began:.0f} s")


class Heads(nn.Module):
    """The auxiliary regressions; thrown away after training."""

    def __init__(self, width: int, hidden: int, traits: int, joints: int):
        super().__init__()
        self.traits = nn.Linear(width, traits)
        self.joints = nn.Linear(hidden, 2 * joints)
        self.cells = nn.Linear(hidden, joints)


def _fit(
    model: CLIPModel, tokenizer: CLIPTokenizer, clips: Clips, source: SentenceSource, recipe: Recipe, began: float
) -> None:
    hidden = model.config.vision_config.hidden_size
    heads = Heads(model.config.projection_dim, hidden, clips.traits.shape[1], clips.joints.shape[2])
    optimizer = _optimizer([model, heads], recipe)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, recipe))
    rng = np.random.default_rng(recipe.seed + 1)
    model.train()
    running = np.zeros(len(LOSSES))
    weights = torch.tensor([1.0, recipe.traits, recipe.joints, recipe.cells])
    for step in range(recipe.steps):
        with_texts = step >= recipe.joints_first
        size = recipe.batch if with_texts else recipe.first_batch
        among = np.flatnonzero(clips.plain) if step < recipe.plain_first else np.arange(len(clips.walks))
        batch = _draw_batch(
            clips, source, rng.choice(among, size=min(size, len(among)), replace=False), recipe.frames, rng
        )
        losses = _losses(model, heads, tokenizer if with_texts else None, batch)
        optimizer.zero_grad(set_to_none=True)
        (losses * weights).sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        model.logit_scale.data.clamp_(0, math.log(100))
        running += losses.detach().numpy()
        if (step + 1) % REPORT_EVERY == 0:
            told = ", ".join(f"{n} {v / REPORT_EVERY:.4f}" for n, v in zip(LOSSES, running, strict=True))
            print(f"step {step + 1}: {told}, {time.monotonic() - began:.0f} s", flush=True)
            running[:] = 0
    model.eval()


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """What one step sees."""

    pixels: Tensor
    """[B, T, 3, H, W], normalised."""
    joints: Tensor
    """[B*T, J, 2]."""
    traits: Tensor
    """[B, traits]."""
    texts: list[str]


def _draw_batch(
    clips: Clips, source: SentenceSource, chosen: np.ndarray, frames: int, rng: np.random.Generator
) -> Batch:
    size = len(chosen)
    seen = rng.permuted(np.tile(np.arange(FRAMES), (size, 1)), axis=1)[:, :frames]
    moves = rng.integers(-5, 6, size=(size, 2))  # x, y in pixels
    pixels = torch.from_numpy(clips.pixels[chosen[:, None], seen])
    joints = clips.joints[chosen[:, None], seen] - (moves / pixels.shape[-1])[:, None, None, :]  # [B, T, J, 2]
    return Batch(
        pixels=_augment(pixels, moves, rng),
        joints=torch.from_numpy(joints).float().flatten(0, 1),
        traits=torch.from_numpy(clips.traits[chosen]),
        texts=[source.of(int(i)) for i in chosen],
    )


def _losses(model: CLIPModel, heads: Heads, tokenizer: CLIPTokenizer | None, batch: Batch) -> Tensor:
    """Returns CLIP's symmetric loss (0 without a tokenizer) and the auxiliary losses in the order of LOSSES, [4]."""
    b, t = batch.pixels.shape[:2]
    seen = model.vision_model(pixel_values=batch.pixels.flatten(0, 1))
    pooled = model.visual_projection(seen.pooler_output).view(b, t, -1).mean(dim=1)  # [B, D]
    auxiliary = [
        F.mse_loss(heads.traits(pooled), batch.traits),
        F.mse_loss(heads.joints(seen.pooler_output), batch.joints.flatten(1)),
        _cell_loss(heads.cells(seen.last_hidden_state[:, 1:]), batch.joints),
    ]
    if tokenizer is None:
        return torch.stack([torch.zeros(()), *auxiliary])
    tokens = tokenizer(batch.texts, padding=True, truncation=True, max_length=CONTEXT, return_tensors="pt")
    words = model.text_projection(model.text_model(**tokens).pooler_output)  # [B, D]
    logits = model.logit_scale.exp() * F.normalize(pooled, dim=-1) @ F.normalize(words, dim=-1).T  # [B, B]
    own = torch.arange(b)
    contrastive = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    return torch.stack([contrastive, *auxiliary])


def _cell_loss(logits: Tensor, joints: Tensor) -> Tensor:
    """Returns the cross-entropy of finding each joint's patch, from logits [N, P, J] and places [N, J, 2]."""
    side = math.isqrt(logits.shape[1])
    column, row = ((joints + 0.5) * side).floor().long().clamp(0, side - 1).unbind(dim=-1)  # [N, J]
    return F.cross_entropy(logits, row * side + column)


def _augment(pixels: Tensor, moves: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Returns normalised pixels [B, T, 3, H, W]; each clip is moved by its `moves`, recoloured and dimmed as a whole."""
    b, size = len(pixels), pixels.shape[-1]
    moved = pixels.clone()
    for i, (dx, dy) in enumerate(moves):
        rows = np.clip(np.arange(size) + dy, 0, size - 1)
        columns = np.clip(np.arange(size) + dx, 0, size - 1)
        moved[i] = _recoloured(pixels[i][:, :, rows][..., columns], rng)
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


def _optimizer(modules: list[nn.Module], recipe: Recipe) -> torch.optim.AdamW:
    parameters = [p for module in modules for p in module.parameters()]
    return torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=recipe.lr,
        betas=(0.9, 0.98),
    )


def _rate(step: int, recipe: Recipe) -> float:
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    return 0.5 * (1 + math.cos(math.pi * (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)))


def _write_preprocessor(folder: Path, image_size: int) -> None:
    about = {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": image_size},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": image_size, "width": image_size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(PIXEL_MEAN),
        "image_std": list(PIXEL_STD),
        "do_convert_rgb": True,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Trains, or with --evaluate prints what the features of a backbone tell about simulated cohorts."""
    parser = argparse.ArgumentParser(prog="python -m trainables.backbones.train_small", description=__doc__)
    parser.add_argument("--folder", type=Path, default=SMALL, help="the backbone's folder (default: the embedded one)")
    parser.add_argument("--evaluate", action="store_true", help="probe the backbone on cohorts of seeds 0, 1 and 2")
    parser.add_argument("--people", type=int, default=Recipe().people, help="simulated people (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=Recipe().steps, help="optimiser steps (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)  # the order of sums, and so the weights, change with the number of threads
    if options.evaluate:
        for line in probe(options.folder, seeds=(0, 1, 2)):
            print(line, flush=True)
    else:
        train(Recipe(people=options.people, steps=options.steps), options.folder)


if __name__ == "__main__":
    main()
