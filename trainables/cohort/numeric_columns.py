"""Reads the numbers of a manifest: gait parameters, leg length, boxes and frame rates."""

import math
import re
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import polars as pl

from trainables.cohort.column_kinds import Reasons, reason, say_left_out, say_used
from trainables.cohort.number_text import dotted_thousands, like_number, number, why_no_number
from trainables.cohort.plausible import check_codes, check_legs, check_parameter
from trainables.cohort.problems import Problems
from trainables.cohort.separation import separation
from trainables.cohort.spelling import is_unmeasured
from trainables.cohort.table import Table
from trainables.errors import ConfigurationError
from trainables.knowledge.parameters import KnownParameter, parameter_from_column
from trainables.knowledge.tasks import load_task, shipped_tasks
from trainables.study.records import Parameter

BOX = ("box_left", "box_top", "box_right", "box_bottom")
LEG = "leg_length"
RATES = (1.0, 1000.0)
"""Frames per second that are believed."""
RESERVED = frozenset(
    {"subject", "video", "path", "sha256", "label", "fold", "frames", "cached", "fps", "boxes", LEG, *BOX}
)
"""Columns that mean something else in a cohort, and so are never parameters."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    """What a manifest says in numbers, one entry per row."""

    parameters: tuple[Parameter, ...]
    columns: dict[str, pl.Series]
    """Columns of the cohort: a box's four sides, fps, and the parameters; null where a cell is empty."""
    boxes: list[Box | None]
    fps: list[float | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which columns the user wants as gait parameters."""

    known: Sequence[Parameter] = ()
    """Those of the parameter file, used if the manifest has them."""
    named: tuple[str, ...] = ()
    """Other columns of numbers, used because they were asked for; as the user calls them."""
    ignore: tuple[str, ...] = ()
    """Columns that are not used though the parameter file knows them; as the user calls them."""
    attributes: tuple[str, ...] = ()
    """Columns that describe subjects, and so are no parameters unless the file knows them; as the user calls them."""
    own_file: bool = False
    """Whether the parameter file is the user's own, who so has named each of them."""


def read_numbers(
    table: Table, wanted: Wanted, label: str, labels: list[str], problems: Problems, note: Callable[[str], None]
) -> Numbers:
    """Returns all numbers; parameters of the file come first, in its order, then the columns that were asked for.

    Raises:
        ConfigurationError: A known parameter has the name of a column that means something else.
    """
    if clash := sorted(RESERVED & {p.key for p in wanted.known}):
        raise ConfigurationError(
            f"a parameter may not be called {clash[0]!r}, which names another column; rename it",
            code="cohort.column.name_clash",
        )
    skipped = _found(table, wanted.ignore, "--ignore", problems)
    kept = table.without(skipped & {LEG, "fps", *BOX})
    reasons: Reasons = {}
    parameters, values = _parameters(kept, wanted, skipped, label, labels, reasons, problems, note)
    of_file = sum(p.source == "instrument" for p in wanted.known)
    say_used({table.called(p.key): p.unit for p in parameters}, of_file, note)
    told = {p.key for p in wanted.known} | set(values) | {label} | RESERVED | _theirs(table, wanted.attributes)
    say_left_out(_reasons(table, wanted.known, told, skipped, reasons), note)
    boxes = _boxes(kept, problems, note)
    fps = _column(kept, "fps", problems, note, at_least=RATES[0], at_most=RATES[1])
    check_codes(kept, "fps", fps, problems, "")
    sides = {side: pl.Series([box and box[i] for box in boxes], dtype=pl.Int64) for i, side in enumerate(BOX)}
    columns = sides | {"fps": _series(fps)} | {p.key: _series(values[p.key]) for p in parameters}
    recorded = tuple(p.recorded() if isinstance(p, KnownParameter) else p for p in parameters)
    return Numbers(parameters=recorded, columns=columns, boxes=boxes, fps=fps)


def _parameters(
    table: Table,
    wanted: Wanted,
    skipped: set[str],
    label: str,
    labels: list[str],
    reasons: Reasons,
    problems: Problems,
    note: Callable[[str], None],
) -> tuple[tuple[Parameter, ...], dict[str, list[float | None]]]:
    """Returns the parameters that the manifest has, and their values by key; adds to `reasons` what says nothing."""
    there = [p for p in wanted.known if p.key in table.cells and p.key not in skipped | {label}]
    chosen = [p for p in there if not all(map(is_unmeasured, table.cells[p.key]))]
    for empty in (p.key for p in there if p not in chosen):
        reasons.setdefault("empty", []).append(table.called(empty))
    values = {p.key: _column(table, p.key, problems, note) for p in chosen}
    named = _named(table, wanted, skipped, label, problems)
    for column in named:
        without = f"leave out --parameter {table.called(column)}"
        values[column] = _column(table, column, problems, note, otherwise=without)
    informing = [column for column in named if _informs(table, column, values[column], labels, problems, reasons)]
    parameters = (*chosen, *(parameter_from_column(column) for column in informing))
    measured = {key: list(column) for key, column in values.items()}
    _scale_by_leg(table, parameters, values, problems, note)
    for p in parameters:
        if isinstance(p, KnownParameter):
            if not wanted.own_file and table.called(p.key) not in wanted.named and p.key not in wanted.named:
                _check_separation(table, p, values[p.key], labels, problems)
            check_parameter(table, p, values[p.key], measured[p.key], problems, note)
        else:
            otherwise = ", or give the column low and high in a parameter file if it was measured"
            check_codes(table, p.key, values[p.key], problems, otherwise)
    return parameters, values


def _check_separation(
    table: Table, p: KnownParameter, values: list[float | None], labels: list[str], problems: Problems
) -> None:
    """Notes a parameter that alone nearly tells a class from the others: more often a code or a fault than a gait."""
    found = separation(values, table.cells["subject"], labels) if labels else None
    if found is not None and found.nearly:
        shown = table.called(p.key)
        problems.add(
            f"column {shown} alone nearly separates {found.label!r} from the others (AUROC {found.auroc:.2f} over "
            f"{found.subjects} subjects); pass --parameter {shown} if it was measured alike in everybody, else --ignore {shown}"
        )


def _series(values: list[float | None]) -> pl.Series:
    return pl.Series(values, dtype=pl.Float64)


def _theirs(table: Table, names: tuple[str, ...]) -> set[str]:
    """Returns our names of the columns that the user calls so."""
    return {column for column in table.cells if column in names or table.called(column) in names}


def _found(table: Table, names: tuple[str, ...], option: str, problems: Problems) -> set[str]:
    """Returns our names of the columns that an option names."""
    theirs = {table.called(column): column for column in table.cells}
    for name in names:
        if name not in table.cells and name not in theirs:
            problems.add(f"{option} {name}: there is no such column; it has {', '.join(theirs)}")
    return {theirs.get(name, name) for name in names} & set(table.cells)


def _named(table: Table, wanted: Wanted, skipped: set[str], label: str, problems: Problems) -> list[str]:
    """Returns the columns that were asked for and that the parameter file does not know, in the manifest's order."""
    asked = _found(table, wanted.named, "--parameter", problems)
    for name in sorted(asked & (RESERVED | {label})):
        problems.add(f"--parameter {table.called(name)}: this column means something else; leave it out")
    for name in sorted(asked & skipped):
        problems.add(f"--parameter {table.called(name)}: --ignore names the same column; give one of the two")
    for name in sorted(asked & _theirs(table, wanted.attributes)):
        problems.add(f"--parameter {table.called(name)}: --attribute names the same column; give one of the two")
    unknown = asked - {p.key for p in wanted.known} - RESERVED - {label} - skipped
    return [column for column in table.cells if column in unknown]


def _column(
    table: Table,
    column: str,
    problems: Problems,
    note: Callable[[str], None],
    *,
    otherwise: str = "",
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> list[float | None]:
    """Returns a column's numbers, None where a cell is empty or says so; a column that is not there is empty.

    Args:
        otherwise: how to do without the column, if not by --ignore.
    """
    shown, cells = table.called(column), table.cells.get(column, [""] * len(table.rows))
    words: Counter[str] = Counter()
    dotted = dotted_thousands(cells)
    values: list[float | None] = []
    for row, cell in zip(table.rows, cells, strict=True):
        value = number(cell)
        if cell and value is None and is_unmeasured(cell):
            words[cell] += 1
        elif cell and value is None:
            problems.at(row, shown, "no number", why_no_number(cell, cells, otherwise or f"pass --ignore {shown}"))
        elif value is not None and dotted and "." in cell:
            thousands, decimal = cell.replace(".", ""), f"{cell}0"
            text = f"{cell} may be {thousands} with a point between thousands; write {thousands}, or {decimal} if it is not"
            problems.at(row, shown, "no clear number", text)
        elif value is not None and not at_least <= value <= at_most:
            allowed = f"{at_least:g} to {at_most:g}" if math.isfinite(at_most) else f"at least {at_least:g}"
            problems.at(row, shown, "a number outside what is allowed", f"{cell} must be {allowed}")
            value = None
        values.append(value)
    for word, count in words.items():
        note(f"column {shown}: {word!r} in {count} {'row' if count == 1 else 'rows'} counts as not measured")
    return values


def _informs(
    table: Table, column: str, values: list[float | None], labels: list[str], problems: Problems, reasons: Reasons
) -> bool:
    """Returns whether a column that was asked for can be a parameter: not empty, not constant, no copy of the label."""
    shown, measured = table.called(column), {value for value in values if value is not None}
    if len(measured) < 2:
        if measured or all(map(is_unmeasured, table.cells[column])):
            reasons.setdefault("the same in every row" if measured else "empty", []).append(shown)
        return False
    by_label: dict[str, set[float | None]] = {}
    for value, label in zip(values, labels, strict=True):
        by_label.setdefault(label, set()).add(value)
    if len(labels) > 2 * len(by_label) and all(len(numbers) == 1 for numbers in by_label.values()):
        problems.add(
            f"column {shown} repeats the label: each class has one number; leave out --parameter {shown}, "
            "or list it in a parameter file if it was measured"
        )
        return False
    return True


def _reasons(
    table: Table, known: Sequence[Parameter], told: Collection[str], skipped: set[str], reasons: Reasons
) -> Reasons:
    """Returns `reasons` with why each other column is left out; `told` are those that are used or are in it already."""
    labels = {load_task(name).label for name in shipped_tasks()}
    keys = {_words(word): p.key for p in known for word in (p.name, p.key)}
    for column, cells in table.cells.items():
        shown = table.called(column)
        if column in told and column not in skipped:
            continue
        why = "--ignore" if column in skipped else "the label of another task" if column in labels else None
        why = why or reason(shown, cells)
        if why is None and (key := keys.get(_words(shown))):
            why = f"unknown, but perhaps {key}: then pass --column {key}={shlex.quote(shown)}"
        reasons.setdefault(why or _unknown(shown, cells), []).append(shown)
    if table.nameless:
        reasons.setdefault("no name in the header", []).append(
            f"{table.nameless} columns" if table.nameless > 1 else "1 column"
        )
    return reasons


def _unknown(shown: str, cells: list[str]) -> str:
    """Returns how numbers that no parameter file knows can be used, which they cannot if they are written otherwise."""
    other = next((cell for cell in cells if number(cell) is None and like_number(cell)), None)
    but = f", but {why_no_number(other, cells, '')}" if other else ""
    return f"unknown, --parameter COLUMN uses it{but}"


def _words(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))


def _scale_by_leg(
    table: Table,
    parameters: tuple[Parameter, ...],
    values: dict[str, list[float | None]],
    problems: Problems,
    note: Callable[[str], None],
) -> None:
    """Divides in place where the manifest has leg lengths."""
    scaled = [p.key for p in parameters if p.leg_scaled]
    if LEG not in table.cells or not scaled:
        return
    legs = _column(table, LEG, problems, note)
    wrong = check_legs(table, LEG, legs, problems)
    for i, (row, leg) in enumerate(zip(table.rows, legs, strict=True)):
        measured = [key for key in scaled if values[key][i] is not None]
        if leg is not None and leg <= 0:
            problems.at(row, table.called(LEG), "a leg length that is not above 0", f"{leg:g} must be above 0")
        elif leg is None and measured and is_unmeasured(table.cells[LEG][i]):
            text = (
                f"it is empty, but {table.called(measured[0])} is to be divided by it; fill it in, or remove the column"
            )
            problems.at(row, table.called(LEG), "no leg length", text)
        for key in measured:
            sound = leg is not None and leg > 0 and i not in wrong
            values[key][i] = (values[key][i] or 0.0) / (leg or 1.0) if sound else None


def _boxes(table: Table, problems: Problems, note: Callable[[str], None]) -> list[Box | None]:
    """Returns each row's box, rounded outwards to whole pixels."""
    there = [side for side in BOX if side in table.cells]
    if there and (lacking := [side for side in BOX if side not in table.cells]):
        problems.add(f"a box needs all of {', '.join(BOX)}, but there is no column {', '.join(lacking)}")
        return [None] * len(table.rows)
    sides = [_column(table, side, problems, note) for side in BOX]
    boxes: list[Box | None] = []
    for i, row in enumerate(table.rows):
        cells = [not is_unmeasured(table.cells[side][i]) for side in there]
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
