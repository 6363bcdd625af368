"""Prints the time of torch's attention beside the same written out as products and a softmax, at ViT-B/16, T = 8, batch 4.

python benchmarks/attention.py
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.figures import Figure, figure, in_turns, parser, show, timed
from benchmarks.full_size_step import computes_bf16

FRAMES, HEADS, TOKENS, PROMPTS, WIDTH = 32, 12, 197, 17, 64


def main() -> None:
    """Measures and prints the figures."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=7)
    given = options.parse_args()
    for dtype in (torch.float32, torch.bfloat16)[: 1 + computes_bf16()]:
        show(figures(dtype, given.rounds))


def figures(dtype: torch.dtype, rounds: int) -> Iterator[Figure]:
    """Yields the figures of the forward and the backward pass of one layer."""
    seen = TOKENS + PROMPTS
    asked = [torch.randn(FRAMES, HEADS, n, WIDTH, dtype=dtype, requires_grad=True) for n in (TOKENS, seen, seen)]
    torchs, ours = scaled_dot_product_attention(*asked), written_out(*asked)
    ahead = torch.randn_like(ours)

    def backward(read: Tensor) -> float:
        return 1e3 * timed(lambda: torch.autograd.grad(read, asked, ahead, retain_graph=True))

    for what, pairs in (
        ("forward", in_turns(lambda: 1e3 * timed(lambda: scaled_dot_product_attention(*asked)),
                             lambda: 1e3 * timed(lambda: written_out(*asked)), rounds)),
        ("backward", in_turns(lambda: backward(torchs), lambda: backward(ours), rounds)),
    ):  # fmt: skip
        yield figure(f"attention of a layer, {what}, {dtype}", pairs, unit="ms", beside="written out")


def written_out(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Returns attention in three operations, whose weights stay in memory for the backward pass."""
    return (queries @ keys.transpose(-1, -2) * WIDTH**-0.5).softmax(-1) @ values


if __name__ == "__main__":
    main()
