"""Predicts many videos in parts, so that a run that was stopped goes on where it was."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from trainables.errors import StridefoldError
from trainables.inference.ensemble import Ensemble
from trainables.study.files import read_json
from trainables.study.vocabulary import LEVELS

VIDEOS_PER_WRITE = 8
"""Videos between two writings of the file."""
LISTS = ("in_study", "unlike_training", *(f"{level}s" for level in LEVELS))
"""What of a document grows with its videos."""


def begun(path: Path, ensemble: Ensemble) -> dict[str, Any] | None:
    """Returns the document of an earlier run, None where there is none.

    Raises:
        StridefoldError: It is of another study or of other folds.
    """
    if not path.exists():
        return None
    document: dict[str, Any] = read_json(path)
    keys = [ensemble.trial.folds[fold] for fold in ensemble.folds]
    if not isinstance(document, dict) or document.get("fold_keys") != keys:
        raise StridefoldError(
            f"--resume: {path} holds predictions of another model; give another --out, or delete it first",
            code="predict.resume_other_model",
        )
    return document


def remaining(videos: pl.DataFrame, document: dict[str, Any] | None) -> pl.DataFrame:
    """Returns the videos whose contents a document does not have."""
    done = [entry["sha256"] for entry in document["videos"]] if document else []
    return videos.filter(~pl.col("sha256").is_in(done))


def parts(videos: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yields a few videos at a time."""
    return videos.iter_slices(VIDEOS_PER_WRITE)


def merged(before: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    """Returns a document with the videos of both; all else is of the new one."""
    if before is None:
        return new
    cautions = list(dict.fromkeys([*before["cautions"], *new["cautions"]]))
    return new | {"cautions": cautions} | {name: [*before.get(name, []), *new[name]] for name in LISTS}
