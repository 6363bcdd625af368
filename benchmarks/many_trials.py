"""Prints what a search itself costs: seconds per trial and the driver's memory, as the trials grow many.

    python benchmarks/many_trials.py --trials 300 --folds 5
    python benchmarks/many_trials.py --trials 20 --folds 5 --seconds 20     # wall time over what the folds alone would take

Everything is the search's own (Tune, Optuna's database, the pruner's comparisons, the fold results on disk) but the training:
a fold draws random probabilities for its held-out windows, and waits for so many seconds. Nothing is pruned, so every trial has all its folds.
"""

import argparse
import functools
import tempfile
import time
from pathlib import Path
from platform.options import SearchOptions
from platform.resources import ray_session
from platform.study import open_study
from platform.tuner import Event, Job, open_optuna, run_trials
from typing import Any

import numpy as np
import polars as pl
from ray import tune

from benchmarks.figures import Figure, figure, memory, show
from search_spaces import load_space
from trainables.knowledge.tasks import load_task
from trainables.study.leaderboard import read_trials
from trainables.study.records import PREDICTIONS, Cohort, FoldResult, Splits

WINDOWS = 6
"""Of a video."""
START_UP = 3.0
"""Seconds that a trial may cost beside its folds."""


def main() -> None:
    """Runs the trials and prints one line for every tenth of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.0, help="of a fold (default 0)")
    parser.add_argument("--space", default="full", help="search space (default full, the largest)")
    given = parser.parse_args()
    if given.trials < 20:
        parser.error("needs at least 20 trials")
    with tempfile.TemporaryDirectory() as folder:
        options = SearchOptions(
            study=f"{folder}/study", trials=given.trials, folds=given.folds, space=given.space, prune=0.0
        )
        show(run(options, Path(folder), given.seconds))


def run(options: SearchOptions, folder: Path, seconds: float = 0.0) -> list[Figure]:
    """Runs a search of trials that train nothing and returns what it took."""
    space, task = load_space(options.space), load_task("diagnosis")
    cohort, trials = random_cohort(), options.trials or 1
    study = open_study(folder / "study", options, cohort, task, {"name": "none", "sha256": "none"})
    block, ended, sizes = max(trials // 10, 1), [time.perf_counter()], [memory()]

    def on_event(event: Event) -> None:
        if event.what != "finished":
            return
        ended.append(time.perf_counter())
        if (done := len(ended) - 1) % block == 0:
            sizes.append(memory())
            each = (ended[-1] - ended[-1 - block]) / block
            print(f"trials {done - block + 1:4}-{done:4}: {each:.2f} s a trial, driver {sizes[-1]:.0f} MiB", flush=True)

    with ray_session(options) as machines:
        ended[0] = time.perf_counter()
        job = Job(study=study, reference=options.reference(), space=space, cache=folder, sampler="tpe", seed=0,
                  prune=0.0, workers=1, cpus=1, gpus=0.0)  # fmt: skip
        run_trials(job, open_optuna(study), trials, machines, on_event, functools.partial(draw_folds, seconds=seconds))
        took = time.perf_counter() - ended[0]
    complete = sum(t.state == "COMPLETE" for t in read_trials(study.folder, study.record.name))
    print(f"{complete} trials x {options.folds} folds are COMPLETE in the study", flush=True)
    size = f"{trials} trials x {options.folds} folds"
    if seconds:
        alone = trials * options.folds * seconds / machines.concurrent
        return [figure(f"a search of {size} of {seconds:g} s", [(took, alone)], unit="s",
                       beside=f"its folds alone on {machines.concurrent} workers", aim="1.05")]  # fmt: skip
    early, late = ((ended[b] - ended[a]) / block for a, b in ((block, 2 * block), (-1 - block, -1)))
    return [
        figure(f"a trial of {size} that take no time, the last tenth", [(late, START_UP)], unit="s", beside="what is allowed",
               aim="1"),
        figure(f"a trial of {size} that take no time, the last tenth", [(late, early)], unit="s", beside="the second tenth"),
        figure(f"the driver's memory after {size}", [(sizes[-1], sizes[1])], unit="MiB", beside="after the first tenth", aim="1"),
    ]  # fmt: skip


def random_cohort() -> Cohort:
    """Returns 60 subjects with two videos each, without files."""
    rows = [
        {"subject": f"S{s:02}", "video": f"S{s:02}-{v}.mp4", "path": "", "sha256": f"{s}-{v}", "label": s % 3,
         "frames": 300, "cached": ""}
        for s in range(60)
        for v in range(2)
    ]  # fmt: skip
    classes = ("healthy", "dementia with Lewy bodies", "Alzheimer's disease")
    return Cohort(
        name="random", simulated=True, label="diagnosis", classes=classes, parameters=(), videos=pl.DataFrame(rows)
    )


def draw_folds(trial: dict[str, Any], seconds: float) -> None:
    """Stands where `run_trial` stands, without training."""
    study = Path(trial["study"])
    cohort, splits = Cohort.load(study), Splits.load(study / "splits.json")
    for done, (key, fold) in enumerate(zip(trial["keys"], splits.folds, strict=True), start=1):
        time.sleep(seconds)
        draws = np.random.default_rng(int(key[:8], 16))
        rows = [
            {"fold": fold.index, "subject": video["subject"], "video": video["video"], "window": 30 * window,
             "true": video["label"], "probabilities": draws.dirichlet([1.0] * 3).tolist()}
            for video in cohort.of_subjects(fold.test).iter_rows(named=True)
            for window in range(WINDOWS)
        ]  # fmt: skip
        FoldResult(key=key, fold=fold.index, config=trial["config"], predictions=pl.DataFrame(rows, schema=PREDICTIONS),
                   history=(), seconds=1.0, class_similarity=(), trained_parameters=1).save(study / "folds" / key)  # fmt: skip
        tune.report({"folds": done})


if __name__ == "__main__":
    main()
