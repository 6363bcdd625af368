"""Reads the numbers of a manifest: gait parameters, leg length, boxes and frame rates."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from trainables.data.problems import Problems
from trainables.data.table import NUMBER, Table
from trainables.errors import ConfigurationError
from trainables.knowledge.parameters import parameter_from_column
from trainables.knowledge.tasks import load_task, shipped_tasks
from trainables.records import Parameter

BOX = ("box_left", "box_top", "box_right", "box_bottom")
LEG = "leg_length"
RATES = (1.0, 1000.0)
"""Frames per second that are believed."""
RESERVED = frozenset({"subject", "video", "path", "sha256", "label", "fold", "frames", "cached", "fps", LEG, *BOX})
"""Columns that mean something else in a cohort, and so are never parameters."""
MISSING = ("na", "n/a", "nan", "null", "none", "-", "--", ".", "?", "missing")

Box = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    """What a manifest says in numbers, one entry per row."""

    parameters: tuple[Parameter, ...]
    columns: dict[str, pl.Series]
    """Columns of the cohort: a box's four sides, fps, and the parameters; null where a cell is empty."""
    boxes: list[Box | None]
    fps: list[float | None]


def read_numbers(
    table: Table,
    known: tuple[Parameter, ...],
    label: str,
    labels: list[str],
    ignore: tuple[str, ...],
    problems: Problems,
    note: Callable[[str], None],
) -> Numbers:
    """Returns all numbers; known parameters come first, in their file's order, then other columns of numbers.

    Raises:
        ConfigurationError: A known parameter has the name of a column that means something else.
    """
    if clash := sorted(RESERVED & {p.key for p in known}):
        raise ConfigurationError(f"a parameter may not be called {clash[0]!r}, which names another column; rename it")
    theirs = {table.called(column): column for column in table.cells}
    for name in ignore:
        if name not in table.cells and name not in theirs:
            problems.add(f"--ignore {name}: there is no such column; it has {', '.join(theirs)}")
    skipped = {theirs.get(name, name) for name in ignore}
    there = [p for p in known if p.key in table.cells and p.key not in skipped | {label}]
    chosen = [p for p in there if any(table.cells[p.key])]
    for empty in (p.key for p in there if p not in chosen):
        note(f"column {table.called(empty)} is empty and is not used")
    values = {p.key: _column(table, p.key, problems) for p in chosen}
    others = _others(table, {p.key for p in known} | skipped | {label} | RESERVED, problems, note)
    for column in others:
        values[column] = _column(table, column, problems)
    kept = [c for c in others if _informs(table.called(c), values[c], labels, problems, note)]
    parameters = (*chosen, *(parameter_from_column(column) for column in kept))
    _scale_by_leg(table, parameters, values, problems)
    boxes = _boxes(table, problems)
    fps = _column(table, "fps", problems, at_least=RATES[0], at_most=RATES[1])
    sides = {side: pl.Series([box and box[i] for box in boxes], dtype=pl.Int64) for i, side in enumerate(BOX)}
    columns = sides | {"fps": _series(fps)} | {p.key: _series(values[p.key]) for p in parameters}
    return Numbers(parameters=parameters, columns=columns, boxes=boxes, fps=fps)


def _series(values: list[float | None]) -> pl.Series:
    return pl.Series(values, dtype=pl.Float64)


def _number(cell: str) -> float | None:
    """Returns a finite number written with ASCII digits and a decimal point, None for anything else."""
    value = float(cell) if NUMBER.fullmatch(cell) else math.nan
    return value if math.isfinite(value) else None


def _column(
    table: Table, column: str, problems: Problems, *, at_least: float = -math.inf, at_most: float = math.inf
) -> list[float | None]:
    """Returns a column's numbers, None where a cell is empty; a column that is not there is empty."""
    values: list[float | None] = []
    for row, cell in zip(table.rows, table.cells.get(column, [""] * len(table.rows)), strict=True):
        value = _number(cell)
        if cell and value is None:
            problems.at(row, table.called(column), "no number", _why_no_number(table.called(column), cell))
        elif value is not None and not at_least <= value <= at_most:
            allowed = f"{at_least:g} to {at_most:g}" if math.isfinite(at_most) else f"at least {at_least:g}"
            problems.at(row, table.called(column), "a number outside what is allowed", f"{cell} must be {allowed}")
            value = None
        values.append(value)
    return values


