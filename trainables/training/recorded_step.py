"""A step's losses and gradients recorded once as a CUDA graph, and replayed for every batch.

A step launches thousands of kernels, each from Python; a large GPU waits for its launches most of the time, unless batches are
large. A graph launches all of them at once. It computes from fixed memory: inputs are copied into it, weights must be changed
in place, as optimisers do, and the gradients are valid until the next replay.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

WARM_UP = 2
"""Steps before the recording, in which libraries make their handles and torch.compile its kernels."""


class StepInputs(NamedTuple):
    """What one step reads, but for weights and constants. Rows are the windows of this worker's share."""

    frames: Tensor
    """uint8 [B, T, 3, S, S]; on the CPU, or where the model is."""
    labels: Tensor
    """[B]."""
    weights: Tensor
    """What each window's losses count in the step's, [B]: 1 over the windows of all workers."""
    motion: Tensor | None
    """What the read-out reads of each window, [B, ...]."""
    frozen: Tensor | None
    """Mean features of the tower without prompts, [B, D], for the anchor."""
    records: Tensor | None
    """Features of the numerical records that were drawn, [M, D]."""
    record_labels: Tensor | None
    """[M]."""


class RecordedStep:
    """One function of `StepInputs` that adds gradients to weights and returns its losses, as a graph.

    The function must not wait for the GPU, draw random numbers, or let one window's losses depend on another window.
    """

    def __init__(self) -> None:
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: StepInputs
        self._weights: list[nn.Parameter]
        self._gradients: list[Tensor | None]
        self._names: list[str]
        self._report: Tensor

    def __call__(
        self,
        step: Callable[[StepInputs], dict[str, Tensor]],
        weights: Callable[[], Sequence[nn.Parameter]],
        given: StepInputs,
    ) -> tuple[dict[str, float], bool]:
        """Replaces the weights' gradients and returns the losses, and whether all gradients are finite.

        Which weights are trained is asked when a graph is recorded; looking through a model takes a millisecond. A share with fewer windows than the recording's is computed beside windows of an earlier one, which count nothing. A larger
        one is recorded in its place.
        """
        if self._graph is None or not self._fits(given):
            self._graph = None  # gives its memory back before the next takes some
            self._record(step, list(weights()), given)
        self._copy(given)
        assert self._graph is not None
        self._graph.replay()
        for weight, gradient in zip(self._weights, self._gradients, strict=True):
            weight.grad = gradient
        *losses, largest = self._report.tolist()
        return dict(zip(self._names, losses, strict=True)), math.isfinite(largest)

    def _fits(self, given: StepInputs) -> bool:
        pairs = list(zip(given, self._inputs, strict=True))
        return all((a is None) == (b is None) for a, b in pairs) and all(
            len(a) <= len(b) and a.shape[1:] == b.shape[1:] for a, b in pairs if a is not None and b is not None
        )

    def _copy(self, given: StepInputs) -> None:
        self._inputs.weights.zero_()
        for own, new in zip(self._inputs, given, strict=True):
            if own is not None and new is not None:
                own[: len(new)].copy_(new, non_blocking=True)

    def _record(
        self, step: Callable[[StepInputs], dict[str, Tensor]], weights: list[nn.Parameter], given: StepInputs
    ) -> None:
        device = weights[0].device
        self._inputs = StepInputs(*(None if t is None else t.to(device, copy=True) for t in given))  # type: ignore[arg-type]
        self._weights = weights
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        aside = torch.cuda.Stream()
        aside.wait_stream(stream)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                _forget(weights)
                step(self._inputs)
        stream.wait_stream(aside)
        _forget(weights)
        try:
            # Other threads use the GPU meanwhile: one pins the memory of the next batch.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._take_down(step(self._inputs))
        except RuntimeError as error:
            torch.cuda.set_stream(stream)  # a recording that failed does not leave its own
            if isinstance(error.__context__, torch.OutOfMemoryError):  # the end of the recording fails after it
                raise error.__context__ from None
            raise
        self._graph = graph

    def _take_down(self, losses: dict[str, Tensor]) -> None:
        """Keeps where the recording leaves losses and gradients, and the largest of the latter."""
        self._gradients = [weight.grad for weight in self._weights]
        found = [g for g in self._gradients if g is not None]
        largest = torch.stack(torch._foreach_norm(found, math.inf)).max()
        self._names = list(losses)
        self._report = torch.stack([*(loss.float() for loss in losses.values()), largest.float()])


def _forget(weights: Sequence[nn.Parameter]) -> None:
    for weight in weights:
        weight.grad = None
