"""Reads what a second rater said of the videos. The model never sees it: agreement between raters is what a model can reach."""

from collections.abc import Callable

import polars as pl

from trainables.cohort.labels import class_value
from trainables.cohort.problems import Problems
from trainables.cohort.spelling import is_missing
from trainables.cohort.table import Table, column_name
from trainables.knowledge.tasks import Task
from trainables.study.records import SECOND_RATING


def read_second_rating(
    table: Table, name: str | None, label: str, present: Task, per_video: bool, problems: Problems,
    note: Callable[[str], None],
) -> dict[str, pl.Series]:  # fmt: skip
    """Returns the cohort's column SECOND_RATING, of class indices, null where it is empty; nothing where none is asked for.

    Args:
        table: Rows with a label.
        name: As the user calls the column; None where there is no second rating.
        label: Our name of the label column.
        present: The task with the classes that the labels have.
        per_video: Whether one subject's videos may carry different labels.
        problems: Takes what is wrong with the column.
        note: Called with a sentence that the user should see.
    """
    if name is None:
        return {}
    theirs = {table.called(column): column for column in table.cells}
    column = theirs.get(column_name(name), column_name(name))
    if column not in table.cells:
        problems.add(f"--second-rating {name}: there is no such column; it has {', '.join(theirs)}")
        return {}
    if column in ("subject", "video", label):
        problems.add(f"--second-rating {name}: this column means something else; name the column of the other rater")
        return {}
    allowed = present.value_index()
    cells = ["" if is_missing(cell) and cell not in allowed else cell for cell in table.cells[column]]
    values = [class_value(cell, set(allowed)) if cell else None for cell in cells]
    _check_values(table, column, values, allowed, problems)
    if not per_video:
        _check_subjects(table, column, values, problems)
    rated = sum(value is not None for value in values)
    if not rated:
        problems.add(f"--second-rating {name}: the column is empty; leave it out")
    elif rated < len(values):
        note(f"second rating {name}: {len(values) - rated} of {len(values)} videos have none")
    indices = [None if value is None else allowed.get(value) for value in values]
    return {SECOND_RATING: pl.Series(indices, dtype=pl.Int64)}


def _check_values(
    table: Table, column: str, values: list[str | None], allowed: dict[str, int], problems: Problems
) -> None:
    for row, value in zip(table.rows, values, strict=True):
        if value is not None and value not in allowed:
            problems.at(
                row,
                table.called(column),
                "a rating that no label has",
                f"{value!r} is not among the classes of the labels; it must be one of {', '.join(allowed)}, or empty",
            )


def _check_subjects(table: Table, column: str, values: list[str | None], problems: Problems) -> None:
    first: dict[str, tuple[int, str]] = {}
    for row, subject, value in zip(table.rows, table.cells["subject"], values, strict=True):
        if value is None:
            continue
        row_before, before = first.setdefault(subject, (row, value))
        if value != before:
            problems.at(
                row,
                table.called(column),
                "two second ratings of one subject",
                f"subject {subject!r} has {value!r} here and {before!r} in row {row_before}; labels are by subject, so give "
                "one second rating of each, or rate videos (--label-per-video)",
            )
