"""Reads a manifest's cells as text, each with the row that it stands in, so that a problem can be pointed at."""

import math
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import polars as pl

from trainables.cohort.delimited import fits, read_delimited
from trainables.cohort.pointers import dangling, pointer
from trainables.cohort.problems import Problems
from trainables.cohort.spelling import seen, tidy
from trainables.errors import StridefoldError

CSV, PARQUET = (".csv", ".tsv"), (".parquet", ".pq")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """The cells of a manifest, without white space around them; '' where a cell is empty."""

    cells: Mapping[str, list[str]]
    rows: list[int]
    """Row number of each entry as a spreadsheet shows it: a CSV's header is row 1, a parquet file's first row is 1."""
    shown: Mapping[str, str] = field(default_factory=dict)
    """{our name of a column: the user's}, for those that were mapped."""
    nameless: int = 0
    """Columns without a name, which are left out: spreadsheets and pandas write row numbers so."""

    def called(self, column: str) -> str:
        """Returns what the user calls a column."""
        return self.shown.get(column, column)

    def at(self, places: list[int]) -> Self:
        """Returns the table with only some of its entries."""
        cells = {column: [values[i] for i in places] for column, values in self.cells.items()}
        return replace(self, cells=cells, rows=[self.rows[i] for i in places])

    def without(self, columns: Collection[str]) -> Self:
        """Returns the table without some of its columns."""
        return replace(self, cells={name: values for name, values in self.cells.items() if name not in columns})

    def renamed(self, columns: Mapping[str, str], problems: Problems) -> Self:
        """Returns the table with columns under our names; `columns` is {ours: theirs} and wins over a column's own name."""
        known = ", ".join(self.cells)
        for ours, theirs in columns.items():
            if theirs not in self.cells:
                problems.add(f"--column {ours}={theirs}: there is no column {theirs!r}; it has {known}")
        given = list(columns.values())
        for theirs in sorted({theirs for theirs in given if given.count(theirs) > 1}):
            both = " and ".join(sorted(ours for ours, name in columns.items() if name == theirs))
            problems.add(f"--column: {theirs!r} is given for {both}; each needs a column of its own")
        mapped = {ours: self.cells[theirs] for ours, theirs in columns.items() if theirs in self.cells}
        kept = {name: values for name, values in self.cells.items() if name not in given and name not in mapped}
        return replace(self, cells=mapped | kept, shown=dict(columns))


_EMPTY = Table(cells={}, rows=[])


def read_table(path: Path, problems: Problems) -> Table:
    """Returns a manifest's cells; CSV with commas, semicolons, tabs or bars, or parquet.

    Raises:
        CohortError: The file is missing, of another kind, damaged, empty, or its rows do not fit its header.
    """
    kind = path.suffix.lower()
    try:
        _check_file(path, kind, problems)
        problems.check()
        table = _read_parquet(path, problems) if kind in PARQUET else _read_csv(path, problems)
    except OSError as error:
        problems.add(f"it cannot be read ({(error.strerror or str(error)).lower()})")
    problems.check()
    if not table.rows:
        problems.add("it has no rows; it needs one row per video")
    problems.check()
    return table


def _check_file(path: Path, kind: str, problems: Problems) -> None:
    if path.is_dir():
        problems.add("it is a folder; give the CSV or parquet file in it that lists the videos")
    elif link := dangling(path):
        problems.add(f"it {link}")
    elif not path.exists():
        problems.add("it does not exist; give the path of a CSV or parquet file that lists the videos")
    elif not path.is_file():
        problems.add("it is not a regular file; give the path of a CSV or parquet file that lists the videos")
    elif kind not in CSV + PARQUET:
        problems.add(
            f"its name ends in {kind or 'nothing'!r}, but it must end in {', '.join(CSV + PARQUET)}; "
            "from a spreadsheet, save it as 'CSV UTF-8'"
        )
    elif found := pointer(path):
        problems.add(f"it {found}")


def _read_parquet(path: Path, problems: Problems) -> Table:
    try:
        frame = pl.read_parquet(path, glob=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        problems.add(f"it is not a whole parquet file ({str(error).splitlines()[0]})")
        return _EMPTY
    columns = [[_text(value) for value in frame[column]] for column in frame.columns]
    rows = list(range(1, len(frame) + 1))
    table = _named(frame.columns, columns, rows, problems)
    return table.at([i for i in range(len(rows)) if any(values[i] for values in table.cells.values())])


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():  # whole numbers beside empty cells are often stored like this
        return str(int(value))
    return tidy(str(value))


def _read_csv(path: Path, problems: Problems) -> Table:
    try:
        records = [[tidy(cell) for cell in record] for record in read_delimited(path.read_bytes())]
    except StridefoldError as error:
        problems.add(str(error))
        return _EMPTY
    first = next((i for i, record in enumerate(records) if any(record)), None)
    if first is None:
        problems.add("it is empty; its first row must name the columns, then comes one row per video")
        return _EMPTY
    header, rows = records[first], []
    following = [record for record in records[first + 1 :] if any(record)]
    if sum(map(bool, header)) == 1 and following and all(sum(map(bool, record)) > 1 for record in following):
        title = next(filter(None, header))
        problems.add(
            f"row {first + 1} is {title!r}, a title above the table; delete it, so that the columns' names come first"
        )
        return _EMPTY
    for number, record in enumerate(records[first + 1 :], start=first + 2):
        if not any(record):
            continue
        if not fits(record, header):
            problems.at(
                number,
                "",
                "another number of cells than the header",
                f"{len(record)} cells, but the header has {len(header)}; put text that holds the separator in quotes, and write numbers with a decimal point",
            )
            continue
        rows.append((number, record))
    columns = [[record[i] for _, record in rows] for i in range(len(header))]
    return _named(header, columns, [number for number, _ in rows], problems)


def _named(header: list[str], columns: list[list[str]], rows: list[int], problems: Problems) -> Table:
    """Returns the table of the columns that have a name."""
    names = [column_name(name) for name in header]
    for name in sorted({name for name in names if name and names.count(name) > 1}):
        problems.add(f"column {name!r} is there {names.count(name)} times; give each column a name of its own")
    cells = {name: values for name, values in zip(names, columns, strict=True) if name}
    nameless = sum(not name and any(values) for name, values in zip(names, columns, strict=True))
    return Table(cells=cells, rows=rows, nameless=nameless)


def column_name(text: str) -> str:
    """Returns a column's name on one line, with composed accents and without what cannot be seen."""
    return " ".join(unicodedata.normalize("NFC", seen(text)).split())
