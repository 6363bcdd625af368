"""Workers that share the windows of every batch. One worker alone needs no process group."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist


@dataclass(frozen=True, kw_only=True, slots=True)
class Workers:
    """This process's place among the workers of a trial."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Returns whether this worker writes what all of them found."""
        return self.rank == 0

    def share(self, items: Any) -> Any:
        """Returns every count-th item, so that the workers' shares together are the whole."""
        return items[self.rank :: self.count]

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> bool:
        """Replaces each gradient by the sum over the workers, and returns whether all of them are finite.

        Every worker gets the same answer. A weight that no window reached counts as zero.
        """
        trained = list(parameters)
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in trained]
        if self.count == 1:
            for p, own in zip(trained, gradients, strict=True):
                p.grad = own
            some = [g for g in gradients if g.numel()]  # a prompt of length 0 has no norm
            return bool(torch.stack(torch._foreach_norm(some, torch.inf)).isfinite().all())
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        for p, summed in zip(trained, flat.split([p.numel() for p in trained]), strict=True):
            p.grad = summed.view_as(p)
        return bool(torch.linalg.vector_norm(flat, torch.inf).isfinite())  # in one pass, without a copy

    def from_leader(self, tensors: Iterable[torch.Tensor]) -> None:
        """Overwrites tensors with the leading worker's: processors differ in their last bits, and in signs of components."""
        if self.count > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def gather(self, items: list[Any]) -> list[Any]:
        """Returns the items of all workers, on every worker."""
        if self.count == 1:
            return items
        parts: list[list[Any]] = [[] for _ in range(self.count)]
        dist.all_gather_object(parts, items)
        return [item for part in parts for item in part]
