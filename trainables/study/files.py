"""Hashes, and files that are whole or not there: written under another name, synced, renamed. No torch and no Ray here."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from trainables.errors import StridefoldError

if TYPE_CHECKING:  # a training step needs no polars, and a machine lent for its GPU may lack it
    import polars as pl


def fold_folder(study: Path, key: str) -> Path:
    """Returns the folder of one training of a study, by its key."""
    return study / "folds" / key


def digest(value: Any) -> str:
    """Returns the sha256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False, default=list).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Returns the sha256 of a file's contents."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomic(path: Path, write: Callable[[IO[bytes]], Any], *, private: bool = False, durable: bool = True) -> None:
    """Writes a file through a temporary one, fsync and rename: afterwards there is the old file or the whole new one.

    Args:
        private: Whether this user alone may read it (0600); else the process's file mode mask decides.
        durable: Whether the file must outlive a power failure. The disk is waited for (fsync), a tenth of a second on some.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            if not private:
                os.fchmod(
                    file.fileno(), 0o666 & ~_umask()
                )  # mkstemp's 0600 would lock colleagues out of a shared folder
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """Returns this process's file mode mask; the operating system tells it only by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically."""
    write_atomic(path, lambda file: file.write(text.encode()))


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Writes JSON atomically, without NaN: a number that is not finite is an error of the caller."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False, default=list) + "\n"
    write_atomic(path, lambda file: file.write(text.encode()), durable=durable)


def write_parquet(path: Path, frame: pl.DataFrame) -> None:
    """Writes a parquet file atomically."""
    write_atomic(path, frame.write_parquet)


def read_parquet(path: Path) -> pl.DataFrame:
    """Reads a parquet file.

    Raises:
        StridefoldError: The file is missing or damaged.
    """
    import polars as pl

    try:
        # Its bytes: polars would take *, ? and [ in a path for a pattern.
        return pl.read_parquet(io.BytesIO(path.read_bytes()))
    except FileNotFoundError:
        raise StridefoldError(
            f"{path} is missing; restore it, or copy the study again", code="study.file_missing"
        ) from None
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise StridefoldError(
            f"{path} is damaged ({reason}); restore it, or copy the study again", code="study.file_damaged"
        ) from None


def read_json(path: Path) -> Any:
    """Reads JSON.

    Raises:
        StridefoldError: The file is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StridefoldError(
            f"{path} is missing: is {path.parent} a study folder?", code="study.file_missing"
        ) from None
    except ValueError as error:
        raise StridefoldError(
            f"{path} is damaged ({error}); delete it and run the same command again", code="study.file_damaged"
        ) from None
