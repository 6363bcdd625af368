"""The label column of a manifest: which rows have a label, which classes there are, and what was misspelt."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from trainables.cohort.plausible import is_code
from trainables.cohort.problems import Problems
from trainables.cohort.spelling import BROKEN, NONE, is_missing, look, look_of_id, told_apart, word_set
from trainables.cohort.table import Table
from trainables.knowledge.tasks import Task, task_for

MOST_CLASSES = 20
LONGEST_LABEL = 80
"""Characters. More classes or longer names are taken for a column that holds something else."""
DEGREES = word_set("slight mild moderate marked severe minimal some low medium high light strong present")
"""Words of scales whose lowest class may be called 'none'."""
WHOLE = re.compile(r"[+-]?\d+([.,]0+)?", re.ASCII)
"""1.0, as a column with empty cells is often written, and 1,0 where the comma is the decimal sign."""


def label_column(
    table: Table, task: Task | None, label: str | None, columns: Mapping[str, str], problems: Problems
) -> str:
    """Returns our name of the label column, after a check that all needed columns are there.

    Raises:
        CohortError: The manifest lacks a column that is needed.
    """
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


def with_label(
    table: Table, label: str, task: Task | None, note: Callable[[str], None]
) -> tuple[Table, list[tuple[str, str]]]:
    """Returns the rows that have a label, and (video, reason) for those that have none.

    A word like NA, or a dash, is not a label, unless the task has a class of that value.
    """
    cells, shown = table.cells[label], table.called(label)
    positive = any(cell and set(cell) == {"+"} for cell in cells)
    signs = {
        cell for cell in cells if positive and set(cell) <= set("-–—−")
    }  # negative findings, where others are positive
    values = set(task.value_index()) if task is not None else set()
    lacking = [is_missing(cell) and cell not in values | signs for cell in cells]
    words = Counter(cell for cell, lacks in zip(cells, lacking, strict=True) if lacks and cell)
    for word, count in words.items():
        note(f"column {shown}: {word!r} in {count} {'row' if count == 1 else 'rows'} counts as no label")
    excluded = [
        (table.cells["video"][i], f"row {row}: column {shown} {f'says {cells[i]!r}' if cells[i] else 'is empty'}")
        for i, row in enumerate(table.rows)
        if lacking[i]
    ]
    return table.at([i for i, lacks in enumerate(lacking) if not lacks]), excluded


def read_labels(table: Table, label: str, task: Task | None, problems: Problems) -> tuple[Task, list[str]]:
    """Returns the task with all its classes, and each row's value of the label column.

    Raises:
        CohortError: The column has too many or too long values to be a label.
    """
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
    whole = [_whole(cell) for cell in cells]
    given = set(task.value_index()) if task is not None else set()
    if given or None not in whole:
        cells = [cell if cell in given or value is None else value for cell, value in zip(cells, whole, strict=True)]
    if task is None:
        _check_values(table, shown, cells, problems)
    task = task or task_for(label, sorted(set(cells)))
    allowed = task.value_index()
    for row, cell in zip(table.rows, cells, strict=True):
        if cell not in allowed:
            problems.at(
                row,
                shown,
                "another value",
                f"{cell!r} is not a class; it must be one of {', '.join(allowed)}, or empty",
            )
    check_spelling(list(allowed), f"column {shown}: labels", problems, look)
    return task, cells


def class_value(cell: str, allowed: set[str]) -> str:
    """Returns a cell as the classes are written: 2.0 as 2 where that is a class."""
    return cell if cell in allowed else _whole(cell) or cell


def _whole(cell: str) -> str | None:
    """Returns a whole number as Python writes it, None for another text."""
    return str(int(re.split("[.,]", cell)[0])) if WHOLE.fullmatch(cell) else None


def _check_values(table: Table, shown: str, cells: list[str], problems: Problems) -> None:
    """Notes values that are hardly meant as classes: errors of formulas, codes for 'not known', and 'none'."""
    values = set(cells)
    whole = [_whole(value) for value in values]
    codes = _codes([int(number) for number in whole if number is not None]) if None not in whole else set()
    unknown = "leave the cell empty if the label is not known"
    task = "list it in a task file (--task) if it is a class"
    for row, cell in zip(table.rows, cells, strict=True):
        if cell.casefold() in BROKEN:
            problems.at(
                row, shown, "the error of a formula", f"{cell!r} is the error of a formula; mend it, or {unknown}"
            )
        elif cell.casefold() in NONE and not _is_lowest(cell, values):
            text = f"{cell!r} may be a class or a missing label; {unknown}, write it in another word or {task}"
            problems.at(row, shown, "what may be a missing label", text)
        elif cell in codes:
            problems.at(row, shown, "what looks like a code", f"{cell} looks like a code; {unknown}, or {task}")


def _is_lowest(word: str, values: set[str]) -> bool:
    """Returns whether 'none' is the lowest class of a scale like none, mild, severe, and written as the others are."""
    return any(value.casefold() in DEGREES and value.islower() == word.islower() for value in values)


def _codes(values: Sequence[int]) -> set[str]:
    """Returns those of some classes in whole numbers that look like codes: 9 or -99 far from the others, -1 before 0, 1, 2."""
    others = [value for value in values if not (is_code(value) or value in (7, 8, 9))]
    if len(others) < 2:
        return set()
    low, high = min(others), max(others)
    far = max(high - low, 1)
    codes = {v for v in set(values) - set(others) if v > high + far or v < low - far}
    return {str(v) for v in codes | ({-1} & set(values) if low in (0, 1) and high >= 2 else set())}


def check_spelling(
    values: Sequence[str], what: str, problems: Problems, form: Callable[[str], str] = look_of_id
) -> None:
    """Notes values that look like the same one to a person.

    Args:
        form: what two spellings of one value have in common.
    """
    spellings: dict[str, list[str]] = {}
    for value in dict.fromkeys(values):
        spellings.setdefault(form(value), []).append(value)
    for alike in spellings.values():
        if len(alike) > 1:
            problems.add(f"{what} {' and '.join(told_apart(alike))} look like the same one; write it in one way")


def check_classes(table: Table, task: Task, labels: list[str], shown: str, folds: int, problems: Problems) -> None:
    """Notes classes that have too few subjects for the folds.

    Args:
        labels: each row's value.
        shown: what the user calls the label column.
    """
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
    for one in [c for c, count in counts.items() if count == 1]:
        problems.add(
            f"class {one.name!r} has 1 subject, who cannot be both trained on and held out; "
            f"add subjects, or empty column {shown} in that subject's rows"
        )
    few = [f"class {c.name!r} has {count} subjects" for c, count in counts.items() if 1 < count < folds < len(subjects)]
    if few:
        largest = min(max(count, 2) for count in counts.values())
        problems.add(
            f"{', '.join(few)}, too few for --folds {folds}; use --folds {largest} at most, "
            f"or --folds {len(subjects)} to leave one subject out at a time"
        )
