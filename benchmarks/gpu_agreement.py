"""Whether a GPU computes what the CPU computes: features, gradients, and one small fold; part of benchmarks/gpu.py."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu_models import NAMES, Size, config_of, make_clip, make_task, random_batch
from benchmarks.gpu_rows import clean
from trainables.knowledge.tasks import load_task
from trainables.model.backbone import Backbone, load_backbone
from trainables.model.gait_clip import build
from trainables.model.numeracy import NumericMemory
from trainables.training.distributed import Workers
from trainables.training.draws import Window
from trainables.training.frozen import FrozenFeatures
from trainables.training.job import load, load_ahead
from trainables.training.optimizer import make_optimizer
from trainables.training.step import GaitTask

WINDOWS = 24
"""Of the small fold; a third of them is held out."""
EPOCHS = 3


def gradients(size: Size, device: torch.device) -> Iterator[tuple[str, float, float]]:
    """Yields (what is compared, relative difference, largest allowed) of features and gradients of one step.

    Each way to run a step is compared with the CPU's float32, by the norm of the difference over that of the reference.
    """
    backbone = make_clip(size, torch.device("cpu"))  # drawn on the CPU, so that both sides have the same weights
    reference = one_step(size, torch.device("cpu"), backbone)
    ways: list[tuple[dict[str, Any], float]] = [({"precision": "float32", "gpu_step": "eager"}, 1e-3)]
    if device.type == "cuda":
        ways += [({"precision": "float32", "gpu_step": "graph"}, 1e-3),
                 *(({"precision": "bf16", "gpu_step": how}, 0.1) for how in ("eager", "graph", "compiled"))]  # fmt: skip
    for settings, allowed in ways:
        found = one_step(size, device, backbone, **settings)
        for name, own, other in zip(("features", "gradients"), found, reference, strict=True):
            yield f"{name}, {', '.join(settings.values())}", difference(own, other), allowed
        clean(device)


def one_step(size: Size, device: torch.device, backbone: Backbone, **optimizer: Any) -> tuple[Tensor, Tensor]:
    """Returns the video features of some windows, and the gradients of a step on them, each as one vector on the CPU.

    On a GPU two steps are taken, because a graph is recorded in the first.
    """
    config = config_of(size.frames[0], **({"precision": "float32"} | optimizer))
    task = make_task(config, replace(backbone, clip=copy.deepcopy(backbone.clip)), torch.device("cpu"))
    task = GaitTask(task.model.to(device), config, task.memory, ordinal=False, workers=Workers(), device=device)
    count = size.batches[0][0]
    batch = random_batch(size, config.video.frames, count, torch.device("cpu"))
    for _ in range(1 + (device.type == "cuda")):
        task.model.zero_grad(set_to_none=True)
        task.backward(batch, count, np.random.default_rng(0))
    with torch.no_grad(), task.products:
        features = task.model.encode(batch.frames.to(device)).video
    found = torch.cat([p.grad.flatten() for _, p in task.model.trained() if p.grad is not None])
    return features.flatten().float().cpu(), found.float().cpu()


def difference(own: Tensor, other: Tensor) -> float:
    """Returns the norm of a difference over that of the reference; not a number where either is not finite."""
    return float((own - other).double().norm() / other.double().norm())


def fold(device: torch.device) -> Iterator[tuple[str, float, float]]:
    """Yields (what is compared, difference, largest allowed) of a small fold trained on the CPU and on the device."""
    history, held_out = train_small(torch.device("cpu"), precision="float32")
    ways: list[tuple[dict[str, Any], float]] = [({"precision": "float32"}, 0.02)]
    if device.type == "cuda":
        ways.append(({"precision": "bf16"}, 0.2))
    for settings, allowed in ways:
        losses, probabilities = train_small(device, **settings)
        name = f"small fold of {EPOCHS} epochs, {settings['precision']}"
        yield f"{name}: losses", float(np.abs(losses - history).max() / np.abs(history).max()), allowed
        yield f"{name}: held-out probabilities", float(np.abs(probabilities - held_out).max()), allowed


class MovingBars:
    """Windows in which a bar crosses the picture, slowly in one class and fast in the other."""

    def __init__(self, size: int, frames: int):
        self.size, self.frames, self.video_rows = size, frames, range(WINDOWS)

    def window(self, index: int, _: int, __: int) -> dict[str, Any]:
        """Returns one of them as a data set does."""
        noise = np.random.default_rng(index).integers(0, 60, (self.frames, 3, self.size, self.size), dtype=np.uint8)
        for frame in range(self.frames):
            start = (index + (2 + 5 * (index % 2)) * frame) % (self.size - 8)
            noise[frame, :, :, start : start + 8] += 150
        return {"frames": torch.from_numpy(noise), "label": index % 2, "video": index, "window": 0}


def windows(numbers: np.ndarray) -> list[Window]:
    """Returns windows whose video is their number."""
    return [Window(int(n), 0) for n in numbers]


def train_small(device: torch.device, **optimizer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns the losses of each step and the held-out probabilities of a fold of the embedded backbone."""
    config = config_of(8, lr=1e-3, **optimizer)
    backbone, about = load_backbone("small"), load_task("diagnosis")
    frozen = FrozenFeatures(backbone, about, list(NAMES), device=str(device))
    train, test = np.split(np.arange(WINDOWS), [WINDOWS * 2 // 3])
    values = np.random.default_rng(0).normal(train[:, None] % 2, 1.0, (len(train), len(NAMES)))
    memory = NumericMemory.fit(values, train, train % 2, healthy=0, classes=len(about.classes), config=config.numeracy,
                               encoder=frozen.numbers("continuous", config.numeracy.clip), seed=0)  # fmt: skip
    model = build(backbone, about, config, frozen.notions(config.text, 0), seed=0).to(device)
    task = GaitTask(model, config, memory, ordinal=False, workers=Workers(), device=device)
    data: Any = MovingBars(backbone.image_size, config.video.frames)
    batches = [b for e in range(EPOCHS) for b in np.split(np.random.default_rng(e).permutation(train), len(train) // 4)]
    updates, schedule = make_optimizer(model, config.optimizer, len(batches))
    draws, losses = np.random.default_rng(0), []
    for batch in load_ahead(data, [windows(b) for b in batches], device):
        updates.zero_grad(set_to_none=True)
        losses.append(list(task.backward(batch, len(batch.labels), draws).values()))
        updates.step()
        schedule.step()
    model.eval()
    with torch.inference_mode():
        classes = model.class_features()
    return np.array(losses), task.probabilities(load(data, windows(test)).frames, classes).numpy()
