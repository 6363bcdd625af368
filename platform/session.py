"""An open Ray session with the options of a search: runs trials of a study, and single tasks on the workers' resources."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from platform.console import Console
from platform.options import SearchOptions
from platform.resources import Machines
from platform.study import Study
from typing import Any

import polars as pl

from search_spaces import Space
from trainables.data.cache_folder import open_frames
from trainables.errors import MemoryShortError, StridefoldError
from trainables.study.files import fold_folder
from trainables.study.leaderboard import TrialRecord, chosen, read_trials
from trainables.study.records import Fold

# Ray and all that needs it are imported where they are used: a wrong option is told before seconds are spent on them.


@dataclass(frozen=True, kw_only=True)
class Session:
    """What every study of one command has in common, the permuted and the nested ones too."""

    options: SearchOptions
    space: Space
    machines: Machines
    console: Console

    def search(self, study: Study, what: str, trials: int | None = None) -> TrialRecord:
        """Runs the trials that a study lacks and returns the chosen one.

        Raises:
            StridefoldError: No trial was finished on all folds.
        """
        from platform.tuner import Job, counted, open_optuna, run_trials

        options, folds = self.options, len(study.splits.folds)
        wanted = trials or options.trials or 1
        job = Job(
            study=study,
            reference=options.reference(),
            space=self.space,
            cache=frame_cache(options),
            sampler=options.sampler or "tpe",
            seed=options.seed_of_sampler,
            prune=options.prune_level,
            workers=options.workers,
            cpus=self.machines.cpus_per_worker,
            gpus=self.machines.gpus_per_worker,
            memory=self.machines.memory,
        )
        optuna_study = open_optuna(study, options.cost)
        with self.console.trials(wanted, folds, len(counted(optuna_study)), what) as on_event:
            run_trials(job, optuna_study, wanted, self.machines, on_event)
        found = read_trials(study.folder, study.record.name)
        trial = chosen(found, folds, study.record.options)
        if trial is None:
            problems = [t.problem for t in found if t.problem] or ["none noted"]
            raise StridefoldError(
                f"no trial was finished on all {folds} folds; the last problem was: {problems[-1]}",
                code="search.no_finished_trial",
            )
        return trial

    def describe(self, study: Study, keys: Sequence[str]) -> None:
        """Decodes what the classes of finished folds have learned, one key for each of the study's folds."""
        from trainables.ray_loop import describe

        self.tasks(describe, ((*self.place(study), key, fold) for fold, key in enumerate(keys)))

    def train(self, study: Study, config: dict[str, Any], keys: dict[int, str]) -> list[str]:
        """Trains one flat configuration on some folds.

        Args:
            keys: of the results, by the fold's place among the study's splits.

        Returns:
            Why a fold could not be trained; nothing where all were.
        """
        from trainables.ray_loop import train_one

        calls = ((*self.place(study), key, fold, config) for fold, key in keys.items())
        what = "the model of all subjects" if config["model"] == "clip" else f"baseline {config['model']}"
        with self.console.folds(what, [fold_folder(study.folder, key) for key in keys.values()]):
            return [problem for problem in self.tasks(train_one, calls) if problem]

    def score_outer(self, inner: Study, outer: Study, fold: Fold) -> pl.DataFrame:
        """Returns the predictions of an outer fold's test subjects by each model of the inner study's choice, as ray_loop's."""
        from trainables.ray_loop import score_outer

        folder, cache = self.place(inner)
        call = (folder, cache, str(outer.folder.absolute()), fold.index)
        predictions: pl.DataFrame = self.tasks(score_outer, [call])[0]
        return predictions

    def tasks(self, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Returns what a function of trainables.ray_loop returns for each tuple of arguments, run side by side.

        The CPUs and GPUs of a worker follow the arguments.
        """
        import ray

        cpus, gpus = self.machines.cpus_per_worker, self.machines.gpus_per_worker
        task = ray.remote(function).options(
            num_cpus=cpus,
            num_gpus=gpus,
            memory=self.machines.memory or None,
            max_retries=3,
            retry_exceptions=[MemoryShortError],
        )
        try:
            results: list[Any] = ray.get([task.remote(*call, cpus, gpus) for call in calls])
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, StridefoldError):
                raise error.cause from None
            raise
        return results

    def place(self, study: Study) -> tuple[str, str]:
        """Returns the absolute paths of a study's folder and of the frame cache, as tasks take them."""
        return str(study.folder.absolute()), str(frame_cache(self.options))


def frame_cache(options: SearchOptions) -> Path:
    """Returns the folder of decoded frames; nobody else on the machine may look into it."""
    return open_frames(options.cache)
