"""Where a fold's numerical texts and class features lie, for the maps of the report. No torch and no Ray here.

Letters: M records, C classes, D joint width, H head width, K numbers.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from trainables.errors import StridefoldError
from trainables.study.files import write_atomic

FILE = "maps.safetensors"


@dataclass(frozen=True, kw_only=True, eq=False)
class FoldMaps:
    """Vectors of one fold, as float32; its training records alone are in them."""

    labels: np.ndarray[Any, Any]
    """[M] class of each record."""
    written: np.ndarray[Any, Any]
    """[M, D] records as the frozen text encoder writes them."""
    projected: np.ndarray[Any, Any]
    """[M, H] the same through the head of their class, unit length."""
    class_written: np.ndarray[Any, Any]
    """[C, D] learned class features, unit length."""
    class_projected: np.ndarray[Any, Any]
    """[C, H] the same through their head, unit length."""
    numbers: np.ndarray[Any, Any]
    """[K] scaled values from one clip limit to the other."""
    similarity: np.ndarray[Any, Any]
    """[K, K] cosine of two numbers' embeddings in the fold's encoding, mean over the parameters."""

    def save(self, folder: Path) -> None:
        """Writes maps.safetensors into a fold's folder."""
        tensors = {f.name: np.ascontiguousarray(getattr(self, f.name), dtype=np.float32) for f in fields(self)}
        write_atomic(folder / FILE, lambda file: file.write(save(tensors)))

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Reads what `save` wrote; None where a fold has no maps.

        Raises:
            StridefoldError: The file is damaged.
        """
        if not (folder / FILE).exists():
            return None
        try:
            tensors = load_file(folder / FILE)
            known = {field.name: tensors[field.name] for field in fields(cls)}
            return cls(**known | {"labels": tensors["labels"].astype(int)})
        except (SafetensorError, KeyError, TypeError) as error:
            raise StridefoldError(
                f"{folder / FILE} is damaged ({error}); delete it and write the report again", code="study.file_damaged"
            ) from None
