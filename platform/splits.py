"""Subject-wise folds, and the ledger that shows that nothing stands on both sides of one."""

import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.model_selection import StratifiedGroupKFold

from trainables.data.near_duplicates import near_duplicates
from trainables.errors import ConfigurationError, LeakageError
from trainables.study.records import Cohort, Fold, Splits

TRIES = 200
"""Shuffles that are tried for folds in which every class is on both sides."""


def make_splits(cohort: Cohort, *, folds: int, seed: int, repeats: int = 1) -> Splits:
    """Returns folds in which each subject is held out exactly once, or as often as the folds are drawn again.

    As many folds as subjects leave one subject out each. Else the classes are spread evenly (StratifiedGroupKFold over
    subjects): each class is among every fold's training subjects, and among the held-out ones of as many folds as it
    has subjects for, if one of the shuffles after `seed` manages that.

    Raises:
        ConfigurationError: There are too few subjects, of a class or in all, or leaving one out is to be repeated.
    """
    subjects = cohort.subjects()["subject"].to_list()
    _check_feasible(cohort, folds, len(subjects))
    if folds == len(subjects):
        if repeats > 1:
            raise ConfigurationError(
                f"--repeats {repeats}, but leaving one subject out at a time has one way only; use fewer --folds",
                code="option.repeats.leave_one_out",
            )
        return Splits(method="leave one subject out", folds=_folds([(s,) for s in subjects], subjects))
    tests: list[tuple[str, ...]] = []
    seeds: list[int] = []
    for _ in range(repeats):
        found, shuffle = _stratified(cohort, folds, seed if not seeds else seeds[-1] + 1)
        tests += found
        seeds.append(shuffle)
    method = f"StratifiedGroupKFold({folds}), seed {', '.join(map(str, seeds))}"
    return Splits(method=method, folds=_folds(tests, subjects), held_out=repeats)


def splits_of_column(cohort: Cohort) -> Splits:
    """Returns the folds that the cohort's column 'fold' names, in the order of the names.

    Raises:
        ConfigurationError: A fold leaves no training subject of some class.
    """
    subjects = cohort.subjects()["subject"].to_list()
    fold_of = dict(cohort.videos.select("subject", "fold").unique().rows())
    names = sorted(set(fold_of.values()), key=lambda name: (len(name), name))
    tests = [tuple(s for s in subjects if fold_of[s] == name) for name in names]
    classes_of = _classes_of(cohort)
    for name, test in zip(names, tests, strict=True):
        if not _all_trained([test], subjects, classes_of):
            raise ConfigurationError(
                f"--fold-column: fold {name!r} holds out all subjects of a class, which then cannot be learned; "
                "spread each class over two folds at least",
                code="splits.class_missing",
            )
    return Splits(method=f"the manifest's own folds ({', '.join(names)})", folds=_folds(tests, subjects))


def outer_splits(cohort: Cohort, *, folds: int, seed: int, by_column: bool) -> Splits:
    """Returns the outer folds of nested cross-validation: drawn over subjects, or those of the cohort's column 'fold'.

    Raises:
        ConfigurationError: There are too few subjects, or the column names another number of folds.
    """
    if not by_column:
        return make_splits(cohort, folds=folds, seed=seed)
    splits = splits_of_column(cohort)
    if (named := len(splits.folds)) != folds:
        raise ConfigurationError(
            f"--outer-folds {folds}, but --fold-column names {named} folds, each of which is an outer fold; give "
            f"--outer-folds {named}",
            code="option.outer_folds.conflict",
        )
    if named < 3:
        raise ConfigurationError(
            f"--fold-column names {named} folds; --outer-folds needs 3 at least, because the search without one of them "
            "is cross-validated over the others",
            code="option.fold_column.too_few",
        )
    return splits


def only_fold(splits: Splits, fold: int) -> Splits:
    """Returns one fold of some splits alone.

    Raises:
        ConfigurationError: There is no such fold.
    """
    if not 0 <= fold < len(splits.folds):
        raise ConfigurationError(
            f"--fold {fold} asked for, but the study has {len(splits.folds)} folds (0-{len(splits.folds) - 1})",
            code="fold.range",
        )
    return Splits(method=f"fold {fold} alone of {splits.method}", folds=(splits.folds[fold],), held_out=0)


def check_ledger(cohort: Cohort, splits: Splits) -> None:
    """Passes where no fold has a subject or a file's content on both sides, and every subject is held out as often as said.

    Raises:
        LeakageError: Names the fold, and the subject or the files.
    """
    everyone = set(cohort.videos["subject"])
    for fold in splits.folds:
        train, test = set(fold.train), set(fold.test)
        if both := sorted(train & test):
            raise LeakageError(
                f"fold {fold.index} has subject {both[0]!r} on both sides; remake the splits",
                code="leakage.subject_on_both_sides",
            )
        if other := sorted(everyone ^ (train | test)):
            raise LeakageError(
                f"fold {fold.index} was made for another cohort: subject {other[0]!r} is in only one of them; "
                "remake the splits",
                code="splits.other_cohort",
            )
        shared = cohort.of_subjects(fold.train).join(cohort.of_subjects(fold.test), on="sha256", suffix="_test")
        if len(shared):
            first = shared.sort("video", "video_test").row(0, named=True)
            raise LeakageError(
                f"fold {fold.index} has the same file on both sides: {first['video']} (subject {first['subject']!r}) and "
                f"{first['video_test']} (subject {first['subject_test']!r}); remove one from the manifest",
                code="leakage.file_on_both_sides",
            )
    held_out = Counter(subject for fold in splits.folds for subject in fold.test)
    if splits.held_out and (wrong := sorted(s for s in everyone if held_out[s] != splits.held_out)):
        often = "once" if splits.held_out == 1 else f"{splits.held_out} times"
        raise LeakageError(
            f"subject {wrong[0]!r} is held out {held_out[wrong[0]]} times instead of {often}; remake the splits",
            code="leakage.held_out_count",
        )


