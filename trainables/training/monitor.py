"""Follows a fold in training: keeps its curve, and shows it meanwhile as progress.json and as TensorBoard events."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from trainables.study.progress import PREPARING, SCORING, TRAINING, FoldProgress, forget
from trainables.training.distributed import Workers
from trainables.training.events import EventFile
from trainables.training.losses import total_loss

T = TypeVar("T")
POINTS = 40
"""Points of a curve, about; the end of an epoch is always one."""
BETWEEN_WRITES = 1.0
"""Seconds between two writings of progress.json."""


class Monitor:
    """One fold's curve. Every worker has one, because a point is a mean over all workers; the leading one writes."""

    def __init__(self, folder: Path | None, workers: Workers, events: Path | None = None):
        """Begins with what comes before training.

        Args:
            folder: of the fold, for its progress.json; None writes none.
            events: folder of its TensorBoard events; None writes none.
        """
        self.workers = workers
        self.folder, self._events = (folder, events) if workers.leads else (None, None)
        self.curve: list[dict[str, float]] = []
        """Points so far: step (steps done), epoch (of `epochs`, in parts), loss and its parts, lr, gradient_<group>; means
        over the steps since the point before."""
        self._file: EventFile | None = None
        self._written = -BETWEEN_WRITES
        self.preparing()

    def preparing(self, done: int = 0, total: int = 0) -> None:
        """Notes how many videos the frozen tower has read of those that it must."""
        phase = SCORING if self.curve else PREPARING  # the held-out videos come after training
        self._show(FoldProgress(phase=phase, done=done, total=total))

    def begin(
        self, epochs: int, per_epoch: int, numeric_weight: float, *, done: int, curve: Sequence[Mapping[str, float]]
    ) -> None:
        """Begins training, or goes on with it.

        Args:
            epochs: in all.
            per_epoch: optimiser steps of an epoch.
            numeric_weight: of the numeric loss in the sum.
            done: epochs that an earlier session has done.
            curve: their points.
        """
        self.curve = [dict(point) for point in curve]
        self._steps, self._per_epoch = epochs * per_epoch, per_epoch
        self._done = self._first = done * per_epoch
        self._point, self._epoch = (_Means(self.workers, numeric_weight) for _ in range(2))
        self._began = time.monotonic()
        if self._events is not None:
            self._file = EventFile(self._events, self.curve)

    def step(self, losses: Mapping[str, float], norms: Mapping[str, float], rate: float) -> None:
        """Takes one optimiser step into the curve.

        Args:
            losses: of this worker's share of the step.
            norms: of the step's gradient, by group.
            rate: the learning rate.
        """
        self._done += 1
        for means in (self._point, self._epoch):
            means.add(losses, norms, rate)
        if self._done % -(-self._steps // POINTS) == 0 or self._done % self._per_epoch == 0:
            self._add_point()
        left = (time.monotonic() - self._began) / (self._done - self._first) * (self._steps - self._done)
        loss = self.curve[-1]["loss"] if self.curve else None
        self._show(FoldProgress(phase=TRAINING, done=self._done, total=self._steps, loss=loss, seconds_left=left))

    def epoch(self) -> dict[str, float]:
        """Returns the mean losses, the last learning rate and the mean gradient norms of the epoch that has ended."""
        return self._epoch.take()

    def scoring(self, batches: Iterable[T], total: int) -> Iterator[T]:
        """Yields batches of held-out windows, and notes how many there were."""
        for done, batch in enumerate(batches):
            self._show(FoldProgress(phase=SCORING, done=done, total=total))
            yield batch

    def close(self) -> None:
        """Ends the fold, finished or not: its progress is nobody's concern any more."""
        if self._file is not None:
            self._file.close()
        if self.folder is not None:
            forget(self.folder)

    def _add_point(self) -> None:
        place = {"step": self._done, "epoch": self._done / self._per_epoch}
        self.curve.append(place | {name: float(f"{n:.6g}") for name, n in self._point.take().items()})
        if self._file is not None:
            self._file.write(self.curve[-1])

    def _show(self, progress: FoldProgress) -> None:
        now = time.monotonic()
        if self.folder is not None and now - self._written >= BETWEEN_WRITES:
            self._written = now
            progress.save(self.folder)


class _Means:
    """Means over some steps: of the losses over all workers, and of the gradients' norms."""

    def __init__(self, workers: Workers, numeric_weight: float):
        self.workers, self.numeric_weight = workers, numeric_weight
        self._empty()

    def add(self, losses: Mapping[str, float], norms: Mapping[str, float], rate: float) -> None:
        self.steps += 1
        self.losses.update(losses)
        self.norms.update(norms)
        self.rate = rate

    def take(self) -> dict[str, float]:
        """Returns the means, with the loss that is minimised and the last learning rate, and begins again."""
        parts = self.workers.gather([dict(self.losses)])
        means = {name: sum(part[name] for part in parts) / self.steps for name in self.losses}
        found = means | {"loss": total_loss(means, self.numeric_weight), "lr": self.rate}
        found |= {f"gradient_{group}": norm / self.steps for group, norm in sorted(self.norms.items())}
        self._empty()
        return found

    def _empty(self) -> None:
        self.losses: Counter[str] = Counter()
        self.norms: Counter[str] = Counter()
        self.steps, self.rate = 0, 0.0
