"""One frozen layer of a CLIP tower among trained tokens: its weights as a step reads them, and what it computes.

Letters: B videos, T frames, P patches, N keys, W width.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

Norm = tuple[Tensor, Tensor, float]
"""Weight, bias and epsilon of a layer normalisation, in float32."""


class FrozenLayer(NamedTuple):
    """The weights of one layer of the tower as a step reads them: queries, keys and values in one product, cast once."""

    norm1: Norm
    qkv: tuple[Tensor, Tensor]
    """Weight [3 W, W] and bias [3 W], in the dtype of matrix products, as are the other three."""
    out: tuple[Tensor, Tensor]
    norm2: Norm
    first: tuple[Tensor, Tensor]
    second: tuple[Tensor, Tensor]
    activation: Callable[[Tensor], Tensor]
    heads: int

    @classmethod
    @torch.no_grad()
    def of(cls, layer: Any, dtype: torch.dtype) -> "FrozenLayer":
        """Returns the weights of transformers' CLIP encoder layer; those of `dtype` already are shared, not copied."""
        attention, mlp = layer.self_attn, layer.mlp
        three = (attention.q_proj, attention.k_proj, attention.v_proj)
        qkv = tuple(torch.cat([getattr(p, leaf) for p in three]).to(dtype) for leaf in ("weight", "bias"))
        out, first, second = ((p.weight.to(dtype), p.bias.to(dtype)) for p in (attention.out_proj, mlp.fc1, mlp.fc2))
        norm1, norm2 = ((n.weight, n.bias, n.eps) for n in (layer.layer_norm1, layer.layer_norm2))
        return cls(norm1, (qkv[0], qkv[1]), out, norm2, first, second, mlp.activation_fn, attention.num_heads)


class FrozenTower:
    """The layers of a frozen tower, cast to the dtype of products at first use."""

    def __init__(self, layers: Any):
        """Takes transformers' CLIP encoder layers."""
        self._layers = layers
        self._cast: tuple[FrozenLayer, ...] = ()
        self._cast_from: tuple[object, ...] = ()

    def layers(self) -> tuple[FrozenLayer, ...]:
        """Returns the layers in the dtype of products here; they are cast again where device, dtype or weights changed."""
        weight = self._layers[0].self_attn.q_proj.weight
        dtype = products_dtype(weight)
        now = (dtype, weight.data_ptr(), *(0 if p.is_inference() else p._version for p in self._layers.parameters()))
        if now != self._cast_from:
            self._cast, self._cast_from = tuple(FrozenLayer.of(layer, dtype) for layer in self._layers), now
        return self._cast


Prompted = Callable[[FrozenLayer, Norm | None, nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]]
"""The signature of `prompted`."""


