"""A fold trained several times with other seeds: the trainings' results, and their mean as the fold's result."""

import dataclasses
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from trainables.config import TrainConfig
from trainables.study.records import FoldResult


def configurations(config: TrainConfig) -> list[TrainConfig]:
    """Returns the configuration of each training."""
    return [config.with_values({"seed": config.seed + number, "trainings": 1}) for number in range(config.trainings)]


def mean_result(config: TrainConfig, results: Sequence[FoldResult]) -> FoldResult:
    """Returns the result whose probabilities are the mean over trainings; curves, texts and notes are the first's."""
    shuffled = [r.shuffled for r in results if r.shuffled is not None]
    return dataclasses.replace(
        results[0],
        config=config.flat(),
        predictions=mean_predictions([r.predictions for r in results]),
        shuffled=mean_predictions(shuffled) if shuffled else None,
        by_seed=pl.concat([r.predictions.with_columns(seed=pl.lit(r.config["seed"], dtype=pl.Int64)) for r in results]),
        seconds=sum(r.seconds for r in results),
        trained_parameters=sum(r.trained_parameters for r in results),
    )


def mean_predictions(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Returns one table with the mean of each window's probabilities, in the order of the first."""
    keys = ["fold", "subject", "video", "window", "true"]
    if not len(tables[0]):
        return tables[0]
    classes = range(len(tables[0]["probabilities"][0]))
    means = pl.concat(tables).group_by(keys, maintain_order=True).agg(
        *(pl.col("probabilities").list.get(c).mean().alias(f"p{c}") for c in classes)
    )  # fmt: skip
    return means.select(*keys, probabilities=pl.concat_list(f"p{c}" for c in classes))


def link_weights(source: Path, target: Path) -> None:
    """Puts the weights of a training, and the hash beside them, under a second name; a copy where there are no links."""
    for ending in ("", ".sha256"):
        found, name = source.with_name(source.name + ending), target.with_name(target.name + ending)
        if not found.exists():
            continue
        name.unlink(missing_ok=True)
        try:
            os.link(found, name)
        except OSError:
            shutil.copyfile(found, name)
