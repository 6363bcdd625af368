"""Reads a cohort's manifest and checks all of it before anything is trained: every problem is listed at once."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from trainables.config import VideoConfig
from trainables.data.numeric_columns import read_numbers
from trainables.data.problems import Problems
from trainables.data.table import Table, read_table
from trainables.data.video_files import VideoFile, inspect
from trainables.errors import ConfigurationError
from trainables.knowledge.tasks import Task, task_for
from trainables.records import Cohort, Parameter

MOST_CLASSES = 20
LONGEST_LABEL = 80
"""Characters. More classes or longer names are taken for a column that holds something else."""


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
    ignore: tuple[str, ...] = (),
    fold_column: str | None = None,
    on_note: Callable[[str], None] | None = None,
    on_file: Callable[[int, int], None] | None = None,
) -> tuple[Cohort, Task]:
    """Returns the checked cohort of a CSV or parquet manifest, and its task with the classes that are present.

    Args:
        task: What is predicted; None takes a shipped task that fits the label column, else makes a plain one.
        label: Label column; None takes the task's.
        parameters: The gait parameters that are known by name; other columns of numbers become parameters too.
        folds: Folds of the cross-validation that is to come.
        columns: {our name of a column: the manifest's}.
        label_per_video: Whether one subject's videos may carry different labels.
        ignore: Columns of numbers that are no parameters.
        fold_column: Column that names the fold in which a subject is held out; it becomes the cohort's column fold.
        on_note: Called with each sentence the user should see though nothing is wrong.
        on_file: Called with (videos looked into, videos in all).

    Raises:
        CohortError: Lists every problem of the manifest and its videos.
        ConfigurationError: `folds` is below 2.
    """
    if folds < 2:
        raise ConfigurationError(f"--folds {folds}, but cross-validation needs 2 at least")
    note = on_note or (lambda sentence: None)
    problems = Problems(str(path))
    columns = dict(columns or {}) | ({"fold": fold_column} if fold_column else {})
    given = read_table(path, problems).renamed(columns, problems)
    label = _label_column(given, task, label, columns, problems)
    table, excluded = _with_label(given, label)
    if not table.rows:
        problems.add(f"no row has a label in column {given.called(label)!r}; fill it in where it is known")
        problems.check()
    whole, labels = _labels(table, label, task, problems)
    _check_subjects(table, labels, table.called(label), label_per_video, problems)
    numbers = read_numbers(table, parameters, label, labels, ignore, problems, note)
    files = _files(path.parent.resolve(), table, numbers.fps, problems, on_file)
    _check_boxes(table, numbers.boxes, files, problems)
    _check_duplicates(table, files, problems)
    if fold_column:
        _check_fold_column(table, problems)
    _check_folds(table, whole, labels, table.called(label), 2 if fold_column else folds, problems)
    problems.check()
    present = replace(whole, classes=tuple(c for c in whole.classes if c.value in labels))
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
            numbers.columns | ({"fold": pl.Series(table.cells["fold"])} if fold_column else {}),
        ),
        excluded=tuple(excluded),
        per_video_labels=label_per_video,
    )
    healthy = whole.healthy if whole.healthy in labels else None
    return cohort, replace(present, label=label, healthy=healthy)


def task_of_label(path: Path, label: str, columns: Mapping[str, str] | None = None) -> Task:
    """Returns the task that `read_manifest` would take for a label column; of the videos nothing is read.

    Raises:
        CohortError: Lists what is wrong with the table or the column.
    """
    problems = Problems(str(path))
    given = read_table(path, problems).renamed(dict(columns or {}), problems)
    name = _label_column(given, None, label, columns or {}, problems)
    task, values = _labels(_with_label(given, name)[0], name, None, problems)
    if len(set(values)) < 2:
        problems.add(f"column {given.called(name)} names {len(set(values))} class; a task needs 2 at least")
    problems.check()
    return replace(task, label=given.called(name))


def _label_column(
    table: Table, task: Task | None, label: str | None, columns: Mapping[str, str], problems: Problems
) -> str:
    """Returns our name of the label column, after a check that all needed columns are there."""
    theirs = {theirs: ours for ours, theirs in columns.items()}
    name = label if label is not None else task.label if task is not None else None
    name = name if name in table.cells else theirs.get(name or "", name)
    known = ", ".join(table.called(column) for column in table.cells)
    if name is None:
        problems.add(f"no label column was named; pass --label COLUMN, one of {known}")
    elif name in ("subject", "video"):
        problems.add(f"--label {label}: this column says which {name} a row is; name the column of the classes")
    for needed, example in (("subject", "patient_id"), ("video", "file"), (name, "dx")):
        if needed is not None and needed not in table.cells:
            close = next((column for column in table.cells if column.lower() == needed.lower()), example)
            use = f"pass its name as --column {needed}=NAME, as in --column {needed}={close}"
            use = f"{use}, or choose another with --label" if needed == name else use
            problems.add(f"there is no column {needed!r}; it has {known}; {use}")
    if name is None or any(needed not in table.cells for needed in ("subject", "video", name)):
        problems.check()
    return str(name)


def _with_label(table: Table, label: str) -> tuple[Table, list[tuple[str, str]]]:
    """Returns the rows that have a label, and (video, reason) for those that have none."""
    cells = table.cells[label]
    excluded = [
        (table.cells["video"][i], f"row {row}: column {table.called(label)} is empty")
        for i, row in enumerate(table.rows)
        if not cells[i]
    ]
    return table.at([i for i, cell in enumerate(cells) if cell]), excluded


def _labels(table: Table, label: str, task: Task | None, problems: Problems) -> tuple[Task, list[str]]:
    """Returns the task with all its classes, and each row's value of the label column."""
    cells, shown = table.cells[label], table.called(label)
    longest = max(map(len, cells))
    if len(set(cells)) > MOST_CLASSES:
        problems.add(
            f"column {shown} has {len(set(cells))} different values (at most {MOST_CLASSES}); is it the label?"
        )
    if longest > LONGEST_LABEL:
        problems.add(f"column {shown} has a text of {longest} characters (at most {LONGEST_LABEL}); is it the label?")
    if len(set(cells)) > MOST_CLASSES or longest > LONGEST_LABEL:
        problems.check()
    if all(re.fullmatch(r"[+-]?\d+(\.0+)?", cell, re.ASCII) for cell in cells):
        cells = [
            str(int(cell.partition(".")[0])) for cell in cells
        ]  # 1.0, as a column with empty cells is often written
    task = task or task_for(label, sorted(set(cells)))
    allowed = task.value_index()
    for row, cell in zip(table.rows, cells, strict=True):
        if cell not in allowed:
            problems.at(
                row, shown, "another value", f"{cell!r} is no class; it must be one of {', '.join(allowed)}, or empty"
            )
    _check_spelling(list(allowed), f"column {shown}: labels", problems)
    return task, cells


def _check_spelling(values: list[str], what: str, problems: Problems) -> None:
    spellings: dict[str, list[str]] = {}
    for value in dict.fromkeys(values):
        folded = re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", value)).casefold()
        spellings.setdefault(re.sub(r"(?<!\d)0+(?=\d)", "", folded) if "subject" in what else folded, []).append(value)
    for alike in spellings.values():
        if len(alike) > 1:
            problems.add(f"{what} {' and '.join(map(repr, alike))} look like the same one; write it in one way")


def _check_subjects(table: Table, labels: list[str], shown: str, label_per_video: bool, problems: Problems) -> None:
    column = table.called("subject")
    first: dict[str, tuple[int, str]] = {}
    for row, subject, value in zip(table.rows, table.cells["subject"], labels, strict=True):
        if not subject:
            problems.at(
                row, column, "no subject", "it is empty; say whose video this is, so that folds can be subject-wise"
            )
            continue
        row_before, before = first.setdefault(subject, (row, value))
        if value != before and not label_per_video:
            problems.at(
                row,
                shown,
                "two labels of one subject",
                f"subject {subject!r} has {value!r} here and {before!r} in row {row_before}; a subject has one label, "
                "unless each video has its own (--label-per-video)",
            )
    _check_spelling([s for s in table.cells["subject"] if s], f"column {column}: subjects", problems)


def _files(
    folder: Path,
    table: Table,
    rates: list[float | None],
    problems: Problems,
    on_file: Callable[[int, int], None] | None,
) -> list[VideoFile | None]:
    column, names = table.called("video"), table.cells["video"]
    named = [i for i, name in enumerate(names) if name]
    found = inspect(folder, [names[i] for i in named], [rates[i] for i in named], on_file)
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


def _check_folds(table: Table, task: Task, labels: list[str], shown: str, folds: int, problems: Problems) -> None:
    subjects = {s for s in table.cells["subject"] if s}
    pairs = set(zip(labels, table.cells["subject"], strict=True))
    counts = {c: sum(value == c.value for value, _ in pairs) for c in task.classes}
    counts = {c: count for c, count in counts.items() if count}
    if len(counts) < 2:
        only = f"only class {next(iter(counts)).name!r} is" if counts else "no class is"
        problems.add(f"{only} there; training needs videos of 2 classes at least")
        return
    if folds > len(subjects):
        problems.add(f"--folds {folds}, but there are {len(subjects)} subjects; use {len(subjects)} at most")
        return
    largest = min(max(count, 2) for count in counts.values())
    for one, count in counts.items():
        if count == 1:
            problems.add(
                f"class {one.name!r} has 1 subject, who cannot be both trained on and held out; "
                f"add subjects, or empty column {shown} in that subject's rows"
            )
        elif count < folds < len(subjects):
            problems.add(
                f"class {one.name!r} has {count} subjects, too few for --folds {folds}; use --folds {largest} at most, "
                f"or --folds {len(subjects)} to leave one subject out at a time"
            )


def _check_fold_column(table: Table, problems: Problems) -> None:
    column = table.called("fold")
    first: dict[str, tuple[int, str]] = {}
    for row, subject, fold in zip(table.rows, table.cells["subject"], table.cells.get("fold", []), strict=False):
        row_before, before = first.setdefault(subject, (row, fold))
        if not fold:
            problems.at(row, column, "no fold", "it is empty; name the fold in which this subject is held out")
        elif fold != before:
            problems.at(
                row,
                column,
                "two folds of one subject",
                f"subject {subject!r} is in fold {fold!r} here and in {before!r} in row {row_before}; all videos of a "
                "subject are held out together",
            )
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
