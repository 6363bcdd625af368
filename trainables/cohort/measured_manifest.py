"""Writes a manifest again, with columns that were measured from its videos."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainables.cohort.problems import Problems
from trainables.cohort.table import read_table
from trainables.study.files import write_text


def write_measured(manifest: Path, out: Path, keys: Sequence[str], values: Sequence[Mapping[str, float]]) -> None:
    """Writes a manifest's cells with a column for each key behind them; one that the manifest had is replaced.

    Args:
        values: By key, of each row; a key that is missing is an empty cell.

    Raises:
        CohortError: The manifest cannot be read.
    """
    table = read_table(manifest, Problems(manifest))
    columns = {name: cells for name, cells in table.cells.items() if name not in keys}
    for key in keys:
        columns[key] = [f"{row[key]:.4g}" if key in row else "" for row in values]
    write_rows(out, list(columns), zip(*columns.values(), strict=True))


def write_rows(path: Path, header: Sequence[str], rows: "Sequence[Sequence[object]] | zip[tuple[str, ...]]") -> None:
    """Writes a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())
