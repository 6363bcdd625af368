"""The video encoder: a frozen CLIP vision transformer that reads frames through trained prompts.

Source: Vita-CLIP (arXiv 2304.03307, section 3.2), as used by arXiv 2403.13756.
Letters: B videos, T frames, P patches, W vision width, D joint width, G global prompts.
"""

import json
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection


class VideoFeatures(NamedTuple):
    """What the encoder makes of B videos."""

    video: Tensor
    """Mean of the frame features, [B, D], not normalised."""
    frames: Tensor
    """[B, T, D]."""
    summary: Tensor | None
    """Summary tokens behind the last layer, mean over frames, [B, W]; None where summary is off."""


class FrozenLayer(NamedTuple):
    """The weights of one layer of the tower as a step reads them: queries, keys and values in one product, cast once."""

    norm1: tuple[Tensor, Tensor, float]
    """Weight, bias and epsilon; float32, as `norm2`."""
    qkv: tuple[Tensor, Tensor]
    """Weight [3 W, W] and bias [3 W], in the dtype of matrix products, as are the other three."""
    out: tuple[Tensor, Tensor]
    norm2: tuple[Tensor, Tensor, float]
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


class PromptLayer(nn.Module):
    """The trained prompts of one layer of the vision transformer."""

    def __init__(self, width: int, heads: int, frames: int, *, n_global: int, local: bool, summary: bool):
        super().__init__()
        self.global_prompts = nn.Parameter(torch.empty(n_global, width)) if n_global else None
        self.local_prompts = nn.Parameter(torch.empty(frames, width)) if local else None
        self.summary_norm = nn.LayerNorm(width) if summary else None
        self.summary_attention = nn.MultiheadAttention(width, heads, batch_first=True) if summary else None
        self.cls_projection = nn.Linear(width, width) if summary or local else None
        self._initialise()

    def _initialise(self) -> None:
        """Prompts start small; the projection starts as the identity, which the public codes leave random and frozen."""
        for prompts in (self.global_prompts, self.local_prompts):
            if prompts is not None:
                nn.init.normal_(prompts, std=0.02)
        if self.cls_projection is not None:
            nn.init.eye_(self.cls_projection.weight)
            nn.init.zeros_(self.cls_projection.bias)

    def forward(self, cls: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Returns the prompts that all frames of a video see, [B, G + T, W], and each frame's summary token, [B, T, 1, W].

        Args:
            cls: class tokens, [B, T, W].
        """
        shared: list[Tensor] = []
        summary: Tensor | None = None
        projected = self.cls_projection(cls) if self.cls_projection is not None else None
        if self.global_prompts is not None:
            shared.append(self.global_prompts.expand(len(cls), -1, -1))
        if self.local_prompts is not None and projected is not None:
            shared.append(self.local_prompts + projected)  # all T tokens of a video go to each of its frames
        if self.summary_attention is not None and self.summary_norm is not None and projected is not None:
            normed = self.summary_norm(projected)
            attended, _ = self.summary_attention(normed, normed, normed, need_weights=False)
            summary = (projected + attended).unsqueeze(2)
        return (torch.cat(shared, dim=1) if shared else None), summary


class VideoEncoder(nn.Module):
    """CLIP's vision tower with prompts in each layer; the tower itself is not trained."""

    vision: Any

    def __init__(
        self,
        vision: Any,
        projection: nn.Linear,
        *,
        frames: int,
        n_global: int = 8,
        local: bool = True,
        summary: bool = True,
        gradient_checkpointing: bool = False,
    ):
        """Wraps a tower.

        Args:
            vision: transformers' CLIP vision model (embeddings, pre_layrnorm, encoder.layers, post_layernorm).
            projection: to the joint space, W -> D, no bias.
            frames: T.
            n_global, local, summary: the prompts; 0 and False switch them off.
            gradient_checkpointing: recompute layers in the backward pass.
        """
        super().__init__()
        config = vision.config
        self.vision, self.projection = vision, projection
        self.gradient_checkpointing = gradient_checkpointing
        self._frozen: tuple[FrozenLayer, ...] = ()
        self._frozen_from: tuple[object, ...] = ()
        self.time_embedding = nn.Parameter(torch.zeros(frames, config.hidden_size))
        self.prompts = nn.ModuleList(
            PromptLayer(
                config.hidden_size, config.num_attention_heads, frames, n_global=n_global, local=local, summary=summary
            )
            for _ in range(config.num_hidden_layers)
        )

    def forward(self, video: Tensor, compute: Callable[..., Tensor] | None = None) -> VideoFeatures:
        """Returns the features of normalised frames, [B, T, 3, H, W_pixels].

        Args:
            compute: computes each layer but the last; `prompted` by default, or `compiled_layer()`.
        """
        batch, frames = video.shape[:2]
        hidden = self.vision.embeddings(video.flatten(0, 1)).unflatten(0, (batch, frames))  # [B, T, 1 + P, W]
        # The time embedding goes to every token of its frame, the class token too.
        hidden = self.vision.pre_layrnorm(hidden + self.time_embedding.unsqueeze(1))
        last = len(self.prompts) - 1
        recompute = self.gradient_checkpointing and torch.is_grad_enabled()
        for index, (layer, prompts) in enumerate(zip(self._layers(), self.prompts, strict=True)):
            run, ends = (prompted, True) if index == last else (compute or prompted, False)
            if recompute:  # there is no randomness whose state would have to be kept
                hidden = checkpoint(run, layer, prompts, hidden, ends=ends, use_reentrant=False,
                                    preserve_rng_state=False)  # fmt: skip
            else:
                hidden = run(layer, prompts, hidden, ends=ends)
        features = self.projection(self.vision.post_layernorm(hidden[:, :, 0]))  # [B, T, D]
        summary = hidden[:, :, 1].mean(1) if hidden.shape[2] > 1 else None
        return VideoFeatures(features.mean(1), features, summary)

    def _layers(self) -> tuple[FrozenLayer, ...]:
        """Returns the tower's layers in the dtype of matrix products, made again only where device, dtype or weights changed."""
        layers = self.vision.encoder.layers
        weight = layers[0].self_attn.q_proj.weight
        dtype = products_dtype(weight)
        now = (dtype, weight.data_ptr(), *(0 if p.is_inference() else p._version for p in layers.parameters()))
        if now != self._frozen_from:
            self._frozen, self._frozen_from = tuple(FrozenLayer.of(layer, dtype) for layer in layers), now
        return self._frozen

    @classmethod
    def from_vita_clip(cls, weights: dict[str, Tensor], config: dict[str, Any] | str) -> Self:
        """Returns an encoder with the weights of a public Vita-CLIP vision tower.

        Args:
            weights: its state dict (cls_token, blocks.0.attn.q_proj.weight, ...).
            config: its constructor's arguments, as a dict, as JSON, or as safetensors metadata {"config": JSON}.
        """
        found: Any = config if isinstance(config, str) else config.get("config", config)
        sizes: dict[str, Any] = json.loads(found) if isinstance(found, str) else found
        width = sizes["feature_dim"]
        tower = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=width,
                intermediate_size=int(width * sizes["mlp_factor"]),
                num_hidden_layers=sizes["num_layers"],
                num_attention_heads=sizes["num_heads"],
                image_size=sizes["input_size"][0],
                patch_size=sizes["patch_size"][0],
                projection_dim=sizes["embed_dim"],
                hidden_act="quick_gelu",
            )
        )
        encoder = cls(
            tower.vision_model,
            tower.visual_projection,
            frames=sizes["num_frames"],
            n_global=sizes.get("num_global_prompts", 8) if sizes.get("use_global_prompts") else 0,
            local=sizes.get("use_local_prompts", False),
            summary=sizes.get("use_summary_token", False),
        )
        encoder.load_state_dict(_from_vita_clip(weights, sizes["num_layers"]), strict=False)
        encoder.vision.requires_grad_(False)
        encoder.projection.requires_grad_(False)
        return encoder


