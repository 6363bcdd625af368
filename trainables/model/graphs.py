"""Forward and backward passes recorded once as CUDA graphs and replayed in every step.

A step of small batches launches thousands of kernels, each from Python: at T = 8 and batch 4 a large GPU waits for
its launches most of the time. A graph launches all of them at once. It computes what the recorded code computed, to the bit, but
from fixed memory: inputs are copied into it, and weights must be changed in place, as optimisers do.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Run = Callable[..., tuple[Tensor, ...]]
WARM_UP = 2
"""Passes before the recording, in which libraries make their handles and torch.compile its kernels."""


class Replayed:
    """Calls a function of tensors through a recording of it, which is made at the first call.

    The function must not wait for the GPU, draw random numbers or read anything but its inputs, weights and constants. Of each
    call the backward pass must have run before the next. Its inputs and outputs have one row for each item of a batch.
    """

    def __init__(self) -> None:
        self._recording: _Recording | None = None

    def __call__(self, run: Run, weights: Sequence[nn.Parameter], *inputs: Tensor) -> tuple[Tensor, ...]:
        """Returns what `run(*inputs)` returns, connected to the weights that it trains.

        A batch of fewer items than the recording's is computed among the items of an earlier one, without an effect on
        the gradients, because one item's outputs do not depend on the others. A larger one is recorded in its place.
        """
        kind = _kind(inputs)
        if self._recording is None or not self._recording.fits(inputs, kind):
            self._recording = None  # gives its memory back before the next takes some
            self._recording = _Recording(run, weights, inputs, kind)
        outputs: tuple[Tensor, ...] = _Replay.apply(self._recording, *inputs, *weights)
        return tuple(o[: len(inputs[0])] for o in outputs) if inputs else outputs


def _kind(inputs: Sequence[Tensor]) -> tuple[Any, ...]:
    """Returns what must be the same for a recording to be used again, the number of rows aside."""
    number_format = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else None
    return (number_format, *((i.shape[1:], i.dtype, i.device) for i in inputs))


class _Recording:
    """The two graphs of one function, and the memory from which they compute."""

    def __init__(self, run: Run, weights: Sequence[nn.Parameter], inputs: Sequence[Tensor], kind: tuple[Any, ...]):
        self.kind, self.sizes, self.shapes = kind, [w.numel() for w in weights], [w.shape for w in weights]
        self.inputs = [i.clone() for i in inputs]
        self.forward, self.backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        stream = torch.cuda.current_stream()
        try:
            self._record(run, weights)
        except RuntimeError as error:
            torch.cuda.set_stream(stream)  # a recording that failed does not leave its own
            if isinstance(error.__context__, torch.OutOfMemoryError):  # the end of the recording fails after it
                raise error.__context__ from None
            raise

    def _record(self, run: Run, weights: Sequence[nn.Parameter]) -> None:
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                outputs = self._run(run)
                torch.autograd.grad(outputs, weights, [torch.zeros_like(o) for o in outputs], allow_unused=True)
            del outputs
        torch.cuda.current_stream().wait_stream(aside)
        # Other threads use the GPU meanwhile: one pins the memory of the next batch.
        with torch.cuda.graph(self.forward, capture_error_mode="thread_local"):
            outputs = self._run(run)
        self.gradients = [torch.zeros_like(o) for o in outputs]
        with torch.cuda.graph(self.backward, pool=self.forward.pool(), capture_error_mode="thread_local"):
            found = torch.autograd.grad(outputs, weights, self.gradients, allow_unused=True)
            self.found = [g is not None for g in found]
            self.gradient = torch.cat([g.flatten() for g in found if g is not None])
        self.outputs = [o.detach() for o in outputs]

    def _run(self, run: Run) -> tuple[Tensor, ...]:
        """Runs under the autocast of here, but without its cache, which would outlive a recording."""
        enabled, dtype = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
        with torch.autocast("cuda", dtype, enabled=enabled, cache_enabled=False):
            return run(*self.inputs)

    def fits(self, inputs: Sequence[Tensor], kind: tuple[Any, ...]) -> bool:
        """Returns whether inputs can be computed with these graphs."""
        return kind == self.kind and all(len(i) <= len(own) for i, own in zip(inputs, self.inputs, strict=True))


class _Replay(torch.autograd.Function):
    """One call of a recorded function."""

    @staticmethod
    def forward(ctx: Any, recording: _Recording, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.recording, ctx.inputs = recording, len(recording.inputs)
        for own, given in zip(recording.inputs, tensors, strict=False):
            own[: len(given)].copy_(given, non_blocking=True)
        recording.forward.replay()
        return tuple(o.detach() for o in recording.outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        recording: _Recording = ctx.recording
        for own, given in zip(recording.gradients, gradients, strict=True):
            own.copy_(given)
        recording.backward.replay()
        # A copy, because a gradient may be kept and added to, while the next replay writes into the same memory.
        sizes = [n for n, found in zip(recording.sizes, recording.found, strict=True) if found]
        parts = iter(recording.gradient.clone().split(sizes))
        trained = (next(parts).view(shape) if found else None
                   for shape, found in zip(recording.shapes, recording.found, strict=True))  # fmt: skip
        return (None, *(None for _ in range(ctx.inputs)), *trained)
