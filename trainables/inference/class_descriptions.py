"""Puts the class features of a finished fold into words, and measures how far the words can be trusted."""

import dataclasses

import numpy as np
import torch
from torch.nn import functional

from trainables.config import TrainConfig
from trainables.inference.class_words import ClassWriter, Ground, Queries, class_weights
from trainables.inference.reader import Reader, named_share, train_reader
from trainables.inference.subject_records import SubjectRecords, record_table
from trainables.inference.video_parameters import fit_videos
from trainables.model.numeracy import NumericMemory, mean_features
from trainables.model.scaling import BINS, from_bin, to_bin
from trainables.study.descriptions import LEAST_SUBJECTS, ClassDescription, FoldDescriptions, ParameterSkill, skilled
from trainables.study.fold_embeddings import FoldMaps
from trainables.study.records import DecodedClass, FoldResult
from trainables.training.checkpoint import load_weights
from trainables.training.distributed import Workers
from trainables.training.fold import WEIGHTS, prepare
from trainables.training.job import FoldJob, parameter_values
from trainables.training.step import GaitTask

ThreeQueries = tuple[Queries, Queries, Queries]
HELD_OUT_RECORDS = 128
MAP_RECORDS = 240
MAP_STEP = 20
"""Bins between two numbers whose embeddings are compared."""


def describe_fold(job: FoldJob, device: str = "cpu") -> FoldResult:
    """Returns a finished fold's result with its decoded classes and the decoder's held-out error, saved in its folder.

    A fold without numeric records, or already described, comes back as it is.
    """
    result = FoldResult.load(job.folder)
    config = TrainConfig.from_flat(result.config).effective()
    described = result.decoded or result.descriptions is not None
    if described or not config.decoder.enabled or not config.kind.trained:
        return result
    task = prepare(config, job, Workers(), torch.device(device))
    if task.memory is None:
        return result
    result = dataclasses.replace(result, **vars(describe_task(task, job, config.seed)))
    result.save_about(job.folder)
    return result


@dataclasses.dataclass(frozen=True, kw_only=True)
class Described:
    """The fields of a FoldResult that a description fills."""

    decoded: tuple[DecodedClass, ...]
    descriptions: FoldDescriptions
    reconstruction: dict[str, float] | None


def describe_task(task: GaitTask, job: FoldJob, seed: int) -> Described:
    """Returns the words of a fold's classes and what they rest on; writes the fold's maps and its video head.

    Args:
        task: untrained, as `prepare` makes it, with a numerical memory; it gets the fold's trained weights.
        seed: of everything random in the reader, whatever the fold was trained with.
    """
    memory, model = task.memory, task.model.eval()
    assert memory is not None
    train = job.cohort.of_subjects(job.fold.train)
    units = SubjectRecords.of(memory, train["subject"].to_numpy(), seed)
    with torch.inference_mode():
        start = model.class_features().float()
    untrained = Queries.of(model, units, memory)
    model.load_trained(load_weights(job.folder / WEIGHTS))
    fold_maps(task, job).save(job.folder)
    queries = (Queries.of(model, units, memory), untrained, Queries.of(model, units, memory, start))
    counts = [len(np.unique(units.subjects[units.labels == c])) for c in range(len(job.cohort.classes))]
    config = task.config.with_values({"seed": seed})
    reader = train_reader(config, job, memory, units, task.device) if max(counts) >= LEAST_SUBJECTS else None
    decoded, classes = describe_classes(config, job, memory, units, reader, queries)
    held_out = held_out_skills(reader, memory, job, config) if reader is not None else ()
    videos = fit_videos(config, job, seed)
    if videos is not None:
        videos[0].save(job.folder)
    return Described(
        decoded=decoded,
        reconstruction={s.parameter: s.error for s in held_out} if held_out else None,
        descriptions=FoldDescriptions(
            classes=classes,
            training=reader.skills if reader is not None else (),
            held_out=held_out,
            video=videos[1] if videos is not None else (),
            steps=reader.steps if reader is not None else 0,
            penalty=reader.penalty if reader is not None else 0.0,
        ),
    )


