"""`--dry-run`: everything that a search checks, and what it would take; nothing is trained, and no study is begun."""

import dataclasses
import shutil
from pathlib import Path
from platform.console import Console
from platform.memory import GIB, worker_memory
from platform.options import SearchOptions
from platform.pipeline import Plan, make_plan
from platform.resources import Machines, ray_session
from platform.session import Session, frame_cache
from platform.splits import check_ledger, make_splits
from platform.study import require_same, splits_for
from platform.watching import about
from platform.workload import (
    Workload,
    average_fold,
    fold_seconds,
    frame_bytes,
    training_seconds,
    weight_bytes,
    workload,
)
from typing import TYPE_CHECKING

import polars as pl

from trainables.data.cache import missing_frames
from trainables.model_kinds import KINDS
from trainables.study.records import Cohort, Splits, StudyRecord

if TYPE_CHECKING:
    from trainables.inference.timing import Times


def dry_run(options: SearchOptions, console: Console) -> int:
    """Checks a search, times the parts of a fold where a trial would run, and prints what the search would take."""
    plan = make_plan(options, console)
    options, folder = plan.options, plan.options.study_folder()
    if (folder / "study.json").exists():
        require_same(
            folder, StudyRecord.load(folder), options.identity(), plan.cohort, plan.task, plan.backbone.about()
        )
    splits, inner = _all_splits(plan.cohort, options)
    work = workload(options, len(splits.folds), [len(each.folds) for each in inner])
    reference, backbone = options.reference(), plan.backbone.about()

    def memory(gpus: float) -> int:
        return worker_memory(reference, backbone, options.workers, gpu=gpus > 0)

    with ray_session(options, memory) as machines:
        session = Session(options=options, space=plan.space, machines=machines, console=console)
        times = _time_models(plan, splits, session)
    console.say("dry run: everything was checked, and nothing was trained or kept")
    for line in (
        _work_lines(options, work, splits, inner),
        _machine_lines(options, machines),
        _time_lines(plan, work, splits, times, machines),
        _memory_lines(machines, memory(machines.gpus_per_worker), times["clip"], options),
        _disk_lines(plan, work, times["clip"]),
    ):
        for text in line:
            console.say(f"  {text}")
    return 0


def _all_splits(cohort: Cohort, options: SearchOptions) -> tuple[Splits, list[Splits]]:
    """Returns the folds of the study, and those of the study inside each outer fold."""
    splits = splits_for(cohort, options)
    check_ledger(cohort, splits)
    if not options.outer_folds:
        return splits, []
    outer = make_splits(cohort, folds=options.outer_folds, seed=options.seed_of_splits)
    check_ledger(cohort, outer)
    inner = []
    for fold in outer.folds:
        inside = cohort.videos.filter(pl.col("subject").is_in(list(fold.train)))
        inner.append(splits_for(dataclasses.replace(cohort, videos=inside), options))
    return splits, inner


def _time_models(plan: Plan, splits: Splits, session: Session) -> dict[str, "Times"]:
    """Returns what the parts of a fold take, for the model and for each baseline that is trained by steps."""
    from trainables.ray_loop import time_models

    about_fold = {
        "backbone": plan.backbone.name,
        "task": dataclasses.asdict(plan.task),
        "knowledge_encoder": plan.options.knowledge_encoder,
        "cohort": plan.cohort,
        "fold": splits.folds[0],
        "reader": plan.options.reader,
    }
    reference = plan.options.reference()
    models = ["clip", *(name for name in plan.options.baselines if KINDS[name].trained)]
    # One after the other: side by side they would slow each other down.
    return {
        name: session.tasks(time_models, [(about_fold, reference.with_values({"model": name}).flat())])[0]
        for name in models
    }


def _work_lines(options: SearchOptions, work: Workload, splits: Splits, inner: list[Splits]) -> list[str]:
    lines = [f"to train: {options.trials} trials x {_folds(splits, options)} = {work.search} folds"]
    if inner:
        lines.append(
            f"nested: {options.trials} trials x {_folds(inner[0], options)} x {len(inner)} outer folds = {work.nested} folds more"
        )
    if work.permuted:
        trials = options.permutation_trials or options.trials
        lines.append(
            f"permuted labels: {options.permutations} x {trials} trials x {_folds(splits, options)} = {work.permuted} folds more"
        )
    if work.learning:
        lines.append(f"learning curve: {work.learning} folds more of the chosen configuration, with fewer subjects")
    if work.baselines:
        lines.append("baselines: " + ", ".join(f"{count} folds of {name}" for name, count in work.baselines.items()))
    return lines


