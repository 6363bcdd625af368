"""Scores new videos by a study's folds: the table, the descriptions, and the files."""

import dataclasses
import datetime
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from platform.console import Console
from platform.following import followed
from platform.predict_options import NOTICE, PredictOptions
from platform.predicting_on import begun, merged, parts, remaining
from platform.predictor import Predictor
from platform.unlike import Unlike, plain
from typing import Any

import polars as pl

from trainables.cohort.new_videos import Seen, expanded, read_manifest_videos, read_videos
from trainables.data.cache_folder import open_frames
from trainables.inference.ensemble import Ensemble, load_frozen
from trainables.inference.exported import open_model
from trainables.inference.predictions import Prediction
from trainables.inference.video_parameters import Estimate
from trainables.recordings.decode import RATE
from trainables.study.files import write_json, write_text
from trainables.study.prediction_sets import in_words
from trainables.study.training_version import TRAINING_VERSION, source_hash
from trainables.study.vocabulary import LEVELS
from trainables.tracking.readiness import follow_as_trained

Estimates = dict[str, tuple[Estimate, ...]]
"""Each video's estimated parameters by its name."""
WORDS = "descriptions are what the folds' models learned of the class; nothing in them was measured in the video"


def predict(options: PredictOptions, console: Console) -> int:
    """Scores the videos by the study's folds, prints the table and writes the files."""
    ensemble = open_model(options.study, options.fold)
    if options.manifest:
        videos = read_manifest_videos(options.manifest, follow_links=options.follow_links)
    else:
        videos = read_videos(expanded(options.videos))
    cache = open_frames(options.cache)
    follow_as_trained(ensemble.record, options.pose_weights, cache)
    before = begun(options.out, ensemble) if options.resume and options.out else None
    if (todo := remaining(videos, before)).is_empty():
        console.say(f"all {len(videos)} videos are in {options.out} already")
        return 0
    predictor = Predictor(
        ensemble,
        load_frozen(ensemble, options.chosen_device(), options.backbone, options.knowledge_encoder),
        cache=cache,
        device=options.chosen_device(),
        reader=options.reader,
        workers=options.workers,
    )
    for part in parts(todo) if options.resume else (todo,):
        before = _predict_part(options, predictor, part, before, console)
    return 0


def _predict_part(
    options: PredictOptions, predictor: Predictor, videos: pl.DataFrame, before: dict[str, Any] | None, console: Console
) -> dict[str, Any] | None:
    """Scores some videos, prints the table, writes the files, and returns what is written so far where a run can go on."""
    ensemble = predictor.ensemble
    with console.ingest() as on_video:
        scored = predictor.score(videos, LEVELS if options.manifest else LEVELS[1:], on_video)
    for line in followed(scored.videos):
        console.say(line)
    show(ensemble, scored.found, scored.seen, console, scored.far, scored.estimated)
    document = merged(
        before, as_document(ensemble, scored.videos, scored.found, scored.seen, scored.far, scored.estimated)
    )
    for path in (options.out,) if options.out else free_paths(Path()):
        write(path, ensemble, scored.found, document)
        console.say(f"written: {path}")
    return document if options.resume else None


def show(
    ensemble: Ensemble,
    found: list[Prediction],
    seen: list[Seen],
    console: Console,
    far: tuple[Unlike, ...] = (),
    estimated: Estimates | None = None,
) -> None:
    """Prints where the models come from, the table, the nearest descriptions, and what to be careful about."""
    trial, classes = ensemble.trial, ensemble.cohort.classes
    which = f"{len(ensemble.folds)} folds" if len(ensemble.folds) > 1 else f"fold {ensemble.folds[0]}"
    which = "one model of all subjects" if ensemble.refitted else which
    console.say(
        f"study {ensemble.record.name}, {which} of trial {trial.number}, chosen by its {ensemble.record.metric} of "
        f"{trial.value or 0.0:.3f} over {ensemble.subjects} held-out subjects"
    )
    console.say("")
    shown = [p for p in found if p.level != "window"]
    console.table(*as_table(ensemble, shown))
    console.say("")
    for p in shown:
        console.say(f"{p.video or p.subject}: {description(p, classes, ensemble)}")
    for line in estimate_lines(estimated or {}):
        console.say(line)
    for line in cautions(ensemble, seen, far):
        console.say(line)