def describe_classes(
    config: TrainConfig,
    job: FoldJob,
    memory: NumericMemory,
    units: SubjectRecords,
    reader: Reader | None,
    queries: ThreeQueries,
) -> tuple[tuple[DecodedClass, ...], tuple[ClassDescription, ...]]:
    """Returns the words of the classes that can be described, and what the description of every class rests on.

    Args:
        queries: trained, untrained, and untrained texts through the trained heads.
    """
    decoded, found = [], []
    for label, name in enumerate(job.cohort.classes):
        subjects = len(np.unique(units.subjects[units.labels == label]))
        refusal = _refusal(name, subjects, reader)
        if refusal or reader is None:
            found.append(ClassDescription(label=name, refusal=refusal))
            continue
        writer = ClassWriter(
            job=job, memory=memory, units=units, reader=reader, ground=Ground.of(job), beams=config.decoder.beams
        )
        words, description = writer.describe(label, *class_weights(units, *queries, label))
        found.append(description)
        decoded += [words] if words is not None else []
    return tuple(decoded), tuple(found)


def _refusal(name: str, subjects: int, reader: Reader | None) -> str:
    """Returns why a class cannot be described; '' where it can."""
    if subjects < LEAST_SUBJECTS:
        return (
            f"{name} is not described: {subjects} of its training subjects have numeric records, and a description needs at "
            f"least {LEAST_SUBJECTS}, so that it is not one person's; add subjects with measured parameters"
        )
    if reader is None or not skilled(reader.skills):
        return (
            f"{name} is not described: on training subjects that were held out of it, the decoder reads no parameter better "
            "than always saying the median; add subjects with measured parameters"
        )
    return ""


@torch.inference_mode()
def fold_maps(task: GaitTask, job: FoldJob) -> FoldMaps:
    """Returns where class-balanced training records and the class features lie, before and after their heads."""
    memory, numeric = task.memory, task.model.numeric
    assert memory is not None
    assert numeric is not None
    records, labels = memory.draw(MAP_RECORDS, np.random.default_rng([task.config.seed, job.fold.index, 3]))
    projected = numeric.project_records(memory.record_features(records).to(task.device))
    head = np.minimum(labels, projected.shape[1] - 1)
    classes = task.model.class_features().float()
    bins = np.arange(0, BINS, MAP_STEP)
    encoder = job.frozen.numbers(task.config.numeracy.encoding, task.config.numeracy.clip)
    read = functional.normalize(encoder.features(np.tile(bins[:, None], len(job.frozen.names))).double(), dim=-1)
    return FoldMaps(
        labels=labels,
        written=mean_features(memory.features, memory.subsets, records).cpu().numpy(),
        projected=projected[torch.arange(len(labels)), torch.from_numpy(head)].cpu().numpy(),
        class_written=classes.cpu().numpy(),
        class_projected=numeric.project_classes(classes).cpu().numpy(),
        numbers=from_bin(bins, memory.scaler.clip),
        similarity=torch.einsum("kpd,jpd->kj", read, read).cpu().numpy() / len(job.frozen.names),
    )


def held_out_skills(
    reader: Reader, memory: NumericMemory, job: FoldJob, config: TrainConfig
) -> tuple[ParameterSkill, ...]:
    """Returns the reader's skill on held-out subjects' records: an error is taken only for parameters that a record has."""
    test = job.cohort.of_subjects(job.fold.test)
    bins = to_bin(memory.scaler.transform(parameter_values(job.cohort, test)), memory.scaler.clip)
    numbers = job.frozen.numbers(config.numeracy.encoding, config.numeracy.clip)
    held_out = dataclasses.replace(memory, bins=bins, features=numbers.features(bins))
    rows = np.argwhere((bins[:, memory.subsets] >= 0).all(-1)) if len(bins) else np.empty((0, 2), dtype=np.int64)
    if not len(rows):
        return ()
    records = rows[np.random.default_rng(config.seed).permutation(len(rows))[:HELD_OUT_RECORDS]]
    named = named_share(reader, held_out, records)
    features, shares, values = record_table(held_out, records)
    there = (shares > 0).numpy()
    train = np.where(memory.bins >= 0, from_bin(memory.bins, 1.0), np.nan)
    said, scale = reader.head.read(features)[1].numpy(), memory.scaler.clip * memory.scaler.unit_per_v
    found = []
    for p in np.flatnonzero(there.any(0)):
        true, about = values[there[:, p], p].numpy(), job.cohort.parameters[p]
        error = np.abs(said[there[:, p], p] - true).mean()
        median = np.abs(np.nanmedian(train[:, p]) - true).mean()
        found.append(
            ParameterSkill(
                parameter=about.name,
                unit=about.unit,
                error=float(error * scale[p]),
                median_error=float(median * scale[p]),
                skill=float(1 - error / median) if median > 0 else 0.0,
                named=float(named[p]),
            )
        )
    return tuple(found)
