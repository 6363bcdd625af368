"""Trains the embedded backbone `small`, or measures it: python -m trainables.backbones.train_small [--evaluate].

A CLIP of a few MB in Hugging Face format, trained from scratch on simulated walkers and sentences about them. A clip's
feature is the mean of its frames' features. First the image tower alone learns where the joints are and how the person
walks, by linear heads that are thrown away; then CLIP's contrastive loss joins. Every number of the run is in recipe.py.
Letters: B clips in a batch, T frames, P patches, J joints, D width of the joint space.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from trainables.backbones.batches import Batch, SentenceSource, augment, batches
from trainables.backbones.clips import Clips, render_clips
from trainables.backbones.probe import cohort_yardsticks, simulated_yardsticks
from trainables.backbones.recipe import Recipe
from trainables.backbones.sentences import corpus
from trainables.backbones.tokenizer import CONTEXT, train_tokenizer
from trainables.model.backbone import PIXEL_MEAN, PIXEL_STD, SMALL
from trainables.simulation.walker import PAIRED

LOSSES, REPORT_EVERY, RENDERERS = ("contrastive", "traits", "poses", "cells", "offsets"), 100, 2
FRESH = (11, 12, 13)
"""Simulated cohorts on which nothing was chosen."""


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
    still = np.zeros((len(chosen), 2), dtype=int)
    frames = augment(torch.from_numpy(clips.pixels[chosen, :1]), still, rng, recolour=False).flatten(0, 1)
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
        self.poses = nn.Linear(hidden, 2 * joints + len(PAIRED))
        self.cells = nn.Linear(hidden, joints)
        self.offsets = nn.Linear(hidden, 2 * joints)


def _fit(
    model: CLIPModel, tokenizer: CLIPTokenizer, clips: Clips, source: SentenceSource, recipe: Recipe, began: float
) -> None:
    hidden = model.config.vision_config.hidden_size
    heads = Heads(model.config.projection_dim, hidden, clips.traits.shape[1], clips.joints.shape[2])
    optimizer = _optimizer([model, heads], recipe)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, recipe))
    model.train()
    running = np.zeros(len(LOSSES))
    weights = torch.tensor([1.0, recipe.traits, recipe.poses, recipe.cells, recipe.offsets])
    for step, batch in enumerate(batches(clips, source, tokenizer, recipe)):
        losses = _losses(model, heads, batch)
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


def _losses(model: CLIPModel, heads: Heads, batch: Batch) -> Tensor:
    """Returns CLIP's symmetric loss (0 without tokens) and the auxiliary losses in the order of LOSSES, [5]."""
    b, t = batch.pixels.shape[:2]
    seen = model.vision_model(pixel_values=batch.pixels.flatten(0, 1))
    pooled = model.visual_projection(seen.pooler_output).view(b, t, -1).mean(dim=1)  # [B, D]
    auxiliary = [
        F.mse_loss(heads.traits(pooled), batch.traits),
        F.mse_loss(heads.poses(seen.pooler_output), batch.poses),
        *_patch_losses(heads, seen.last_hidden_state[:, 1:], batch.joints),
    ]
    if batch.tokens is None:
        return torch.stack([torch.zeros(()), *auxiliary])
    words = model.text_projection(model.text_model(**batch.tokens).pooler_output)  # [B, D]
    logits = model.logit_scale.exp() * F.normalize(pooled, dim=-1) @ F.normalize(words, dim=-1).T  # [B, B]
    own = torch.arange(b)
    contrastive = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    return torch.stack([contrastive, *auxiliary])


def _patch_losses(heads: Heads, patches: Tensor, joints: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the losses of finding each joint's patch, and its place within that patch.

    patches [N, P, W], joints [N, J, 2] from the frame's middle in frame sizes.
    """
    side = math.isqrt(patches.shape[1])
    place = (joints + 0.5) * side
    column, row = place.floor().long().clamp(0, side - 1).unbind(dim=-1)  # [N, J]
    cell = row * side + column
    from_middle = (place - torch.stack([column, row], dim=-1) - 0.5).clamp(-1, 1)  # in patches, [N, J, 2]
    offsets = heads.offsets(patches).unflatten(-1, (-1, 2))  # [N, P, J, 2]
    own = offsets.gather(1, cell[:, None, :, None].expand(-1, 1, -1, 2)).squeeze(1)
    return F.cross_entropy(heads.cells(patches), cell), F.mse_loss(own, from_middle)


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
    """Trains, or with --evaluate prints what the features of a backbone tell about simulated cohorts, or about --cohort."""
    parser = argparse.ArgumentParser(prog="python -m trainables.backbones.train_small", description=__doc__)
    parser.add_argument("--folder", type=Path, default=SMALL, help="the backbone's folder (default: the embedded one)")
    parser.add_argument("--evaluate", action="store_true", help="print the yardsticks of the backbone, train nothing")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=FRESH, help="simulated cohorts to evaluate on (default: 11 12 13)"
    )
    parser.add_argument("--cohort", type=Path, help="evaluate on this cohort of square videos instead")
    parser.add_argument("--label", help="label column of --cohort")
    parser.add_argument("--people", type=int, default=Recipe().people, help="simulated people (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=Recipe().steps, help="optimiser steps (default: %(default)s)")
    options = parser.parse_args()
    if (options.cohort is None) != (options.label is None):
        parser.error("--cohort and --label go together: the table of the videos, and its column of classes")
    torch.set_num_threads(1)  # the order of sums, and so the weights, change with the number of threads
    if options.evaluate and options.cohort:
        lines = cohort_yardsticks(options.folder, options.cohort, options.label)
    elif options.evaluate:
        lines = simulated_yardsticks(options.folder, seeds=tuple(options.seeds))
    else:
        train(Recipe(people=options.people, steps=options.steps), options.folder)
        return
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    main()
