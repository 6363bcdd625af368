"""Video prompts to start from: those of a published Vita-CLIP checkpoint, read as weights and nothing else."""

import pickle
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from trainables.errors import ConfigurationError
from trainables.model.video_encoder import VideoEncoder, vita_clip_prompts
from trainables.study.files import file_sha256

WRAPPERS = ("model", "model_state", "state_dict")
"""Keys under which checkpoints keep their weights."""


def load_prompts(encoder: VideoEncoder, path: str, sha256: str) -> None:
    """Puts a checkpoint's prompts into an encoder; what the encoder's settings leave out is left out.

    Args:
        path: of the checkpoint, .pth or .safetensors.
        sha256: of its contents when the study was begun.

    Raises:
        ConfigurationError: The file cannot be read, is another one than before, or has prompts of other sizes.
    """
    weights = _read(path, sha256)
    own = {name: p for name, p in encoder.named_parameters() if p.requires_grad and "summary_positions" not in name}
    if not weights.keys() & own.keys():
        raise ConfigurationError(
            f"--prompts-from {path} has no prompts of a Vita-CLIP vision tower", code="prompts.missing"
        )
    for name in sorted(own):
        if name not in weights:
            raise ConfigurationError(
                f"--prompts-from {path} has no {name}; switch that prompt off, as with --set video.local=false",
                code="prompts.missing",
            )
        if weights[name].shape != own[name].shape:
            raise ConfigurationError(
                f"--prompts-from {path} has {name} of {tuple(weights[name].shape)}, but the settings ask for "
                f"{tuple(own[name].shape)}; give its --frames, video.n_global and backbone",
                code="prompts.shape",
            )
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(weights[name])


@lru_cache(maxsize=1)
def _read(path: str, sha256: str) -> dict[str, Tensor]:
    try:
        found = file_sha256(Path(path))
        loaded: Any = (
            load_file(path)
            if path.endswith(".safetensors")
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (OSError, SafetensorError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ConfigurationError(
            f"--prompts-from {path} cannot be read as weights ({reason})", code="prompts.unreadable"
        ) from None
    if sha256 and found != sha256:
        raise ConfigurationError(
            f"--prompts-from {path} has changed since the study was begun; put the old file back",
            code="prompts.changed",
        )
    for wrapper in WRAPPERS:
        loaded = loaded.get(wrapper, loaded) if isinstance(loaded, dict) else {}
    tensors = {name: value for name, value in loaded.items() if isinstance(value, Tensor)}
    plain = {name.removeprefix("module.").removeprefix("visual."): w.float() for name, w in tensors.items()}
    try:
        return vita_clip_prompts(plain)
    except KeyError as error:
        raise ConfigurationError(
            f"--prompts-from {path} is not a whole Vita-CLIP checkpoint: it lacks {error}", code="prompts.incomplete"
        ) from None
