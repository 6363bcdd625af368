"""Reads what is known of the people and the recordings beside their gait: age, sex, site. The model never sees it.

Attributes describe subjects and videos in the results: scores by subgroup, and baselines that show what they alone would give.
"""

from collections.abc import Callable, Sequence

import polars as pl

from trainables.cohort.labels import check_spelling
from trainables.cohort.number_text import number
from trainables.cohort.problems import Problems
from trainables.cohort.separation import best_category, separation
from trainables.cohort.spelling import is_unmeasured
from trainables.cohort.table import Table, column_name
from trainables.study.records import Attribute

FEW_NUMBERS = 5
"""Different numbers up to which they count as categories, as codes of sex and degrees of a camera do."""
MOST_CATEGORIES = 20


def read_attributes(
    table: Table, names: Sequence[str], label: str, labels: list[str], problems: Problems, note: Callable[[str], None]
) -> tuple[tuple[Attribute, ...], dict[str, pl.Series]]:
    """Returns the attributes in the order in which they were asked for, and their columns of the cohort.

    Numbers stay numbers, null where they are missing; all else, and up to five different numbers, are categories.

    Args:
        names: As the user calls the columns.
        label: Our name of the label column.
        labels: The label of each row.
    """
    theirs = {table.called(column): column for column in table.cells}
    attributes: list[Attribute] = []
    columns: dict[str, pl.Series] = {}
    for name in dict.fromkeys(map(column_name, names)):
        column = theirs.get(name, name)
        if column not in table.cells:
            problems.add(f"--attribute {name}: there is no such column; it has {', '.join(theirs)}")
        elif column in ("subject", "video", label):
            problems.add(f"--attribute {name}: this column means something else; leave it out")
        elif (found := _read(table, name, column, problems)) is not None:
            attributes.append(found[0])
            columns[found[0].column] = found[1]
    if attributes:
        note("attributes of subjects, which the model does not see: " + ", ".join(a.name for a in attributes))
    for attribute in attributes:
        _say_confounder(attribute, columns[attribute.column], table.cells["subject"], labels, note)
    return tuple(attributes), columns


def _read(table: Table, name: str, column: str, problems: Problems) -> tuple[Attribute, pl.Series] | None:
    """Returns an attribute and its column; None where it says nothing or is a list of names."""
    cells = [None if is_unmeasured(cell) else cell for cell in table.cells[column]]
    filled = [cell for cell in cells if cell is not None]
    values = [None if cell is None else number(cell) for cell in cells]
    distinct = set(filled)
    if len(distinct) < 2:
        problems.add(
            f"--attribute {name}: the column {'is empty' if not filled else 'is the same in every row'}; leave it out"
        )
        return None
    if len(distinct) > FEW_NUMBERS and all(v is not None for v, c in zip(values, cells, strict=True) if c is not None):
        return Attribute(name=name, kind="number"), pl.Series(values, dtype=pl.Float64)
    if len(distinct) > MOST_CATEGORIES:
        problems.add(
            f"--attribute {name}: the column has {len(distinct)} different values (at most {MOST_CATEGORIES}), so it names people "
            "or videos and not groups of them; leave it out, or group its values"
        )
        return None
    check_spelling(filled, f"column {name}: values", problems)
    return Attribute(name=name, kind="category"), pl.Series(cells, dtype=pl.String)


def _say_confounder(
    attribute: Attribute, column: pl.Series, subjects: list[str], labels: list[str], note: Callable[[str], None]
) -> None:
    """Says that an attribute alone nearly tells the classes apart: then a model may have learned it in place of the class."""
    if attribute.kind == "number":
        found = separation(column.to_list(), subjects, labels)
    else:
        best = best_category(column.to_list(), subjects, labels)
        found = best[1] if best else None
    if found is not None and found.nearly:
        note(
            f"attribute {attribute.name} alone nearly separates {found.label!r} from the others (AUROC {found.auroc:.2f} over "
            f"{found.subjects} subjects): what a model learns here may be {attribute.name}"
        )
