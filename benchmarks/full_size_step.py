"""Prints seconds, memory and achieved share of the matrix-product rate of one training step at ViT-B/16, 224 px.

    python benchmarks/full_size_step.py --frames 8 --batch 4
    python benchmarks/full_size_step.py --frames 70 --batch 1 --checkpointing
    python benchmarks/full_size_step.py --frames 70 --batch 4 --device cuda

On a CPU in float32, and in bf16 where the CPU computes it; on a GPU in bf16. Beside it, on the same frames: a forward pass of
transformers' CLIPModel over every frame, and a training step of transformers' XCLIPModel, whose weights are all trained.
The weights are random (speed and memory do not depend on them). FLOPs are those of the matrix products that a step needs as
it is written: all tokens forward, and backward to the prompts, without the weight gradients of frozen layers. Needs no Ray.
"""

import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count
from transformers import CLIPConfig, CLIPModel, XCLIPConfig, XCLIPModel
from transformers.utils import logging

from benchmarks.figures import Figure, as_a_worker, figure, parser, show
from trainables.config import PUBLISHED, TrainConfig
from trainables.knowledge.tasks import load_task
from trainables.model.backbone import SMALL, fold_quick_gelu, frozen, load_backbone
from trainables.model.gait_clip import build
from trainables.training.distributed import Workers
from trainables.training.job import Batch
from trainables.training.optimizer import make_optimizer
from trainables.training.precision import products
from trainables.training.step import GaitTask

VISION = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "patch_size": 16,
}
WORDS = 16
"""Tokens of a class's text for the other models."""


def main() -> None:
    """Measures and prints a few lines."""
    as_a_worker()
    options = parser(__doc__)
    options.add_argument("--frames", type=int, default=8, help="T (default 8)")
    options.add_argument("--batch", type=int, default=4, help="windows of a step (default 4)")
    options.add_argument("--rounds", type=int, default=3, help="timed steps after one that is not (default 3)")
    options.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    options.add_argument(
        "--checkpointing", action="store_true", help="recompute the frozen layers in the backward pass"
    )
    options.add_argument("--alone", action="store_true", help="without the other models")
    given = options.parse_args()
    logging.disable_progress_bar()
    show(figures(given.frames, given.batch, given.rounds, given.device, given.checkpointing, given.alone))


def figures(frames: int, batch: int, rounds: int, device: str, checkpointing: bool, alone: bool) -> list[Figure]:
    """Returns the step's figures, each model in a process of its own for its own peak of memory."""
    sides: dict[str, tuple[list[float], list[float], float]] = {}
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        names = ["ours"] + ["bf16"] * (device == "cpu" and computes_bf16()) + ["clip", "xclip"] * (not alone)
        for name in names:
            sides[name] = pool.submit(in_a_thread, name, frames, batch, rounds, device, checkpointing).result()
        flops = pool.submit(count_flops, frames, batch, device, checkpointing).result()
    seconds, rates, memory = sides["ours"]
    size = f"ViT-B/16, T = {frames}, batch {batch}{', checkpointing' if checkpointing else ''}, {device}"
    found = [
        figure(f"training step, {size}: {np.median(seconds):.3g} s, {memory:.1f} GiB",
               [(flops / s / 1e9, r / 1e9) for s, r in zip(seconds, rates, strict=True)],
               unit="GFLOP/s", beside="a large matrix product", aim="0.5" if device == "cuda" else "0.7")
    ]  # fmt: skip
    if "bf16" in sides:
        lower, rates, peak = sides["bf16"]
        found += [
            figure(f"training step, {size}, bf16", list(zip(lower, seconds, strict=True)), unit="s", aim="0.625",
                   beside="the same in float32"),
            figure(f"training step, {size}, bf16: {peak:.1f} GiB",
                   [(flops / s / 1e9, r / 1e9) for s, r in zip(lower, rates, strict=True)],
                   unit="GFLOP/s", beside="a large matrix product in bf16"),
        ]  # fmt: skip
    others = {"clip": "CLIPModel's forward pass over each frame", "xclip": "XCLIPModel's training step"}
    for name, beside in others.items():
        if name in sides:
            theirs, _, peak = sides[name]
            found.append(figure(f"training step, {size}", list(zip(seconds, theirs, strict=True)), unit="s",
                                beside=f"{beside} ({peak:.1f} GiB)"))  # fmt: skip
    return found


