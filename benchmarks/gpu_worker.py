"""The process in which benchmarks/gpu.py measures: it answers calls until its other end is closed."""

import dataclasses
import datetime
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import torch
import transformers
from transformers.utils import logging

from benchmarks import gpu_agreement, gpu_parts, gpu_rows
from benchmarks.gpu_models import FULL, TINY, Size


def serve(connection: Connection, tiny: bool) -> None:
    """Receives (name of a measurement, its arguments) and sends ('' or what went wrong, results, GiB that are left on the GPU)."""
    logging.disable_progress_bar()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    size = FULL if device.type == "cuda" and not tiny else TINY
    if device.type == "cpu":
        torch.set_num_threads(1)  # tiny products
    calls: dict[str, Callable[..., Any]] = {
        "about": partial(about, size, device),
        "gradients": partial(gpu_agreement.gradients, size, device),
        "fold": partial(gpu_agreement.fold, device),
    }
    for module in (gpu_rows, gpu_parts):
        for name in ("rates", "count", "step", "clip", "evaluation", "profile", "attention", "patches", "packing",
                     "windows", "decoder", "checkpoint"):  # fmt: skip
            if hasattr(module, name):
                calls.setdefault(name, partial(getattr(module, name), size, device))
    while True:
        try:
            name, given = connection.recv()
        except EOFError:
            return
        try:
            found = [dataclasses.asdict(f) if isinstance(f, gpu_rows.Row) else f for f in calls[name](**given)]
            answer: tuple[str, list[Any]] = ("", found)
        except Exception as error:  # whatever it was, the table says it and goes on
            answer = (described(error), [])
        gpu_rows.clean(device)
        left = torch.cuda.memory_allocated() / 2**30 if device.type == "cuda" else 0.0
        connection.send((*answer, left))


def described(error: Exception) -> str:
    """Returns an error in a few words."""
    if isinstance(error, torch.OutOfMemoryError):
        return "out of memory"
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:160]}"


def about(size: Size, device: torch.device) -> list[dict[str, Any]]:
    """Returns the sizes that are measured, and what on."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        card = f"one {properties.name}, {properties.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
    else:
        card = "no GPU: the CPU at a tiny size, whose figures mean nothing"
    versions = f"Python {sys.version.split()[0]}, torch {torch.__version__}, transformers {transformers.__version__}"
    return [{"machine": f"{datetime.date.today().isoformat()}, {card}; {versions}.", "frames": size.frames,
             "batches": size.batches, "gpu": device.type == "cuda"}]  # fmt: skip
