"""The video encoder: a frozen CLIP vision transformer that reads frames through trained prompts.

Source: Vita-CLIP (arXiv 2304.03307, section 3.2), as used by arXiv 2403.13756.
Letters: B videos, T frames, P patches, W vision width, D joint width, G global prompts.
"""

import json
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
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


class PromptLayer(nn.Module):
    """The trained prompts of one layer of the vision transformer."""

    def __init__(
        self, width: int, heads: int, frames: int, *, n_global: int, local: bool, summary: bool, time_positions: bool
    ):
        super().__init__()
        self.global_prompts = nn.Parameter(torch.empty(n_global, width)) if n_global else None
        self.local_prompts = nn.Parameter(torch.empty(frames, width)) if local else None
        self.summary_norm = nn.LayerNorm(width) if summary else None
        self.summary_attention = nn.MultiheadAttention(width, heads, batch_first=True) if summary else None
        self.summary_positions = nn.Parameter(torch.zeros(frames, width)) if summary and time_positions else None
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
            placed = normed if self.summary_positions is None else normed + self.summary_positions
            attended, _ = self.summary_attention(placed, placed, normed, need_weights=False)
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
        time_positions: bool = False,
        gradient_checkpointing: bool = False,
    ):
        """Wraps a tower.

        Args:
            vision: transformers' CLIP vision model (embeddings, pre_layrnorm, encoder.layers, post_layernorm).
            projection: to the joint space, W -> D, no bias.
            frames: T.
            n_global, local, summary: the prompts; 0 and False switch them off.
            time_positions: the summary tokens' queries and keys learn positions in time, which start at zero.
            gradient_checkpointing: recompute layers in the backward pass.
        """
        super().__init__()
        config = vision.config
        self.vision, self.projection = vision, projection
        self.gradient_checkpointing = gradient_checkpointing
        self.time_embedding = nn.Parameter(torch.zeros(frames, config.hidden_size))
        self.prompts = nn.ModuleList(
            PromptLayer(
                config.hidden_size,
                config.num_attention_heads,
                frames,
                n_global=n_global,
                local=local,
                summary=summary,
                time_positions=time_positions,
            )
            for _ in range(config.num_hidden_layers)
        )

    def forward(self, video: Tensor) -> VideoFeatures:
        """Returns the features of normalised frames, [B, T, 3, H, W_pixels]."""
        batch, frames = video.shape[:2]
        hidden = self.vision.embeddings(video.flatten(0, 1)).unflatten(0, (batch, frames))  # [B, T, 1 + P, W]
        # The time embedding goes to every token of its frame, the class token too.
        hidden = self.vision.pre_layrnorm(hidden + self.time_embedding.unsqueeze(1))
        last = len(self.prompts) - 1
        for index, (layer, prompts) in enumerate(zip(self.vision.encoder.layers, self.prompts, strict=True)):
            if self.gradient_checkpointing and torch.is_grad_enabled():
                hidden = checkpoint(prompted, layer, prompts, hidden, ends=index == last, use_reentrant=False)
            else:
                hidden = prompted(layer, prompts, hidden, ends=index == last)
        features = self.projection(self.vision.post_layernorm(hidden[:, :, 0]))  # [B, T, D]
        summary = hidden[:, :, 1].mean(1) if hidden.shape[2] > 1 else None
        return VideoFeatures(features.mean(1), features, summary)

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


def prompted(layer: Any, prompts: nn.Module, hidden: Tensor, *, ends: bool) -> Tensor:
    """Returns what a frozen layer makes of its tokens beside prompts, [B, T, 1 + P, W].

    Prompts are seen and do not see: what a layer would make of them is dropped behind it. So they are keys and values only,
    those of all frames once for a video; docs/decisions/0012 has what that saves.

    Args:
        layer: transformers' CLIP encoder layer.
        hidden: [B, T, 1 + P, W].
        ends: only the class token is asked for, and the summary token where there is one, [B, T, 1 or 2, W].
    """
    shared, summary = prompts(hidden[:, :, 0])
    normed = layer.layer_norm1(hidden)
    seen = [normed]
    if shared is not None:
        seen.append(layer.layer_norm1(shared).unsqueeze(1))
    if summary is not None:
        seen.append(layer.layer_norm1(summary))
    if ends:
        hidden, normed = hidden[:, :, :1], normed[:, :, :1]
        if summary is not None:
            hidden, normed = torch.cat([hidden, summary], dim=2), torch.cat([normed, seen[-1]], dim=2)
    hidden = hidden + _attended(layer.self_attn, normed, seen)
    return hidden + layer.mlp(layer.layer_norm2(hidden))


def _attended(attention: Any, asking: Tensor, seen: list[Tensor]) -> Tensor:
    """Returns the attention of tokens [B, T, Q, W] over all that they see, each [B, T or 1, N, W]; like `asking`."""
    batch, frames, heads = *asking.shape[:2], attention.num_heads

    def by_head(tokens: Tensor) -> Tensor:  # [B, T, N, W] -> [B * T, heads, N, W / heads]
        return tokens.flatten(0, 1).unflatten(-1, (heads, -1)).transpose(1, 2)

    keys, values = (
        torch.cat([projection(tokens).expand(batch, frames, -1, -1) for tokens in seen], dim=2)
        for projection in (attention.k_proj, attention.v_proj)
    )
    queries = by_head(attention.q_proj(asking))
    slow = queries.device.type == "cpu" and queries.dtype == torch.bfloat16  # benchmarks/attention.py
    attend = written_out if slow else nn.functional.scaled_dot_product_attention
    read = attend(queries, by_head(keys), by_head(values))
    return attention.out_proj(read.transpose(1, 2).flatten(2).unflatten(0, (batch, frames)))


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
