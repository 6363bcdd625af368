"""The motion read-out: order and rhythm of a frozen tower's tokens over all frames of a window, read by a linear map.

A mean over frames cannot see which foot comes next or how often. Two statistics of the un-prompted tokens can:
- order: the first cosine coefficient over time of every token after the first layer (what changes from the start to the end);
- rhythm: the autocorrelation over time of each channel, of the class token after the last two layers and of all tokens
  after the last. A walker's step and stride recur at lags of about 15 and 30 frames.
Patches are pooled to a grid of at most GRID x GRID, so that a ViT-B/16's 196 patches do not make a window's statistics
larger than its frames. docs/decisions/0017 has what each block is worth on real motion.

Letters: F frames, N tokens (class token and pooled patches), W vision width, S statistics, B windows, K components, C classes.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASS_LAGS = (4, 8, 12, 16, 20, 24, 28, 32)
"""Frames at 30 per second: 7.5 to 0.94 Hz, steps and strides of every speed."""
TOKEN_LAGS = (8, 16, 24)
GRID = 5
"""Patches of a side after pooling."""
RHYTHM_WEIGHT = 3**-0.5
"""The three blocks of rhythm together weigh as much as order."""


class FrozenTokens(NamedTuple):
    """What the un-prompted tower makes of frames."""

    features: Tensor
    """[F, D], in the joint space, not normalised."""
    early: Tensor
    """All tokens after the first layer, patches pooled, [F, N, W]."""
    class_before_last: Tensor
    """The class token after the last layer but one, [F, W]."""
    late: Tensor
    """All tokens after the last layer, patches pooled, [F, N, W]; the first is the class token."""


def frozen_tokens(vision: Any, projection: nn.Linear, pixels: Tensor) -> FrozenTokens:
    """Returns what a CLIP vision tower without prompts makes of normalised frames, [F, 3, H, W_pixels].

    Args:
        vision: transformers' CLIP vision model.
        projection: to the joint space.
    """
    hidden = vision.pre_layrnorm(vision.embeddings(pixels))  # [F, 1 + P, W]
    states = []
    for layer in vision.encoder.layers:
        hidden = layer(hidden, None)
        states.append(hidden)
    before = states[-2] if len(states) > 1 else states[-1]
    features = projection(vision.post_layernorm(hidden[:, 0]))
    return FrozenTokens(features, pooled(states[0]), before[:, 0], pooled(hidden))


def pooled(tokens: Tensor) -> Tensor:
    """Returns the class token and the patches averaged to a grid of at most GRID x GRID, [F, N, W], of [F, 1 + P, W]."""
    side = math.isqrt(tokens.shape[1] - 1)
    if side <= GRID:
        return tokens
    patches = tokens[:, 1:].transpose(1, 2).unflatten(2, (side, side))  # [F, W, side, side]
    smaller = functional.adaptive_avg_pool2d(patches, GRID).flatten(2).transpose(1, 2)
    return torch.cat([tokens[:, :1], smaller], dim=1)


def block_sizes(vision_config: Any) -> tuple[int, ...]:
    """Returns the sizes of the blocks of statistics for a tower; their sum is S."""
    side = min(vision_config.image_size // vision_config.patch_size, GRID)
    width, tokens = vision_config.hidden_size, 1 + side**2
    return (tokens * width, len(CLASS_LAGS) * width, len(CLASS_LAGS) * width, len(TOKEN_LAGS) * tokens * width)


def window_statistics(tokens: FrozenTokens) -> Tensor:
    """Returns the statistics of one window's tokens, [S]: order, then rhythm of three sets of tokens."""
    return torch.cat(
        [
            order(tokens.early.flatten(1)),
            autocorrelation(tokens.class_before_last, CLASS_LAGS),
            autocorrelation(tokens.late[:, 0], CLASS_LAGS),
            autocorrelation(tokens.late.flatten(1), TOKEN_LAGS),
        ]
    )


def order(series: Tensor) -> Tensor:
    """Returns the first coefficient of the cosine transform over time, [X], of a series [F, X]; its sign turns with time."""
    frames = len(series)
    time = torch.arange(frames, dtype=series.dtype, device=series.device)
    return torch.cos(math.pi * (time + 0.5) / frames) @ series / frames


def autocorrelation(series: Tensor, lags: tuple[int, ...]) -> Tensor:
    """Returns each channel's autocorrelation at some lags, [lags * X], of a series [F, X]; 0 where it is too short."""
    centred = series - series.mean(0)
    variance = centred.square().mean(0) + 1e-6
    found = [
        (centred[:-lag] * centred[lag:]).mean(0) / variance if lag < len(series) else torch.zeros_like(variance)
        for lag in lags
    ]
    return torch.cat(found)


