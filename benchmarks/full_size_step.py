"""Prints seconds, peak memory and achieved share of the matmul rate of one training step at ViT-B/16, 224 px.

    python benchmarks/full_size_step.py --frames 8 --batch 4
    python benchmarks/full_size_step.py --frames 70 --batch 1 --checkpointing
    python benchmarks/full_size_step.py --frames 70 --batch 4 --device cuda     # bf16 where the GPU has it

The weights are random (CLIPConfig's own defaults are ViT-B/32; here with 16 px patches): speed and memory do not depend on
them. FLOPs are those of the matrix products that the step needs: all tokens forward, and backward to the prompts, without the
weight gradients of frozen layers. Needs no Ray.
"""

import argparse
import resource
import time

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPConfig, CLIPModel
from transformers.utils import logging

from trainables.config import TrainConfig
from trainables.knowledge.tasks import load_task
from trainables.model.backbone import SMALL, frozen, load_backbone
from trainables.model.gait_clip import build
from trainables.training.job import Batch
from trainables.training.optimizer import make_optimizer
from trainables.training.parallel import Workers
from trainables.training.task import GaitTask


def main() -> None:
    """Measures and prints one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=8, help="T (default 8)")
    parser.add_argument("--batch", type=int, default=4, help="windows of a step (default 4)")
    parser.add_argument("--steps", type=int, default=2, help="timed steps after one that is not (default 2)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--checkpointing", action="store_true", help="recompute the frozen layers in the backward pass")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable_progress_bar()
    device = torch.device(options.device)
    task = make_task(options.frames, options.checkpointing, device)
    batch = random_batch(options.batch, options.frames)
    optimizer, _ = make_optimizer(task.model, task.config.optimizer, 100)
    flops = count_flops(task, batch)
    seconds = min(step(task, batch, optimizer, device) for _ in range(options.steps))
    rate = matmul_rate(device)
    print(
        f"ViT-B/16, 224 px, T = {options.frames}, batch {options.batch}, {options.device}"
        f"{' with checkpointing' if options.checkpointing else ''}: {seconds:.2f} s a step, "
        f"peak {peak_memory(device):.1f} GiB, {flops / 1e12:.2f} TFLOP, {flops / seconds / 1e9:.0f} GFLOP/s "
        f"= {100 * flops / seconds / rate:.0f} % of the {rate / 1e9:.0f} GFLOP/s of a matrix product here"
    )


def make_task(frames: int, checkpointing: bool, device: torch.device) -> GaitTask:
    """Returns the whole model at full size, without numbers: they cost next to nothing beside the video."""
    vision = {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "patch_size": 16,
    }
    tokenizer = load_backbone(str(SMALL)).tokenizer
    text = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    clip = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=512)).to(device)
    backbone = frozen("random ViT-B/16", clip, tokenizer, "random")
    config = TrainConfig().with_values(
        {"video.frames": frames, "numeracy.enabled": False, "text.knowledge": False,
         "optimizer.gradient_checkpointing": checkpointing}
    )  # fmt: skip
    task = load_task("diagnosis")
    model = build(backbone, task, config, None, seed=0).to(device)
    return GaitTask(model, config, None, ordinal=False, workers=Workers(), device=device)


def random_batch(batch: int, frames: int) -> Batch:
    """Returns windows of noise."""
    pixels = torch.randint(0, 256, (batch, frames, 3, 224, 224), dtype=torch.uint8)
    return Batch(frames=pixels, labels=torch.arange(batch) % 3, videos=np.arange(batch))


def step(task: GaitTask, batch: Batch, optimizer: torch.optim.Optimizer, device: torch.device) -> float:
    """Takes one optimiser step and returns its seconds."""
    synchronise(device)
    started = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    task.backward(batch, len(batch.labels), np.random.default_rng(0))
    optimizer.step()
    synchronise(device)
    return time.perf_counter() - started


def count_flops(task: GaitTask, batch: Batch) -> float:
    """Returns the floating-point operations of a step's matrix products; also warms up."""
    with FlopCounterMode(display=False) as counter:
        task.backward(batch, len(batch.labels), np.random.default_rng(0))
    return float(counter.get_total_flops())


def matmul_rate(device: torch.device) -> float:
    """Returns the best rate of a large square matrix product in FLOP/s, in the precision that training uses there."""
    size, dtype = (8192, torch.bfloat16) if device.type == "cuda" else (2048, torch.float32)
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
