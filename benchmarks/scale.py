"""Prints what grows with a very large search without training anything: tables, splits, the study's database, Ray's tasks.

    python benchmarks/scale.py --videos 100000 --trials 1000

The cohort is four videos of each subject, with 29 numbers and no files. The database is written to as a search does: a
configuration of the space `full`, drawn at random, and then an attribute for each fold and the score. docs/scale.md says what follows.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from platform import tuner
from platform.options import SearchOptions
from platform.resources import ray_session
from platform.sampling import ask, make_sampler, quiet_optuna
from platform.splits import check_ledger, make_splits

import numpy as np
import optuna
import polars as pl

from benchmarks.figures import Figure, figure, memory, parser, show, timed
from search_spaces import load_space
from trainables.knowledge.parameters import load_parameters
from trainables.study.leaderboard import open_storage, read_trials
from trainables.study.records import PREDICTIONS, Cohort, FoldResult, Parameter

CLASSES = ("healthy", "dementia with Lewy bodies", "Alzheimer's disease")
OF_A_SUBJECT, FOLDS, WINDOWS = 4, 5, 6
"""Videos of a subject, folds, and held-out windows of a video."""


def main() -> None:
    """Measures and prints the figures."""
    options = parser(__doc__)
    options.add_argument("--videos", type=int, default=100_000)
    options.add_argument("--trials", type=int, default=1000)
    options.add_argument("--tasks", type=int, default=5000, help="that Ray is given (default 5000; 0 starts no Ray)")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        show(tables(Path(name), given.videos))
        show(database(Path(name), given.trials))
    if given.tasks:
        show(ray_tasks(given.tasks))


def tables(folder: Path, videos: int) -> Iterator[Figure]:
    """Yields what a cohort of N videos costs each time, over one of a tenth."""
    sides = [stages(folder / str(n), n) for n in (videos, videos // 10)]
    for stage, unit in sides[0]:
        many, few = (side[stage, unit] for side in sides)
        yield figure(f"{stage}, {videos} videos", [(many, few)], unit=unit, beside=f"{videos // 10} videos")


def stages(folder: Path, videos: int) -> dict[tuple[str, str], float]:
    """Returns what each stage costs, by its name and unit."""
    folder.mkdir()
    cohort = simulated(videos)
    found = {("memory of the cohort's table", "MiB"): cohort.videos.estimated_size("mb")}

    def stage(what: str, call: Callable[[], object]) -> None:
        found[what, "s"] = timed(call)

    cohort.videos.write_csv(folder / "cohort.csv")
    stage("reading the table alone, as CSV", lambda: pl.read_csv(folder / "cohort.csv", infer_schema_length=0))
    stage("hashing the cohort", cohort.sha256)
    stage("writing the cohort into the study", lambda: cohort.save(folder))
    stage("reading the cohort, which each trial does", lambda: Cohort.load(folder))
    started = time.perf_counter()
    splits = make_splits(cohort, folds=FOLDS, seed=0)
    found["splitting", "s"] = time.perf_counter() - started
    stage("checking the ledger", lambda: check_ledger(cohort, splits))
    result = predictions(cohort.of_subjects(splits.folds[0].test))
    stage("writing a fold's result", lambda: result.save(folder / "fold"))
    stage("reading a fold's result", lambda: FoldResult.load(folder / "fold"))
    found["a fold's result on disk", "MiB"] = sum(p.stat().st_size for p in (folder / "fold").iterdir()) / 2**20
    return found


def simulated(videos: int) -> Cohort:
    """Returns a cohort without files."""
    number, draws = np.arange(videos), np.random.default_rng(0)
    subject = number // OF_A_SUBJECT
    parameters = tuple(Parameter(key=p.key, name=p.name, unit=p.unit) for p in load_parameters(None))
    table = {"subject": [f"S{s:06}" for s in subject], "video": [f"{n}.mp4" for n in number],
             "path": [f"/cohort/{n}.mp4" for n in number], "sha256": [f"{n:064x}" for n in number],
             "label": subject % len(CLASSES), "frames": np.full(videos, 300), "cached": [f"{n:040x}.npy" for n in number],
             **{p.key: draws.normal(1, 0.1, videos) for p in parameters}}  # fmt: skip
    return Cohort(name="scale", simulated=True, label="diagnosis", classes=CLASSES, parameters=parameters,
                  videos=pl.DataFrame(table))  # fmt: skip


def predictions(videos: pl.DataFrame) -> FoldResult:
    """Returns the result of a fold that held out some videos."""
    rows = videos.select("subject", "video", true="label").join(
        pl.DataFrame({"window": [30 * w for w in range(WINDOWS)]}), how="cross"
    )
    chances = np.random.default_rng(0).dirichlet([1.0] * len(CLASSES), len(rows))
    table = rows.with_columns(
        fold=pl.lit(0, pl.Int64), probabilities=pl.Series(chances.tolist(), dtype=pl.List(pl.Float64))
    )
    return FoldResult(key="scale", fold=0, config={}, predictions=table.select(*PREDICTIONS).cast(pl.Schema(PREDICTIONS)),
                      history=(), seconds=1.0, class_similarity=(), trained_parameters=1)  # fmt: skip


def database(folder: Path, trials: int) -> Iterator[Figure]:
    """Yields what a trial's records cost in the study's database, and what its driver keeps of them."""
    path, block = folder / "study.db", max(trials // 10, 1)
    space, reference = load_space("full"), SearchOptions(space="full").reference()
    with quiet_optuna():
        study = optuna.create_study(study_name="scale", storage=open_storage(path), direction="maximize",
                                    sampler=make_sampler("random", 0))  # fmt: skip
    ended, sizes = [time.perf_counter()], [memory()]
    for number in range(trials):
        trial, config = ask(study, space, reference)
        trial.set_user_attr("config", config.flat())
        keys = [f"{number:020}{fold:020}" for fold in range(FOLDS)]
        for done in range(FOLDS + 1):
            trial.set_user_attr("folds", keys[:done])
        for name in ("log_loss", "standard_error"):
            trial.set_user_attr(name, 0.1)
        study.tell(trial, 1 / (number + 1))
        ended.append(time.perf_counter())
        sizes.append(memory())
    late, early = ((ended[b] - ended[a]) / block * 1e3 for a, b in ((-1 - block, -1), (0, block)))
    yield figure(f"a trial's records in the database, the last tenth of {trials}", [(late, early)], unit="ms",
                 beside="the first tenth")  # fmt: skip
    yield figure(f"the driver's memory after the records of {trials} trials", [(sizes[-1], sizes[block])], unit="MiB",
                 beside="after the first tenth")  # fmt: skip
    yield figure(
        f"reading all of {trials} trials",
        [(timed(lambda: read_trials(folder, "scale")), 1.0)],
        unit="s",
        beside="a second",
    )
    yield figure(f"the database of {trials} trials", [(path.stat().st_size / 2**20, trials / 100)], unit="MiB",
                 beside="10 KiB a trial")  # fmt: skip


def ray_tasks(count: int) -> Iterator[Figure]:
    """Yields what a video costs as a task of Ray, few of them at once and all at once."""
    usual, took = tuner.IN_FLIGHT, {}
    with ray_session(SearchOptions()):
        list(tuner.in_ray_tasks(range(100), same))  # the workers start
        for limit in (usual, count):
            tuner.IN_FLIGHT = limit
            took[limit] = timed(lambda: list(tuner.in_ray_tasks(range(count), same))) / count * 1e3
    tuner.IN_FLIGHT = usual
    yield figure(f"a task that does nothing, of {count}, {usual} of them with Ray", [(took[usual], took[count])], unit="ms",
                 beside="all with Ray at once")  # fmt: skip


def same(number: int) -> int:
    """Returns a number as it is; what each task does."""
    return number


if __name__ == "__main__":
    main()
