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
    trials: int | None = None
    """Trials that its search was asked for; None in results of before, which say it in their inner study alone."""
    refit: str = "folds"
    """What scored the subjects, as --refit: the mean of the inner folds' models, or one model of all inner subjects."""
    by_model: pl.DataFrame | None = None
    """The same of each inner fold's model alone: FoldResult.predictions and the column model; None where there is one."""

    def save(self, outer: Path) -> None:
        """Writes predictions.parquet and by_model.parquet, then outer.json, into the fold's folder in the outer study."""
        folder = outer / str(self.fold)
        write_parquet(folder / "predictions.parquet", self.predictions)
        (folder / "by_model.parquet").unlink(missing_ok=True)  # never one of an earlier choice
        if self.by_model is not None:
            write_parquet(folder / "by_model.parquet", self.by_model)
        apart = ("predictions", "by_model")
        about = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in apart}
        write_record(folder / "outer.json", about)

    @classmethod
    def load(cls, outer: Path, fold: int) -> Self | None:
        """Reads what `save` wrote; None where the outer fold is not scored yet."""
        folder = outer / str(fold)
        path = folder / "outer.json"
        if not path.exists():
            return None
        alone = folder / "by_model.parquet"
        return build(
            cls,
            read_record(path),
            path,
            predictions=read_parquet(folder / "predictions.parquet"),
            by_model=read_parquet(alone) if alone.exists() else None,
        )
