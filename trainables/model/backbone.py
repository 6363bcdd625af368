"""The frozen CLIP that everything is built on, from a Hugging Face folder or hub id."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoTokenizer, CLIPModel, PreTrainedTokenizerBase

from trainables.errors import ConfigurationError
from trainables.model.frozen_layer import FrozenTower, causal, causal_at
from trainables.model.pretrained import WEIGHTS, fault, locate, quiet_transformers
from trainables.study.files import digest, file_sha256

SMALL = Path(__file__).parents[1] / "backbones" / "small"
PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
"""CLIP's channel means of pixels in [0, 1]; PIXEL_STD are its deviations (openai/CLIP, clip.py)."""
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)
QUICK_GELU = 1.702
"""In CLIP's x * sigmoid(1.702 x)."""


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A frozen CLIP with its tokenizer."""

    name: str
    """'small', a folder's absolute path, so that workers find it, or a hub id."""
    clip: CLIPModel
    tokenizer: PreTrainedTokenizerBase
    sha256: str
    """Of weights and tokenizer, so that a result names what it was computed with."""

    @property
    def image_size(self) -> int:
        """Returns the side of the square input, in pixels."""
        return int(self.clip.config.vision_config.image_size)

    @property
    def width(self) -> int:
        """Returns D, the width of the joint space."""
        return int(self.clip.config.projection_dim)

    @property
    def context_length(self) -> int:
        """Returns the longest sequence of the text encoder, 77 for CLIP."""
        return int(self.clip.config.text_config.max_position_embeddings)

    def tokens(self, text: str) -> list[int]:
        """Returns the token ids of a text without start and end."""
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids)

    def about(self) -> dict[str, Any]:
        """Returns what a study records of its backbone."""
        vision = self.clip.config.vision_config
        return {
            "name": self.name,
            "sha256": self.sha256,
            "image_size": self.image_size,
            "patch_size": vision.patch_size,
            "layers": vision.num_hidden_layers,
            "vision_width": vision.hidden_size,
            "joint_width": self.width,
            "parameters": sum(p.numel() for p in self.clip.parameters()),
        }


def load_backbone(name: str) -> Backbone:
    """Returns a frozen CLIP in float32 on the CPU.

    Args:
        name: 'small' (embedded, trained on simulated walkers), a folder in Hugging Face format, or a hub id.

    Raises:
        ConfigurationError: No such folder or id, another architecture, weights or a tokenizer that are not whole.
    """
    source = str(SMALL) if name == "small" else locate(name)
    if name != "small" and (reason := fault(source)) is not None:
        raise ConfigurationError(f"--backbone {name} {reason}", code="backbone.unusable")
    with quiet_transformers():
        clip, tokenizer = _load(source, name)
    sha256 = _hash(source, clip)
    fold_quick_gelu(clip)
    return frozen(
        os.path.abspath(source) if name != "small" and Path(source).is_dir() else name, clip, tokenizer, sha256
    )


def _load(source: str, name: str) -> tuple[CLIPModel, PreTrainedTokenizerBase]:
    try:
        config = AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"--backbone {name} is neither 'small' nor a folder or hub id with a Hugging Face config.json "
            f"({_first_line(error)})",
            code="backbone.not_found",
        ) from None
    if config.model_type != "clip":
        raise ConfigurationError(
            f"--backbone {name} is a {config.model_type!r} model, but must be a 'clip' model (CLIPModel)",
            code="backbone.not_clip",
        )
    clip = _load_clip(source, name)
    return clip, _load_tokenizer(source, name, clip)