def prompted(layer: FrozenLayer, prompts: nn.Module, hidden: Tensor, *, ends: bool) -> Tensor:
    """Returns what a frozen layer makes of its tokens beside prompts, [B, T, 1 + P, W].

    Prompts are seen and do not see: what a layer would make of them is dropped behind it. So they are keys and values only,
    those of all frames once for a video; docs/decisions/0012 has what that saves.

    Args:
        hidden: [B, T, 1 + P, W].
        ends: only the class token is asked for, and the summary token where there is one, [B, T, 1 or 2, W].
    """
    frames, width = hidden.shape[1], hidden.shape[-1]
    shared, summary = prompts(hidden[:, :, 0])
    normed = _norm(hidden, layer.norm1, layer.qkv[0].dtype)
    asking, keys_values = layer.qkv[0][:width], (layer.qkv[0][width:], layer.qkv[1][width:])
    seen: list[Tensor] = []  # keys and values of the prompts, [B, T or 1, N, 2 W]
    if shared is not None:
        seen.append(functional.linear(_norm(shared, layer.norm1, normed.dtype), *keys_values).unsqueeze(1))
    if summary is not None:
        normed_summary = _norm(summary, layer.norm1, normed.dtype)
        seen.append(functional.linear(normed_summary, *keys_values))
    if ends:
        own = functional.linear(normed, *keys_values)
        hidden, normed = hidden[:, :, :1], normed[:, :, :1]
        if summary is not None:
            hidden, normed = torch.cat([hidden, summary], dim=2), torch.cat([normed, normed_summary], dim=2)
        queries = functional.linear(normed, asking, layer.qkv[1][:width])
    else:
        queries, own = functional.linear(normed, *layer.qkv).split([width, 2 * width], dim=-1)
    both = torch.cat([own, *(prompt.expand(-1, frames, -1, -1) for prompt in seen)], dim=2)  # [B, T, N, 2 W]
    keys, values = both.split(width, dim=-1)
    hidden = hidden + functional.linear(_attended(queries, keys, values, layer.heads), *layer.out)
    inner = functional.linear(_norm(hidden, layer.norm2, normed.dtype), *layer.first)
    return hidden + functional.linear(layer.activation(inner), *layer.second)


