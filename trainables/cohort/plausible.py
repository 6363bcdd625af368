"""Numbers that nobody walks with: codes for 'not measured', and values in another unit."""

import math
import re
import statistics
from collections.abc import Callable, Sequence

from trainables.cohort.problems import Problems
from trainables.cohort.table import Table
from trainables.knowledge.parameters import KnownParameter

LEG_M = 0.9
"""Leg length of an adult in metres: 0.53 of a height of 1.70 m (Winter, Biomechanics and Motor Control, fig. 4.1)."""
SCALES: tuple[dict[str, float], ...] = (
    {"leg": LEG_M, "cm": 0.01, "m": 1.0, "mm": 0.001, "inches": 0.0254, "feet": 0.3048, "% of leg length": LEG_M / 100},
    {
        "leg/s": LEG_M,
        "cm/s": 0.01,
        "m/s": 1.0,
        "km/h": 1 / 3.6,
        "mph": 0.44704,
        "m/min": 1 / 60,
        "mm/s": 0.001,
        "ft/s": 0.3048,
    },
    {"s": 1.0, "ms": 0.001},
    {"steps/min": 1.0, "strides/min": 2.0, "steps/s": 60.0, "strides/s": 120.0},
    {"% cycle": 1.0, "fractions of 1": 100.0},
    {"%": 1.0, "fractions of 1": 100.0},
    {"degree": 1.0, "radians": 180 / math.pi},
)
"""Units of one dimension with their size, the usual spellings first; what a value in another unit is multiplied by is
the ratio of the two."""
LEG_LENGTHS = {"m": (0.3, 1.3), "cm": (30.0, 130.0), "mm": (300.0, 1300.0), "inches": (12.0, 51.0), "feet": (1.0, 4.3)}
"""Leg lengths of children and adults."""
APART = 3
"""Rows with one fault that each get a line; more share one."""
RUNS = 20
"""Runs of row numbers that such a line names."""
FEWEST = 3
"""Values of which a median is believed."""
EXTREMES = frozenset({32767.0, 32768.0, 65535.0, 2147483647.0, 2147483648.0, 4294967295.0})


def is_code(value: float) -> bool:
    """Returns whether a number is one that stands for 'not measured': -9, 99, 888, -999.9, 9997, a largest integer."""
    if value in (-1, -7, -8, -9) or abs(value) in EXTREMES or abs(value) >= 1e18:
        return True
    digits = f"{abs(value):.10g}".replace(".", "")
    return re.fullmatch(r"7{2,}|8{2,}|9+[6-9]", digits) is not None


def check_parameter(
    table: Table,
    parameter: KnownParameter,
    values: Sequence[float | None],
    measured: Sequence[float | None],
    problems: Problems,
    note: Callable[[str], None],
) -> None:
    """Notes the values of a column that are outside the parameter's limits, or far from all others.

    Args:
        values: in the parameter's unit, divided by the leg length if there is one.
        measured: as they stand in the table.
    """
    column, leg = table.called(parameter.key), _leg_column(table, parameter)
    outside = {i: v for i, v in enumerate(values) if v is not None and not parameter.low <= v <= parameter.high}
    units = likely_units(parameter, [v for i, v in outside.items() if not is_code(measured[i] or 0)])
    shared = leg if 2 * len(outside) > sum(v is not None for v in values) else ""
    advised: dict[str, list[int]] = {}
    for i, value in outside.items():
        advised.setdefault(_advice(parameter, value, measured[i] or 0.0, units, shared), []).append(i)
    for advice, places in advised.items():
        limits = f"not between {parameter.low:g} and {parameter.high:g} {parameter.unit}; {advice}"
        if len(places) > APART:
            shown = _span([table.cells[parameter.key][i] for i in places], [measured[i] or 0.0 for i in places])
            divided = f", divided by {leg}," if leg else ""
            rows = f"{rows_in_words([table.rows[i] for i in places])} ({len(places)} of {len(values)})"
            problems.add(f"column {column}: {shown} in rows {rows}{divided} is {limits}")
            continue
        for i in places:
            divided = f" / {leg} = {outside[i]:.3g}" if leg else ""
            text = f"{table.cells[parameter.key][i]}{divided} is {limits}"
            problems.at(table.rows[i], column, "a value that nobody walks with", text)
    if outside:
        return
    known = [v for v in values if v is not None]
    median = statistics.median(known) if len(known) >= FEWEST else None
    if median is not None and not parameter.median_low <= median <= parameter.median_high:
        problems.add(
            f"column {column}: its median is {median:.3g}, but that of a cohort is between {parameter.median_low:g} and "
            f"{parameter.median_high:g} {parameter.unit}; {_convert(parameter, likely_units(parameter, known), leg)}"
        )
    if far := _far_codes(measured, negative=False):
        rows = rows_in_words([table.rows[i] for i in far])
        note(
            f"column {column}: {table.cells[parameter.key][far[0]]} in row{'s' if len(far) > 1 else ''} {rows} is far from all other values; "
            "if it stands for 'not measured', leave the cell empty"
        )


