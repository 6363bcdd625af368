"""What nested cross-validation leaves on disk: outer/NUMBER/outer.json and predictions.parquet. No torch and no Ray here."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import polars as pl

from trainables.study.files import read_parquet, write_parquet
from trainables.study.formats import build, read_record, write_record


@dataclass(frozen=True, kw_only=True)
class OuterResult:
    """The inner search's choice for one outer fold, and what it says of subjects that the search never saw."""

    fold: int
    trial: int
    """The chosen trial of the inner search."""
    config: dict[str, Any]
    """Its flat configuration."""
    params: dict[str, Any]
    """What the inner search drew for it."""
    inner_score: float
    """The metric by which it was chosen, on the inner folds."""
    keys: tuple[str, ...]
    """Of its inner folds, whose models are the ensemble."""
    predictions: pl.DataFrame
    """As FoldResult.predictions, of the outer fold's test subjects."""
    scorings: tuple[str, ...]
    """When the outer subjects were scored (ISO 8601, UTC); more than one means that a choice was looked at before the last."""

    def save(self, outer: Path) -> None:
        """Writes predictions.parquet, then outer.json, into the fold's folder in the outer study."""
        folder = outer / str(self.fold)
        write_parquet(folder / "predictions.parquet", self.predictions)
        about = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "predictions"}
        write_record(folder / "outer.json", about)

    @classmethod
    def load(cls, outer: Path, fold: int) -> Self | None:
        """Reads what `save` wrote; None where the outer fold is not scored yet."""
        folder = outer / str(fold)
        path = folder / "outer.json"
        if not path.exists():
            return None
        return build(cls, read_record(path), path, predictions=read_parquet(folder / "predictions.parquet"))
