"""Reads a text table as spreadsheets write it: its encoding, its separator, its quotes."""

import codecs
import contextlib
import csv
import io
import itertools
import re
from collections.abc import Iterator

from trainables.errors import StridefoldError

SEPARATORS = ",;\t|"
SAMPLE = 50
"""Rows by which the separator is found."""
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark its own begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte-order marks, as Excel's 'Unicode Text' has; without one a file is UTF-8."""
ANNOUNCED = re.compile(r'\s*"?sep=(.)"?(.*?)(?:\r\n|\r|\n)', re.IGNORECASE)
"""Excel's first line, which is not a row of the table: 'sep=;', and 'sep=;,,,' where it was saved again with commas."""


def read_delimited(content: bytes) -> list[list[str]]:
    """Returns the records of a text table, the header among them, an empty list for a blank line.

    The separator is the one that the first line announces (`sep=;`, which spreadsheets do not count as a row), else the
    comma, semicolon, tab or bar that divides the rows as it divides the header; in quotes it separates nothing.

    Raises:
        StridefoldError: It is not text, or a quote is not closed; says in which row.
    """
    text = _decoded(content)
    announced, text = _announced(text)
    separator = announced or _separator(text)
    records: list[list[str]] = []
    try:
        records.extend(_records(text, separator))
    except csv.Error as error:
        reason = {"unexpected end of data": "a quote is opened and not closed"}.get(str(error), str(error))
        raise StridefoldError(
            f"row {len(records) + 1}: {reason}; put a cell's text in a pair of quotes, or use none", code="table.quotes"
        ) from None
    return records


def fits(record: list[str], header: list[str]) -> bool:
    """Returns whether a row has the header's cells; empty ones may follow."""
    return len(record) >= len(header) and not any(record[len(header) :])


def _decoded(content: bytes) -> str:
    encoding = next((name for mark, name in MARKS if content.startswith(mark)), "utf-8-sig")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8-sig":
            raise StridefoldError(
                f"it is not whole {encoding.upper()}; save it as 'CSV UTF-8'", code="table.encoding"
            ) from None
        row = error.object[: error.start].count(b"\n") + 1
        raise StridefoldError(
            f"row {row}: a character is not UTF-8; save the file as 'CSV UTF-8'", code="table.encoding"
        ) from None
    if "\0" in text:
        raise StridefoldError(
            "it holds zero bytes, as no text file does; save it as 'CSV UTF-8'", code="table.zero_bytes"
        )
    return text.lstrip("\ufeff")  # a second mark, where a program put one before another's


def _announced(text: str) -> tuple[str, str]:
    """Returns the separator that a first line like 'sep=;' names, '' without one, and the text after it."""
    found = ANNOUNCED.match(text)
    if found is None:
        return "", text
    separator, padding = found[1], found[2].strip(" ")
    if padding and (padding != padding[0] * len(padding) or padding[0] not in SEPARATORS):
        return "", text
    return (padding[0] if padding else separator), text[found.end() :]


def _records(text: str, separator: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    return ([cell.strip() for cell in record] for record in reader)


def _separator(text: str) -> str:
    """Returns the separator that makes the most columns, of those by which most of the first rows have the header's cells."""
    return max(SEPARATORS, key=lambda separator: _fit(text, separator))


def _fit(text: str, separator: str) -> tuple[bool, bool, int, float]:
    """Returns whether a separator divides the header, and most rows alike; into how many cells; the share of those rows."""
    records: list[list[str]] = []
    with contextlib.suppress(csv.Error):  # a quote that is none for this separator
        records.extend(r for r in itertools.islice(_records(text, separator), SAMPLE) if any(r))
    if not records or len(records[0]) < 2:
        return False, False, 0, 0.0
    header, *rows = records
    share = sum(fits(row, header) for row in rows) / max(len(rows), 1)
    return True, share >= 0.5, len(header), share
