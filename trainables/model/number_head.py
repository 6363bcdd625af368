"""Reads parameter values out of numerical text features by ridge regression, in closed form.

A record's feature is the mean of its parameters' features, so any mix of records holds each parameter with a share. Two
linear read-outs per parameter, of its share and of share times value, hold for single records and for every mix of them;
their ratio is the value. Letters: N features, D joint width, P parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

PENALTIES = (1e-10, 1e-9, 1e-8, 1e-6, 1e-4)
"""Ridge penalties per record to choose from. Below the smallest, rounding errors of the features reach the third digit."""
SMALLEST_SHARE = 0.002
"""Shares below are read as this one: a value without a share is not a number."""


@dataclass(frozen=True, kw_only=True)
class NumberHead:
    """Linear read-outs of each parameter's share and of its share times value."""

    weight: Tensor
    """[D + 1, 2 P], float64; the last row is the bias."""

    def read(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Returns shares, and values in units of the clip limit within [-1, 1], both [N, P] in float64 on the CPU.

        Args:
            features: standardised record features or convex mixes of them, not normalised, [N, D].
        """
        shares, products = (with_bias(features) @ self.weight).chunk(2, dim=1)
        return shares, (products / shares.clamp(min=SMALLEST_SHARE)).clamp(-1, 1)

    def decoder_inputs(self, features: Tensor) -> Tensor:
        """Returns what the language model is told of features: unit feature, relative shares, and values, [N, D + 2 P]."""
        shares, values = self.read(features)
        present = (shares / shares.amax(1, keepdim=True).clamp(min=SMALLEST_SHARE)).clamp(0, 1)
        unit = functional.normalize(features.double().cpu(), dim=-1)
        return torch.cat([unit, present, present * values], dim=1).float()


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What ridge regression needs of some records; sums of disjoint records can be added."""

    count: int
    gram: Tensor
    """[D + 1, D + 1]."""
    cross: Tensor
    """[D + 1, 2 P]."""

    @classmethod
    def of(cls, features: Tensor, shares: Tensor, values: Tensor) -> "Sums":
        """Returns the sums of features [N, D] with their parameters' shares and values, [N, P] each."""
        inputs, targets = with_bias(features), torch.cat([shares, shares * values], dim=1).double()
        return cls(count=len(inputs), gram=inputs.T @ inputs, cross=inputs.T @ targets)

    @classmethod
    def total(cls, parts: Sequence["Sums"]) -> "Sums":
        """Returns the sums of all records of some parts, at least one."""
        return cls(
            count=sum(p.count for p in parts),
            gram=torch.stack([p.gram for p in parts]).sum(0),
            cross=torch.stack([p.cross for p in parts]).sum(0),
        )

    def head(self, penalty: float) -> NumberHead:
        """Returns the ridge regression with a penalty per record; the bias has the same, tiny penalty."""
        ridge = penalty * self.count * torch.eye(len(self.gram), dtype=self.gram.dtype)
        return NumberHead(weight=torch.linalg.solve(self.gram + ridge, self.cross))


def with_bias(features: Tensor) -> Tensor:
    """Returns features with a column of ones, [N, D + 1], in float64 on the CPU."""
    double = features.double().cpu()
    return torch.cat([double, torch.ones(len(double), 1, dtype=torch.float64)], dim=1)
