"""A study's models on new videos, from Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from os.path import expanduser
from pathlib import Path
from platform import predictor
from platform.predict_options import device_of
from platform.predictions import as_document, as_rows, cautions
from typing import Any

import polars as pl

from trainables.cohort.new_videos import expanded, read_manifest_videos, read_videos
from trainables.data.cache_folder import open_frames
from trainables.inference.ensemble import load_frozen
from trainables.inference.exported import open_model
from trainables.study.vocabulary import LEVELS
from trainables.tracking.readiness import follow_as_trained

TABLES = (".csv", ".parquet")


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a study's models say of new videos."""

    table: pl.DataFrame
    """One row per subject (where a manifest names them), video and window: class, probabilities, folds that agree, the nearest
    decoded description."""
    cautions: tuple[str, ...]
    """What whoever reads the predictions must know, one sentence each; a subject of the training is named here."""
    document: dict[str, Any]
    """All of it with each fold's answer, as `python -m platform.predict --out predictions.json` writes it."""

    @property
    def videos(self) -> pl.DataFrame:
        """Returns the rows of whole videos."""
        return self.table.filter(pl.col("level") == "video")

    def _repr_html_(self) -> str:
        """Returns what a notebook shows: the answers for subjects and videos, then what to be careful about."""
        from reports.documents.summary import as_list

        return self.table.filter(pl.col("level") != "window")._repr_html_() + as_list(self.cautions)


class Predictor:
    """The models of a study's chosen configuration, loaded once."""

    def __init__(self, models: predictor.Predictor):
        """Takes loaded models; `Study.predictor` and `Predictor.open` load them."""
        self._models = models

    @classmethod
    def open(
        cls,
        study: str | PathLike[str],
        *,
        fold: int | None = None,
        device: str = "auto",
        backbone: str = "",
        knowledge_encoder: str = "",
        cache: str = "",
        reader: str = "pyav",
        pose_weights: str | PathLike[str] = "",
    ) -> Predictor:
        """Returns the predictor of a study's folder, or of a model that `platform.export` wrote.

        Args:
            fold: One fold, from 0; None takes the mean of all.
            device: cpu, cuda, or auto, which takes a GPU if there is one.
            backbone: Where the study's backbone is now, if it has moved; knowledge_encoder likewise.
            cache: Folder of decoded frames; '' is ~/.cache/stridefold.
            reader: pyav or decord.
            pose_weights: Folder of the landmark model's weights, for a study with track='pose'; needed once on a machine.

        Raises:
            StridefoldError: The study has no complete trial, or the backbone is not the one it was trained on.
        """
        predictor.check_where(device, reader)
        ensemble = open_model(Path(study).expanduser(), fold)
        frames, where = open_frames(cache), device_of(device)
        follow_as_trained(ensemble.record, expanduser(fspath(pose_weights)), frames)
        frozen = load_frozen(ensemble, where, backbone, knowledge_encoder)
        return cls(predictor.Predictor(ensemble, frozen, cache=frames, device=where, reader=reader))

    @property
    def classes(self) -> tuple[str, ...]:
        """Returns the class names, in the order of all probabilities."""
        return self._models.ensemble.cohort.classes

    def predict(
        self, videos: str | PathLike[str] | Sequence[str | PathLike[str]], *, follow_links: bool = False
    ) -> Predictions:
        """Returns the predictions for videos, folders of videos or patterns, or for the videos of a manifest (.csv or .parquet).

        Args:
            follow_links: Whether a manifest's videos may be symbolic links to any file that you may read.

        Raises:
            StridefoldError: A file is missing or is not a video; several problems are listed at once.
        """
        names = [fspath(videos)] if isinstance(videos, str | PathLike) else [fspath(video) for video in videos]
        manifest = len(names) == 1 and Path(names[0]).suffix.lower() in TABLES
        rows = (
            read_manifest_videos(Path(names[0]), follow_links=follow_links)
            if manifest
            else read_videos(expanded(tuple(names)))
        )
        scored = self._models.score(rows, LEVELS if manifest else LEVELS[1:])
        ensemble = self._models.ensemble
        return Predictions(
            table=as_rows(ensemble, scored.found),
            cautions=tuple(cautions(ensemble, scored.seen, scored.far)),
            document=as_document(ensemble, scored.videos, scored.found, scored.seen, scored.far, scored.estimated),
        )
