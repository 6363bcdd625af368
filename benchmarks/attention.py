"""Prints the time of attention written out as products and a softmax beside torch's own, at ViT-B/16, T = 8, batch 4.

python benchmarks/attention.py
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.figures import Figure, as_a_worker, figure, in_turns, parser, show, timed
from benchmarks.full_size_step import computes_bf16
from trainables.model.frozen_layer import written_out

FRAMES, HEADS, TOKENS, PROMPTS, WIDTH = 32, 12, 197, 17, 64


def main() -> None:
    """Measures and prints the figures."""
    as_a_worker()
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=7)
    given = options.parse_args()
    for dtype in (torch.float32, torch.bfloat16)[: 1 + computes_bf16()]:
        show(figures(dtype, given.rounds))


def figures(dtype: torch.dtype, rounds: int) -> Iterator[Figure]:
    """Yields the figures of the forward and the backward pass of one layer."""
    seen = TOKENS + PROMPTS
    asked = [torch.randn(FRAMES, HEADS, n, WIDTH, dtype=dtype, requires_grad=True) for n in (TOKENS, seen, seen)]
    ours, theirs = written_out(*asked), scaled_dot_product_attention(asked[0], asked[1], asked[2])
    ahead = torch.randn_like(ours)

    def backward(read: Tensor) -> float:
        return 1e3 * timed(lambda: torch.autograd.grad(read, asked, ahead, retain_graph=True))

    def forward(attend: Callable[..., Tensor]) -> float:
        return 1e3 * timed(lambda: attend(*asked))

    for what, pairs in (
        ("forward", in_turns(lambda: forward(written_out), lambda: forward(scaled_dot_product_attention), rounds)),
        ("backward", in_turns(lambda: backward(ours), lambda: backward(theirs), rounds)),
    ):
        yield figure(f"attention of a layer written out, {what}, {dtype}", pairs, unit="ms", beside="torch's")


if __name__ == "__main__":
    main()
