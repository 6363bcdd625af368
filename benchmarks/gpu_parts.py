"""Parts of a study that benchmarks/gpu.py measures alone: attention, packed folds, windows, decoder, checkpoint."""

import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import sdpa_flop_count

from benchmarks.gpu_models import NAMES, Size, Step, make_clip, make_step
from benchmarks.gpu_rows import Row, clean, failed, synchronise, timed
from trainables.model.decoder import ParameterDecoder, SentenceGrammar
from trainables.model.frozen_layer import normalised, prompted
from trainables.model.video_encoder import VideoEncoder
from trainables.settings import DecoderConfig
from trainables.training.checkpoint import save_checkpoint
from trainables.training.draws import Window
from trainables.training.job import load_ahead

READ_AHEAD = 6
"""Batches of the training loop whose waiting is timed."""
SENTENCES = 64
"""Of a decoder's step, and of those generated together."""


def both_passes(asked: list[Tensor], ahead: Tensor) -> tuple[Tensor, ...]:
    """Returns the gradients of attention for queries, keys and values."""
    return torch.autograd.grad(scaled_dot_product_attention(asked[0], asked[1], asked[2]), asked, ahead)


def attention(size: Size, device: torch.device, frames: int, batch: int) -> list[Row]:
    """Returns rows of one layer's attention, forward and backward, by each of torch's kernels that can compute it."""
    heads = size.vision["num_attention_heads"]
    tokens = 1 + (size.image // size.vision["patch_size"]) ** 2
    width = size.vision["hidden_size"]
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    own = torch.randn(batch * frames, tokens, 3 * width, device=device, dtype=dtype)
    both = torch.randn(batch * frames, tokens + frames + 9, 2 * width, device=device, dtype=dtype)
    parts = (own[..., :width], both[..., :width], both[..., width:])
    asked = [p.unflatten(-1, (heads, -1)).transpose(1, 2).detach().requires_grad_() for p in parts]
    backends = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION]
    rows = []
    for backend in backends if device.type == "cuda" else backends[:1]:
        try:
            with sdpa_kernel(backend):
                ahead = torch.randn_like(scaled_dot_product_attention(asked[0], asked[1], asked[2]))
                found = timed(partial(both_passes, asked, ahead), device, size)
        except RuntimeError as error:
            rows.append(failed(f"attention of a layer by {backend.name.lower()}", error))
            continue
        rows.append(Row(what=f"attention of a layer by {backend.name.lower()}, T = {frames}, batch {batch}",
                        flops=float(3 * sdpa_flop_count(*(a.shape for a in asked))), **found))  # fmt: skip
    return rows


