"""Numbers as tables write them: which text is one, and what to write in place of a text that is not."""

import math
import re
import unicodedata
from collections.abc import Iterable

from trainables.cohort.spelling import BROKEN, is_invisible, seen

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""ASCII digits with a decimal point."""
_SPACES = r"[ \u00a0\u2007\u2009\u202f'\u2018\u2019\u00b4`]"
SPACED = re.compile(rf"[+-]?\d{{1,3}}(?:{_SPACES}\d{{3}})+(?:[.,]\d+)?", re.ASCII)
"""1 137,5 and 1'137.5: thousands apart by white space or an apostrophe."""
TWO_SIGNS = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+\.\d+|\d{1,3}(?:\.\d{3})+,\d+)", re.ASCII)
"""1,137.5 and 1.137,5: the last sign is the decimal one."""
SEVERAL = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3}){2,}|\d{1,3}(?:\.\d{3}){2,})", re.ASCII)
"""1,137,500 and 1.137.500."""
EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
"""1,137: a thousand or a little more than one."""
DOTTED = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}", re.ASCII)
DECIMAL = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?", re.ASCII)


def number(cell: str) -> float | None:
    """Returns a finite number written with ASCII digits and a decimal point, None for anything else."""
    value = float(cell) if NUMBER.fullmatch(cell) else math.nan
    return value if math.isfinite(value) else None


def like_number(cell: str) -> bool:
    """Returns whether a cell is a number, or is meant as one in another way of writing."""
    return number(cell) is not None or _otherwise(cell, ()) is not None


def why_no_number(cell: str, cells: Iterable[str], otherwise: str) -> str:
    """Returns what is wrong with a cell, and what to write.

    Args:
        cells: All cells of the column, which tell thousands from decimals.
        otherwise: How to do without the column.
    """
    if cell.lower() in BROKEN:
        return f"{cell!r} is the error of a formula; mend it in the spreadsheet, or leave the cell empty"
    if advice := _otherwise(cell, cells):
        return f"{cell!r} is not a number; {advice}"
    return f"{cell!r} is not a finite number; correct it, leave it empty if it was not measured, or {otherwise}"


def _otherwise(cell: str, cells: Iterable[str]) -> str | None:
    """Returns what to write for a number that is written in another way, None if it is none."""
    if SPACED.fullmatch(cell) or TWO_SIGNS.fullmatch(cell) or SEVERAL.fullmatch(cell):
        return f"write {_plain(cell)}, without a sign between thousands"
    if EITHER.fullmatch(cell):
        whole, decimal = cell.replace(",", ""), cell.replace(",", ".")
        if _has_thousands(cells):
            return f"write {whole}, without a comma between thousands"
        if _has_decimals(cells):
            return f"write {decimal}, with a decimal point"
        return f"write {whole} if its comma separates thousands, {decimal} if it is a decimal comma"
    if DECIMAL.fullmatch(cell):
        return f"write {cell.replace(',', '.')}, with a decimal point"
    plain = _ascii(cell)
    if plain != cell and number(plain) is not None:
        hidden = any(map(is_invisible, cell))
        return f"write {plain}; {'it holds an invisible character' if hidden else 'its digits or its sign are other characters'}"
    if found := re.fullmatch(r"([+-]?[\d.,]*\d) ?(%|°|[A-Za-z][A-Za-z/%]*)", cell, re.ASCII):
        value = found[1].replace(",", ".")
        return f"write {value}, without the unit" if number(value) is not None else None
    return None


def _plain(cell: str) -> str:
    digits = re.sub(_SPACES, "", cell)
    if TWO_SIGNS.fullmatch(digits):
        thousands = min(",.", key=digits.index)
        return digits.replace(thousands, "").replace(",", ".")
    return re.sub("[.,]", "", digits) if SEVERAL.fullmatch(digits) else digits.replace(",", ".")


def _ascii(cell: str) -> str:
    """Returns a cell with the digits and the minus of ASCII, and without what cannot be seen."""
    plain = (
        seen(unicodedata.normalize("NFKC", cell)).replace("\u2212", "-").replace("\u2013", "-").replace("\u066b", ".")
    )
    return "".join(str(unicodedata.digit(c)) if c.isdigit() and not c.isascii() else c for c in plain).strip()


def _has_thousands(cells: Iterable[str]) -> bool:
    """Returns whether a column writes large numbers, so that its commas are between thousands."""
    return any(
        re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+\.\d+|[+-]?\d{1,3}(,\d{3}){2,}|[+-]?[1-9]\d{2,}", cell, re.ASCII)
        for cell in cells
    )


def _has_decimals(cells: Iterable[str]) -> bool:
    """Returns whether a column has commas that can only be decimal ones."""
    return any(DECIMAL.fullmatch(cell) and not EITHER.fullmatch(cell) for cell in cells)


def dotted_thousands(cells: Iterable[str]) -> bool:
    """Returns whether a column's points are between thousands: three digits follow each, and all others are whole hundreds."""
    filled = [cell for cell in cells if cell]
    dotted = [cell for cell in filled if DOTTED.fullmatch(cell)]
    whole = [cell for cell in filled if re.fullmatch(r"[+-]?[1-9]\d{2}", cell, re.ASCII)]
    return bool(dotted) and bool(whole) and len(dotted) + len(whole) == len(filled)