def check_codes(table: Table, column: str, values: Sequence[float | None], problems: Problems, otherwise: str) -> None:
    """Notes codes for 'not measured' in a column without limits: numbers of that kind that are far from all others."""
    for i in _far_codes(values):
        problems.at(
            table.rows[i],
            table.called(column),
            "what looks like a code",
            f"{table.cells[column][i]} is far from all other values and looks like a code for 'not measured'; leave the "
            f"cell empty{otherwise}",
        )


def check_legs(table: Table, column: str, legs: Sequence[float | None], problems: Problems) -> list[int]:
    """Notes leg lengths that no person has in the unit that most of the column is in, and returns their places."""
    known = [leg for leg in legs if leg is not None and leg > 0]
    fitting = {unit: sum(low <= leg <= high for leg in known) for unit, (low, high) in LEG_LENGTHS.items()}
    unit = max(fitting, key=lambda name: fitting[name])
    low, high = LEG_LENGTHS[unit]
    outside = [i for i, leg in enumerate(legs) if leg is not None and leg > 0 and not low <= leg <= high]
    for i in outside:
        code = "it looks like a code for 'not measured'" if is_code(legs[i] or 0) else "correct it"
        text = f"{table.cells[column][i]} is not between {low:g} and {high:g} {unit}, the unit of the others; {code}"
        problems.at(table.rows[i], table.called(column), "a leg length that nobody has", text)
    return outside


def likely_units(parameter: KnownParameter, values: Sequence[float]) -> list[str]:
    """Returns the one or two units in which values would be usual ones, the likeliest first; empty if there is none."""
    scale = next((scale for scale in SCALES if parameter.unit in scale), None)
    if scale is None or not values:
        return []
    middle = statistics.median(values)
    low, high = max(parameter.median_low, parameter.low), min(parameter.median_high, parameter.high)
    fitting: dict[str, float] = {}
    for unit, size in scale.items():
        factor = size / scale[parameter.unit]
        inside = all(parameter.low <= value * factor <= parameter.high for value in values)
        if unit != parameter.unit and inside and low <= middle * factor <= high:
            typical = (low + high) / 2
            near = typical > 0 and middle > 0
            fitting[unit] = abs(math.log(middle * factor / typical)) if near else float(len(fitting))
    return sorted(fitting, key=lambda unit: fitting[unit])[:2]


def rows_in_words(rows: Sequence[int]) -> str:
    """Returns sorted row numbers as '2, 5-9 and 12', and of many the first ones."""
    runs: list[list[int]] = []
    for row in rows:
        if runs and runs[-1][-1] == row - 1:
            runs[-1][1:] = [row]
        else:
            runs.append([row])
    words = ["-".join(map(str, run)) for run in runs]
    if len(words) > RUNS:
        return f"{', '.join(words[:RUNS])} and others"
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _span(cells: Sequence[str], values: Sequence[float]) -> str:
    """Returns the one cell, or the least and the largest, as the table has them."""
    least, largest = cells[values.index(min(values))], cells[values.index(max(values))]
    return least if min(values) == max(values) else f"{least} to {largest}"


def _advice(parameter: KnownParameter, value: float, raw: float, units: list[str], leg: str) -> str:
    """Returns what to do about a value outside the limits."""
    if is_code(raw) and not _fits(parameter, value, units):
        return "it looks like a code for 'not measured'; leave the cell empty"
    if raw == 0:
        return "if it stands for 'not measured', leave the cell empty"
    return _convert(parameter, units, leg)


def _fits(parameter: KnownParameter, value: float, units: list[str]) -> bool:
    """Returns whether a value is within the limits in the unit that its column seems to be in."""
    scale = next((scale for scale in SCALES if parameter.unit in scale), {})
    return any(parameter.low <= value * scale[u] / scale[parameter.unit] <= parameter.high for u in units)


def _convert(parameter: KnownParameter, units: list[str], leg: str) -> str:
    if leg:
        return f"{parameter.key} and {leg} must be in the same unit of length"
    if not units:
        return "correct it, or widen the limits in a parameter file (--parameters)"
    divide = (
        ", or give the leg length in a column leg_length"
        if parameter.leg_scaled and any("%" not in u for u in units)
        else ""
    )
    return f"it looks like {' or '.join(units)}; convert it to {parameter.unit}{divide}"


def _leg_column(table: Table, parameter: KnownParameter) -> str:
    """Returns what the user calls the leg length by which a parameter is divided, '' where it is not."""
    return table.called("leg_length") if parameter.leg_scaled and "leg_length" in table.cells else ""


def _far_codes(values: Sequence[float | None], *, negative: bool = True) -> list[int]:
    """Returns the places of codes for 'not measured' that are far from all other values.

    Args:
        negative: whether a code below 0 is far from values that are all above it, however near.
    """
    others = [v for v in values if v is not None and not is_code(v)]
    if len(others) < 2:
        return []
    low, high = min(others), max(others)
    span = high - low

    def far(value: float) -> bool:
        if not is_code(value):
            return False
        return value > high + span / 2 or value < low - span or (negative and value < 0 <= low)

    return [i for i, value in enumerate(values) if value is not None and far(value)]
