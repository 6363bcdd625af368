"""What a learning curve leaves on disk: learning/curve.json, and a study per share and fold. No torch and no Ray here."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import polars as pl

from trainables.study.files import fold_folder
from trainables.study.formats import build, read_record, write_record
from trainables.study.records import FoldResult

ALL = 100
SHARES = (40, 60, 80)
"""Percent of the training subjects of each fold that the chosen configuration is trained on again; all of them it had."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LearningPoint:
    """The chosen configuration on a share of each fold's training subjects."""

    share: int
    """Percent."""
    subjects: tuple[int, ...]
    """Training subjects in each fold."""
    keys: tuple[str, ...]
    """Of the fold results, in the order of the study's folds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LearningRecord:
    """The points of one trial, from the smallest share to all subjects."""

    trial: int
    points: tuple[LearningPoint, ...]
    problems: tuple[str, ...] = ()
    """Why a share has no point, one sentence each."""

    def save(self, study: Path) -> None:
        """Writes learning/curve.json of a study folder."""
        write_record(study / "learning" / "curve.json", dataclasses.asdict(self))

    @classmethod
    def load(cls, study: Path) -> Self | None:
        """Reads what `save` wrote; None where no curve was asked for, or it is not finished."""
        path = study / "learning" / "curve.json"
        return build(cls, read_record(path), path) if path.exists() else None


def part_folder(study: Path, share: int, fold: int) -> Path:
    """Returns the folder of the study that trains on a share of one fold's training subjects; of all it is the study's own."""
    return study if share == ALL else study / "learning" / str(share) / str(fold)


def point_predictions(study: Path, folds: tuple[int, ...], point: LearningPoint) -> pl.DataFrame:
    """Returns the held-out predictions of a point, as FoldResult.predictions, all folds together.

    Args:
        study: Its folder.
        folds: Numbers of the study's folds, in the order of the keys.
        point: Of the study's learning curve.
    """
    places = [
        fold_folder(part_folder(study, point.share, fold), key) for fold, key in zip(folds, point.keys, strict=True)
    ]
    return pl.concat([FoldResult.load(place).predictions for place in places])
