"""Folders of pretrained models in Hugging Face's format: found by name, and what is wrong with one said before it is read."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.utils import logging as hub_logging
from transformers.utils import logging as transformers_logging

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
TEXT_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt",
              "vocab.txt", INDEX)  # fmt: skip
UNFINISHED = ("*.incomplete", "*.part", "*.crdownload", "*.aria2", ".cache/huggingface/download/*.incomplete")
"""What browsers, download tools and huggingface_hub call a file that is not whole yet."""
OTHER_FRAMEWORKS = ("tf_model.h5", "flax_model.msgpack", "*.onnx", "*.gguf", "*.ckpt", "*.pt", "*.pth")
LARGEST_HEADER = 100_000_000
"""Bytes, as safetensors itself has it."""


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keeps progress bars, a table of missing weights and the hub's attempts from standing before our one sentence."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    hub = hub_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    hub_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        hub_logging.set_verbosity(hub)
        if bars:
            transformers_logging.enable_progress_bar()


def locate(name: str) -> str:
    """Returns the folder that a name stands for, with ~ as the home folder, or the name itself, which is then a hub id."""
    folder = os.path.expanduser(name)
    return folder if Path(folder).is_dir() else name


def fault(source: str) -> str | None:
    """Returns what is wrong with a model's files, as 'has ...; do ...'; None where nothing is found.

    Args:
        source: a folder, or a hub id, of which the cached files are looked at.
    """
    given = Path(os.path.expanduser(source))
    if not given.is_dir() and (reason := _no_folder(source, given)) is not None:
        return reason
    folder = given if given.is_dir() else _cached(source)
    return None if folder is None else _text_fault(folder) or _weights_fault(folder)


def _no_folder(name: str, path: Path) -> str | None:
    """Returns why a name that is not a folder cannot be a hub id either; None where it can."""
    if found := re.match(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)", name):
        return f"is a web address; give the hub id, {found[1]}"
    if "://" in name:
        return "is a web address; download the model, and give its folder"
    if path.is_file():
        return f"is a file; give the folder that holds it and config.json, as {path.parent}"
    if path.is_symlink():
        return f"is a link to {os.readlink(path)}, which is not there"
    return None


def _cached(name: str) -> Path | None:
    """Returns the folder of the hub's cache that holds a model's configuration."""
    try:
        found = try_to_load_from_cache(name, "config.json")
    except ValueError:  # it cannot be a hub id
        return None
    return Path(found).parent if isinstance(found, str) else None


def _text_fault(folder: Path) -> str | None:
    """Returns what is wrong with the configuration, the tokenizer's files and the list of shards."""
    if not os.path.lexists(folder / "config.json"):
        return _no_configuration(folder)
    for name in TEXT_FILES:
        if os.path.lexists(folder / name) and (reason := _not_itself(folder / name) or _no_json(folder / name)):
            return f"has a {name} that {reason}"
    return None


def _no_configuration(folder: Path) -> str:
    if (folder / "open_clip_config.json").exists():
        return "is an open_clip checkpoint; give the same model in Hugging Face format, with a config.json (CLIPModel)"
    inside = sorted(path.parent for path in (*folder.glob("*/config.json"), *folder.glob("snapshots/*/config.json")))
    if inside:
        return f"has no config.json, but its folder {inside[0].relative_to(folder)} has; give that one"
    return "has no config.json; give a folder in Hugging Face format"


def _not_itself(path: Path) -> str | None:
    """Returns why a file is not the one that its name promises: it was not fetched, or is empty."""
    if not path.exists():
        return f"is a link to {os.readlink(path)}, which is not there; fetch it, or download the model again"
    with path.open("rb") as file:
        start = file.read(200)
    if start.startswith((b"version https://git-lfs.github.com/spec", b"version https://hawser.github.com/spec")):
        return "is a Git LFS pointer, not the file itself; fetch it with 'git lfs pull'"
    if b"annex/objects/" in start and b"\n" not in start.strip():
        return "is a git-annex pointer, not the file itself; fetch it with 'git annex get'"
    if not start.strip(b"\0 \r\n"):
        return "is empty; download it again"
    if start.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return "is a web page, as of a download that needs a login; download it again"
    return None