def _folds(splits: Splits, options: SearchOptions) -> str:
    seeds = f" x {options.training_seeds} seeds" if options.training_seeds > 1 else ""
    return f"{len(splits.folds)} folds{seeds}"


def _machine_lines(options: SearchOptions, machines: Machines) -> list[str]:
    where = "this machine" if options.address == "local" else f"the cluster at {options.address}"
    gpus = f" and {_count(machines.gpus_per_worker, 'GPU')}" if machines.gpus_per_worker else ""
    lines = [
        f"where: {where} with {_count(machines.cpus, 'CPU')} and {_count(machines.gpus, 'GPU')} runs "
        f"{_count(machines.concurrent, 'trial')} at a time, each of {_count(options.workers, 'worker')} with "
        f"{_count(machines.cpus_per_worker, 'CPU')}{gpus}"
    ]
    return [*lines, machines.note] if machines.note else lines


def _time_lines(plan: Plan, work: Workload, splits: Splits, times: dict[str, "Times"], machines: Machines) -> list[str]:
    options, clip = plan.options, times["clip"]
    reference = options.reference()
    repeats = 1 if options.fold is not None else options.repeats
    folds = max(len(splits.folds) // repeats, 2)
    fold = average_fold(reference, plan.cohort.videos["frames"], folds)
    one = fold_seconds(fold, clip, workers=options.workers)
    training = training_seconds(work, fold, times, reference, workers=options.workers, concurrent=machines.concurrent)
    missing = missing_frames(
        plan.cohort, size=plan.backbone.image_size, folder=frame_cache(options), tracker=options.track
    )
    decoding = missing * clip.decode / machines.cpus
    reading = missing * clip.frozen / machines.concurrent
    others = "".join(f"; {name}: {one.step:.3g} s a step" for name, one in times.items() if name != "clip")
    lines = [
        f"timed there: {clip.step:.3g} s an optimiser step of {reference.optimizer.batch_size} windows, {clip.window:.3g} s a "
        f"held-out window, {clip.decode:.2g} s to decode a frame and {clip.frozen:.2g} s to read it{others}",
        f"a fold: {about(one)} for {fold.steps} steps and {fold.windows} held-out windows",
        f"time: {about(training + decoding + reading)}: {about(training)} to train and to find the words, "
        f"{about(decoding)} to decode {missing} frames, {about(reading)} to read them",
    ]
    if options.prune and not options.cost:
        lines.append("trials that --prune stops make it shorter")
    if options.workers > 1:
        lines.append("several workers were not timed: a step is taken as shared among them without a loss")
    return lines


def _memory_lines(machines: Machines, worker: int, times: "Times", options: SearchOptions) -> list[str]:
    together = worker * options.workers * machines.concurrent
    return [
        f"memory: {worker / GIB:.1f} GiB a worker ({times.peak_memory / GIB:.1f} GiB in the timed steps), "
        f"{together / GIB:.1f} GiB for all workers at a time"
    ]


def _disk_lines(plan: Plan, work: Workload, times: "Times") -> list[str]:
    cache, folder = frame_cache(plan.options), plan.options.study_folder()
    missing = missing_frames(plan.cohort, size=plan.backbone.image_size, folder=cache, tracker=plan.options.track)
    needed = (
        (frame_bytes(missing, plan.backbone.image_size), "frames", cache),
        (weight_bytes(work, times), "weights", folder),
    )
    return [
        f"disk: {count / GIB:.2f} GiB of {what} in {where}; {shutil.disk_usage(_existing(where)).free / GIB:.0f} GiB are free there"
        for count, what, where in needed
    ]


def _count(number: float, what: str) -> str:
    return f"{number:g} {what}{'' if number == 1 else 's'}"


def _existing(path: Path) -> Path:
    """Returns the nearest folder above a path that is there already."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
