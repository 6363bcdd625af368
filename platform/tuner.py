"""Optuna proposes, Ray Tune runs: the study's database and its fold results are the truth, Tune keeps nothing."""

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from platform.pruning import PairedPruner, subject_scores
from platform.resources import Machines
from platform.sampling import Grid, ask, make_sampler, quiet_optuna
from platform.study import Study
from typing import Any

import optuna
import polars as pl
import ray
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from ray import tune
from ray.tune.search import Searcher
from sqlalchemy.exc import SQLAlchemyError

from reports.numbers.statistics import standard_error
from search_spaces import Space
from trainables.config import TrainConfig
from trainables.data.cache import ingest_or_error
from trainables.errors import StridefoldError
from trainables.ray_loop import NODE_FAILURES, run_trial
from trainables.study.files import fold_folder, write_text
from trainables.study.leaderboard import open_storage
from trainables.study.metrics import log_loss, score
from trainables.study.progress import forget_all
from trainables.study.records import FoldResult

IN_FLIGHT = 2048
"""Videos that are with Ray at once: each waiting looks at all of them, so the time for all would grow with their square."""
INTERRUPTED = "the search was stopped during this trial, and tried its parameters again"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What every trial of a search has in common."""

    study: Study
    reference: TrainConfig
    space: Space
    cache: Path
    sampler: str
    seed: int
    prune: float
    """p-value below which a trial is stopped at a fold's end; 0 is never."""
    workers: int
    cpus: int
    gpus: float
    memory: int = 0
    """Bytes that a worker asks Ray for; 0 asks for none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a trial, for the live view."""

    trial: int
    what: str
    """started, fold, finished, pruned or failed."""
    fold: int = 0
    """Folds finished so far."""
    score: float | None = None
    log_loss: float = math.inf
    problem: str = ""
    params: dict[str, Any] = dataclasses.field(default_factory=dict)
    folders: tuple[Path, ...] = ()
    """Of a started trial's folds, where their progress is noted."""


OnEvent = Callable[[Event], None]


def open_optuna(study: Study, cost: str | None = None) -> optuna.Study:
    """Returns the Optuna study in a study folder's database, made if need be; with a cost it has two objectives.

    Raises:
        StridefoldError: The database is damaged, or another version of Optuna made it.
    """
    path = study.folder / "study.db"
    try:
        with quiet_optuna():
            return optuna.create_study(
                study_name=study.record.name,
                storage=open_storage(path),
                directions=["maximize", "minimize"] if cost else ["maximize"],
                load_if_exists=True,
            )
    except (SQLAlchemyError, StorageInternalError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise StridefoldError(
            f"{path} cannot be opened ({reason}); restore it, or begin another study with --study NAME",
            code="study.database",
        ) from None


def run_trials(
    job: Job,
    optuna_study: optuna.Study,
    trials: int,
    machines: Machines,
    on_event: OnEvent,
    trainable: Callable[[dict[str, Any]], None] = run_trial,
) -> None:
    """Runs what is missing to so many trials; the first of a new study is the reference configuration.

    A trial that an earlier session left unfinished runs again with the same parameters, and finds its finished folds.

    Args:
        trainable: what Tune runs; it writes the result of every fold and reports after each, as `run_trial` does.
    """
    if not optuna_study.trials:
        optuna_study.enqueue_trial(job.space.first(job.reference))
    for orphan in optuna_study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        trial = optuna.Trial(optuna_study, orphan._trial_id)
        trial.set_user_attr("problem", INTERRUPTED)
        optuna_study.tell(trial, state=TrialState.FAIL)
        optuna_study.enqueue_trial(orphan.params)
    missing = trials - len(counted(optuna_study))
    if missing <= 0:
        return
    optuna_study.sampler = make_sampler(job.sampler, job.seed)
    if _at_end(optuna_study):
        return
    forget_all(job.study.folder)
    searcher = StudySearcher(job, optuna_study, on_event)
    alone = job.workers == 1  # then Tune's process is the worker, else it waits for a group of Train workers
    worker = {"CPU": job.cpus, "GPU": job.gpus} | ({"memory": job.memory} if job.memory else {})
    resources = worker if alone else {"tune_driver": 1}
    tuner = tune.Tuner(
        tune.with_resources(trainable, resources),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            num_samples=missing,
            max_concurrent_trials=machines.concurrent,
            reuse_actors=True,  # a process imports torch, loads the backbone and reads the frozen texts once
        ),
        run_config=tune.RunConfig(
            name=f"tune-{time.time_ns()}",
            storage_path=str(job.study.folder.absolute() / "ray"),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=NODE_FAILURES if alone else 0),
        ),
    )
    tuner.fit()
    if searcher.problem is not None:
        raise searcher.problem