def in_a_thread(*given: Any) -> tuple[list[float], list[float], float]:
    """Returns what `measure` returns in a thread beside the main one, as Ray trains."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(measure, *given).result()


def measure(
    name: str, frames: int, batch: int, rounds: int, device: str, checkpointing: bool
) -> tuple[list[float], list[float], float]:
    """Returns seconds of each step after the first, the matrix-product rate beside each, and the peak memory in GiB."""
    logging.disable_progress_bar()
    where = torch.device(device)
    steps: dict[str, Callable[..., Callable[[], None]]] = {
        "ours": our_step,
        "bf16": partial(our_step, precision="bf16"),
        "clip": clip_forward,
        "xclip": xclip_step,
    }
    step = steps[name](frames, batch, where, checkpointing)
    dtype = torch.bfloat16 if name == "bf16" or device == "cuda" else torch.float32
    step()
    seconds, rates = [], []
    for _ in range(rounds):
        before = matmul_rate(where, dtype)
        synchronise(where)
        started = time.perf_counter()
        step()
        synchronise(where)
        seconds.append(time.perf_counter() - started)
        rates.append((before + matmul_rate(where, dtype)) / 2)
    return seconds, rates, peak_memory(where)


def count_flops(frames: int, batch: int, device: str, checkpointing: bool) -> float:
    """Returns the FLOPs of a step of ours; counting takes memory, so it has a process of its own."""
    attention = {  # torch counts that of GPUs only; what the backward pass computes again is not needed
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda *s, **_: sdpa_flop_count(*s[:3]),
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: lambda *s, **_: (
            2 * sdpa_flop_count(*s[1:4])
        ),
    }
    step = our_step(frames, batch, torch.device(device), checkpointing)
    with FlopCounterMode(display=False, custom_mapping=attention) as counter:
        step()
    return float(counter.get_total_flops())


def our_step(
    frames: int, batch: int, device: torch.device, checkpointing: bool, precision: str = "auto"
) -> Callable[[], None]:
    """Returns what takes one optimiser step of ours."""
    task, windows = make_task(frames, checkpointing, device, precision), random_batch(batch, frames)
    optimizer, _ = make_optimizer(task.model, task.config.optimizer, 100)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        task.backward(windows, batch, np.random.default_rng(0))
        optimizer.step()

    return step


def make_task(frames: int, checkpointing: bool, device: torch.device, precision: str = "auto") -> GaitTask:
    """Returns the whole model at full size, without numbers: they cost next to nothing beside the video."""
    tokenizer = load_backbone(str(SMALL)).tokenizer
    text = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    clip = CLIPModel(CLIPConfig(vision_config=VISION, text_config=text, projection_dim=512)).to(device)
    fold_quick_gelu(clip)
    backbone = frozen("random ViT-B/16", clip, tokenizer, "random")
    config = TrainConfig().with_values(PUBLISHED |
        {"video.frames": frames, "numeracy.enabled": False, "text.knowledge": False,
         "optimizer.gradient_checkpointing": checkpointing, "optimizer.precision": precision}
    )  # fmt: skip
    task = load_task("diagnosis")
    model = build(backbone, task, config, None, seed=0).to(device)
    return GaitTask(model, config, None, ordinal=False, workers=Workers(), device=device)


def random_batch(batch: int, frames: int) -> Batch:
    """Returns windows of noise."""
    pixels = torch.randint(0, 256, (batch, frames, 3, 224, 224), dtype=torch.uint8)
    return Batch(frames=pixels, labels=torch.arange(batch) % 3, videos=np.arange(batch))


def clip_forward(frames: int, batch: int, device: torch.device, _: bool) -> Callable[[], None]:
    """Returns what reads every frame by CLIP's vision tower, without gradient."""
    clip = CLIPModel(CLIPConfig(vision_config=VISION, projection_dim=512)).to(device).eval()
    pixels = torch.randn(batch * frames, 3, 224, 224, device=device)

    def step() -> None:
        with torch.inference_mode(), products("auto", device):
            clip.get_image_features(pixel_values=pixels)

    return step


def xclip_step(frames: int, batch: int, device: torch.device, _: bool) -> Callable[[], None]:
    """Returns what takes one optimiser step of X-CLIP, three class texts beside the videos."""
    config = XCLIPConfig(
        vision_config=VISION | {"num_frames": frames, "mit_num_attention_heads": 8}, projection_dim=512
    )
    model = XCLIPModel(config).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=8e-6)
    pixels = torch.randn(batch, frames, 3, 224, 224, device=device)
    texts = torch.randint(1, 1000, (3, WORDS), device=device)
    labels = torch.arange(batch, device=device) % 3

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with products("auto", device):
            logits = model(input_ids=texts, pixel_values=pixels).logits_per_video
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    return step


def computes_bf16() -> bool:
    """Returns whether this CPU has instructions for products in bf16."""
    flags = Path("/proc/cpuinfo").read_text().split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Returns the best rate of a large square matrix product in FLOP/s."""
    size = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(8):
        synchronise(device)
        started = time.perf_counter()
        a @ b
        synchronise(device)
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds)


def peak_memory(device: torch.device) -> float:
    """Returns the largest memory so far in GiB: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def synchronise(device: torch.device) -> None:
    """Waits for the GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