def patches(size: Size, device: torch.device, frames: int, batch: int) -> list[Row]:
    """Returns rows of the patch embedding: a convolution, the same channels-last, and one product."""
    side, width = size.vision["patch_size"], size.vision["hidden_size"]
    pixels = torch.randn(batch * frames, 3, size.image, size.image, device=device)
    convolution = nn.Conv2d(3, width, side, side, bias=False).to(device)
    last = nn.Conv2d(3, width, side, side, bias=False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    weight = convolution.weight.detach().flatten(1)

    def product() -> Tensor:
        cut = pixels.unflatten(3, (-1, side)).unflatten(2, (-1, side)).permute(0, 2, 4, 1, 3, 5)
        return nn.functional.linear(cut.flatten(3).flatten(1, 2), weight)

    ways = {"convolution": lambda: convolution(pixels),
            "channels-last": lambda: last(pixels.to(memory_format=torch.channels_last)), "product": product}  # fmt: skip
    rows = []
    for name, way in ways.items():
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            rows.append(Row(what=f"patch embedding by {name}, T = {frames}, batch {batch}", **timed(way, device, size)))
    return rows


class PackedEncoder(nn.Module):
    """Several folds' video encoders in one pass: the frozen layers read all folds' windows, each beside its own prompts."""

    def __init__(self, encoders: Iterable[VideoEncoder]):
        super().__init__()
        self.encoders: Any = nn.ModuleList(encoders)

    def forward(self, video: Tensor) -> Tensor:
        """Returns the features of the folds' windows, fold after fold, [K * B, D]."""
        first, folds = self.encoders[0], list(self.encoders)
        hidden = first._embedded(video.flatten(0, 1), None).unflatten(0, video.shape[:2])
        times = torch.stack([e.time_embedding for e in folds]).repeat_interleave(len(video) // len(folds), dim=0)
        hidden = first.vision.pre_layrnorm(hidden + times.unsqueeze(2))
        layers = first.tower.layers()
        normed = normalised(hidden, layers[0].norm1, layers[0].out[0].dtype)
        for index, (layer, following) in enumerate(zip(layers, (*layers[1:], None), strict=True)):
            prompts: Any = partial(self._prompts, index)
            hidden, normed = prompted(layer, following.norm1 if following else None, prompts, hidden, normed)
        return first.projection(first.vision.post_layernorm(hidden[:, :, 0])).mean(1)

    def _prompts(self, index: int, cls: Tensor) -> tuple[Tensor, Tensor]:
        parts = [e.prompts[index](c) for e, c in zip(self.encoders, cls.chunk(len(self.encoders)), strict=True)]
        return torch.cat([shared for shared, _ in parts]), torch.cat([summary for _, summary in parts])


def packing(size: Size, device: torch.device, frames: int, batch: int) -> list[Row]:
    """Returns rows of the video's forward and backward passes of several folds, one after another and in one pass."""
    backbone = make_clip(size, device)
    clip = backbone.clip
    encoders = [
        VideoEncoder(clip.vision_model, clip.visual_projection, frames=frames).to(device) for _ in range(size.folds)
    ]
    pixels = torch.randn(size.folds * batch, frames, 3, size.image, size.image, device=device)
    apart = [recorded(encoder, part, device) for encoder, part in zip(encoders, pixels.chunk(size.folds), strict=True)]
    one = timed(lambda: [replay() for replay in apart], device, size)
    apart.clear()
    clean(device)
    all_at_once = timed(recorded(PackedEncoder(encoders), pixels, device), device, size)
    name = f"video passes of {size.folds} folds, T = {frames}, batch {batch} each"
    return [Row(what=f"{name}, one after another", windows=size.folds * batch, **one),
            Row(what=f"{name}, packed into one pass", windows=size.folds * batch, **all_at_once)]  # fmt: skip


def recorded(module: nn.Module, pixels: Tensor, device: torch.device) -> Callable[[], object]:
    """Returns what runs a module's forward and backward passes; on a GPU it replays them from a graph."""
    weights = [p for p in module.parameters() if p.requires_grad]

    def run() -> tuple[Tensor, ...]:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda", cache_enabled=False):
            found = module(pixels)
        features = found if isinstance(found, Tensor) else found.video
        return torch.autograd.grad(features.float().square().sum(), weights)

    if device.type == "cpu":
        return run
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        run()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = run()

    def replay() -> tuple[Tensor, ...]:
        graph.replay()
        return kept

    return replay


class FileWindows:
    """Windows of frame-cache files, read as `trainables.data.dataset` reads them, without a cohort."""

    def __init__(self, folder: Path, size: Size, frames: int, videos: int = 4, length: int = 150):
        self.frames, self.length, self.video_rows = frames, length, range(1 << 20)
        self.paths = [folder / f"{number}.npy" for number in range(videos)]
        for number, path in enumerate(self.paths):
            shape = (length, size.image, size.image, 3)
            np.save(path, np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8))

    def window(self, index: int, _: int, __: int) -> dict[str, Any]:
        """Returns one of them as a data set does."""
        chosen = np.load(self.paths[index % len(self.paths)], mmap_mode="r")[
            np.linspace(index % 50, self.length - 1, self.frames).astype(int)
        ]
        frames = torch.from_numpy(np.ascontiguousarray(np.moveaxis(chosen, 3, 1)))
        return {"frames": frames, "label": index % 3, "video": index % len(self.paths), "window": 0}


def windows(size: Size, device: torch.device, frames: int, batch: int) -> list[Row]:
    """Returns rows of the way of windows to the GPU, with pinned memory and without."""
    rows = []
    plain = torch.randint(0, 256, (batch, frames, 3, size.image, size.image), dtype=torch.uint8)
    kinds = {"pageable": plain} | ({"pinned": plain.pin_memory()} if device.type == "cuda" else {})
    for name, source in kinds.items():
        found = timed(lambda: source.to(device, non_blocking=True), device, size)  # noqa: B023
        note = f"{source.nbytes / found['seconds'] / 1e9:.1f} GB/s"
        rows.append(
            Row(
                what=f"copying the windows of a batch, {name}, T = {frames}, batch {batch}",
                windows=batch,
                note=note,
                **found,
            )
        )
    with tempfile.TemporaryDirectory() as folder:
        data: Any = FileWindows(Path(folder), size, frames)
        take = make_step(size, frames, batch, device)
        order = [[Window(n * batch + i, 0) for i in range(batch)] for n in range(READ_AHEAD)]
        for name in kinds:
            reader = device if name == "pinned" else torch.device("cpu")
            for _ in range(2):  # the first reads the files from the disk and records the step
                rate = waiting(take, load_ahead(data, order, reader), device)
            rows.append(Row(what=f"training from the frame cache, {name}, T = {frames}, batch {batch}", windows=batch,
                            seconds=rate[0], note=f"waits for windows {rate[1]:.1%} of the time"))  # fmt: skip
    return rows


def waiting(take: Step, coming: Any, device: torch.device) -> tuple[float, float]:
    """Returns the seconds of a step of a training loop, and the share of them in which it waits for windows."""
    waited, started = 0.0, time.perf_counter()
    for _ in range(READ_AHEAD):
        asked = time.perf_counter()
        batch = next(coming)
        waited += time.perf_counter() - asked
        take.batch = batch
        take()
    synchronise(device)
    total = time.perf_counter() - started
    return total / READ_AHEAD, waited / total


def decoder(size: Size, device: torch.device) -> list[Row]:
    """Returns rows of the decoder: a step of its training, and sentences generated, on this device and on the CPU."""
    grammar = SentenceGrammar.of(make_clip(size, torch.device("cpu")), list(NAMES))
    settings = DecoderConfig() if size.seconds else DecoderConfig(width=32, layers=1)
    rows = []
    for where in {device, torch.device("cpu")}:
        torch.manual_seed(0)
        model = ParameterDecoder(grammar, size.joint, 4, settings).to(where)
        optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr)
        features = nn.functional.normalize(torch.randn(SENTENCES, size.joint, device=where), dim=-1)
        bins = np.random.default_rng(0).integers(0, 201, (SENTENCES, 4))
        sentences = [grammar.write(np.arange(4), b) for b in bins]

        def train() -> None:
            optimizer.zero_grad(set_to_none=True)  # noqa: B023
            model.loss(features, sentences).backward()  # noqa: B023
            optimizer.step()  # noqa: B023

        rows.append(Row(what=f"a step of the decoder, batch {SENTENCES}, {where.type}", **timed(train, where, size)))
        rows.append(Row(what=f"{SENTENCES} decoded sentences, {where.type}",
                        **timed(lambda: model.generate(features), where, size)))  # fmt: skip  # noqa: B023
    return rows


def checkpoint(size: Size, device: torch.device, frames: int) -> list[Row]:
    """Returns the row of the checkpoint after an epoch, from the GPU to the disk."""
    take = make_step(size, frames, 1, device)
    take()
    model = take.task.model

    def save(folder: Path) -> None:
        save_checkpoint(folder, {"model": model.trained_state(), "optimizer": take.optimizer.state_dict()})

    with tempfile.TemporaryDirectory() as folder:
        found = timed(lambda: save(Path(folder)), device, size)
        written = (Path(folder) / "checkpoint.pt").stat().st_size / 2**20
    return [Row(what=f"a checkpoint, T = {frames}", note=f"{written:.0f} MiB", **found)]