def _no_json(path: Path) -> str | None:
    if path.suffix != ".json":
        return None
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return f"is not valid JSON, as half a download is not ({error}); download it again"
    return None


def _weights_fault(folder: Path) -> str | None:
    if os.path.lexists(folder / WEIGHTS):
        reason = _not_itself(folder / WEIGHTS) or _not_whole(folder / WEIGHTS)
        return f"has a {WEIGHTS} that {reason}" if reason else None
    if not (folder / INDEX).exists():
        return _no_weights(folder)
    listed = _mapping(json.loads((folder / INDEX).read_text(encoding="utf-8")), "weight_map")
    shards = sorted({name for name in listed.values() if isinstance(name, str)})
    if missing := [name for name in shards if not os.path.lexists(folder / name)]:
        return f"lacks {len(missing)} of its {len(shards)} shards, such as {missing[0]}; download what is missing"
    for name in shards:
        if reason := _not_itself(folder / name) or _not_whole(folder / name):
            return f"has a shard {name} that {reason}"
    return None if shards else f"has a {INDEX} that lists no shards; download it again"


def _no_weights(folder: Path) -> str:
    """Returns what a folder without weights that are read has instead."""
    if found := _first(folder, *UNFINISHED):
        return f"has no {WEIGHTS}, but an unfinished download ({found}); download the model again"
    if found := _first(folder, "model-*-of-*.safetensors"):
        return f"has shards, such as {found}, but no {INDEX}, which lists them; download it"
    for path in sorted(folder.iterdir()):
        variant = re.fullmatch(
            r"model\.(\w+?)(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.(\w+)\.json", path.name
        )
        if variant:
            kind = variant[1] or variant[3]
            return (
                f"has only the {kind} variant of its weights ({path.name}); save them under the usual name with "
                f'from_pretrained(FOLDER, variant="{kind}").save_pretrained(FOLDER)'
            )
    if found := _first(folder, "pytorch_model*.bin", "pytorch_model.bin.index.json", "*.bin"):
        return (
            f"has its weights only as {found}, which can run code when it is read; convert it with "
            "save_pretrained(..., safe_serialization=True)"
        )
    if found := _first(folder, "*.safetensors"):
        return f"has no {WEIGHTS}, but {found}; rename it if it holds the weights of config.json"
    if found := _first(folder, *OTHER_FRAMEWORKS):
        return f"has no {WEIGHTS}, but {found}, of another framework; download or convert the safetensors weights"
    return f"has no weights; put {WEIGHTS} beside config.json"


def _first(folder: Path, *patterns: str) -> str | None:
    found = (path for pattern in patterns for path in sorted(folder.glob(pattern)))
    return next((str(path.relative_to(folder)) for path in found), None)


def _not_whole(path: Path) -> str | None:
    """Returns why a safetensors file cannot be read, by the lengths that its header states."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if start.startswith((b"PK\x03\x04", b"\x80\x02")):
            return "is a PyTorch file under that name; convert it with save_pretrained(..., safe_serialization=True)"
        if length > LARGEST_HEADER:
            return "is not a safetensors file; download it again"
        header = file.read(length)
    if len(start) < 8 or len(header) < length:
        return f"is cut off after {size:,} bytes; download it again"
    try:
        tensors = _mapping(json.loads(header))
        end = max((entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"), default=0)
    except (ValueError, TypeError, KeyError, IndexError):
        return "is not a safetensors file; download it again"
    whole = 8 + length + end
    if size < whole:
        return f"is cut off after {size:,} of {whole:,} bytes; download it again"
    return f"has {size:,} bytes where its header says {whole:,}; download it again" if size > whole else None


def _mapping(value: Any, name: str = "") -> dict[str, Any]:
    """Returns an object of JSON, or the one of a name in it; an empty one where it is something else."""
    found = value.get(name) if name and isinstance(value, dict) else value
    return found if isinstance(found, dict) else {}
