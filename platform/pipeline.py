"""What a search does, one thing after another: cohort, study, trials, words, baselines, nested folds, null, report."""

import dataclasses
import datetime
import shlex
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from platform.baselines import check_baselines, run_baselines
from platform.best_model import write_best
from platform.config_file import write_config
from platform.console import Console
from platform.following import followed
from platform.learning import run_learning_curve
from platform.memory import worker_memory
from platform.mlflow_runs import mirrored
from platform.nested import open_nested, run_nested
from platform.next_step import invocation, next_line
from platform.options import SearchOptions, require_utf8
from platform.resources import ray_session
from platform.sampling import check_space
from platform.session import Session, frame_cache
from platform.sites import read_places
from platform.splits import check_near_duplicates
from platform.study import Study, lock, open_study
from platform.study_parts import permuted
from platform.study_strips import check_strips, study_strips
from platform.wandb_runs import kept_as_runs

from reports.documents.kept_drawings import KeptDrawings
from reports.documents.page import write_report
from reports.documents.strips import Strips
from search_spaces import Space, load_space
from trainables.cohort.manifest import read_manifest
from trainables.data.cache import ingest_cohort
from trainables.data.cache_folder import close_folder, open_cache
from trainables.knowledge.parameters import load_parameters, with_video_parameters
from trainables.knowledge.tasks import Task, load_task
from trainables.model.backbone import Backbone, load_backbone
from trainables.simulation.cohort import VERSION, is_simulated, simulate_cohort
from trainables.study.files import read_json
from trainables.study.leaderboard import TrialRecord
from trainables.study.records import CODE_CHANGED, Cohort
from trainables.training.fold import check_prompts


