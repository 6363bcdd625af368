"""The video encoder: a frozen CLIP vision transformer that reads frames through trained prompts.

Source: Vita-CLIP (arXiv 2304.03307, section 3.2), as used by arXiv 2403.13756.
Letters: B videos, T frames, P patches, W vision width, D joint width, G global prompts.
"""

import json
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection

from trainables.errors import ConfigurationError
from trainables.model.frozen_layer import FrozenTower, Prompted, normalised, products_dtype, prompted


class VideoFeatures(NamedTuple):
    """What the encoder makes of B videos."""

    video: Tensor
    """Mean of the frame features, [B, D], not normalised."""
    frames: Tensor
    """[B, T, D]."""
    summary: Tensor | None
    """Summary tokens that the last layer is given, mean over frames, [B, W]; None where summary is off."""


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
        first_prompted_layer: int = 0,
        gradient_checkpointing: bool = False,
    ):
        """Wraps a tower.

        Args:
            vision: transformers' CLIP vision model (embeddings, pre_layrnorm, encoder.layers, post_layernorm).
            projection: to the joint space, W -> D, no bias.
            frames: T.
            n_global, local, summary: the prompts; 0 and False switch them off.
            time_positions: the summary tokens' queries and keys learn positions in time, which start at zero.
            first_prompted_layer: where time embeddings and prompts enter, from 0; the number of layers prompts none.
            gradient_checkpointing: recompute layers in the backward pass.

        Raises:
            ConfigurationError: The tower has fewer layers than `first_prompted_layer`.
        """
        super().__init__()
        config, self.first = vision.config, first_prompted_layer
        if self.first > config.num_hidden_layers:
            raise ConfigurationError(
                f"video.first_prompted_layer is {self.first}, but must be from 0 to {config.num_hidden_layers}, which is how many "
                "layers the backbone's vision tower has",
                code="setting.range",
            )
        self.vision, self.projection = vision, projection
        self.gradient_checkpointing = gradient_checkpointing
        self.tower = FrozenTower(vision.encoder.layers)
        prompts_any = self.first < config.num_hidden_layers
        self.time_embedding = nn.Parameter(torch.zeros(frames, config.hidden_size), requires_grad=prompts_any)
        self.prompts = nn.ModuleList(
            PromptLayer(
                config.hidden_size,
                config.num_attention_heads,
                frames,
                n_global=n_global if index >= self.first else 0,
                local=local and index >= self.first,
                summary=summary and index >= self.first,
                time_positions=time_positions,
            )
            for index in range(config.num_hidden_layers)
        )

    def forward(
        self, video: Tensor, compute: Prompted | None = None, pixels: tuple[Tensor, Tensor] | None = None
    ) -> VideoFeatures:
        """Returns the features of frames, [B, T, 3, H, W_pixels].

        Args:
            video: normalised, or uint8 where `pixels` is given.
            compute: computes each layer but the last; `prompted` by default, or `compiled_layer()`.
            pixels: mean and deviation by which pixels in [0, 1] are to be normalised, [3, 1, 1] each.
        """
        if self.first:
            return self.from_prefix(self.prefix(video, pixels), compute)
        embedded = self._embedded(video.flatten(0, 1), pixels).unflatten(0, video.shape[:2])  # [B, T, 1 + P, W]
        # The time embedding goes to every token of its frame, the class token too.
        return self._prompted(self.vision.pre_layrnorm(embedded + self.time_embedding.unsqueeze(1)), compute)

    @torch.no_grad()
    def prefix(self, video: Tensor, pixels: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Returns what the layers below the first prompted one make of frames as `forward` takes them, [B, T, 1 + P, W].

        Where no layer is prompted, that is the frame features, [B, T, D].
        """
        hidden = self.vision.pre_layrnorm(self._embedded(video.flatten(0, 1), pixels)).unflatten(0, video.shape[:2])
        layers = self.tower.layers()
        normed = normalised(hidden, layers[0].norm1, layers[0].qkv[0].dtype)
        following = [layer.norm1 for layer in layers[1:]] + [None]
        for index in range(self.first):
            hidden, normed = prompted(layers[index], following[index], self.prompts[index], hidden, normed)
        if self.first < len(layers):
            return hidden
        features: Tensor = self.projection(self.vision.post_layernorm(hidden[:, :, 0]))
        return features

    def from_prefix(self, prefix: Tensor, compute: Prompted | None = None) -> VideoFeatures:
        """Returns the features of frames of which the prefix is known; `compute` is that of `forward`."""
        if self.first == len(self.prompts):
            return VideoFeatures(prefix.mean(1), prefix, None)
        return self._prompted(prefix + self.time_embedding.unsqueeze(1), compute)

    def _prompted(self, hidden: Tensor, compute: Prompted | None) -> VideoFeatures:
        """Returns the features of tokens [B, T, 1 + P, W] that stand before the first prompted layer."""
        layers = self.tower.layers()[self.first :]
        normed = normalised(hidden, layers[0].norm1, layers[0].qkv[0].dtype)
        recompute = self.gradient_checkpointing and torch.is_grad_enabled()
        for layer, following, prompts in zip(layers, (*layers[1:], None), self.prompts[self.first :], strict=True):
            run = prompted if following is None else compute or prompted
            norm = None if following is None else following.norm1
            if recompute:  # there is no randomness whose state would have to be kept
                hidden, normed = checkpoint(run, layer, norm, prompts, hidden, normed, use_reentrant=False,
                                            preserve_rng_state=False)  # fmt: skip
            else:
                hidden, normed = run(layer, norm, prompts, hidden, normed)
        features = self.projection(self.vision.post_layernorm(hidden[:, :, 0]))  # [B, T, D]
        summary = normed  # of the last layer: the summary tokens that it was given, [B, T, 0 or 1, W]
        return VideoFeatures(features.mean(1), features, summary.mean((1, 2)) if summary.shape[2] else None)

    def _embedded(self, frames: Tensor, pixels: tuple[Tensor, Tensor] | None) -> Tensor:
        """Returns the tower's embeddings of frames [B * T, 3, H, W_pixels]; patches by one product instead of a convolution.

        Pixels are normalised by the weights of that product and not one by one: three passes over the frames less.
        """
        own = self.vision.embeddings
        weight, bias, side = own.patch_embedding.weight, None, own.patch_size
        cut = frames.unflatten(3, (-1, side)).unflatten(2, (-1, side)).permute(0, 2, 4, 1, 3, 5)
        if pixels is not None:
            mean, std = pixels
            bias = -(weight * (mean / std)).sum((1, 2, 3))
            weight = weight / (255 * std)
        parts = (
            cut.flatten(3).flatten(1, 2).to(products_dtype(weight))
        )  # [B * T, P, 3 side^2]; bf16 holds 0 to 255 exactly
        patches = functional.linear(parts, weight.flatten(1), bias)  # [B * T, P, W]
        tokens = torch.cat([own.class_embedding.expand(len(frames), 1, -1), patches], dim=1)
        return tokens + own.position_embedding.weight

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


def vita_clip_prompts(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns the prompts of a public Vita-CLIP vision tower under our names: what it trained, without its frozen tower."""
    ours = {"time_embedding": weights["time_embed"]} if "time_embed" in weights else {}
    layers = len({name.split(".")[1] for name in weights if name.startswith("blocks.")})
    for index in range(layers):
        block = {n.removeprefix(f"blocks.{index}."): w for n, w in weights.items() if n.startswith(f"blocks.{index}.")}
        ours |= {f"prompts.{index}.{n}": w for n, w in _prompts_from_vita_clip(block).items()}
        if "global_prompts" in weights:
            ours[f"prompts.{index}.global_prompts"] = weights["global_prompts"][index]
    return ours


def _from_vita_clip(weights: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Returns Vita-CLIP's tensors under our names."""
    ours = {
        "vision.embeddings.class_embedding": weights["cls_token"],
        "vision.embeddings.patch_embedding.weight": weights["patch_embed.proj.weight"],
        "vision.embeddings.position_embedding.weight": weights["pos_embed"],
        "projection.weight": weights["proj"].T,
    }
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
        for name, theirs in frozen.items():
            for leaf in ("weight", "bias"):
                ours[f"vision.encoder.layers.{index}.{name}.{leaf}"] = weights[f"blocks.{index}.{theirs}.{leaf}"]
    return ours | vita_clip_prompts(weights)


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
