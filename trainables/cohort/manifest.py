"""Reads a cohort's manifest and checks all of it before anything is trained: every problem is listed at once."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from trainables.cohort.attributes import read_attributes
from trainables.cohort.labels import check_classes, check_spelling, label_column, read_labels, with_label
from trainables.cohort.numeric_columns import LEG, Numbers, Wanted, read_numbers
from trainables.cohort.own_boxes import OwnBoxes, own_columns, read_own_boxes
from trainables.cohort.problems import Problems
from trainables.cohort.second_rating import read_second_rating
from trainables.cohort.spelling import is_missing, is_shortened
from trainables.cohort.table import Table, column_name, read_table
from trainables.cohort.video_files import VideoFile, inspect
from trainables.errors import ConfigurationError
from trainables.knowledge.tasks import Task
from trainables.settings import VideoConfig
from trainables.study.records import Cohort, Parameter


def read_manifest(
    path: Path,
    *,
    task: Task | None,
    label: str | None,
    parameters: tuple[Parameter, ...],
    folds: int,
    columns: Mapping[str, str] | None = None,
    label_per_video: bool = False,
    simulated: bool = False,
    named: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
    attributes: tuple[str, ...] = (),
    second_rating: str | None = None,
    own_parameters: bool = False,
    only_scored: bool = False,
    fold_column: str | None = None,
    follow_links: bool = False,
    on_note: Callable[[str], None] | None = None,
    on_file: Callable[[int, int], None] | None = None,
) -> tuple[Cohort, Task]:
    """Returns the checked cohort of a CSV or parquet manifest, and its task with the classes that are present.

    Args:
        task: What is predicted; None takes a shipped task that fits the label column, else makes a plain one.
        label: Label column; None takes the task's.
        parameters: The gait parameters that are known by name, used where the manifest has them.
        folds: Folds of the cross-validation that is to come.
        columns: {our name of a column: the manifest's}.
        label_per_video: Whether one subject's videos may carry different labels.
        named: Other columns of numbers that are gait parameters too.
        ignore: Columns that are not used, though they may be known.
        attributes: Columns that describe subjects or videos, as age, sex and site; the model does not see them.
        second_rating: Column of another rater's classes; the model does not see it.
        own_parameters: Whether the user's own parameter file lists `parameters`, and so vouches for each.
        only_scored: Whether nothing is trained on the cohort, so that a class may have one subject or none.
        fold_column: Column that names the fold in which a subject is held out; it becomes the cohort's column fold.
        follow_links: Whether a video may be a link to a file outside the manifest's folder.
        on_note: Called with each sentence the user should see though nothing is wrong.
        on_file: Called with (videos looked into, videos in all).

    Raises:
        CohortError: Lists every problem of the manifest and its videos.
        ConfigurationError: `folds` is below 2.
    """
    if folds < 2:
        raise ConfigurationError(f"--folds {folds}, but cross-validation needs 2 at least", code="option.folds.range")
    note = on_note or (lambda sentence: None)
    problems = Problems(path)
    columns = dict(columns or {}) | ({"fold": fold_column} if fold_column else {})
    table, label, excluded = _labelled(path, task, label, columns, problems, note)
    whole, labels = read_labels(table, label, task, problems)
    labels_are_sound = not problems  # else classes that are too small would be said of a misspelt label
    _check_subjects(table, labels, table.called(label), label_per_video, problems)
    wanted = Wanted(
        known=parameters,
        named=tuple(map(column_name, named)),
        ignore=tuple(map(column_name, ignore)),
        attributes=tuple(map(column_name, (*attributes, *([second_rating] if second_rating else [])))),
        own_file=own_parameters or simulated,  # whoever wrote the table knows what it holds
    )
    numbers = read_numbers(table, wanted, label, labels, problems, note)
    present = replace(whole, classes=tuple(c for c in whole.classes if c.value in labels))
    ratings = read_second_rating(table, second_rating, label, present, label_per_video, problems, note)
    described, descriptors = read_attributes(table, attributes, label, labels, problems, note)
    _say_leg(numbers, table, simulated, note)
    files, own = _checked_files(path.parent.resolve(), table, numbers, problems, on_file, follow_links, note)
    if fold_column:
        _check_fold_column(table, problems)
    if labels_are_sound and not only_scored:
        check_classes(table, whole, labels, table.called(label), 2 if fold_column else folds, problems)
    problems.check()
    if task is not None and (absent := [c.name for c in whole.classes if c.value not in labels]):
        note(f"no subject has class {', '.join(map(repr, absent))}; it is left out")
    cohort = Cohort(
        name=path.name,
        simulated=simulated,
        label=label,
        classes=tuple(c.name for c in present.classes),
        parameters=numbers.parameters,
        videos=_videos(
            table,
            [present.value_index()[v] for v in labels],
            files,
            numbers.columns
            | own_columns(own)
            | descriptors
            | ratings
            | ({"fold": pl.Series(table.cells["fold"])} if fold_column else {}),
        ),
        excluded=tuple(excluded),
        per_video_labels=label_per_video,
        attributes=described,
    )
    healthy = whole.healthy if whole.healthy in labels else None
    return cohort, replace(present, label=label, healthy=healthy)


def task_of_label(path: Path, label: str, columns: Mapping[str, str] | None = None) -> Task:
    """Returns the task that `read_manifest` would take for a label column; of the videos nothing is read.

    Raises:
        CohortError: Lists what is wrong with the table or the column.
    """
    problems = Problems(path)
    table, name, _ = _labelled(path, None, label, columns or {}, problems, lambda note: None)
    task, values = read_labels(table, name, None, problems)
    if len(set(values)) < 2:
        problems.add(f"column {table.called(name)} names {len(set(values))} class; a task needs 2 at least")
    problems.check()
    return replace(task, label=table.called(name))


def _checked_files(
    folder: Path,
    table: Table,
    numbers: Numbers,
    problems: Problems,
    on_file: Callable[[int, int], None] | None,
    follow_links: bool,
    note: Callable[[str], None],
) -> tuple[list[VideoFile | None], list[OwnBoxes | None]]:
    """Returns what each row's video is, None where it cannot be used, and the boxes of its own that a table gives it."""
    files = _files(folder, table, numbers.fps, problems, on_file, follow_links)
    _say_links(folder, files, note)
    _check_boxes(table, numbers.boxes, files, problems)
    own = read_own_boxes(folder, table, files, problems)
    _check_duplicates(table, files, problems)
    return files, own


def _labelled(
    path: Path,
    task: Task | None,
    label: str | None,
    columns: Mapping[str, str],
    problems: Problems,
    note: Callable[[str], None],
) -> tuple[Table, str, list[tuple[str, str]]]:
    """Returns the rows that have a label, our name of its column, and (video, reason) for the other rows."""
    columns = {ours: column_name(theirs) for ours, theirs in columns.items()}
    given = read_table(path, problems).renamed(columns, problems)
    name = label_column(given, task, label and column_name(label), columns, problems)
    table, excluded = with_label(given, name, task, note)
    if not table.rows:
        problems.add(f"no row has a label in column {given.called(name)!r}; fill it in where it is known")
        problems.check()
    return table, name, excluded


def _check_subjects(table: Table, labels: list[str], shown: str, label_per_video: bool, problems: Problems) -> None:
    column = table.called("subject")
    first: dict[str, tuple[int, str]] = {}
    for row, subject, value in zip(table.rows, table.cells["subject"], labels, strict=True):
        if is_missing(subject):
            says = f"it says {subject!r}" if subject else "it is empty"
            problems.at(
                row, column, "no subject", f"{says}; say whose video this is, so that folds can be subject-wise"
            )
            continue
        if is_shortened(subject):
            text = f"{subject!r} is a long number that a spreadsheet has shortened, so that several people may be one"
            advice = "format the column as text, and export it again"
            problems.at(row, column, "a shortened number", f"{text}; {advice}")
        row_before, before = first.setdefault(subject, (row, value))
        if value != before and not label_per_video:
            problems.at(
                row,
                shown,
                "two labels of one subject",
                f"subject {subject!r} has {value!r} here and {before!r} in row {row_before}; a subject has one label, "
                "unless each video has its own (--label-per-video)",
            )
    check_spelling([s for s in table.cells["subject"] if s], f"column {column}: subjects", problems)


def _files(
    folder: Path,
    table: Table,
    rates: list[float | None],
    problems: Problems,
    on_file: Callable[[int, int], None] | None,
    follow_links: bool,
) -> list[VideoFile | None]:
    column, names = table.called("video"), table.cells["video"]
    named = [i for i, name in enumerate(names) if name]
    found = inspect(folder, [names[i] for i in named], [rates[i] for i in named], on_file, follow_links)
    files: list[VideoFile | None] = [None] * len(names)
    shortest = VideoConfig().min_tail
    for i, row in enumerate(table.rows):
        if not names[i]:
            problems.at(row, column, "no video", "it is empty; name the row's video file")
    for i, file in zip(named, found, strict=True):
        if isinstance(file, str):
            problems.at(table.rows[i], column, "a video that cannot be used", file)
        elif file.info.frames_at_30 < shortest:
            problems.at(
                table.rows[i],
                column,
                "a video that is too short",
                f"{names[i]!r} is too short: {file.info.frames_at_30} frames at 30 frames/s; {shortest} at least",
            )
        else:
            files[i] = file
    return files


def _say_leg(numbers: Numbers, table: Table, simulated: bool, note: Callable[[str], None]) -> None:
    """Says which parameters count as divided by the leg length, because the manifest has none to divide by."""
    scaled = [table.called(p.key) for p in numbers.parameters if p.leg_scaled]
    if scaled and LEG not in table.cells and not simulated:
        note(f"no column {LEG}: taken as divided by the leg length already: {', '.join(scaled)}")


def _say_links(folder: Path, files: list[VideoFile | None], note: Callable[[str], None]) -> None:
    """Says how many videos lie outside the manifest's folder, which only links that may be followed lead to."""
    outside = [file.path for file in files if file is not None and not file.path.is_relative_to(folder)]
    if outside:
        what = "1 video is a link" if len(outside) == 1 else f"{len(outside)} videos are links"
        note(f"{what} out of the manifest's folder, allowed by --follow-links; the first leads to {outside[0].parent}")


def _check_boxes(
    table: Table, boxes: list[tuple[int, int, int, int] | None], files: list[VideoFile | None], problems: Problems
) -> None:
    for row, box, file in zip(table.rows, boxes, files, strict=True):
        if box is None or file is None:
            continue
        left, top, right, bottom = box
        width, height = file.info.width, file.info.height
        if left < 0 or top < 0 or right > width or bottom > height:
            problems.at(
                row,
                "box",
                "a box outside the frame",
                f"left {left}, top {top}, right {right}, bottom {bottom} is not inside the frame of {width} x {height} pixels",
            )


def _check_duplicates(table: Table, files: list[VideoFile | None], problems: Problems) -> None:
    column = table.called("video")
    first: dict[str, int] = {}
    for i, file in enumerate(files):
        if file is None:
            continue
        before = first.setdefault(file.sha256, i)
        if before == i:
            continue
        other, subjects = files[before], table.cells["subject"]
        where = f"row {table.rows[before]} ({table.cells['video'][before]!r})"
        if subjects[before] != subjects[i]:
            text = f"the same video belongs to subject {subjects[before]!r} in {where} and to {subjects[i]!r} here; keep one"
            problems.at(table.rows[i], column, "a video of two subjects", text)
        elif other is not None and other.path == file.path:
            problems.at(table.rows[i], column, "a video listed twice", f"it is listed before in {where}; keep one row")
        else:
            problems.at(
                table.rows[i], column, "a video listed twice", f"it is a copy of the one in {where}; keep one row"
            )


def _check_fold_column(table: Table, problems: Problems) -> None:
    column = table.called("fold")
    first: dict[str, tuple[int, str]] = {}
    for row, subject, fold in zip(table.rows, table.cells["subject"], table.cells.get("fold", []), strict=False):
        row_before, before = first.setdefault(subject, (row, fold))
        if is_missing(fold):
            says = f"it says {fold!r}" if fold else "it is empty"
            problems.at(row, column, "no fold", f"{says}; name the fold in which this subject is held out")
        elif fold != before:
            problems.at(
                row,
                column,
                "two folds of one subject",
                f"subject {subject!r} is in fold {fold!r} here and in {before!r} in row {row_before}; all videos of a "
                "subject are held out together",
            )
    check_spelling([fold for _, fold in first.values() if fold], f"column {column}: folds", problems)
    if len({fold for _, fold in first.values()}) == 1:
        problems.add(f"column {column} names one fold only; it must name 2 at least")


def _videos(
    table: Table, labels: list[int], files: list[VideoFile | None], numbers: dict[str, pl.Series]
) -> pl.DataFrame:
    usable = [file for file in files if file is not None]
    return pl.DataFrame(
        {
            "subject": table.cells["subject"],
            "video": table.cells["video"],
            "path": [str(file.path) for file in usable],
            "sha256": [file.sha256 for file in usable],
            "label": pl.Series(labels, dtype=pl.Int64),
            "frames": pl.Series([file.info.frames_at_30 for file in usable], dtype=pl.Int64),
            "cached": pl.Series([None] * len(usable), dtype=pl.String),
            **numbers,
        }
    ).sort("subject", "video")