def _at_end(optuna_study: optuna.Study) -> bool:
    """Returns whether a grid has nothing left to ask for."""
    return isinstance(optuna_study.sampler, Grid) and optuna_study.sampler.exhausted(optuna_study)


def counted(optuna_study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Returns the trials that count: all but those that an interrupted session left, which are tried again."""
    return [
        t
        for t in optuna_study.get_trials(deepcopy=False)
        if t.state in (TrialState.COMPLETE, TrialState.PRUNED)
        or (t.state == TrialState.FAIL and t.user_attrs.get("problem") != INTERRUPTED)
    ]


def in_ray_tasks(jobs: Sequence[Any], function: Callable[[Any], Any] = ingest_or_error) -> Iterator[tuple[int, Any]]:
    """Yields (index of the job, its result) as videos are done, each by a task of its own on any node.

    Args:
        function: What is done with a job: a video is decoded into the frame cache, or as `following.py` says.
    """
    task = ray.remote(function).options(num_cpus=1, scheduling_strategy="SPREAD")
    waiting: dict[ray.ObjectRef, int] = {}
    coming = iter(enumerate(jobs))
    while True:
        waiting |= {task.remote(job): index for index, job in itertools.islice(coming, IN_FLIGHT - len(waiting))}
        if not waiting:
            return
        (done,), _ = ray.wait(list(waiting), num_returns=1)
        yield waiting.pop(done), ray.get(done)


class StudySearcher(Searcher):
    """Asks an Optuna study for configurations and tells it their scores, read from the fold results on disk."""

    def __init__(self, job: Job, optuna_study: optuna.Study, on_event: OnEvent):
        super().__init__()  # no metric: scores are read from disk, not from reports
        self.job, self.optuna_study, self.on_event = job, optuna_study, on_event
        self.pruner = PairedPruner(p=job.prune)
        self.stopped: dict[str, str] = {}
        """Why each trial was stopped whose workers have not ended yet."""
        self.running: dict[str, optuna.Trial] = {}
        self.keys: dict[str, list[str]] = {}
        """Of each running trial, one for each fold."""
        self.problem: StridefoldError | None = None
        """What ended the search: a space that cannot be drawn from, or a full disk. Tune swallows what is raised here."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher into snapshots that are never read: nothing of this one is worth keeping."""
        return {}

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True

    def save(self, checkpoint_path: str) -> None:
        """Keeps nothing: the study's database is the state."""

    def restore(self, checkpoint_path: str) -> None:
        raise StridefoldError("a search is continued by its own command, not by Tune", code="study.not_by_tune")

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Returns what `run_trial` needs for the next configuration, or that there is none."""
        if self.problem is not None or _at_end(self.optuna_study):
            return Searcher.FINISHED
        # Seeded by how many trials there are, so that a search that was killed draws what it would have drawn.
        place = len(counted(self.optuna_study)) + len(self.running)
        self.optuna_study.sampler = make_sampler(self.job.sampler, self.job.seed + 7919 * place)
        try:
            trial, config = ask(self.optuna_study, self.job.space, self.job.reference)
        except StridefoldError as error:
            self.problem = error
            return Searcher.FINISHED
        trial.set_user_attr("config", config.flat())
        trial.set_user_attr("folds", [])
        self.running[trial_id], self.keys[trial_id] = trial, self.job.study.keys(config)
        folders = tuple(fold_folder(self.job.study.folder, key) for key in self.keys[trial_id])
        self.on_event(Event(trial=trial.number, what="started", params=trial.params, folders=folders))
        return {
            "number": trial.number,
            "study": str(self.job.study.folder.absolute()),
            "cache": str(self.job.cache.absolute()),
            "config": config.flat(),
            "keys": self.keys[trial_id],
            "stop": str(self._stop_file(trial_id)),
            "workers": self.job.workers,
            "cpus": self.job.cpus,
            "gpus": self.job.gpus,
            "memory": self.job.memory,
        }

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Notes that a trial's first folds are finished, and stops it if it is behind."""
        trial, keys, done = self.running[trial_id], self.keys[trial_id], result.get("folds", 0)
        if trial_id in self.stopped or len(trial.user_attrs["folds"]) >= done:
            return
        trial.set_user_attr("folds", keys[:done])
        self.on_event(Event(trial=trial.number, what="fold", fold=done))
        study = self.job.study
        predictions = pl.concat([r.predictions for r in self._results(keys[:done])])
        value = score(predictions, study.record.metric, len(study.cohort.classes))
        self.pruner.report(trial, done, subject_scores(predictions), value)
        if self.pruner.should_prune(trial, len(keys)):
            behind = self.pruner.compare(trial)
            assert behind is not None  # it was the reason
            self.stopped[trial_id] = (
                f"{behind.value:+.3f} to trial {behind.best} on the same {behind.subjects} subjects (p = {behind.p:.3f})"
            )
            write_text(self._stop_file(trial_id), self.stopped[trial_id] + "\n")

    def _stop_file(self, trial_id: str) -> Path:
        """Returns the file that ends a trial's workers; a trial's id is new in each session."""
        return self.job.study.folder.absolute() / "ray" / f"stop-{trial_id}"

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False, **_: Any
    ) -> None:
        """Tells the score of all folds together, or why there is none."""
        trial, keys = self.running.pop(trial_id), self.keys.pop(trial_id)
        if "machine" in (result or {}):  # the trial stays RUNNING in the study: the next session tries it again
            reason = (result or {})["machine"]
            self.problem = StridefoldError(
                f"{reason}; what was finished is kept, and the same command goes on from here", code="search.stopped"
            )
            return
        done = trial.user_attrs["folds"]
        problem = (result or {}).get("problem")
        if (reason := self.stopped.pop(trial_id, None)) is not None:
            trial.set_user_attr("problem", reason)
            self.optuna_study.tell(trial, state=TrialState.PRUNED)
            self.on_event(Event(trial=trial.number, what="pruned", problem=reason, fold=len(done)))
            return
        if problem is None and error:
            problem = f"its worker was lost more than {NODE_FAILURES} times"
        elif problem is None and len(done) < len(keys):
            problem = "the trial ended before its last fold"
        if problem is None:
            problem = self._tell_score(trial, done)
        if problem is not None:
            trial.set_user_attr("problem", problem)
            self.optuna_study.tell(trial, state=TrialState.FAIL)
            self.on_event(Event(trial=trial.number, what="failed", problem=problem))

    def _tell_score(self, trial: optuna.Trial, keys: list[str]) -> str | None:
        """Tells the study the score of finished folds; returns why it cannot be told, None where it was."""
        study, results = self.job.study, self._results(keys)
        predictions, classes = pl.concat([r.predictions for r in results]), len(study.cohort.classes)
        value, loss = score(predictions, study.record.metric, classes), log_loss(predictions)
        if not (math.isfinite(value) and math.isfinite(loss)):
            return f"the score is not finite ({value}, log loss {loss})"
        costs = {
            "trained_parameters": max(r.trained_parameters for r in results),
            "seconds": sum(r.seconds for r in results),
        }
        trial.set_user_attr("log_loss", loss)
        trial.set_user_attr("standard_error", standard_error(predictions, study.record.metric, classes))
        trial.set_user_attr("costs", costs)
        cost = study.record.options.get("cost")
        self.optuna_study.tell(trial, [value, costs[cost]] if cost else value)
        self.on_event(
            Event(trial=trial.number, what="finished", score=value, log_loss=loss, fold=len(keys), params=trial.params)
        )
        return None

    def _results(self, keys: list[str]) -> list[FoldResult]:
        return [FoldResult.load(fold_folder(self.job.study.folder, key)) for key in keys]
