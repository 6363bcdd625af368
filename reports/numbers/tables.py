"""A study's trials as a table."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from trainables.study.leaderboard import TrialRecord

COLUMNS = pl.Schema(
    [
        ("trial", pl.Int64()),
        ("state", pl.String()),
        ("chosen", pl.Boolean()),
        ("value", pl.Float64()),
        ("standard_error", pl.Float64()),
        ("log_loss", pl.Float64()),
        ("folds", pl.Int64()),
        ("seconds", pl.Float64()),
        ("trained_parameters", pl.Int64()),
        ("problem", pl.String()),
    ]
)
"""Columns of every table of trials, before those of the drawn settings; `folds` counts the finished ones."""


def trials_table(leaderboard: Sequence[TrialRecord], chosen: TrialRecord | None) -> pl.DataFrame:
    """Returns one row per trial in the order given: COLUMNS, then a column for each setting that the search drew."""
    drawn = sorted({name for trial in leaderboard for name in trial.params})
    about = pl.DataFrame([_about(trial, chosen) for trial in leaderboard], schema=COLUMNS)
    settings = [pl.Series(name, [t.params.get(name) for t in leaderboard], strict=False) for name in drawn]
    return about.with_columns(settings)


def _about(trial: TrialRecord, chosen: TrialRecord | None) -> dict[str, Any]:
    parameters = trial.costs.get("trained_parameters")
    return {
        "trial": trial.number,
        "state": trial.state,
        "chosen": chosen is not None and trial.number == chosen.number,
        "value": trial.value,
        "standard_error": trial.standard_error,
        "log_loss": trial.log_loss,
        "folds": len(trial.folds),
        "seconds": trial.seconds,
        "trained_parameters": None if parameters is None else int(parameters),
        "problem": trial.problem or None,
    }