def check_near_duplicates(cohort: Cohort, cache: Path, allowed: tuple[str, ...]) -> None:
    """Passes where no two subjects have videos of the same recording, however they were cut or compressed.

    Args:
        cache: folder of the frame cache, which holds the cohort's videos.
        allowed: pairs of videos that may look alike, each as 'VIDEO=OTHER'; in either order.

    Raises:
        LeakageError: Lists the pairs, and how to allow them.
    """
    allowed_pairs = [_pair(text, cohort) for text in allowed]
    pairs = [p for p in near_duplicates(cohort.videos, cache) if {p.video, p.other_video} not in allowed_pairs]
    if pairs:
        lines = [
            f"  - {p.video} (subject {p.subject!r}) and {p.other_video} (subject {p.other_subject!r}), {p.likeness:.0%} alike"
            for p in pairs
        ]
        raise LeakageError(
            "videos of different subjects look like one recording, which folds would train and score on; remove one of "
            "each pair, or give --allow-duplicate VIDEO=OTHER for each pair that differs:\n" + "\n".join(lines),
            code="leakage.near_duplicates",
        )


def _pair(text: str, cohort: Cohort) -> set[str]:
    """Returns the two videos of 'VIDEO=OTHER', whose names may have '=' in them too.

    Raises:
        ConfigurationError: It does not name two videos of the cohort.
    """
    known = set(cohort.videos["video"])
    cuts = (i for i, letter in enumerate(text) if letter == "=")
    for cut in cuts:
        pair = {text[:cut], text[cut + 1 :]}
        if len(pair) == 2 and pair <= known:
            return pair
    raise ConfigurationError(
        f"--allow-duplicate {text} does not name two videos of the cohort; give one pair as VIDEO=OTHER, as the manifest "
        "spells them, and repeat the option for more pairs",
        code="option.allow_duplicate.unknown",
    )


def _stratified(cohort: Cohort, folds: int, seed: int) -> tuple[list[tuple[str, ...]], int]:
    """Returns each fold's held-out subjects, and the shuffle that gave them, the first good one from `seed` on."""
    subjects, classes_of = cohort.subjects()["subject"].to_list(), _classes_of(cohort)
    wanted = sum(min(folds, count) for count in _subjects_per_class(cohort).values())
    best: tuple[int, int, list[tuple[str, ...]]] | None = None
    for shuffle in range(seed, seed + TRIES):
        tests = list(_shuffled(cohort, folds, shuffle))
        reached = sum(len(set().union(*(classes_of[s] for s in test))) for test in tests)
        if _all_trained(tests, subjects, classes_of) and (best is None or reached > best[0]):
            best = (reached, shuffle, tests)
            if reached == wanted:
                break
    if best is None:
        raise ConfigurationError(
            f"--folds {folds}: no way was found to keep every class among the training subjects of each fold; "
            "use fewer folds, or add subjects of the rarest class",
            code="splits.class_missing",
        )
    return best[2], best[1]


def _classes_of(cohort: Cohort) -> dict[str, set[int]]:
    return {s: set(labels) for s, labels in cohort.videos.group_by("subject").agg("label").iter_rows()}


def _check_feasible(cohort: Cohort, folds: int, subjects: int) -> None:
    if not 2 <= folds <= subjects:
        raise ConfigurationError(
            f"--folds {folds}, but it must be 2 to {subjects}, the number of subjects", code="splits.too_few_subjects"
        )
    for label, count in sorted(_subjects_per_class(cohort).items()):
        if count < 2:
            raise ConfigurationError(
                f"class {cohort.classes[label]!r} has one subject among the {subjects} to split, which cannot be both "
                "trained on and held out; add subjects of this class, or leave it out",
                code="splits.single_subject_class",
            )
    largest = max(_subjects_per_class(cohort).values())
    if largest < folds < subjects:
        raise ConfigurationError(
            f"--folds {folds}, but no class has that many subjects; use {largest} at most, or {subjects} to leave one "
            "subject out",
            code="splits.class_too_small",
        )


def _subjects_per_class(cohort: Cohort) -> dict[int, int]:
    counts = cohort.videos.group_by("label").agg(pl.col("subject").n_unique())
    return dict(counts.iter_rows())


def _shuffled(cohort: Cohort, folds: int, seed: int) -> Iterator[tuple[str, ...]]:
    """Yields each fold's held-out subjects, sorted; each counts once in each of their classes, however many videos they have."""
    rows = cohort.videos.select("subject", "label").unique().sort("subject", "label")
    groups, labels = rows["subject"].to_numpy(), rows["label"].to_numpy()
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer subjects than folds: counted by the caller
        for _, test in splitter.split(np.zeros(len(labels)), labels, groups):
            yield tuple(sorted(set(groups[test].tolist())))


def _all_trained(tests: list[tuple[str, ...]], subjects: list[str], classes_of: dict[str, set[int]]) -> bool:
    every = set().union(*classes_of.values())
    return all(test and set().union(*(classes_of[s] for s in subjects if s not in test)) == every for test in tests)


def _folds(tests: list[tuple[str, ...]], subjects: list[str]) -> tuple[Fold, ...]:
    return tuple(
        Fold(index=index, train=tuple(s for s in subjects if s not in test), test=test)
        for index, test in enumerate(tests)
    )
