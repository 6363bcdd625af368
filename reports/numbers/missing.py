"""Which gait parameters were not measured, by class and by the fold that holds their videos out."""

from dataclasses import dataclass

import polars as pl

from trainables.study.records import Cohort, Splits


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingParameter:
    """One gait parameter that some videos lack."""

    parameter: str
    """Name in words."""
    videos: int
    """Videos of the cohort without it."""
    by_class: tuple[int, ...]
    """Videos of each class without it."""
    by_fold: tuple[int, ...]
    """Videos of each fold's test side without it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """What the cohort's table of gait parameters lacks."""

    parameters: tuple[MissingParameter, ...]
    """Those that at least one video lacks, the most incomplete first."""
    complete: int
    """Parameters that every video has."""
    videos: int
    by_class: tuple[int, ...]
    """Videos of each class."""
    folds: tuple[int, ...]
    """Numbers of the folds, in the order of `by_fold`."""
    by_fold: tuple[int, ...]
    """Videos of each fold's test side."""

    @property
    def share(self) -> float:
        """Returns which share of all values is missing."""
        values = self.videos * (self.complete + len(self.parameters))
        return sum(p.videos for p in self.parameters) / values if values else 0.0


def missing(cohort: Cohort, splits: Splits) -> Missing | None:
    """Returns what the gait parameters lack; None where the cohort has none."""
    if not cohort.parameters:
        return None
    classes = [cohort.videos.filter(pl.col("label") == label) for label in range(len(cohort.classes))]
    tests = [cohort.of_subjects(fold.test) for fold in splits.folds]
    found = [
        MissingParameter(
            parameter=p.name,
            videos=_lacking(cohort.videos, p.key),
            by_class=tuple(_lacking(part, p.key) for part in classes),
            by_fold=tuple(_lacking(part, p.key) for part in tests),
        )
        for p in cohort.parameters
    ]
    lacking = sorted((m for m in found if m.videos), key=lambda m: -m.videos)
    return Missing(
        parameters=tuple(lacking),
        complete=len(found) - len(lacking),
        videos=len(cohort.videos),
        by_class=tuple(map(len, classes)),
        folds=tuple(fold.index for fold in splits.folds),
        by_fold=tuple(map(len, tests)),
    )


def _lacking(videos: pl.DataFrame, key: str) -> int:
    values = videos[key]
    nans = int(values.is_nan().sum()) if values.dtype.is_float() else 0
    return values.null_count() + nans
