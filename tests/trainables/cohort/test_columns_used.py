"""Which columns become gait parameters: those that are known or asked for, and why the others do not."""

import polars as pl
import pytest

from tests.trainables.cohort import test_manifest
from tests.trainables.cohort.test_manifest import FOUR, HEADER, manifest, problems, read

folder, shelf = test_manifest.folder, test_manifest.shelf  # pytest finds fixtures by their name in this module
SPEEDS = ("1.1", "0.9", "0.7", "0.8")


def notes_of(folder, name: str, cells, **options) -> tuple[list[str], list[str]]:
    """Returns the parameters of a cohort with a walking speed and one more column, and what is said of its columns."""
    notes: list[str] = []
    rows = [f'{row},{speed},"{cell}"' for row, speed, cell in zip(FOUR, SPEEDS, cells, strict=True)]
    path = manifest(folder, *rows, header=f'{HEADER},walking_speed,"{name}"')
    cohort, _ = read(path, on_note=notes.append, **options)
    return [p.key for p in cohort.parameters], [n for n in notes if n.startswith(("gait", "left"))]


@pytest.mark.parametrize(
    ("name", "cells", "why"),
    [
        ("Unnamed: 0", "0123", "identifiers or row numbers"),
        ("__index_level_0__", "0123", "identifiers or row numbers"),
        ("level_0", "0123", "identifiers or row numbers"),
        ("index", "3210", "identifiers or row numbers"),
        ("X", "1234", "identifiers or row numbers"),
        ("...1", "1234", "identifiers or row numbers"),
        ("#", "1234", "identifiers or row numbers"),
        ("anything at all", ("17", "18", "19", "20"), "identifiers or row numbers"),
        ("record_id", ("9", "4", "7", "1"), "identifiers or row numbers"),
        ("PatientID", ("9.5", "4", "7", "1"), "identifiers or row numbers"),
        ("visit_date", ("20240101", "20240105", "20240107", "20240101"), "dates"),
        ("recorded on", ("2024-01-01", "2024-01-05", "2024-01-07", "2023-01-01"), "dates"),
        ("seen", ("20240101", "20240105", "20230107", "20240131"), "dates"),
        ("birthYear", ("1950", "1948", "1961", "1950"), "dates"),
        ("age", ("71", "68", "80", "77"), "about the person or the recording"),
        ("Sex (m=1)", "0110", "about the person or the recording"),
        ("site", "1212", "about the person or the recording"),
        ("MMSE", ("30", "28", "24", "21"), "about the person or the recording"),
        ("updrs_gait", "0123", "the label of another task"),
        ("foot length", ("5", "5", "5", "5"), "the same in every row"),
        ("sway", ("n/a", "", "-", ""), "empty"),
        ("impaired", ("yes", "no", "no", "yes"), "text"),
        ("sway", ("3", "1", "2", "3"), "unknown, --parameter COLUMN uses it"),
    ],
)
def test_a_column_that_nobody_asked_for(folder, name, cells, why):
    """Numbers that no parameter file knows are not used, and one line says why."""
    shown = repr(name) if "(" in name else name
    assert notes_of(folder, name, cells) == (
        ["walking_speed"],
        ["gait parameters: walking_speed (leg/s)", f"left out: {shown} ({why})"],
    )


@pytest.mark.parametrize("name", ["sway", "age", "record_id", "sway_degree"])
def test_a_column_that_was_asked_for(folder, name):
    """--parameter uses a column whatever it is called."""
    parameters, notes = notes_of(folder, name, ("3", "1", "2", "3"), named=(name,))
    assert parameters == ["walking_speed", name]
    unit = " (degree)" if name.endswith("degree") else ""
    assert notes == [f"gait parameters: walking_speed (leg/s), {name}{unit}"]