def _load_clip(source: str, name: str) -> CLIPModel:
    try:
        clip, about = CLIPModel.from_pretrained(
            source, use_safetensors=True, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = fault(source)  # of what a hub id has in the cache
        raise ConfigurationError(
            f"--backbone {name} {reason}"
            if reason
            else f"--backbone {name} has no readable {WEIGHTS} for its config.json ({_first_line(error)}); take both from "
            "the same checkpoint",
            code="backbone.unusable",
        ) from None
    misshapen = {key if isinstance(key, str) else key[0] for key in about["mismatched_keys"]}
    if lacking := sorted(misshapen | set(about["missing_keys"])):
        raise ConfigurationError(
            f"--backbone {name} lacks {len(lacking)} of the weights that its config.json asks for, such as {lacking[0]}; "
            "take config.json and model.safetensors from the same checkpoint",
            code="backbone.weights_missing",
        )
    return clip


def _load_tokenizer(source: str, name: str, clip: CLIPModel) -> PreTrainedTokenizerBase:
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigurationError(
            f"--backbone {name} has no tokenizer ({_first_line(error)}); put tokenizer.json beside config.json",
            code="backbone.tokenizer",
        ) from None
    if tokenizer.bos_token_id is None or tokenizer.eos_token_id is None:
        raise ConfigurationError(
            f"--backbone {name} has a tokenizer without start and end tokens; CLIP's has both",
            code="backbone.tokenizer",
        )
    vocabulary = tokenizer.get_vocab()
    if len(vocabulary) <= len(tokenizer.all_special_ids):  # transformers makes an empty one where there is no file
        raise ConfigurationError(
            f"--backbone {name} has no tokenizer; put tokenizer.json beside config.json", code="backbone.tokenizer"
        )
    known = clip.config.text_config.vocab_size
    if max(vocabulary.values()) >= known:
        raise ConfigurationError(
            f"--backbone {name} has a tokenizer of {max(vocabulary.values()) + 1} tokens, but its text encoder knows "
            f"{known}; take both from the same checkpoint",
            code="backbone.tokenizer",
        )
    return tokenizer


def frozen(name: str, clip: CLIPModel, tokenizer: PreTrainedTokenizerBase, sha256: str) -> Backbone:
    """Returns a backbone whose weights take no gradient."""
    clip.requires_grad_(False).eval()
    return Backbone(name=name, clip=clip, tokenizer=tokenizer, sha256=sha256)


@torch.no_grad()
def fold_quick_gelu(clip: CLIPModel) -> None:
    """Writes CLIP's x * sigmoid(1.702 x) as a SiLU between scaled weights, which is the same to float error.

    torch has the SiLU as one kernel that keeps one tensor for the backward pass; the other takes three and keeps two.
    """
    fold_tower(clip.vision_model, clip.config.vision_config)
    fold_tower(clip.text_model, clip.config.text_config)


@torch.no_grad()
def fold_tower(tower: Any, config: Any) -> None:
    """Does what `fold_quick_gelu` does to one of transformers' CLIP towers."""
    if config.hidden_act != "quick_gelu":
        return
    for layer in tower.encoder.layers:
        for weight in (layer.mlp.fc1.weight, layer.mlp.fc1.bias):
            weight.mul_(QUICK_GELU)
        layer.mlp.fc2.weight.div_(QUICK_GELU)
        layer.mlp.activation_fn = nn.SiLU()
    config.hidden_act = "silu"


def _hash(source: str, clip: CLIPModel) -> str:
    files = sorted(p for p in Path(source).glob("*") if p.suffix in (".json", ".safetensors", ".txt"))
    if files:
        return digest([(p.name, file_sha256(p)) for p in files])
    return digest(
        [source, getattr(clip.config, "_commit_hash", None), sum(float(p.double().sum()) for p in clip.parameters())]
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__


class TextEncoder(nn.Module):
    """CLIP's frozen text transformer over token embeddings, so that learned vectors can stand among the words.

    Letters: N sequences, L tokens, W text width, D joint width.
    """

    def __init__(self, clip: CLIPModel):
        super().__init__()
        self.embeddings = clip.text_model.embeddings
        self.layers = clip.text_model.encoder.layers
        self.tower = FrozenTower(self.layers)
        self.final_norm = clip.text_model.final_layer_norm
        self.projection = clip.text_projection

    @property
    def width(self) -> int:
        """Returns W."""
        return int(self.embeddings.token_embedding.embedding_dim)

    def embed(self, ids: list[int]) -> Tensor:
        """Returns the token embeddings of a sequence, [L, W]."""
        weight = self.embeddings.token_embedding.weight
        return weight[torch.tensor(ids, dtype=torch.long, device=weight.device)]

    def forward(self, tokens: Tensor, end: Tensor, *, project: bool = True) -> Tensor:
        """Returns the feature at each sequence's end token, [N, D], not normalised.

        Args:
            tokens: embeddings without positions, [N, L, W]; what follows a sequence's end is never seen (causal).
            end: index of each sequence's end token, [N].
            project: False leaves out the projection to the joint space and gives [N, W].
        """
        length = tokens.shape[1]
        hidden = tokens + self.embeddings.position_embedding.weight[:length]
        *layers, last = self.tower.layers()
        for layer in layers:
            hidden = causal(layer, hidden)
        feature = self.final_norm(causal_at(last, hidden, end))
        return self.projection(feature) if project else feature

    def read(self, sequences: list[Tensor], *, project: bool = True, batch: int = 1024) -> Tensor:
        """Returns the features of sequences of embeddings of any length, without gradient, [N, D].

        Sequences of like length share a batch, so short ones are not padded to the longest.
        """
        order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
        features: list[Tensor] = []
        with torch.no_grad():
            for start in range(0, len(order), batch):
                chosen = [sequences[i] for i in order[start : start + batch]]
                tokens, end = pad(chosen)
                features.append(self(tokens, end, project=project))
        back = torch.empty(len(order), dtype=torch.long)
        back[torch.tensor(order, dtype=torch.long)] = torch.arange(len(order))
        return torch.cat(features)[back.to(features[0].device)]


def pad(sequences: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Returns sequences of embeddings as one [N, L, W] tensor, filled with zeros, and the index of each last token, [N]."""
    end = torch.tensor([len(s) - 1 for s in sequences], device=sequences[0].device)
    return nn.utils.rnn.pad_sequence(sequences, batch_first=True), end


class FrozenText:
    """Texts read by a backbone's own text tower."""

    def __init__(self, backbone: Backbone, encoder: TextEncoder):
        self.backbone, self.encoder = backbone, encoder

    def sequence(self, ids: list[int]) -> Tensor:
        """Returns the embeddings of [start] ids [end], [L + 2, W]."""
        tokenizer = self.backbone.tokenizer
        return self.encoder.embed([tokenizer.bos_token_id, *ids, tokenizer.eos_token_id])

    def read(self, texts: list[str], *, project: bool = True) -> Tensor:
        """Returns a unit feature per text, [N, D].

        A text that is longer than the context is read in pieces whose unit features are averaged, so nothing is cut.
        """
        room = self.backbone.context_length - 2
        pieces: list[Tensor] = []
        owner: list[int] = []
        for index, text in enumerate(texts):
            ids = self.backbone.tokens(text)
            for start in range(0, max(len(ids), 1), room):
                pieces.append(self.sequence(ids[start : start + room]))
                owner.append(index)
        features = nn.functional.normalize(self.encoder.read(pieces, project=project), dim=-1)
        sums = features.new_zeros(len(texts), features.shape[1])
        sums.index_add_(0, torch.tensor(owner, device=features.device), features)
        return nn.functional.normalize(sums, dim=-1)
