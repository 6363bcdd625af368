"""The video encoder as the method's public release computes it, over our weights; the other side of benchmarks/gpu.py.

Prompts stand among a frame's tokens. Local and summary tokens are taken out behind the attention, global ones behind the layer. Attention is
written out as products and a softmax; GELU is x * sigmoid(1.702 x). Written from the published method (Vita-CLIP,
arXiv 2304.03307, section 3.2; arXiv 2403.13756). Letters: B videos, T frames, P patches, W vision width, N tokens.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from trainables.model.video_encoder import VideoEncoder, VideoFeatures


class ReleaseEncoder(nn.Module):
    """Computes what a `VideoEncoder` computes, the release's way."""

    def __init__(self, encoder: VideoEncoder):
        super().__init__()
        self.encoder = encoder

    def forward(
        self, video: Tensor, _: Callable[..., Tensor] | None = None, pixels: tuple[Tensor, Tensor] | None = None
    ) -> VideoFeatures:
        """Returns the features of frames as `VideoEncoder.forward` takes them; the summary is that before the last layer."""
        own, vision = self.encoder, self.encoder.vision
        if pixels is not None:
            video = (video.float() / 255 - pixels[0]) / pixels[1]
        batch, frames = video.shape[:2]
        patches = vision.embeddings(video.flatten(0, 1)).unflatten(0, (batch, frames))  # [B, T, 1 + P, W]
        hidden = vision.pre_layrnorm(patches + own.time_embedding.unsqueeze(1))
        summary = None
        for layer, prompts in zip(vision.encoder.layers, own.prompts, strict=True):
            count = hidden.shape[2]
            shared, summary = prompts(hidden[:, :, 0])
            tokens = [hidden]
            if shared is not None:
                tokens.append(shared.unsqueeze(1).expand(-1, frames, -1, -1))
            if summary is not None:
                tokens.append(summary)
            hidden = torch.cat(tokens, dim=2)  # [B, T, N, W]
            hidden = hidden + attention(layer.self_attn, layer.layer_norm1(hidden))
            kept = count + sum(len(p) for name, p in prompts.named_parameters() if name == "global_prompts")
            hidden = hidden[:, :, :kept]
            hidden = (hidden + layer.mlp(layer.layer_norm2(hidden)))[:, :, :count]
        features = own.projection(vision.post_layernorm(hidden[:, :, 0]))  # [B, T, D]
        return VideoFeatures(features.mean(1), features, None if summary is None else summary.mean((1, 2)))


def attention(layer: Any, tokens: Tensor) -> Tensor:
    """Returns the self-attention of a frozen layer over tokens [B, T, N, W], like them."""

    def by_head(projection: nn.Linear) -> Tensor:  # [B, T, N, W] -> [B, T, heads, N, W / heads]
        return projection(tokens).unflatten(-1, (layer.num_heads, -1)).transpose(2, 3)

    queries, keys, values = (by_head(p) for p in (layer.q_proj, layer.k_proj, layer.v_proj))
    weights = (queries @ keys.transpose(-1, -2) * queries.shape[-1] ** -0.5).softmax(-1)
    return layer.out_proj((weights @ values).transpose(2, 3).flatten(3))