@cache
def compiled_layer(backend: str = "inductor") -> Callable[..., Tensor]:
    """Returns `prompted` with its small kernels fused by torch.compile, once for each shape of the tokens.

    All layers and folds of a process share what was compiled.
    """
    return torch.compile(prompted, backend=backend, fullgraph=True, dynamic=False)


def products_dtype(weight: Tensor) -> torch.dtype:
    """Returns the dtype in which a product with a weight is computed here: autocast's, or the weight's own."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype


def _norm(tokens: Tensor, norm: tuple[Tensor, Tensor, float], dtype: torch.dtype) -> Tensor:
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


def _from_vita_clip(weights: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Returns Vita-CLIP's tensors under our names."""
    ours = {
        "vision.embeddings.class_embedding": weights["cls_token"],
        "vision.embeddings.patch_embedding.weight": weights["patch_embed.proj.weight"],
        "vision.embeddings.position_embedding.weight": weights["pos_embed"],
        "projection.weight": weights["proj"].T,
    }
    if "time_embed" in weights:
        ours["time_embedding"] = weights["time_embed"]
    if "patch_embed.proj.bias" in weights:  # CLIP has none; it is the same as a shift of the patches' positions
        position = weights["pos_embed"].clone()
        position[1:] += weights["patch_embed.proj.bias"]
        ours["vision.embeddings.position_embedding.weight"] = position
    for norm, theirs in (("vision.pre_layrnorm", "ln_pre"), ("vision.post_layernorm", "ln_post")):
        for leaf in ("weight", "bias"):
            ours[f"{norm}.{leaf}"] = weights[f"{theirs}.{leaf}"]
    frozen = {
        "self_attn.q_proj": "attn.q_proj",
        "self_attn.k_proj": "attn.k_proj",
        "self_attn.v_proj": "attn.v_proj",
        "self_attn.out_proj": "attn.out_proj",
        "layer_norm1": "norm1",
        "layer_norm2": "norm2",
        "mlp.fc1": "mlp.fc1",
        "mlp.fc2": "mlp.fc2",
    }
    for index in range(layers):
        block = {n.removeprefix(f"blocks.{index}."): w for n, w in weights.items() if n.startswith(f"blocks.{index}.")}
        for name, theirs in frozen.items():
            for leaf in ("weight", "bias"):
                ours[f"vision.encoder.layers.{index}.{name}.{leaf}"] = block[f"{theirs}.{leaf}"]
        ours |= {f"prompts.{index}.{n}": w for n, w in _prompts_from_vita_clip(block).items()}
        if "global_prompts" in weights:
            ours[f"prompts.{index}.global_prompts"] = weights["global_prompts"][index]
    return ours


def _prompts_from_vita_clip(block: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns the trained tensors of one block under our names."""
    ours: dict[str, Tensor] = {}
    if "local_prompts" in block:
        ours["local_prompts"] = block["local_prompts"][0]
    for leaf in ("weight", "bias"):
        if f"cls_proj.{leaf}" in block:
            ours[f"cls_projection.{leaf}"] = block[f"cls_proj.{leaf}"]
        if f"summary_ln.{leaf}" in block:
            ours[f"summary_norm.{leaf}"] = block[f"summary_ln.{leaf}"]
            attention = [block[f"summary_attn_layer.{n}_proj.{leaf}"] for n in ("q", "k", "v")]
            ours[f"summary_attention.in_proj_{leaf}"] = torch.cat(attention)
            ours[f"summary_attention.out_proj.{leaf}"] = block[f"summary_attn_layer.out_proj.{leaf}"]
    return ours
