"""Studies inside a study: permuted labels, outer and inner folds, all subjects, shares of the subjects."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from platform.options import SearchOptions
from platform.permuted_labels import exchanged
from platform.splits import outer_splits
from platform.study import Study, saved, splits_for

import polars as pl

from trainables.errors import ConfigurationError, StridefoldError
from trainables.study.records import Cohort, Fold, Splits, StudyRecord

SHUFFLES = 100
"""Shuffles of the labels that are tried for one permuted search."""


def permuted(study: Study, number: int, options: SearchOptions) -> Study:
    """Returns a study of the same cohort in which the subjects' labels changed hands, in permutations/NUMBER.

    A subject keeps its videos and numbers, so only the link between them and the label is cut. Labels with which the folds
    cannot be made are drawn again.

    Raises:
        ConfigurationError: No draw has folds.
    """
    seed = 1_000_003 * (number + 1) + options.seed
    for attempt in range(SHUFFLES):
        cohort = exchanged(study.cohort, seed + 7_368_787 * attempt, by_fold=options.fold_column is not None)
        try:
            splits = splits_for(cohort, options)
        except ConfigurationError as error:
            problem = error
            continue
        folder = study.folder / "permutations" / str(number)
        return part_of(study, cohort, folder, f"permutation-{number}", functools.partial(_same, splits))
    raise ConfigurationError(
        f"--permutations: none of {SHUFFLES} shuffles of the labels has folds ({problem})", code="permutations.no_folds"
    )


def _same(splits: Splits) -> Splits:
    return splits


def outer_study(study: Study, options: SearchOptions) -> Study:
    """Returns a study of the same cohort on the outer folds, in outer: those of --fold-column, a site each say, or drawn ones.

    Raises:
        ConfigurationError: The cohort has too few subjects, or the study was begun with other outer folds.
    """

    def splits() -> Splits:
        return outer_splits(
            study.cohort,
            folds=options.outer_folds,
            seed=options.seed_of_splits,
            by_column=options.fold_column is not None,
        )

    outer = part_of(study, study.cohort, study.folder / "outer", "outer", splits)
    if (begun := len(outer.splits.folds)) != options.outer_folds:
        raise ConfigurationError(
            f"{study.folder} was begun with --outer-folds {begun}, but now it is {options.outer_folds}; "
            "give the same number, or begin another study with --study NAME",
            code="study.option_changed",
        )
    return outer


def inner_study(outer: Study, fold: Fold, options: SearchOptions) -> Study:
    """Returns a study of an outer fold's training subjects alone, in outer/NUMBER; the outer test subjects are not in it.

    Raises:
        ConfigurationError: The training subjects are too few for the folds.
    """
    videos = outer.cohort.videos.filter(pl.col("subject").is_in(list(fold.train)))
    cohort = dataclasses.replace(outer.cohort, videos=videos)
    try:
        return part_of(
            outer, cohort, outer.folder / str(fold.index), f"{fold.index}", lambda: splits_for(cohort, options)
        )
    except ConfigurationError as error:
        raise ConfigurationError(
            f"--outer-folds {options.outer_folds} leaves too few subjects in outer fold {fold.index}: {error}",
            code="splits.too_few_subjects",
        ) from None


def refit_study(study: Study) -> Study:
    """Returns a study with one fold that trains on every subject and holds none out, in best/refit."""
    everyone = Fold(index=0, train=tuple(study.cohort.subjects()["subject"].to_list()), test=())
    splits = Splits(method="all subjects", folds=(everyone,), held_out=0)
    return part_of(study, study.cohort, study.folder / "best" / "refit", "refit", lambda: splits)


def part_of(study: Study, cohort: Cohort, folder: Path, name: str, splits_of: Callable[[], Splits]) -> Study:
    """Returns a study inside a study, on another cohort or with folds of its own; one that was begun goes on.

    It keeps the study's options, but for --refit: of the parts, only inner studies of outer folds are predicted with.
    """
    nested = name == "outer" or name.isdecimal()
    options = study.record.options if nested else study.record.options | {"refit": "folds"}
    if (folder / "study.json").exists():
        record, splits = StudyRecord.load(folder), Splits.load(folder / "splits.json")
        if record.cohort_sha256 != cohort.sha256():
            raise StridefoldError(
                f"{folder} was begun with other subjects or labels; begin another study with --study NAME",
                code="study.data_changed",
            )
        record = dataclasses.replace(record, options=options)
    else:
        splits = splits_of()
        record = dataclasses.replace(
            study.record,
            name=f"{study.record.name}-{name}",
            options=options,
            finished=None,
            cohort_sha256=cohort.sha256(),
            splits_sha256=splits.sha256(),
            permutations=(),
            baselines={},
            sessions=(),
        )
    return saved(Study(folder=folder, record=record, cohort=cohort, splits=splits))
