"""Checkpoints of a fold in training, with a hash beside each, and the trained weights of a finished one."""

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from trainables.errors import StridefoldError
from trainables.study.files import file_sha256, write_atomic, write_text

NEWEST, BEFORE = "checkpoint.pt", "checkpoint-before.pt"
MEMORY = "out-of-memory.txt"
"""Says that a fold ran out of memory, and of what."""


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Writes the state of training after an epoch; the one before is kept until the next."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    if (folder / NEWEST).exists():
        os.replace(folder / NEWEST, folder / BEFORE)
        os.replace(_hash_of(folder / NEWEST), _hash_of(folder / BEFORE))
    _write(folder / NEWEST, buffer.getvalue())


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Returns the newest undamaged checkpoint, or None; a damaged one is passed over for the one before."""
    paths = [folder / name for name in (NEWEST, BEFORE)]
    # Either hash will do: a kill between two renames leaves the newest one's file and hash under different names.
    hashes = {_hash_of(path).read_text().strip() for path in paths if _hash_of(path).exists()}
    for path in paths:
        if path.exists() and file_sha256(path) in hashes:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            return state
    return None


def remove_checkpoints(folder: Path) -> None:
    """Deletes what a fold in training keeps, once it is finished."""
    (folder / MEMORY).unlink(missing_ok=True)
    for name in (NEWEST, BEFORE):
        (folder / name).unlink(missing_ok=True)
        _hash_of(folder / name).unlink(missing_ok=True)


def save_weights(path: Path, weights: dict[str, Tensor], about: dict[str, str]) -> None:
    """Writes trained weights as safetensors with metadata, and their hash beside them."""
    _write(path, save(weights, metadata=about))


def load_weights(path: Path) -> dict[str, Tensor]:
    """Returns what `save_weights` wrote.

    Raises:
        StridefoldError: The file is missing, or its contents are not what was written.
    """
    try:
        if file_sha256(path) != _hash_of(path).read_text().strip():
            raise StridefoldError(
                f"{path} is damaged: its contents do not match the hash beside it; run the search again",
                code="study.weights_damaged",
            )
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise StridefoldError(
            f"{path} cannot be read ({error}); run the search again to train it again", code="study.weights_damaged"
        ) from None


def _write(path: Path, contents: bytes) -> None:
    write_atomic(path, lambda file: file.write(contents))
    write_text(_hash_of(path), hashlib.sha256(contents).hexdigest() + "\n")


def _hash_of(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")
