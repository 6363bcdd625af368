"""python -m platform.search: from a cohort to a report."""

import dataclasses
import datetime
import sys
import time
from pathlib import Path
from platform.console import Console
from platform.options import SearchOptions, parse_search
from platform.resources import Machines, ray_session
from platform.study import Study, lock, open_study, permuted

import polars as pl

from reports.page import write_report
from search_spaces import load_space
from trainables.data.cache import ingest_cohort
from trainables.data.manifest import read_manifest
from trainables.data.simulate import VERSION, simulate_cohort
from trainables.errors import StridefoldError
from trainables.knowledge.parameters import load_parameters
from trainables.knowledge.tasks import Task, load_task
from trainables.leaderboard import TrialRecord, best, read_trials
from trainables.metrics import METRICS, score
from trainables.model.backbone import Backbone, load_backbone
from trainables.records import Cohort, FoldResult, StudyRecord
from trainables.training.fold import as_baseline, check_prompts


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit status: 0, 1 for a problem, 130 when stopped by the user."""
    console = Console()
    try:
        options = parse_search(arguments)
        console = Console(options.plain)
        return search(options, console)
    except StridefoldError as error:
        console.error(error)
        return 1
    except OSError as error:
        console.error(StridefoldError(f"{error.filename or 'a file'}: {error.strerror}; what was finished is kept"))
        return 1
    except KeyboardInterrupt:
        console.say("stopped; the same command goes on from here")
        return 130


def search(options: SearchOptions, console: Console) -> int:
    """Checks everything, then trains, chooses, explains and reports."""
    started = time.monotonic()
    folder = options.study_folder()
    reference = options.reference()
    load_space(options.space)
    cohort, task = gather_cohort(options, console)
    backbone = load_backbone(options.backbone)
    check_prompts(as_baseline(reference), backbone, task)
    with lock(folder):
        study = open_study(folder, options, cohort, task, backbone.about())
        reused = len(study.finished_folds())
        console.say(f"study {study.folder}: {options.trials} trials x {options.folds} folds, space {options.space}")
        if reused:
            console.say(f"continued: {reused} finished folds are reused")
        with ray_session(options) as machines:
            study = ingest(study, backbone, options, console)
            chosen = run(study, options, machines, console, "search")
            describe(study, chosen, options, console)
            write_report(study.folder)
            null = tuple(run_permutation(study, n, options, machines, console) for n in range(options.permutations))
        finish(study, null, time.monotonic() - started)
    page = write_report(study.folder)
    show(study, chosen, null, console)
    console.say(f"report: {page}")
    return 0


def gather_cohort(options: SearchOptions, console: Console) -> tuple[Cohort, Task]:
    """Returns the checked cohort and its task; without a manifest the simulated one, made at first use."""
    task = load_task(options.task) if options.task else None
    path = Path(options.cohort) if options.cohort else None
    if path is None:
        folder = options.cache_folder() / f"simulated-{options.subjects}-subjects-seed-{options.seed}-version-{VERSION}"
        console.say(f"no --cohort given: {options.subjects} simulated subjects, not patients")
        path = simulate_cohort(folder, subjects=options.subjects, seed=options.seed)
    label = options.label or (task.label if task else "diagnosis")
    cohort, task = read_manifest(
        path,
        task=task,
        label=label,
        parameters=load_parameters(Path(options.parameters) if options.parameters else None),
        columns=options.column,
        ignore=options.ignore,
        folds=options.folds,
        label_per_video=options.label_per_video,
        simulated=options.cohort is None,
        on_note=lambda note: console.say(f"  {note}"),
    )
    subjects = cohort.subjects()
    counts = ", ".join(f"{int((subjects['label'] == i).sum())} {name}" for i, name in enumerate(cohort.classes))
    console.say(
        f"cohort {cohort.name}: {len(cohort.videos)} videos of {len(subjects)} subjects ({counts}), {len(cohort.parameters)} numeric parameters"
    )
    if cohort.excluded:
        console.say(f"  {len(cohort.excluded)} videos are not used; the report says why")
    return cohort, task


def ingest(study: Study, backbone: Backbone, options: SearchOptions, console: Console) -> Study:
    """Returns the study with every video in the frame cache."""
    from platform.tuner import in_ray_tasks

    with console.ingest() as on_video:
        cohort = ingest_cohort(
            study.cohort, size=backbone.image_size, folder=frame_cache(options), run=in_ray_tasks, on_video=on_video
        )
    cohort.save(study.folder)
    return dataclasses.replace(study, cohort=cohort)


def frame_cache(options: SearchOptions) -> Path:
    """Returns the folder of decoded frames; nobody else on the machine may look into the default one."""
    if not options.cache:
        options.cache_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    return (options.cache_folder() / "frames").absolute()


def run(study: Study, options: SearchOptions, machines: Machines, console: Console, what: str) -> TrialRecord:
    """Runs the trials that are missing and returns the chosen one.

    Raises:
        StridefoldError: No trial was finished on all folds.
    """
    from platform.tuner import Job, counted, open_optuna, run_trials

    job = Job(
        study=study,
        reference=options.reference(),
        space=load_space(options.space),
        cache=frame_cache(options),
        workers=options.workers,
        cpus=options.cpus_per_worker,
        gpus=options.gpus_per_worker,
    )
    optuna_study = open_optuna(study, options.sampler, options.seed)
    with console.trials(options.trials, options.folds, len(counted(optuna_study)), what) as on_event:
        run_trials(job, optuna_study, options.trials, machines, on_event)
    trials = read_trials(study.folder, study.record.name)
    chosen = best(trials, options.folds)
    if chosen is None:
        problems = [t.problem for t in trials if t.problem] or ["none noted"]
        raise StridefoldError(
            f"no trial was finished on all {options.folds} folds; the last problem was: {problems[-1]}"
        )
    return chosen


def run_permutation(study: Study, number: int, options: SearchOptions, machines: Machines, console: Console) -> float:
    """Returns the best score of the same search on subjects whose labels were exchanged."""
    shuffled = permuted(study, number, options)
    chosen = run(shuffled, options, machines, console, f"permutation {number + 1}")
    assert chosen.value is not None
    return chosen.value


def describe(study: Study, chosen: TrialRecord, options: SearchOptions, console: Console) -> None:
    """Decodes what the chosen configuration's classes have learned, fold by fold."""
    import ray

    from trainables.ray_loop import describe as describe_one

    started = time.monotonic()
    task = ray.remote(describe_one).options(num_cpus=options.cpus_per_worker, num_gpus=options.gpus_per_worker)
    ray.get(
        [
            task.remote(
                str(study.folder.absolute()),
                str(frame_cache(options)),
                key,
                fold,
                options.cpus_per_worker,
                options.gpus_per_worker,
            )
            for fold, key in enumerate(chosen.folds)
        ]
    )
    console.say(f"described the classes in {time.monotonic() - started:.0f} s")


def finish(study: Study, null: tuple[float, ...], seconds: float) -> StudyRecord:
    """Notes in the study's record that the search is complete."""
    record = dataclasses.replace(
        study.record,
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        wall_seconds=study.record.wall_seconds + seconds,
        permutations=null or study.record.permutations,
    )
    record.save(study.folder)
    return record


def show(study: Study, chosen: TrialRecord, null: tuple[float, ...], console: Console) -> None:
    """Prints the chosen configuration, its scores, and the control beside them."""
    predictions = pl.concat([FoldResult.load(study.folder / "folds" / key).predictions for key in chosen.folds])
    classes = len(study.cohort.classes)
    names = [n for n in METRICS if n != "quadratic_kappa" or study.record.task["ordinal"]]
    console.best(chosen, study.record.metric, {name: score(predictions, f"subject/{name}", classes) for name in names})
    console.say(f"  chance: balanced accuracy {1 / classes:.3f}")
    for value in null:
        console.say(f"  the same search on exchanged labels: {study.record.metric} {value:.3f}")


if __name__ == "__main__":
    sys.exit(main())