@pytest.mark.parametrize("name", ["Walking Speed", "walking-speed", "WalkingSpeed"])
def test_a_known_parameter_by_another_name(folder, name):
    """A name that is nearly a known one comes with the option that maps it."""
    rows = [f"{row},{speed}" for row, speed in zip(FOUR, SPEEDS, strict=True)]
    notes: list[str] = []
    read(manifest(folder, *rows, header=f"{HEADER},{name}"), on_note=notes.append)
    quoted = f"'{name}'" if " " in name else name
    why = f"unknown, but perhaps walking_speed: then pass --column walking_speed={quoted}"
    assert notes == ["gait parameters: none", f"left out: {name} ({why})"]


def test_asked_for_and_not_there(folder):
    """A misspelt column, one that means something else, and one that is also ignored are problems."""
    rows = [f"{row},{speed}" for row, speed in zip(FOUR, SPEEDS, strict=True)]
    path = manifest(folder, *rows, header=f"{HEADER},sway")
    assert problems(path, named=("swing",)) == (
        "--parameter swing: there is no such column; it has subject, video, label, sway",
    )
    for column in ("label", "subject", "video"):
        (found,) = problems(path, named=(column,))
        assert found == f"--parameter {column}: this column means something else; leave it out"
    assert problems(path, named=("sway",), ignore=("sway",)) == (
        "--parameter sway: --ignore names the same column; give one of the two",
    )


def test_asked_for_and_without_information(folder):
    """A column that is constant or empty is left out though it was asked for, and the line says so."""
    for cells, why in ((("5",) * 4, "the same in every row"), (("", "n/a", "", ""), "empty")):
        assert notes_of(folder, "sway", cells, named=("sway",))[1][1] == f"left out: sway ({why})"


def test_columns_of_one_reason_are_named_together(folder):
    """Fifty columns of a database make one line, which counts what it does not name."""
    names = [f"q{i}" for i in range(50)]
    rows = [f"{row}," + ",".join("3121"[n] for _ in names) for n, row in enumerate(FOUR)]
    notes: list[str] = []
    read(manifest(folder, *rows, header=",".join([HEADER, *names])), on_note=notes.append)
    assert notes[1] == f"left out: {', '.join(names[:12])} and 38 more (unknown, --parameter COLUMN uses it)"


def test_columns_without_a_name_are_said(folder):
    """pandas' row numbers have an empty name."""
    notes: list[str] = []
    rows = [f"{i},{row}" for i, row in enumerate(FOUR)]
    read(manifest(folder, *rows, header=f",{HEADER}"), on_note=notes.append)
    assert notes[1] == "left out: 1 column (no name in the header)"


def test_row_numbers_in_parquet(folder):
    """What pandas stores as its index is not a measurement."""
    frame = {"subject": list("ABCD"), "video": [f"{i}.mp4" for i in range(4)], "label": list("xxyy")}
    pl.DataFrame(frame | {"cadence": [100.0, 99.0, 98.0, 97.5], "__index_level_0__": [0, 1, 2, 3]}).write_parquet(
        folder / "cohort.parquet"
    )
    notes: list[str] = []
    cohort, _ = read(folder / "cohort.parquet", on_note=notes.append)
    assert [p.key for p in cohort.parameters] == ["cadence"]
    assert notes[1] == "left out: __index_level_0__ (identifiers or row numbers)"


def test_all_parameters_of_the_file_are_one_phrase(folder):
    """A walkway export with all 29 columns is not listed column by column."""
    from tests.trainables.cohort.test_plausible import PARAMETERS

    middle = {
        p.key: (p.median_low + p.median_high) / 2 if abs(p.median_low) < 1e9 else 0.1 for p in PARAMETERS.values()
    }
    rows = [
        f"{row}," + ",".join(f"{value * (1 + n / 50):.4g}" for value in middle.values()) for n, row in enumerate(FOUR)
    ]
    notes: list[str] = []
    read(manifest(folder, *rows, header=",".join([HEADER, *middle])), simulated=True, on_note=notes.append)
    assert notes == ["gait parameters: all 29 of the parameter file"]
