"""What benchmarks/gpu.py measures: whole models of random weights, their data, and other models on the same frames."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

from benchmarks.release_step import ReleaseEncoder
from trainables.config import PUBLISHED, TrainConfig
from trainables.knowledge.tasks import load_task
from trainables.model.backbone import SMALL, Backbone, fold_quick_gelu, frozen, load_backbone
from trainables.model.gait_clip import build
from trainables.model.numeracy import NumericMemory
from trainables.training.distributed import Workers
from trainables.training.frozen import FrozenFeatures
from trainables.training.job import Batch
from trainables.training.optimizer import make_optimizer
from trainables.training.step import GaitTask

NAMES = ("walking speed", "cadence", "step length", "step time", "swing", "stride length")
VIDEOS = 24
"""Of the numerical memory, eight in each class."""


@dataclass(frozen=True)
class Size:
    """How large everything is."""

    vision: dict[str, int]
    text: dict[str, int]
    frames: tuple[int, int]
    """The few frames of Vita-CLIP, and the many of the paper."""
    batches: tuple[tuple[int, ...], tuple[int, ...]]
    """For few and for many frames; the first of each is compared with the other models."""
    image: int
    matrix: int
    """Side of the product that gives the card's rate."""
    seconds: float
    """That the timed steps of a row take, at least."""
    joint: int = 512
    folds: int = 5
    """That one pass packs."""


FULL = Size(
    vision={"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12, "patch_size": 16},
    text={"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 8},
    frames=(8, 70), batches=((4, 16, 64), (4, 16)), image=224, matrix=8192, seconds=0.5,
)  # fmt: skip
TINY = Size(
    vision={"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "patch_size": 16},
    text={"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4},
    frames=(2, 3), batches=((2, 3), (2,)), image=32, matrix=64, seconds=0.0, joint=24, folds=2,
)  # fmt: skip


@dataclass
class Step:
    """A model ready to take optimiser steps on windows of noise."""

    task: GaitTask
    batch: Batch
    optimizer: torch.optim.Optimizer = field(init=False)
    draws: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def __post_init__(self) -> None:
        self.optimizer, _ = make_optimizer(self.task.model, self.task.config.optimizer, 100)

    def __call__(self) -> dict[str, float]:
        """Takes a step and returns its losses."""
        self.optimizer.zero_grad(set_to_none=True)
        losses = self.task.backward(self.batch, len(self.batch.labels), self.draws)
        self.optimizer.step()
        return losses


def make_step(
    size: Size, frames: int, batch: int, device: torch.device, *, release: bool = False, **optimizer: Any
) -> Step:
    """Returns the whole model with knowledge and numbers; `release` computes the video as the public release does.

    Args:
        optimizer: settings of that section, as precision="bf16".
    """
    config = config_of(frames, **({"precision": "float32", "gpu_step": "eager"} if release else {}) | optimizer)
    task = make_task(config, make_clip(size, device, fold=not release), device)
    if release:
        task.model.video_encoder = ReleaseEncoder(task.model.video_encoder)  # type: ignore[assignment]
    return Step(task, random_batch(size, frames, batch, device))


def config_of(frames: int, **optimizer: Any) -> TrainConfig:
    """Returns the published settings with other frames and some settings of the optimiser."""
    values = {f"optimizer.{name}": value for name, value in optimizer.items()}
    return TrainConfig().with_values(PUBLISHED | {"video.frames": frames} | values)


def make_clip(size: Size, device: torch.device, *, fold: bool = True) -> Backbone:
    """Returns a CLIP of random weights, drawn where it will be."""
    tokenizer = load_backbone(str(SMALL)).tokenizer
    text = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = CLIPConfig(text_config=size.text | text, vision_config=size.vision | {"image_size": size.image},
                        projection_dim=size.joint)  # fmt: skip
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), device:
        torch.manual_seed(0)
        clip = CLIPModel(config)
    if fold:
        fold_quick_gelu(clip)
    return frozen("random", clip, tokenizer, "random")


def make_task(config: TrainConfig, backbone: Backbone, device: torch.device) -> GaitTask:
    """Returns an untrained model with the numerical memory of random videos."""
    about = load_task("diagnosis")
    features = FrozenFeatures(backbone, about, list(NAMES), device=str(device))
    memory = None
    if config.numeracy.enabled:
        labels = np.arange(VIDEOS) % len(about.classes)
        values = np.random.default_rng(0).normal(labels[:, None], 1.0, (VIDEOS, len(NAMES)))
        memory = NumericMemory.fit(values, np.arange(VIDEOS), labels, healthy=0, classes=len(about.classes), seed=0,
                                   config=config.numeracy,
                                   encoder=features.numbers(config.numeracy.encoding, config.numeracy.clip))  # fmt: skip
    notions = features.notions(config.text, config.seed) if config.text.knowledge else None
    model = build(backbone, about, config, notions, seed=0).to(device)
    return GaitTask(model, config, memory, ordinal=about.ordinal, workers=Workers(), device=device)


def random_batch(size: Size, frames: int, batch: int, device: torch.device, seed: int = 0) -> Batch:
    """Returns windows of noise, in pinned memory for a GPU, as training reads them."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (batch, frames, 3, size.image, size.image), dtype=torch.uint8, generator=generator)
    pixels = pixels.pin_memory() if device.type == "cuda" else pixels
    return Batch(frames=pixels, labels=torch.arange(batch) % 3, videos=np.arange(batch) % VIDEOS)


def clip_forward(size: Size, frames: int, batch: int, device: torch.device, dtype: torch.dtype) -> Callable[[], Tensor]:
    """Returns what reads every frame by transformers' CLIPModel, without gradient."""
    clip = make_clip(size, device, fold=False).clip
    pixels = torch.randn(batch * frames, 3, size.image, size.image, device=device)

    def forward() -> Tensor:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            return clip.get_image_features(pixel_values=pixels)  # type: ignore[no-any-return]

    return forward
