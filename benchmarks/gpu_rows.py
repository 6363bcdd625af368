"""Whole steps and passes, as benchmarks/gpu.py measures them; every function returns rows of its table."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypedDict

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from benchmarks.gpu_models import Size, clip_forward, make_step

BLOCKS = 3
"""Of timed calls; a row shows their median and their spread."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement."""

    what: str
    seconds: float
    """Of one call, the median over the blocks."""
    low: float = 0.0
    high: float = 0.0
    windows: int = 0
    """Windows of a call; 0 where it has none."""
    flops: float = 0.0
    """Of the matrix products that a call needs; 0 where they are not counted."""
    memory: float = 0.0
    """Peak in GiB on the GPU."""
    note: str = ""


class Timing(TypedDict):
    """What `timed` measures, as fields of a row."""

    seconds: float
    low: float
    high: float
    memory: float


def timed(call: Callable[[], object], device: torch.device, size: Size) -> Timing:
    """Returns seconds of a call (median, low, high) and the GPU's peak of memory in GiB, after some that are not timed."""
    started = time.perf_counter()
    for _ in range(3):
        call()
    synchronise(device)
    each = (time.perf_counter() - started) / 3
    call()
    started = time.perf_counter()
    call()
    synchronise(device)
    each = min(each, time.perf_counter() - started)
    count = max(1, round(size.seconds / BLOCKS / max(each, 1e-6)))
    seconds = []
    for _ in range(BLOCKS):
        started = time.perf_counter()
        for _ in range(count):
            call()
        synchronise(device)
        seconds.append((time.perf_counter() - started) / count)
    memory = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0.0
    return {"seconds": float(np.median(seconds)), "low": min(seconds), "high": max(seconds), "memory": memory}


def synchronise(device: torch.device) -> None:
    """Waits for the GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def clean(device: torch.device) -> None:
    """Frees what earlier rows have left on the GPU, and begins their peak of memory again."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def rates(size: Size, device: torch.device) -> list[Row]:
    """Returns the rates of the card: a large product in bf16 and in float32, and a copy within its memory."""
    rows = []
    for dtype in (torch.bfloat16, torch.float32):
        a, b = (torch.randn(size.matrix, size.matrix, device=device, dtype=dtype) for _ in range(2))
        found = timed(partial(torch.matmul, a, b), device, size)
        rows.append(Row(what=f"product of {size.matrix} x {size.matrix} matrices, {name_of(dtype)}",
                        flops=2 * size.matrix**3, **found))  # fmt: skip
    source = torch.randn(size.matrix**2 * 8, device=device)
    target = torch.empty_like(source)
    found = timed(partial(target.copy_, source), device, size)
    rate = 2 * source.nbytes / found["seconds"] / 1e12
    rows.append(Row(what="copy within the GPU's memory", note=f"{rate:.2f} TB/s read and written", **found))
    return rows


def count(size: Size, device: torch.device, frames: int) -> list[float]:
    """Returns the FLOPs of a step's matrix products that do not depend on the batch, and those of each window.

    What a backward pass of attention computes again is not needed, and not counted.
    """
    aten = torch.ops.aten
    forwards = [aten._scaled_dot_product_flash_attention_for_cpu]
    backwards = [aten._scaled_dot_product_flash_attention_for_cpu_backward,
                 aten._scaled_dot_product_flash_attention_backward,
                 aten._scaled_dot_product_efficient_attention_backward,
                 aten._scaled_dot_product_cudnn_attention_backward]  # fmt: skip
    counted: dict[Any, Any] = {op: lambda *s, **_: sdpa_flop_count(*s[:3]) for op in forwards}
    counted |= {op: lambda *s, **_: 2 * sdpa_flop_count(*s[1:4]) for op in backwards}
    totals = []
    for batch in (1, 2):
        step = make_step(size, frames, batch, device, gpu_step="eager")
        with FlopCounterMode(display=False, custom_mapping=counted) as counter:
            step()
        totals.append(float(counter.get_total_flops()))
    return [2 * totals[0] - totals[1], totals[1] - totals[0]]


def step(size: Size, device: torch.device, frames: int, batch: int, side: str, **optimizer: Any) -> list[Row]:
    """Returns a training step's row; `side` is 'ours', 'release', or 'release tf32' for products in tf32."""
    torch.backends.cuda.matmul.allow_tf32 = side == "release tf32"
    try:
        take = make_step(size, frames, batch, device, release=side != "ours", **optimizer)
        started = time.perf_counter()
        take()
        synchronise(device)
        first = time.perf_counter() - started
        return [Row(what=step_name(frames, batch, side, **optimizer), windows=batch, note=f"first step {first:.1f} s",
                    **timed(take, device, size))]  # fmt: skip
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False


def step_name(frames: int, batch: int, side: str, precision: str = "float32", gpu_step: str = "", **more: Any) -> str:
    """Returns a step's name in the table."""
    how = {"ours": f"{precision}, {gpu_step}", "release": "float32", "release tf32": "float32 with products in tf32"}[
        side
    ]
    name = "step" if side == "ours" else "release-style step"
    return f"{name}, T = {frames}, batch {batch}, {how}{''.join(f', {n} {v}' for n, v in more.items())}"


def clip(size: Size, device: torch.device, frames: int, batch: int, dtype: str) -> list[Row]:
    """Returns the row of CLIPModel's forward pass over the frames of a batch."""
    forward = clip_forward(size, frames, batch, device, getattr(torch, dtype))
    return [Row(what=f"CLIPModel's forward pass alone, T = {frames}, batch {batch}, {name_of(getattr(torch, dtype))}",
                windows=batch, **timed(forward, device, size))]  # fmt: skip


def evaluation(size: Size, device: torch.device, frames: int, batch: int) -> list[Row]:
    """Returns the row of scoring held-out windows."""
    take = make_step(size, frames, batch, device)
    take.task.model.eval()
    with torch.inference_mode():
        classes = take.task.model.class_features()
    return [Row(what=f"scoring windows, T = {frames}, batch {batch}", windows=batch,
                **timed(lambda: take.task.probabilities(take.batch.frames, classes), device, size))]  # fmt: skip


def profile(size: Size, device: torch.device, frames: int, batch: int, **optimizer: Any) -> list[str]:
    """Returns where a step's time goes: the GPU's kernels, largest first, as lines of text."""
    take = make_step(size, frames, batch, device, **optimizer)
    for _ in range(3):
        take()
    synchronise(device)
    activities = [torch.profiler.ProfilerActivity.CPU]
    activities += [torch.profiler.ProfilerActivity.CUDA] if device.type == "cuda" else []
    with torch.profiler.profile(activities=activities) as profiler:
        started = time.perf_counter()
        take()
        synchronise(device)
        seconds = time.perf_counter() - started
    by = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
    table = profiler.key_averages().table(sort_by=by, row_limit=28, max_name_column_width=70)
    return [
        f"{step_name(frames, batch, 'ours', **optimizer)}: {1e3 * seconds:.1f} ms while profiled",
        *table.splitlines(),
    ]


def failed(what: str, error: BaseException) -> Row:
    """Returns the row of a measurement that did not come to its end."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    short = "out of memory" if isinstance(error, torch.OutOfMemoryError) else f"failed: {lines[0][:120]}"
    return Row(what=what, seconds=0.0, note=short)


def name_of(dtype: torch.dtype) -> str:
    """Returns 'bf16' or 'float32'."""
    return {torch.bfloat16: "bf16", torch.float32: "float32"}[dtype]
