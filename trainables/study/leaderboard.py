"""The trials of a study as plain records, and the one rule that says which of them is chosen. No torch and no Ray here."""

import functools
import math
import sqlite3
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from sqlalchemy.pool import QueuePool

from trainables.errors import StridefoldError
from trainables.study.vocabulary import COSTS

BUSY_SECONDS = 60.0
"""How long a connection waits for another's write to end."""


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial of the search, as the study's database holds it."""

    number: int
    state: str
    """COMPLETE, PRUNED, FAIL, RUNNING or WAITING."""
    value: float | None = None
    """The metric; higher is better. None where the trial has no score."""
    params: dict[str, Any] = field(default_factory=dict)
    """What the search varied, by the name it suggested."""
    config: dict[str, Any] = field(default_factory=dict)
    """The flat configuration; empty where the trial has not begun."""
    folds: tuple[str, ...] = ()
    """Keys of the folds finished so far, in fold order."""
    log_loss: float | None = None
    """Subject-level, in nats; breaks ties."""
    standard_error: float | None = None
    """Of the value, by resampling subjects."""
    costs: dict[str, float] = field(default_factory=dict)
    """By the names of COSTS; empty where the trial has no score."""
    problem: str = ""
    """Why the trial failed."""
    seconds: float | None = None
    """From start to end on the clock; None while it runs."""
    distributions: dict[str, optuna.distributions.BaseDistribution] = field(default_factory=dict)
    """Where each of `params` was drawn from."""

    @property
    def scored(self) -> bool:
        """Whether the trial ended with a finite score."""
        return self.state == "COMPLETE" and self.value is not None and math.isfinite(self.value)


def read_trials(study_folder: Path, name: str) -> tuple[TrialRecord, ...]:
    """Returns every trial of a study, by number, without writing to its database.

    The database is copied at one consistent moment and the copy is opened, because Optuna writes to what it opens;
    a search may go on writing meanwhile. A study whose search has not made its database yet has no trials.

    Raises:
        StridefoldError: The database is damaged, or holds no study of that name.
    """
    source = study_folder / "study.db"
    if not source.exists():
        return ()
    with tempfile.TemporaryDirectory(prefix="stridefold-") as scratch:
        copy = Path(scratch) / "study.db"
        try:
            _snapshot(source, copy)
            trials = _load(copy, name)
        except KeyError:
            raise StridefoldError(
                f"{source} holds no study named {name!r}; is it another study's database?", code="study.not_in_database"
            ) from None
        except (
            Exception
        ) as error:  # sqlite, SQLAlchemy and Optuna each have their own kind for a file that is not a database
            raise StridefoldError(
                f"{source} cannot be read ({error}); restore it, or begin a study of another name",
                code="study.database",
            ) from error
    return tuple(_record(trial) for trial in trials)


def best(
    trials: tuple[TrialRecord, ...], folds: int, rule: str = "best", cost: str | None = None
) -> TrialRecord | None:
    """Returns the chosen trial among those that are complete on all folds.

    Args:
        rule: 'best' takes the highest value, then the lowest log loss, then the lowest number; 'one_se' takes the cheapest
            trial whose value is at most one standard error below that (Breiman 1984, section 3.4.3).
        cost: one of COSTS, for 'one_se'; None is trained_parameters.
    """
    whole = [t for t in trials if t.scored and len(t.folds) == folds]
    top = min(whole, key=_rank, default=None)
    if top is None or rule == "best":
        return top
    limit = (top.value or 0.0) - (top.standard_error or 0.0)
    near = [t for t in whole if (t.value or 0.0) >= limit]
    return min(near, key=lambda t: (t.costs.get(cost or COSTS[0], math.inf), _rank(t)))


def chosen(trials: tuple[TrialRecord, ...], folds: int, options: Mapping[str, Any]) -> TrialRecord | None:
    """Returns the trial that a study with these options (of its StudyRecord) chooses."""
    return best(trials, folds, options.get("choose") or "best", options.get("cost"))


def pareto(trials: tuple[TrialRecord, ...], folds: int, cost: str) -> tuple[TrialRecord, ...]:
    """Returns the complete trials that no other beats in both score and cost, from the cheapest up."""
    whole = [t for t in trials if t.scored and len(t.folds) == folds and cost in t.costs]
    front: list[TrialRecord] = []
    for trial in sorted(whole, key=lambda t: (t.costs[cost], _rank(t))):
        if not front or (trial.value or 0.0) > (front[-1].value or 0.0):
            front.append(trial)
    return tuple(front)


def ranked(trials: tuple[TrialRecord, ...], folds: int) -> tuple[TrialRecord, ...]:
    """Returns the trials for a leaderboard: complete on all folds from the best down, then the others by number."""
    whole = [t for t in trials if t.scored and len(t.folds) == folds]
    return (*sorted(whole, key=_rank), *sorted((t for t in trials if t not in whole), key=lambda t: t.number))


def _rank(trial: TrialRecord) -> tuple[float, float, int]:
    loss = math.inf if trial.log_loss is None else trial.log_loss
    return -(trial.value or 0.0), loss, trial.number


def _snapshot(source: Path, copy: Path) -> None:
    target = sqlite3.connect(copy)
    try:
        reader = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=30)
        try:
            reader.backup(target)
        finally:
            reader.close()
    except sqlite3.OperationalError:
        # A search that was killed in mid-write left a journal, which a reader may not play back; the copy may.
        target.close()
        for suffix in ("", "-journal", "-wal"):
            beside = source.with_name(source.name + suffix)
            if beside.exists():
                copy.with_name(copy.name + suffix).write_bytes(beside.read_bytes())
    finally:
        target.close()


def _load(path: Path, name: str) -> list[optuna.trial.FrozenTrial]:
    storage = open_storage(path)
    try:
        return storage.get_all_trials(storage.get_study_id_from_name(name))
    finally:
        storage.remove_session()
        storage.engine.dispose()


def open_storage(path: Path) -> optuna.storages.RDBStorage:
    """Returns Optuna's storage in a database file, made if need be, whatever its folder is called.

    Nothing is glued into a URL, in which ?, #, % and, for Optuna, braces would mean something.
    """
    connect = functools.partial(sqlite3.connect, path.absolute(), timeout=BUSY_SECONDS, check_same_thread=False)
    return optuna.storages.RDBStorage("sqlite://", engine_kwargs={"creator": connect, "poolclass": QueuePool})


def _record(trial: optuna.trial.FrozenTrial) -> TrialRecord:
    attributes = trial.user_attrs
    return TrialRecord(
        number=trial.number,
        state=trial.state.name,
        value=trial.values[0] if trial.values else None,
        params=dict(trial.params),
        config=dict(attributes.get("config") or {}),
        folds=tuple(attributes.get("folds") or ()),
        log_loss=attributes.get("log_loss"),
        standard_error=attributes.get("standard_error"),
        costs=dict(attributes.get("costs") or {}),
        problem=str(attributes.get("problem") or ""),
        seconds=None if trial.duration is None else trial.duration.total_seconds(),
        distributions=dict(trial.distributions),
    )
