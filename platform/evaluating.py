"""Scores a second cohort by a finished model: checks, frames, answers, numbers, page."""

import dataclasses
from pathlib import Path
from platform.console import Console
from platform.evaluate_options import EvaluateOptions
from platform.exporting import estimate
from platform.predict_options import device_of
from typing import Any

import polars as pl

from reports.documents.evaluation_page import write_evaluation
from reports.numbers.analysis import analyse
from reports.numbers.evaluation import Evaluation, Source, evaluation
from trainables.cohort.manifest import read_manifest
from trainables.data.cache import ingest_cohort
from trainables.data.cache_folder import open_frames
from trainables.errors import ConfigurationError
from trainables.inference.ensemble import Ensemble, load_frozen, score_videos
from trainables.inference.exported import Estimate, ExportedModel, open_model
from trainables.inference.second_cohort import is_of, refuse_copies, refuse_known, under_classes
from trainables.knowledge.tasks import load_task, task_from_dict
from trainables.simulation.cohort import is_simulated
from trainables.study.metrics import mean_of_folds
from trainables.study.prediction_sets import UNKNOWN
from trainables.study.records import Cohort
from trainables.study.vocabulary import tracker_of
from trainables.tracking.readiness import follow_as_trained

UNCHECKED = (
    "Whether people of the training are here was not checked: the model was given away without them. --study STUDY checks it where "
    "the study is at hand.",
)


def evaluate(options: EvaluateOptions, console: Console) -> int:
    """Scores the cohort, prints the main numbers and writes page, numbers and answers."""
    ensemble = open_model(options.model)
    cache = open_frames(options.cache)
    follow_as_trained(ensemble.record, options.pose_weights, cache)
    cohort = second_cohort(options, ensemble, console)
    trained = training_cohort(options, ensemble)
    checks = refuse_known(cohort, trained, ids_are_unrelated=options.ids_are_unrelated) if trained else UNCHECKED
    with console.ingest() as on_video:
        cohort, predictions, copies = _on_machine(options, ensemble, cohort, trained, cache, on_video)
    found = evaluation(cohort, predictions, source(ensemble, options), (*checks, *copies), ensemble.sets)
    page = write_evaluation(options.folder, found)
    show(found, console)
    console.say(f"page: {page}")
    return 0


def second_cohort(options: EvaluateOptions, ensemble: Ensemble, console: Console) -> Cohort:
    """Returns the checked cohort under the model's classes.

    Raises:
        CohortError: Lists every problem of the manifest and its videos.
        ConfigurationError: The task file has a class that the model does not know.
    """
    task = task_from_dict(ensemble.record.task)
    if options.task:
        given = load_task(options.task)
        if unknown := [c.name for c in given.classes if c.name not in ensemble.cohort.classes]:
            raise ConfigurationError(
                f"--task {options.task}: class {unknown[0]!r} is not one of the model's classes "
                f"({', '.join(ensemble.cohort.classes)}); write the model's name for each value",
                code="evaluate.unknown_class",
            )
        task = given
    cohort, _ = read_manifest(
        options.cohort,
        task=task,
        label=options.label or task.label,
        parameters=(),
        folds=2,
        columns=options.column,
        attributes=options.attribute,
        only_scored=True,
        simulated=is_simulated(options.cohort),
        label_per_video=options.label_per_video,
        follow_links=options.follow_links,
        on_note=lambda note: None if note.startswith(("gait parameters", "left out")) else console.say(f"  {note}"),
    )
    return under_classes(cohort, ensemble.cohort.classes)


def training_cohort(options: EvaluateOptions, ensemble: Ensemble) -> Cohort | None:
    """Returns the cohort of the training, where the study is at hand.

    Raises:
        ConfigurationError: --study names another study than the model's, or a model, which does not know its people.
    """
    if not isinstance(ensemble, ExportedModel):
        return ensemble.cohort
    if options.study is None:
        return None
    own = open_model(options.study)
    if isinstance(own, ExportedModel) or not is_of(ensemble, own):
        raise ConfigurationError(
            f"--study {options.study} is not the study of {options.model}; give the one that it was exported from",
            code="evaluate.other_study",
        )
    return own.cohort


def _on_machine(
    options: EvaluateOptions, ensemble: Ensemble, cohort: Cohort, trained: Cohort | None, cache: Path, on_video: Any
) -> tuple[Cohort, pl.DataFrame, tuple[str, ...]]:
    """Returns the ingested cohort, the answers, and what was checked of copies; on Ray where an address was given."""
    if options.address:
        from platform.evaluating_on_ray import on_ray  # Ray takes seconds

        return on_ray(options, ensemble, cohort, trained, cache, on_video)
    device = device_of(options.device)
    frozen = load_frozen(ensemble, device, options.backbone, options.knowledge_encoder)
    cohort = ingest_cohort(
        cohort,
        size=frozen.backbone.image_size,
        folder=cache,
        workers=options.workers,
        reader=options.reader,
        tracker=tracker_of(ensemble.record.options),
        on_video=on_video,
    )
    copies = refuse_copies(cohort, trained, cache) if trained else ()
    scores = score_videos(ensemble, cohort.videos, frozen, cache=cache, device=device)
    return cohort, mean_of_folds(scores, cohort.videos), copies


def source(ensemble: Ensemble, options: EvaluateOptions) -> Source:
    """Returns what is known of the model, and what its own study says of it."""
    which = f"{len(ensemble.folds)} folds" if len(ensemble.folds) > 1 else "fold 0"
    which = "one model of all subjects" if ensemble.refitted else which
    own = ensemble.model.estimate if isinstance(ensemble, ExportedModel) else estimate(analyse(options.model))
    return Source(
        name=ensemble.record.name,
        simulated=ensemble.cohort.simulated,
        subjects=ensemble.subjects,
        models=f"{which} of trial {ensemble.trial.number}",
        metric=ensemble.record.metric,
        ordinal=bool(ensemble.record.task.get("ordinal")),
        **_plain(own),
    )


def _plain(own: Estimate | None) -> dict[str, Any]:
    if own is None:
        return {"kind": None}
    return {name: value for name, value in dataclasses.asdict(own).items() if name in ("kind", "value", "low", "high")}


def show(found: Evaluation, console: Console) -> None:
    """Prints the scores per subject, the drop, and the widest gap between subgroups."""
    subject = next(level for level in found.levels if level.level == "subject")
    console.say(f"{found.source.name} ({found.source.models}) on {found.cohort.name}: {subject.units} subjects")
    for s in subject.scores:
        name = s.metric.replace("_", " ")
        console.say(f"  {name} {s.value:.3f} ({s.low:.3f} to {s.high:.3f}; by chance {s.chance:.3f})")
    if (drop := found.drop) is not None:
        what = "nested estimate" if drop.kind == "nested" else "selection score, which is optimistic,"
        console.say(
            f"  the {what} of its own study was {drop.own:.3f}: {drop.difference:+.3f} here ({drop.low:+.3f} to {drop.high:+.3f})"
        )
    for one in found.subgroups:
        if one.gap is not None:
            console.say(f"  by {one.attribute}: a gap of {one.gap:.3f} between groups (p = {one.adjusted:.3f}, Holm)")
    for m in found.sets[:1]:
        low, high = m.held_interval
        console.say(
            f"  {m.held:.0%} ({low:.0%} to {high:.0%}) of {m.units} {m.level}s have their class in a set that was made to hold "
            f"{found.promised.percent if found.promised else ''}; {m.unknown:.0%} of the sets say {UNKNOWN!r}"
        )
    for line in found.checks:
        console.say(f"  {line}")