def prompted(
    layer: FrozenLayer, following: Norm | None, prompts: nn.Module, hidden: Tensor, normed: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns what a frozen layer makes of its tokens beside prompts, [B, T, 1 + P, W], and that normalised for the next.

    Prompts are seen and do not see: what a layer would make of them is dropped behind it. So they are keys and values only,
    those of all frames once for a video; docs/decisions/0012 has what that saves.

    Args:
        following: the first normalisation of the next layer; None after the last, of which only the class token is asked for,
            [B, T, 1, W], and in place of the normalised tokens the summary token that it was given, [B, T, 0 or 1, W].
        hidden: [B, T, 1 + P, W].
        normed: the same, normalised for this layer, in the dtype of products.
    """
    frames, width, dtype = hidden.shape[1], hidden.shape[-1], normed.dtype
    shared, summary = prompts(hidden[:, :, 0])
    asking, keys_values = layer.qkv[0][:width], (layer.qkv[0][width:], layer.qkv[1][width:])
    seen = [] if shared is None else [normalised(shared, layer.norm1, dtype).unsqueeze(1)]  # each [B, T or 1, N, W]
    if summary is not None:
        seen.append(normalised(summary, layer.norm1, dtype))
    if following is None:
        keys, values = functional.linear(normed, *keys_values).split(width, dim=-1)
        hidden, normed = hidden[:, :, :1], normed[:, :, :1]
        queries = functional.linear(normed, asking, layer.qkv[1][:width])
    else:
        queries, keys, values = functional.linear(normed, *layer.qkv).split(width, dim=-1)
    both = [functional.linear(prompt, *keys_values).expand(-1, frames, -1, -1).split(width, dim=-1) for prompt in seen]
    keys = torch.cat([keys, *(prompt[0] for prompt in both)], dim=2)
    values = torch.cat([values, *(prompt[1] for prompt in both)], dim=2)
    hidden = hidden + functional.linear(_attended(queries, keys, values, layer.heads), *layer.out)
    inner = functional.linear(normalised(hidden, layer.norm2, dtype), *layer.first)
    hidden = hidden + functional.linear(layer.activation(inner), *layer.second)
    if following is None:
        return hidden, hidden[:, :, :0] if summary is None else summary
    return hidden, normalised(hidden, following, dtype)


def causal(layer: FrozenLayer, hidden: Tensor) -> Tensor:
    """Returns what a frozen layer makes of sequences [B, N, W] in which a token sees those before it, like them."""
    dtype = layer.out[0].dtype
    normed = normalised(hidden, layer.norm1, dtype)
    parts = functional.linear(normed, *layer.qkv).split(hidden.shape[-1], dim=-1)
    queries, keys, values = (part.unflatten(-1, (layer.heads, -1)).transpose(1, 2) for part in parts)
    read = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
    hidden = hidden + functional.linear(read.transpose(1, 2).flatten(2), *layer.out)
    inner = functional.linear(normalised(hidden, layer.norm2, dtype), *layer.first)
    return hidden + functional.linear(layer.activation(inner), *layer.second)


def causal_at(layer: FrozenLayer, hidden: Tensor, place: Tensor) -> Tensor:
    """Returns what `causal` makes of one token of each sequence, [B, W], at a fraction of its cost.

    Args:
        hidden: [B, N, W].
        place: index of the token that is asked for in each sequence, [B].
    """
    width, dtype = hidden.shape[-1], layer.out[0].dtype
    rows = torch.arange(len(hidden), device=hidden.device)
    normed = normalised(hidden, layer.norm1, dtype)
    keys, values = functional.linear(normed, layer.qkv[0][width:], layer.qkv[1][width:]).split(width, dim=-1)
    queries = functional.linear(normed[rows, place], layer.qkv[0][:width], layer.qkv[1][:width]).unsqueeze(1)
    queries, keys, values = (t.unflatten(-1, (layer.heads, -1)).transpose(1, 2) for t in (queries, keys, values))
    before = torch.arange(hidden.shape[1], device=hidden.device) <= place[:, None]  # [B, N]
    read = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=before[:, None, None])
    found = hidden[rows, place] + functional.linear(read.flatten(1), *layer.out)
    inner = functional.linear(normalised(found, layer.norm2, dtype), *layer.first)
    return found + functional.linear(layer.activation(inner), *layer.second)


@cache
def compiled_layer(backend: str = "inductor") -> Prompted:
    """Returns `prompted` with its small kernels fused by torch.compile, once for each shape of the tokens.

    All layers and folds of a process share what was compiled.
    """
    made: Prompted = torch.compile(prompted, backend=backend, fullgraph=True, dynamic=False)  # type: ignore[arg-type]
    return made


def products_dtype(weight: Tensor) -> torch.dtype:
    """Returns the dtype in which a product with a weight is computed here: autocast's, or the weight's own."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype


def normalised(tokens: Tensor, norm: Norm, dtype: torch.dtype) -> Tensor:
    """Returns normalised tokens, computed in their own dtype and cast once for every product that reads them."""
    weight, bias, epsilon = norm
    return functional.layer_norm(tokens, weight.shape, weight, bias, epsilon).to(dtype)


def _attended(queries: Tensor, keys: Tensor, values: Tensor, heads: int) -> Tensor:
    """Returns the attention of tokens [B, T, Q, W] over keys and values [B, T, N, W]; like `queries`."""

    def by_head(tokens: Tensor) -> Tensor:  # [B, T, N, W] -> [B * T, heads, N, W / heads]
        return tokens.flatten(0, 1).unflatten(-1, (heads, -1)).transpose(1, 2)

    slow = queries.device.type == "cpu" and queries.dtype == torch.bfloat16  # benchmarks/attention.py
    attend = written_out if slow else functional.scaled_dot_product_attention
    read = attend(by_head(queries), by_head(keys), by_head(values))
    return read.transpose(1, 2).flatten(2).unflatten(0, queries.shape[:2])


def written_out(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Returns attention [B, heads, Q, W] in three operations; its weights stay in memory for the backward pass."""
    return (queries @ keys.transpose(-1, -2) * queries.shape[-1] ** -0.5).softmax(-1) @ values