def as_table(ensemble: Ensemble, shown: list[Prediction]) -> tuple[list[str], list[list[str]]]:
    """Returns the header and the rows of the printed table, without columns that would say nothing."""
    classes = ensemble.cohort.classes
    columns = {"video": [p.video or "all videos" for p in shown], "class": [classes[p.predicted] for p in shown]}
    if any(p.subject for p in shown):
        columns = {"subject": [p.subject or "" for p in shown]} | columns
    if len(ensemble.folds) > 1:
        columns["folds that agree"] = [f"{p.agreeing} of {len(p.by_fold)}" for p in shown]
    if ensemble.sets is not None and ensemble.sets.rules:
        columns[f"{ensemble.sets.percent} set"] = [set_in_words(p, classes) or "" for p in shown]
    probabilities = [[f"{p.probabilities[i]:.3f}" for p in shown] for i in range(len(classes))]
    header = [*columns, *classes]
    return header, [list(row) for row in zip(*columns.values(), *probabilities, strict=True)]


def set_in_words(p: Prediction, classes: tuple[str, ...]) -> str | None:
    """Returns a prediction's set, as 'healthy or AD' or 'does not know'; None where the model has none."""
    return None if p.answers is None else in_words(p.answers, classes)


def description(p: Prediction, classes: tuple[str, ...], ensemble: Ensemble) -> str:
    """Returns the nearest decoded description of a prediction's class in one line, or why there is none."""
    if p.description is None:
        return f"no description of {classes[p.predicted]}: {no_description(ensemble, classes[p.predicted])}"
    near = p.description
    return f"nearest description of {classes[p.predicted]} (fold {near.fold}, cosine {near.similarity:.2f}): {near.decoded.sentence}"


def no_description(ensemble: Ensemble, label: str) -> str:
    """Returns why no fold has words of a class that may go with a prediction."""
    for fold in ensemble.folds:
        found = ensemble.result(fold).descriptions
        about = found.of(label) if found is not None else None
        if about is not None:
            return about.refusal or (
                f"in fold {fold} its query gives {about.attention.own if about.attention else 0:.0%} of the weight to the class's "
                "own subjects, no more than chance"
            )
    return "its folds were not put into words, or by an older version"


def estimate_lines(estimated: Estimates) -> Iterator[str]:
    """Yields the estimates of each video's own parameters, apart from the class's words."""
    for video, found in estimated.items():
        if found:
            values = ", ".join(
                f"{e.parameter} {e.value:.3g} {e.unit}".rstrip() + f" (± {e.error:.2g})" for e in found[:4]
            )
            yield f"{video}: estimated from the video, not measured, ± the mean error on people held out: {values}"


def cautions(ensemble: Ensemble, seen: list[Seen], far: tuple[Unlike, ...] = ()) -> list[str]:
    """Returns what whoever reads the predictions must know, one sentence a line."""
    lines = [f"note: {WORDS}"]
    if ensemble.cohort.simulated:
        lines.append("note: the study's models were trained on simulated walkers, not on patients")
    if ensemble.record.finished is None:
        lines.append(f"note: the study's search has not ended; trial {ensemble.trial.number} is the best so far")
    if (version := ensemble.record.training_version) != TRAINING_VERSION:
        lines.append(
            f"note: the study was computed by version {version} of the trainers, and this is version {TRAINING_VERSION}; its class "
            "features are the same here, whether its video features are was not checked"
        )
    elif source_hash() not in ensemble.record.code:
        lines.append(
            "note: the source text of the trainers is not the study's; their version is, so they compute the same"
        )
    if ensemble.sets is not None:
        lines.append(f"note: {ensemble.sets.sentence()}")
    unlike = (one.sentence() for one in far if one.unlike)
    return [*lines, *(caution(s) for s in seen), *unlike, f"warning: {NOTICE}"]


def caution(seen: Seen) -> str:
    """Returns a sentence on a video that the study's models may know."""
    whose = f"is in the study's cohort (subject {seen.subject})" if seen.same_file else ""
    whose = whose or f"is of subject {seen.subject}, and the study's cohort has a subject of that name"
    if seen.trained:
        held_out = f"; --fold {seen.held_out[0]} held this subject out" if seen.held_out else ""
        return f"warning: {seen.video} {whose}: {_folds(seen.trained)} trained on this subject{held_out}"
    return f"note: {seen.video} {whose}, whom this fold held out"