def search(options: SearchOptions, console: Console) -> Path:
    """Checks everything, then trains, chooses, explains, compares and reports; returns the study's folder."""
    started, drawings = time.monotonic(), KeptDrawings()
    plan = make_plan(options, console)
    options, space, cohort, task, backbone = plan.options, plan.space, plan.cohort, plan.task, plan.backbone
    with lock(options.study_folder()):
        study = open_study(options.study_folder(), options, cohort, task, backbone.about())
        if options.outer_folds:
            open_nested(study, options)  # a cohort that is too small for it is told before Ray starts
        announce(study, options, console)
        write_config(study.folder, options, options.reference())
        with mirrored(options.mlflow, study.folder, console), kept_as_runs(options.wandb, study.folder, console):
            with ray_session(options, partial(_memory_of_worker, options, backbone)) as machines:
                if machines.note:
                    console.say(machines.note)
                study = study.noted(options=study.record.options | machines.shares())
                session = Session(options=options, space=space, machines=machines, console=console)
                study = ingest(study, backbone, session)
                chosen = session.search(study, "search")
                describe(study, chosen, session)
                write_best(study, chosen, session)
                with ThreadPoolExecutor(max_workers=1) as beside:  # baselines run in Ray, and this process only waits
                    early = beside.submit(write_report, study.folder, pdf=False, kept=drawings)
                    study = run_baselines(study, session)
                    early.result()
                if options.learning_curve:
                    run_learning_curve(study, chosen, session)
                read_places(study, session)
                if options.outer_folds:
                    run_nested(study, session)
                null = tuple(run_permutation(study, n, session) for n in range(options.permutations))
                strips = strips_of(study, session) if options.strips else None
            finish(study, null, time.monotonic() - started)
    page = write_report(study.folder, kept=drawings, strips=strips)
    show(study, chosen, console)
    console.say(f"report: {page}")
    console.say(next_line("predict", study.folder, "VIDEO", "..."))
    return study.folder


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What a search is about, checked as far as that can be without Ray."""

    options: SearchOptions
    """Completed."""
    space: Space
    cohort: Cohort
    task: Task
    backbone: Backbone


def make_plan(options: SearchOptions, console: Console) -> Plan:
    """Reads and checks everything that a search is told, and returns it.

    Raises:
        StridefoldError: The first thing that is wrong.
    """
    require_utf8("--study", options.study_folder())
    space, reference = load_space(options.space), options.reference()
    options = options.completed(space)
    check_space(space, reference, options.sampler or "tpe")
    cohort, task = gather_cohort(options, console)
    options = options.for_task(ordinal=task.ordinal).for_labels(per_video=cohort.per_video_labels)
    if cohort.per_video_labels:
        console.say(f"labels are per video: configurations are compared by {options.metric}, subjects resampled whole")
    check_baselines(options.baselines, cohort)
    if options.strips:
        check_strips(cohort, options.track)
    backbone = load_backbone(options.backbone)
    check_prompts(reference.effective(), backbone, task)
    return Plan(options=options, space=space, cohort=cohort, task=task, backbone=backbone)


def _memory_of_worker(options: SearchOptions, backbone: Backbone, gpus: float) -> int:
    return worker_memory(options.reference(), backbone.about(), options.workers, gpu=gpus > 0)


def announce(study: Study, options: SearchOptions, console: Console) -> None:
    """Prints what is about to be run, and what of it is there already."""
    folds = len(study.splits.folds)
    console.say(f"study {study.folder}: {options.trials} trials x {folds} folds, space {options.space}")
    if options.outer_folds:
        console.say(f"nested: the same search without each of {options.outer_folds} outer folds")
    if reused := len(study.finished_folds()):
        console.say(f"continued: {reused} finished folds are reused")
    if len(study.record.code) > 1:
        console.say(f"note: {CODE_CHANGED.format(version=study.record.training_version)}")


def gather_cohort(options: SearchOptions, console: Console) -> tuple[Cohort, Task]:
    """Returns the checked cohort and its task; without a manifest the simulated one, made at first use."""
    task = load_task(options.task) if options.task else None
    path = Path(options.cohort) if options.cohort else None
    if path is None:
        name = f"simulated-{options.subjects}-subjects-seed-{options.seed}-version-{VERSION}"
        console.say(f"no --cohort given: {options.subjects} simulated subjects, not patients")
        path = simulate_cohort(open_cache(options.cache) / name, subjects=options.subjects, seed=options.seed)
        close_folder(path.parent)
    require_utf8("--cohort", path)
    label = options.label or (task.label if task else "diagnosis")
    with console.bar("checking videos") as on_file:
        cohort, task = read_manifest(
            path,
            task=task,
            label=label,
            parameters=with_video_parameters(load_parameters(Path(options.parameters) if options.parameters else None)),
            columns=options.column,
            named=options.parameter,
            ignore=options.ignore,
            attributes=options.attribute,
            second_rating=options.second_rating,
            own_parameters=bool(options.parameters),
            folds=options.folds or 2,  # one subject at a time needs two subjects of each class, as two folds do
            fold_column=options.fold_column,
            follow_links=options.follow_links,
            label_per_video=options.label_per_video,
            simulated=options.cohort is None or is_simulated(path),
            on_note=lambda note: console.say(f"  {note}"),
            on_file=on_file,
        )
    console.say(summary(cohort))
    if cohort.excluded:
        console.say(f"  {len(cohort.excluded)} videos are not used; the report says why")
    if not task.knows():
        console.say(f"  {no_knowledge(options, path, cohort.label)}")
    return cohort, task


def summary(cohort: Cohort) -> str:
    """Returns a cohort in one line: its videos, subjects, classes and numbers; labels per video are counted by video."""
    subjects = cohort.subjects()
    labels = (cohort.videos if cohort.per_video_labels else subjects)["label"]
    counts = ", ".join(f"{int((labels == i).sum())} {name}" for i, name in enumerate(cohort.classes))
    of, numbers = "videos: " if cohort.per_video_labels else "", len(cohort.parameters)
    return (
        f"cohort {cohort.name}: {len(cohort.videos)} videos of {len(subjects)} subjects ({of}{counts}), "
        f"{numbers} numeric parameter{'' if numbers == 1 else 's'}"
    )


def no_knowledge(options: SearchOptions, manifest: Path, label: str) -> str:
    """Returns the sentence about classes of which the model is told nothing but the name."""
    if options.task:
        return f"{options.task} has no keywords and no notions yet, so of the classes the model reads the names alone"
    new = f"{invocation('task')} new {shlex.quote(str(manifest))} --label {shlex.quote(options.label or label)}"
    return f"there is no clinical knowledge for label {label!r}, so class names alone are read; to write some: {new}"


def ingest(study: Study, backbone: Backbone, session: Session) -> Study:
    """Returns the study with every video in the frame cache.

    Raises:
        CohortError: Lists the videos that cannot be read, or whose walker cannot be followed.
        LeakageError: Lists videos of different subjects that show the same recording.
    """
    from platform.tuner import in_ray_tasks

    from trainables.tracking.readiness import make_ready

    cache = frame_cache(session.options)
    make_ready(session.options.track, session.options.pose_weights, cache)
    with session.console.ingest() as on_video:
        cohort = ingest_cohort(
            study.cohort,
            size=backbone.image_size,
            folder=cache,
            reader=session.options.reader,
            tracker=session.options.track,
            run=in_ray_tasks,
            on_video=on_video,
        )
    for line in [] if cohort.simulated else followed(cohort.videos):
        session.console.say(line)
    check_near_duplicates(cohort, cache, session.options.allow_duplicate)
    cohort.save(study.folder)
    return dataclasses.replace(study, cohort=cohort)


def describe(study: Study, chosen: TrialRecord, session: Session) -> None:
    """Decodes what the chosen configuration's classes have learned."""
    started = time.monotonic()
    session.describe(study, chosen.folds)
    session.console.say(f"described the classes in {time.monotonic() - started:.0f} s")


def strips_of(study: Study, session: Session) -> Strips:
    """Returns how each walker of a study was followed, to be shown in the report."""
    from platform.tuner import in_ray_tasks

    return study_strips(study.folder, session.options.cache, in_ray_tasks, session.console)


def run_permutation(study: Study, number: int, session: Session) -> float:
    """Returns the best score of the same search on subjects whose labels were exchanged."""
    shuffled = permuted(study, number, session.options)
    chosen = session.search(shuffled, f"permutation {number + 1}", session.options.permutation_trials)
    assert chosen.value is not None
    return chosen.value


def finish(study: Study, null: tuple[float, ...], seconds: float) -> None:
    """Notes in the study's record that the search is complete."""
    study.noted(
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        wall_seconds=study.record.wall_seconds + seconds,
        permutations=null or study.record.permutations,
    )


def show(study: Study, chosen: TrialRecord, console: Console) -> None:
    """Prints the chosen configuration and its scores, as the report's results.json has them."""
    console.outcome(chosen, study.record.metric, read_json(study.folder / "results.json"))