def _why_no_number(column: str, cell: str) -> str:
    decimal = cell.replace(",", ".", 1)
    if cell.lower() in MISSING:
        return f"{cell!r} is no number; leave the cell empty where nothing was measured"
    if "," in cell and _number(decimal) is not None:
        return f"{cell!r} is no number; write {decimal}, with a decimal point"
    return f"{cell!r} is no finite number; correct it, leave it empty if it was not measured, or pass --ignore {column}"


def _others(table: Table, taken: set[str], problems: Problems, note: Callable[[str], None]) -> list[str]:
    """Returns the columns of numbers that no parameter file knows."""
    labels = {load_task(name).label for name in shipped_tasks()}
    found = []
    for column, cells in table.cells.items():
        filled = [cell for cell in cells if cell]
        if column in taken | labels or not filled:
            continue
        like_numbers = [c for c in filled if _number(c) is not None or _number(c.replace(",", ".", 1)) is not None]
        told = [c for c in filled if c.lower() not in MISSING and c.lower() not in ("inf", "-inf", "+inf", "infinity")]
        if told and 2 * len(like_numbers) >= len(told) and like_numbers:
            found.append(column)
        else:
            note(f"column {table.called(column)} holds text and is not used")
    return found


def _informs(
    column: str, values: list[float | None], labels: list[str], problems: Problems, note: Callable[[str], None]
) -> bool:
    """Returns whether a column that no parameter file knows can be a parameter: not constant, no copy of the label."""
    measured = {value for value in values if value is not None}
    if len(measured) < 2:
        note(f"column {column} has the same number in every row and is not used")
        return False
    by_label: dict[str, set[float | None]] = {}
    for value, label in zip(values, labels, strict=True):
        by_label.setdefault(label, set()).add(value)
    if len(labels) > 2 * len(by_label) and all(len(numbers) == 1 for numbers in by_label.values()):
        problems.add(
            f"column {column} repeats the label: each class has one number; pass --ignore {column}, "
            "or list it in a parameter file if it was measured"
        )
        return False
    return True


def _scale_by_leg(
    table: Table, parameters: tuple[Parameter, ...], values: dict[str, list[float | None]], problems: Problems
) -> None:
    """Divides in place where the manifest has leg lengths."""
    scaled = [p.key for p in parameters if p.leg_scaled]
    if LEG not in table.cells or not scaled:
        return
    legs = _column(table, LEG, problems)
    for i, (row, leg) in enumerate(zip(table.rows, legs, strict=True)):
        measured = [key for key in scaled if values[key][i] is not None]
        if leg is not None and leg <= 0:
            problems.at(row, table.called(LEG), "a leg length that is not above 0", f"{leg:g} must be above 0")
        elif leg is None and measured and not table.cells[LEG][i]:
            text = (
                f"it is empty, but {table.called(measured[0])} is to be divided by it; fill it in, or remove the column"
            )
            problems.at(row, table.called(LEG), "no leg length", text)
        elif leg is not None:
            for key in measured:
                values[key][i] = (values[key][i] or 0.0) / leg


def _boxes(table: Table, problems: Problems) -> list[Box | None]:
    """Returns each row's box, rounded outwards to whole pixels."""
    there = [side for side in BOX if side in table.cells]
    if there and (lacking := [side for side in BOX if side not in table.cells]):
        problems.add(f"a box needs all of {', '.join(BOX)}, but there is no column {', '.join(lacking)}")
        return [None] * len(table.rows)
    sides = [_column(table, side, problems) for side in BOX]
    boxes: list[Box | None] = []
    for i, row in enumerate(table.rows):
        cells = [table.cells[side][i] for side in there]
        left, top, right, bottom = (column[i] for column in sides)
        boxes.append(None)
        if any(cells) and not all(cells):
            lacking = [side for side, cell in zip(BOX, cells, strict=True) if not cell]
            text = f"half a box: {', '.join(lacking)} is empty; give all four sides, or none for the whole frame"
            problems.at(row, "box", "half a box", text)
        elif left is None or top is None or right is None or bottom is None:
            continue
        elif left >= right or top >= bottom:
            text = f"the box is empty: left {left:g} to right {right:g}, top {top:g} to bottom {bottom:g}"
            problems.at(row, "box", "an empty box", text)
        else:
            boxes[-1] = (math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom))
    return boxes
