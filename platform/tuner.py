"""Optuna proposes, Ray Tune runs: the study's database and its fold results are the truth, Tune keeps nothing."""

import dataclasses
import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from platform.resources import Machines
from platform.study import Study
from typing import Any

import optuna
import polars as pl
import ray
from optuna.trial import TrialState
from ray import tune
from ray.tune.search import Searcher

from search_spaces import Space
from trainables.config import TrainConfig
from trainables.data.cache import ingest_or_error
from trainables.errors import StridefoldError
from trainables.metrics import log_loss, score
from trainables.ray_loop import run_trial
from trainables.records import FoldResult

INTERRUPTED = "the search was stopped during this trial, and tried its parameters again"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What every trial of a search has in common."""

    study: Study
    reference: TrainConfig
    space: Space
    cache: Path
    workers: int
    cpus: int
    gpus: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a trial, for the live view."""

    trial: int
    what: str
    """started, fold, finished or failed."""
    fold: int = 0
    """Folds finished so far."""
    score: float | None = None
    problem: str = ""
    params: dict[str, Any] = dataclasses.field(default_factory=dict)


OnEvent = Callable[[Event], None]


def open_optuna(study: Study, sampler: str, seed: int) -> optuna.Study:
    """Returns the Optuna study in a study folder's database, made if need be."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(
        f"sqlite:///{study.folder.absolute() / 'study.db'}", engine_kwargs={"connect_args": {"timeout": 60}}
    )
    opened = optuna.create_study(
        study_name=study.record.name, storage=storage, direction="maximize", load_if_exists=True
    )
    # A sampler that starts from the same seed again would draw the same points again.
    opened.sampler = make_sampler(sampler, seed + 7919 * len(opened.trials))
    return opened


def make_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """Returns a seeded sampler: tpe (multivariate, by groups of conditional settings), random, or gp."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "tpe":
            return optuna.samplers.TPESampler(
                seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=6
            )
        if name == "gp":
            return optuna.samplers.GPSampler(seed=seed, n_startup_trials=6)
        return optuna.samplers.RandomSampler(seed=seed)


def run_trials(job: Job, optuna_study: optuna.Study, trials: int, machines: Machines, on_event: OnEvent) -> None:
    """Runs what is missing to so many trials; the first of a new study is the reference configuration.

    A trial that an earlier session left unfinished runs again with the same parameters, and finds its finished folds.
    """
    if not optuna_study.trials:
        optuna_study.enqueue_trial(job.reference.flat())
    for orphan in optuna_study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        trial = optuna.Trial(optuna_study, orphan._trial_id)
        trial.set_user_attr("problem", INTERRUPTED)
        optuna_study.tell(trial, state=TrialState.FAIL)
        optuna_study.enqueue_trial(orphan.params)
    missing = trials - len(counted(optuna_study))
    if missing <= 0:
        return
    searcher = StudySearcher(job, optuna_study, on_event)
    tuner = tune.Tuner(
        tune.with_resources(run_trial, {"tune_driver": 1}),
        tune_config=tune.TuneConfig(
            search_alg=searcher, num_samples=missing, max_concurrent_trials=machines.concurrent
        ),
        run_config=tune.RunConfig(
            name=f"tune-{time.time_ns()}",
            storage_path=str(job.study.folder.absolute() / "ray"),
            verbose=0,
        ),
    )
    tuner.fit()


def counted(optuna_study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Returns the trials that count: all but those that an interrupted session left, which are tried again."""
    return [
        t
        for t in optuna_study.get_trials(deepcopy=False)
        if t.state in (TrialState.COMPLETE, TrialState.PRUNED)
        or (t.state == TrialState.FAIL and t.user_attrs.get("problem") != INTERRUPTED)
    ]


def in_ray_tasks(jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """Yields (index of the job, its result) as videos are decoded, each by a task of its own on any node."""
    task = ray.remote(ingest_or_error).options(num_cpus=1, scheduling_strategy="SPREAD")
    waiting = {task.remote(job): index for index, job in enumerate(jobs)}
    while waiting:
        (done,), _ = ray.wait(list(waiting), num_returns=1)
        yield waiting.pop(done), ray.get(done)


class StudySearcher(Searcher):
    """Asks an Optuna study for configurations and tells it their scores, read from the fold results on disk."""

    def __init__(self, job: Job, optuna_study: optuna.Study, on_event: OnEvent):
        super().__init__()  # no metric: scores are read from disk, not from reports
        self.job, self.optuna_study, self.on_event = job, optuna_study, on_event
        self.running: dict[str, optuna.Trial] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher into snapshots that are never read: nothing of this one is worth keeping."""
        return {}

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True

    def save(self, checkpoint_path: str) -> None:
        """Keeps nothing: the study's database is the state."""

    def restore(self, checkpoint_path: str) -> None:
        raise StridefoldError("a search is continued by its own command, not by Tune")

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Returns what `run_trial` needs for the next configuration."""
        trial = self.optuna_study.ask()
        config = self.job.space(trial, self.job.reference)
        trial.set_user_attr("config", config.flat())
        trial.set_user_attr("folds", [])
        self.running[trial_id] = trial
        self.on_event(Event(trial=trial.number, what="started", params=trial.params))
        return {
            "study": str(self.job.study.folder.absolute()),
            "cache": str(self.job.cache.absolute()),
            "config": config.flat(),
            "keys": self.job.study.keys(config),
            "workers": self.job.workers,
            "cpus": self.job.cpus,
            "gpus": self.job.gpus,
        }

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Notes a finished fold."""
        trial = self.running[trial_id]
        if "fold" in result:
            keys = self.job.study.keys(TrainConfig.from_flat(trial.user_attrs["config"]))[: result["fold"] + 1]
            trial.set_user_attr("folds", keys)
            self.on_event(Event(trial=trial.number, what="fold", fold=len(keys)))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False, **_: Any
    ) -> None:
        """Tells the score of all folds together, or why there is none."""
        trial = self.running.pop(trial_id)
        keys = trial.user_attrs["folds"]
        problem = (result or {}).get("problem")
        if problem is None and (error or len(keys) < len(self.job.study.splits.folds)):
            problem = "the trial ended before its last fold"
        if problem is None:
            predictions = pl.concat(
                [FoldResult.load(self.job.study.folder / "folds" / key).predictions for key in keys]
            )
            value = score(predictions, self.job.study.record.metric, len(self.job.study.cohort.classes))
            loss = log_loss(predictions)
            if not (math.isfinite(value) and math.isfinite(loss)):
                problem = f"the score is not finite ({value}, log loss {loss})"
        if problem is not None:
            trial.set_user_attr("problem", problem)
            self.optuna_study.tell(trial, state=TrialState.FAIL)
            self.on_event(Event(trial=trial.number, what="failed", problem=problem))
            return
        trial.set_user_attr("log_loss", loss)
        self.optuna_study.tell(trial, value)
        self.on_event(Event(trial=trial.number, what="finished", score=value, fold=len(keys), params=trial.params))