@dataclass(frozen=True, kw_only=True)
class MotionBasis:
    """Standardisation and principal components of statistics, fitted on a fold's training windows."""

    center: Tensor
    """[S]."""
    directions: Tensor
    """Components over the standard deviations, [S, K]; a training window's scores have a mean square norm of 1."""

    @classmethod
    def fit(cls, statistics: Tensor, sizes: tuple[int, ...], components: int) -> Self:
        """Returns the basis of training windows' statistics, [B, S].

        Every block weighs the same whatever its size, but for RHYTHM_WEIGHT.

        Args:
            sizes: of the blocks, as `block_sizes` gives them.
            components: K at most; a few windows have fewer.
        """
        center = statistics.mean(0)
        spread = statistics.std(0, correction=0) + 1e-6
        weights = [1.0, *[RHYTHM_WEIGHT] * (len(sizes) - 1)]
        scale = torch.cat(
            [torch.full((n,), w / math.sqrt(n)) for n, w in zip(sizes, weights, strict=True)]
        ).to(spread)  # fmt: skip
        standard = (statistics - center) / spread * scale
        # The windows are fewer than the statistics: their Gram matrix is the smaller way to the same components.
        values, vectors = torch.linalg.eigh((standard @ standard.T).double())
        kept = min(components, int((values > values[-1] * 1e-6).sum()))
        values, vectors = values[-kept:].flip(0), vectors[:, -kept:].flip(1)
        axes = (standard.T.double() @ vectors) / values.sqrt()  # [S, K], orthonormal
        axes = axes / (values.sum() / len(standard)).sqrt()
        return cls(center=center, directions=(axes * (scale / spread).double()[:, None]).to(statistics.dtype))

    def scores(self, statistics: Tensor) -> Tensor:
        """Returns the components of windows, [B, K], of their statistics [B, S]."""
        return (statistics - self.center) @ self.directions


class MotionReadout(nn.Module):
    """A linear map from a window's motion to class scores: on its components in training, on its statistics afterwards."""

    def __init__(self, inputs: int, classes: int):
        """Starts at zero.

        Args:
            inputs: K or S.
        """
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(classes, inputs))
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, motion: Tensor) -> Tensor:
        """Returns class scores, [B, C], of windows, [B, K] or [B, S]."""
        return functional.linear(motion, self.weight, self.bias)

    @torch.no_grad()
    def on_statistics(self, basis: MotionBasis) -> "MotionReadout":
        """Returns the same map on statistics, [C, S]: it needs no basis, so nothing of the training windows is kept."""
        whole = MotionReadout(len(basis.center), len(self.bias)).to(self.bias.device)
        weight = self.weight.double() @ basis.directions.T.double().to(self.weight.device)
        whole.weight.copy_(weight)
        whole.bias.copy_(self.bias.double() - weight @ basis.center.double().to(self.weight.device))
        return whole


class TemporalConvolution(nn.Module):
    """A learned alternative to the statistics: two convolutions over the frozen frame features, and their mean over time."""

    def __init__(self, width: int, hidden: int = 64, kernel: int = 7):
        """Starts as nothing: its last layer is zero.

        Args:
            width: D.
        """
        super().__init__()
        self.first = nn.Conv1d(width, hidden, kernel, padding=kernel // 2)
        self.second = nn.Conv1d(hidden, hidden, kernel, stride=2, padding=kernel // 2)
        self.last = nn.Linear(hidden, width)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, frames: Tensor) -> Tensor:
        """Returns a shift of the unit video feature, [B, D], of the frozen features of a window's frames, [B, F, D]."""
        unit = functional.normalize(frames, dim=-1)
        centred = (unit - unit.mean(1, keepdim=True)).transpose(
            1, 2
        )  # [B, D, F]; what is the same in all frames is CLIP's
        hidden = functional.gelu(self.second(functional.gelu(self.first(centred))))
        return self.last(hidden.mean(-1))


def ridge(components: Tensor, targets: Tensor, weights: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """Returns the weight [C, K] and bias [C] of a weighted ridge regression in closed form, in float64.

    Args:
        components: [B, K].
        targets: [B, C].
        weights: of the windows, [B]; they are scaled to a mean of 1.
        penalty: on the squared weights, in windows; the bias has none.
    """
    weights = (weights / weights.mean()).double()
    x, y = components.double(), targets.double()
    x_mean, y_mean = (weights @ x) / weights.sum(), (weights @ y) / weights.sum()
    x, y = x - x_mean, y - y_mean
    gram = (x * weights[:, None]).T @ x + penalty * torch.eye(x.shape[1], dtype=torch.float64, device=x.device)
    weight = torch.linalg.solve(gram, (x * weights[:, None]).T @ y).T
    return weight, y_mean - weight @ x_mean
