"""A cohort that a model has never seen: its labels under the model's classes, and the proof that nobody of it was trained on."""

import dataclasses
from pathlib import Path

import polars as pl
import torch

from trainables.cohort.spelling import look_of_id
from trainables.data.near_duplicates import near_duplicates
from trainables.errors import ConfigurationError, LeakageError
from trainables.inference.ensemble import Ensemble
from trainables.study.records import Cohort
from trainables.training.checkpoint import load_weights
from trainables.training.fold import WEIGHTS

SHOWN = 10
"""Problems that an error lists; the others are counted."""


def is_of(model: Ensemble, study: Ensemble) -> bool:
    """Returns whether a model that was given away is the one that a study has chosen: trial, classes, people and weights are the same."""
    known = [(one.trial.number, one.cohort.classes, one.subjects, len(one.folds)) for one in (model, study)]
    if known[0] != known[1]:
        return False
    ours, theirs = (load_weights(one.fold_folder(one.folds[0]) / WEIGHTS) for one in (model, study))
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def under_classes(cohort: Cohort, classes: tuple[str, ...]) -> Cohort:
    """Returns a cohort whose labels are indices of the model's classes; classes are the same where their names are.

    Raises:
        ConfigurationError: A class of the cohort has a name that the model does not know.
    """
    if unknown := [name for name in cohort.classes if name not in classes]:
        raise ConfigurationError(
            f"class {unknown[0]!r} of the task file is not one of the model's classes ({', '.join(classes)}); give it the model's "
            "name for it, and empty the label of people who have none of them",
            code="evaluate.unknown_class",
        )
    index = {old: classes.index(name) for old, name in enumerate(cohort.classes)}
    label = cohort.videos["label"].replace_strict(index, return_dtype=pl.Int64)
    return dataclasses.replace(cohort, classes=classes, videos=cohort.videos.with_columns(label=label))


def refuse_known(new: Cohort, trained: Cohort, *, ids_are_unrelated: bool) -> tuple[str, ...]:
    """Returns what was checked, in sentences; passes where no file and no subject of a cohort is in the training cohort.

    Args:
        new: The second cohort.
        trained: The study's own.
        ids_are_unrelated: Whether equal ids stand for different people, as where two hospitals number theirs from 1.

    Raises:
        LeakageError: Lists the files and subjects that the training has seen.
    """
    owner = dict(trained.videos.select("sha256", "subject").rows())
    problems = [
        f"{row['video']} is a file of the training cohort (subject {owner[row['sha256']]!r})"
        for row in new.videos.iter_rows(named=True)
        if row["sha256"] in owner
    ]
    known = {look_of_id(subject) for subject in trained.videos["subject"]}
    same = [s for s in new.subjects()["subject"] if look_of_id(s) in known]
    if not ids_are_unrelated:
        problems += [f"subject {s!r} has the id of a subject of the training cohort" for s in same]
    if problems:
        raise LeakageError(
            f"{_listed(problems)}\nremove them: a model is not tested on what it was trained on. Where both hospitals number "
            "their people from 1, and equal ids are different people, give --ids-are-unrelated",
            code="leakage.known_subject",
        )
    ids = "Subjects' ids were not compared: they were said to be unrelated." if ids_are_unrelated else (
        f"No subject has the id of one of the {len(trained.subjects())} training subjects."
    )  # fmt: skip
    return (f"No file is one of the {len(trained.videos)} training videos (sha256).", ids)


def refuse_copies(new: Cohort, trained: Cohort, cache: Path) -> tuple[str, ...]:
    """Returns what was checked, in sentences; passes where no video shows the same recording as one of the training.

    Args:
        new: The second cohort, ingested; the training cohort's frames are compared as far as the cache holds them.
        trained: The study's own.
        cache: Folder of the frame cache.

    Raises:
        LeakageError: Lists the videos that look like one of the training.
    """
    there = trained.videos.filter(
        pl.Series([name is not None and (cache / name).exists() for name in trained.videos["cached"]], dtype=pl.Boolean)
    )
    if there.is_empty():
        return ("Whether a video is a copy of a training video was not checked: their frames are not in the cache.",)
    columns = ["subject", "video", "cached"]
    both = pl.concat(
        frame.select(columns).with_columns(subject=pl.lit(side) + pl.col("subject"))
        for side, frame in (("new ", new.videos), ("old ", there))
    )
    pairs = [
        (p.video, p.other_video, p.likeness) if p.subject.startswith("new ") else (p.other_video, p.video, p.likeness)
        for p in near_duplicates(both, cache)
        if p.subject[:4] != p.other_subject[:4]
    ]
    if pairs:
        raise LeakageError(
            _listed(
                [
                    f"{video} looks like the training video {other}, {likeness:.0%} alike"
                    for video, other, likeness in pairs
                ]
            )
            + "\nremove them: a model is not tested on what it was trained on",
            code="leakage.known_video",
        )
    return (f"No video looks like one of {len(there)} of the {len(trained.videos)} training videos (perceptual hash).",)


def _listed(problems: list[str]) -> str:
    more = f"\n  and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return (
        "the second cohort holds what the model was trained on:\n"
        + "\n".join(f"  - {p}" for p in problems[:SHOWN])
        + more
    )
