"""What a manifest's column holds that is not a gait parameter, and the lines that say which columns are used."""

import datetime
import itertools
import re
from collections.abc import Callable, Iterable, Mapping

from trainables.cohort.number_text import like_number, number
from trainables.cohort.spelling import is_unmeasured, word_set

IDENTIFIERS = word_set("""id ids uid uuid guid pid sid mrn identifier index idx row rows rownames rowname rownum record recordid subjectid
    patientid participant patient nr code barcode accession unnamed hash kennung nummer fallnummer""")
ROW_NAMES = re.compile(r"#|no\.?|num|number|key|case|name|x|v1|level_\d+|\.{3}\d+|column ?1", re.IGNORECASE)
"""Whole names that programs give to row numbers and names."""
DATES = word_set("""date dates datum day weekday month year birth birthday birthdate dob timestamp datetime visitdate created updated
    recorded geburtsdatum geburtsjahr jahr""")
PEOPLE = word_set("""age alter sex gender geschlecht site sites center centre centers hospital clinic ward study cohort scanner camera
    device recorder view visit session trial run repetition condition height weight bmi mass education handedness dominant
    ethnicity race group arm treatment medication drug dose ledd levodopa duration onset diagnosis stage hoehn yahr hy
    updrs mmse moca cdr fab bdi gds score scale fog falls faller comorbidity smoker complete rater examiner operator
    batch fold split""")
"""Words of column names, in small letters. They choose the reason that is given, never whether a column is used."""
LISTED = 12
"""Columns that a line names for one reason; the others are counted."""

Reasons = dict[str, list[str]]
"""{why columns are left out: what the user calls them}"""


def reason(name: str, cells: list[str]) -> str | None:
    """Returns why a column is left out that nobody named, None for numbers that might be measurements.

    Args:
        name: As the user calls it.
        cells: Its cells, '' where empty.
    """
    filled = [cell for cell in cells if not is_unmeasured(cell)]
    if not filled:
        return "empty"
    words = _words(name)
    if words & DATES or all(map(_is_date, filled)):
        return "dates"
    if words & IDENTIFIERS or ROW_NAMES.fullmatch(name):
        return "identifiers or row numbers"
    if 2 * sum(map(like_number, filled)) < len(filled):
        return "text"
    if words & PEOPLE:
        return "about the person or the recording"
    if _is_count(filled):
        return "identifiers or row numbers"
    if len(filled) == len(cells) > 1 and len(set(map(_value, filled))) == 1:
        return "the same in every row"
    return None


def say_used(used: Mapping[str, str], every: int, note: Callable[[str], None]) -> None:
    """Says in one line which columns are gait parameters.

    Args:
        used: {what the user calls a column: its unit}.
        every: Parameters of the parameter file.
    """
    if len(used) == every > LISTED:
        note(f"gait parameters: all {every} of the parameter file")
        return
    named = (f"{_listed([name])} ({unit})" if unit else _listed([name]) for name, unit in used.items())
    note(f"gait parameters: {', '.join(named) or 'none'}")


def say_left_out(reasons: Reasons, note: Callable[[str], None]) -> None:
    """Says in one line which columns are not used, and why; nothing if there are none."""
    if reasons:
        note("left out: " + "; ".join(f"{_listed(names)} ({why})" for why, names in reasons.items()))


def _listed(names: list[str]) -> str:
    shown = [repr(name) if re.search("[,;()]", name) else name for name in names]
    more = len(names) - LISTED
    return f"{', '.join(shown[:LISTED])} and {more} more" if more > 1 else ", ".join(shown)


def _words(name: str) -> set[str]:
    """Returns the words of a column's name in small letters: 'recordID_2' has record, id and recordid."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return set(re.findall(r"[^\W\d_]+", apart.lower())) | set(re.findall(r"[^\W\d_]+", name.lower()))


def _value(cell: str) -> float | str:
    value = number(cell)
    return cell if value is None else value


def _is_count(filled: Iterable[str]) -> bool:
    """Returns whether a column counts its rows up by one."""
    values = [number(cell) for cell in filled]
    return len(values) > 2 and all(
        one is not None and other is not None and other - one == 1 for one, other in itertools.pairwise(values)
    )


def _is_date(cell: str) -> bool:
    """Returns whether a cell is a day: 2024-01-31, 31.01.2024, 1/31/24, 20240131, with a time or without."""
    day = re.split(r"[T ]", cell, maxsplit=1)[0].rstrip(",")
    if re.fullmatch(r"(19|20)\d{6}", day):
        try:
            datetime.date(int(day[:4]), int(day[4:6]), int(day[6:]))
        except ValueError:
            return False
        return True
    return re.fullmatch(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})", day) is not None