def _folds(folds: tuple[int, ...]) -> str:
    if len(folds) == 1:
        return f"fold {folds[0]} was"
    return f"folds {', '.join(map(str, folds[:-1]))} and {folds[-1]} were"


def free_paths(folder: Path) -> tuple[Path, Path]:
    """Returns predictions-N.json and predictions-N.csv with the first N of which neither exists."""
    number = 1
    while any((folder / f"predictions-{number}.{kind}").exists() for kind in ("json", "csv")):
        number += 1
    return folder / f"predictions-{number}.json", folder / f"predictions-{number}.csv"


def write(path: Path, ensemble: Ensemble, found: list[Prediction], document: dict[str, Any]) -> None:
    """Writes all predictions, as JSON or CSV by the path's ending."""
    if path.suffix.lower() == ".csv":
        write_text(path, as_rows(ensemble, found).write_csv())
    else:
        write_json(path, document)


def label_values(ensemble: Ensemble) -> list[str]:
    """Returns each class as the label column of the study's cohort spells it, so that predictions join with its table."""
    return [c["value"] for c in ensemble.record.task["classes"]]


def as_document(
    ensemble: Ensemble,
    videos: pl.DataFrame,
    found: list[Prediction],
    seen: list[Seen],
    far: tuple[Unlike, ...] = (),
    estimated: Estimates | None = None,
) -> dict[str, Any]:
    """Returns the contents of the JSON file: where the models come from, then windows, videos and subjects."""
    record, classes, values = ensemble.record, ensemble.cohort.classes, label_values(ensemble)
    hashes = dict(videos.select("video", "sha256").rows())

    def entry(p: Prediction) -> dict[str, Any]:
        named = {"subject": p.subject, "video": p.video, "window": p.window}
        about: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
        if p.level == "window":
            about["seconds"] = (p.window or 0) / RATE
        if p.level == "video":
            about["sha256"] = hashes[p.video]
            about["estimated_not_measured"] = [dataclasses.asdict(e) for e in (estimated or {}).get(p.video or "", ())]
        near = p.description
        return about | {
            "class": classes[p.predicted],
            "label_value": values[p.predicted],
            "probabilities": dict(zip(classes, p.probabilities, strict=True)),
            "folds_agreeing": p.agreeing,
            "set": None if p.answers is None else [classes[index] for index in p.answers],
            "set_in_words": set_in_words(p, classes),
            "by_fold": [
                {"fold": fold, "probabilities": dict(zip(classes, own, strict=True))}
                for fold, own in zip(ensemble.folds, p.by_fold, strict=True)
            ],
            "description": near and {"fold": near.fold, "cosine": near.similarity, **dataclasses.asdict(near.decoded)},
        }

    return {
        "notice": NOTICE,
        "cautions": cautions(ensemble, seen, far),
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "stridefold": importlib.metadata.version("stridefold"),
        "study": record.name,
        "task": record.task["title"],
        "classes": classes,
        "simulated": ensemble.cohort.simulated,
        "trial": ensemble.trial.number,
        "folds": ensemble.folds,
        "fold_keys": [ensemble.trial.folds[fold] for fold in ensemble.folds],
        "backbone": {"name": record.backbone["name"], "sha256": record.backbone["sha256"]},
        "in_study": [dataclasses.asdict(s) for s in seen],
        "unlike_training": plain(far),
        "prediction_sets": None if ensemble.sets is None else dataclasses.asdict(ensemble.sets),
        **{f"{level}s": [entry(p) for p in found if p.level == level] for level in LEVELS},
    }


def as_rows(ensemble: Ensemble, found: list[Prediction]) -> pl.DataFrame:
    """Returns the contents of the CSV file: one row per subject, video and window, with the folds' mean."""
    classes, values = ensemble.cohort.classes, label_values(ensemble)
    rows = [
        {
            "level": p.level,
            "subject": p.subject,
            "video": p.video,
            "window": p.window,
            "seconds": None if p.window is None else p.window / RATE,
            "class": classes[p.predicted],
            "label_value": values[p.predicted],
            **{f"probability of {name}": value for name, value in zip(classes, p.probabilities, strict=True)},
            "folds": len(p.by_fold),
            "folds_agreeing": p.agreeing,
            "set": set_in_words(p, classes),
            "description": p.description and p.description.decoded.sentence,
            "description_fold": p.description and p.description.fold,
            "description_cosine": p.description and p.description.similarity,
        }
        for p in found
    ]
    return pl.DataFrame(rows, infer_schema_length=None)
