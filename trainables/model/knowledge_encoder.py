"""Clinical notions as vectors, by a frozen language model that was not trained for this."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import cached_file

from trainables.errors import ConfigurationError
from trainables.model.backbone import FrozenText
from trainables.model.pretrained import fault, locate, quiet_transformers
from trainables.study.files import read_json

FIRST_TOKEN_MODELS = ("roberta", "bert", "xlm-roberta", "deberta-v2", "electra", "camembert")
"""Architectures whose sentence feature is by convention their first token; others are averaged over tokens."""


def encode_notions(name: str, notions: list[str], text: FrozenText) -> Tensor:
    """Returns a unit vector per notion, [N, W_k], without gradient.

    Args:
        name: 'clip' for the backbone's own text tower (notions longer than its context are read in pieces and
            averaged), or a folder or hub id of a Hugging Face encoder (RoBERTa, KEPLER, MiniLM, ...). It may end in
            '#first' or '#mean' to choose the pooling; by default a sentence-transformers model is pooled as its own
            1_Pooling/config.json says, BERT's relatives give their first token, and all others are averaged.
        notions: paragraphs of 100-230 words.

    Raises:
        ConfigurationError: No such encoder, or a notion is longer than it can read.
    """
    if name == "clip":
        return text.read(notions)
    source, pooling = _split(name)
    with quiet_transformers():
        model, tokenizer = _load(locate(source), name)
    pooling = pooling or _usual_pooling(locate(source), model)
    if pooling not in ("first", "mean"):
        raise ConfigurationError(
            f"--knowledge-encoder {name} asks for pooling {pooling!r}, but must end in #first or #mean",
            code="knowledge_encoder.pooling",
        )
    return torch.stack([_encode(model, tokenizer, notion, pooling, name) for notion in notions])


def _usual_pooling(source: str, model: Any) -> str:
    """Returns 'first' or 'mean' as an encoder was trained to be pooled; another name where it was by neither."""
    told = cached_file(
        source,
        "1_Pooling/config.json",
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if told is not None:
        modes = [
            m.removeprefix("pooling_mode_") for m, on in read_json(Path(told)).items() if "pooling_mode_" in m and on
        ]
        return {"cls_token": "first", "mean_tokens": "mean"}.get(mode := "+".join(modes), mode)
    return "first" if model.config.model_type in FIRST_TOKEN_MODELS and "MiniLM" not in source else "mean"


def whiten(notions: Tensor, how: str) -> Tensor:
    """Returns the notions' embeddings as the projector reads them, [K, W_k], with a mean squared length of 1.

    All notions speak of gait, so their unit vectors have most of their length in common, and a projector that all
    classes share would see that part and little else (docs/decisions/0015 has the cosines).

    Args:
        notions: Unit vectors, [K, W_k]: K descriptions of a task, a few dozen at most, in a space 128 to 768 wide.
        how: 'raw' leaves them as they are, the published way. 'centred' takes away the mean of the K. 'whitened' then
            brings its K - 1 directions nearer to one strength: a singular value s becomes s / sqrt(s^2 + mean of s^2).
            Whitening in full, s to 1, would be wrong here: K points have at most K - 1 directions, so their whitened
            scores are orthonormal, every two descriptions are equally far apart, and nothing of what they say is left.
            In this form a direction twice as strong as another stays stronger, and like texts stay near each other.
    """
    if how == "raw":
        return notions
    centred = notions - notions.mean(0)
    if how == "whitened":
        left, strengths, right = torch.linalg.svd(centred.double(), full_matrices=False)
        typical = strengths.square().sum() / max(len(notions) - 1, 1)
        centred = ((left * (strengths / (strengths.square() + typical).sqrt())) @ right).to(notions)
    return centred / centred.square().sum(1).mean().sqrt().clamp(min=1e-6)


def random_notions(like: Tensor, seed: int) -> Tensor:
    """Returns random unit vectors in the place of notions, [K, W_k]: a control without content."""
    generator = torch.Generator().manual_seed(seed)
    return nn.functional.normalize(torch.randn(like.shape, generator=generator), dim=-1).to(like)


def _split(name: str) -> tuple[str, str]:
    """Returns (folder or hub id, pooling); a folder's own name may have a # too."""
    source, mark, pooling = name.rpartition("#")
    return (name, "") if not mark or Path(locate(name)).is_dir() else (source, pooling)


def _load(source: str, name: str) -> tuple[Any, PreTrainedTokenizerBase]:
    if (reason := fault(source)) is not None:
        raise ConfigurationError(f"--knowledge-encoder {name} {reason}", code="knowledge_encoder.unusable")
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        model, about = AutoModel.from_pretrained(source, use_safetensors=True, output_loading_info=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise _unusable(name, (str(error).strip().splitlines() or ["no reason given"])[0][:200]) from None
    if lacking := sorted(key for key in about["missing_keys"] if "pooler" not in key):  # we pool on our own
        raise _unusable(name, f"{len(lacking)} weights are missing, such as {lacking[0]}")
    if len(tokenizer.get_vocab()) <= len(tokenizer.all_special_ids):  # made up where there is no file
        raise _unusable(name, "it has no tokenizer")
    if model.config.is_encoder_decoder or model.input_modalities not in ("text", ("text",)):
        raise _unusable(name, f"a {model.config.model_type!r} model reads more than a text, or something else")
    return model.eval(), tokenizer


def _unusable(name: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"--knowledge-encoder {name} is neither 'clip' nor a folder or hub id of a Hugging Face encoder with "
        f"safetensors weights ({reason})",
        code="knowledge_encoder.not_found",
    )


def _longest(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> int:
    """Returns how many tokens an encoder reads; RoBERTa's kin lose the positions up to their padding token's."""
    positions = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(positions, "padding_idx", None)
    lost = 0 if padding is None else padding + 1
    return min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", 512) - lost)


def _encode(model: nn.Module, tokenizer: PreTrainedTokenizerBase, notion: str, pooling: str, name: str) -> Tensor:
    batch = tokenizer(notion, return_tensors="pt", verbose=False)
    longest = _longest(model, tokenizer)
    if batch["input_ids"].shape[1] > longest:
        raise ConfigurationError(
            f"a notion has {batch['input_ids'].shape[1]} tokens, but --knowledge-encoder {name} reads {longest}: "
            f"shorten the one that begins {notion[:40]!r}",
            code="knowledge_encoder.too_long",
        )
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state[0]  # [L, W_k]
    return nn.functional.normalize(hidden[0] if pooling == "first" else hidden.mean(0), dim=-1)
