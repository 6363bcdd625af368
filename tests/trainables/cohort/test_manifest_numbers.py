"""What can be wrong with the numbers of a manifest: parameters, leg lengths, boxes and frame rates."""

import dataclasses

import pytest

from tests.errors import coded
from tests.trainables.cohort import test_manifest
from tests.trainables.cohort.test_manifest import FOUR, HEADER, column_problems, manifest, problems, read
from trainables.errors import CohortError, ConfigurationError
from trainables.knowledge.parameters import load_parameters

folder, shelf = test_manifest.folder, test_manifest.shelf  # pytest finds fixtures by their name in this module


def test_leg_length(folder):
    """Distances and speeds are divided by the leg length, other parameters are not."""
    header = f"{HEADER},walking_speed,cadence,leg_length"
    rows = [f"{row},{1 + i / 10},{100 + i},{0.8 + i / 10}" for i, row in enumerate(FOUR)]
    cohort, _ = read(manifest(folder, *rows, header=header))
    assert cohort.videos["walking_speed"].to_list() == pytest.approx([1 / 0.8, 1.1 / 0.9, 1.2, 1.3 / 1.1])
    assert cohort.videos["cadence"].to_list() == [100, 101, 102, 103]
    assert [p.key for p in cohort.parameters] == ["walking_speed", "cadence"]


def test_boxes_and_rates(folder):
    """Boxes are rounded outwards; empty ones mean the whole frame."""
    header = f"{HEADER},box_left,box_top,box_right,box_bottom,fps"
    extra = ("1.5,2,30.2,40,", ",,,,15", "0,0,64,48,", ",,,,")
    rows = [f"{row},{e}" for row, e in zip(FOUR, extra, strict=True)]
    cohort, _ = read(manifest(folder, *rows, header=header))
    boxes = cohort.videos.select("box_left", "box_top", "box_right", "box_bottom").rows()
    assert boxes == [(1, 2, 31, 40), (None,) * 4, (0, 0, 64, 48), (None,) * 4]
    assert cohort.videos.select("fps", "frames").rows() == [(None, 30), (15.0, 60), (None, 30), (None, 30)]
    assert cohort.parameters == ()


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (
            "fast",
            "'fast' is not a finite number; correct it, leave it empty if it was not measured, or pass --ignore cadence",
        ),
        (
            "inf",
            "'inf' is not a finite number; correct it, leave it empty if it was not measured, or pass --ignore cadence",
        ),
        (
            "1e999",
            "'1e999' is not a finite number; correct it, leave it empty if it was not measured, or pass --ignore cadence",
        ),
        (
            "1_0",
            "'1_0' is not a finite number; correct it, leave it empty if it was not measured, or pass --ignore cadence",
        ),
        ('"0,84"', "'0,84' is not a number; write 0.84, with a decimal point"),
    ],
)
def test_no_number(folder, cell, said):
    """Text, infinity and other ways of writing in a known parameter are named with their row; an empty cell is fine."""
    assert column_problems(folder, "cadence", "100", cell, "", "98") == (f"row 3, column cadence: {said}",)


def test_no_number_in_a_column_that_was_asked_for(folder):
    """A slip in a column of numbers does not silently turn it into text."""
    assert column_problems(folder, "arm_swing_m", "0.3", "0.2", "O.4", "0.1", named=("arm_swing_m",)) == (
        "row 4, column arm_swing_m: 'O.4' is not a finite number; correct it, leave it empty if it was not measured, "
        "or leave out --parameter arm_swing_m",
    )


def test_many_problems_of_a_kind_are_counted_and_written(folder):
    """After ten rows the rest of a kind is counted, and a file that only the user can read has every one."""
    rows = [f"S{i},{i % 8}.mp4,{'xy'[i % 2]},bad" for i in range(13)]
    path = manifest(folder, *rows, header=f"{HEADER},cadence")
    with pytest.raises(CohortError, check=coded("cohort.problems", "18")) as caught:
        read(path)
    found = caught.value.problems
    assert sum("'bad' is not a finite number" in line for line in found) == 10
    file = folder / "cohort.csv.problems.txt"
    assert found[-2:] == ("column cadence: 3 more rows with no number", f"all 18 are listed in {file}")
    written = file.read_text().splitlines()
    assert sum("'bad' is not a finite number" in line for line in written) == 13
    assert (len(written), file.stat().st_mode & 0o777) == (19, 0o600)


def test_problems_of_a_folder_that_cannot_be_written(folder, tmp_path_factory, monkeypatch):
    """If nothing can be written next to the manifest, the list is among the temporary files."""
    elsewhere = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    (folder / "cohort.csv.problems.txt").mkdir()
    rows = [f"S{i},{i % 8}.mp4,{'xy'[i % 2]},bad" for i in range(13)]
    found = problems(manifest(folder, *rows, header=f"{HEADER},cadence"))
    (file,) = elsewhere.iterdir()
    assert found[-1] == f"all 18 are listed in {file}"
    assert file.stat().st_mode & 0o777 == 0o600


def test_copy_of_the_label(folder):
    """Numbers that only repeat the label would leak it into the numeric side, though they were asked for."""
    path = manifest(folder, *(f"{r},{int(r[-1] == 'y')}" for r in (*FOUR, "E,4.mp4,x")), header=f"{HEADER},impaired")
    assert read(path)[0].parameters == ()
    assert problems(path, named=("impaired",)) == (
        "column impaired repeats the label: each class has one number; leave out --parameter impaired, or list it in a "
        "parameter file if it was measured",
    )


def test_leg_length_problems(folder):
    """A leg length is above 0, and there where something is to be divided by it."""
    header = f"{HEADER},walking_speed,leg_length"
    rows = [f"{row},{extra}" for row, extra in zip(FOUR, ("1.1,0", "1.0,", ",", "0.9,long"), strict=True)]
    assert problems(manifest(folder, *rows, header=header)) == (
        "row 2, column leg_length: 0 must be above 0",
        "row 3, column leg_length: it is empty, but walking_speed is to be divided by it; fill it in, or remove the column",
        "row 5, column leg_length: 'long' is not a finite number; correct it, leave it empty if it was not measured, "
        "or pass --ignore leg_length",
    )


def test_box_problems(folder):
    """Half a box, an empty box and a box outside the frame are told apart."""
    header = f"{HEADER},box_left,box_top,box_right,box_bottom"
    extra = ("1,2,,40", "30,0,10,40", "0,0,65,48", "-1,0,9,9")
    rows = [f"{row},{e}" for row, e in zip(FOUR, extra, strict=True)]
    assert problems(manifest(folder, *rows, header=header)) == (
        "row 2, column box: half a box: box_right is empty; give all four sides, or none for the whole frame",
        "row 3, column box: the box is empty: left 30 to right 10, top 0 to bottom 40",
        "row 4, column box: left 0, top 0, right 65, bottom 48 is not inside the frame of 64 x 48 pixels",
        "row 5, column box: left -1, top 0, right 9, bottom 9 is not inside the frame of 64 x 48 pixels",
    )


def test_box_columns_lacking(folder):
    """A box needs four columns."""
    assert column_problems(folder, "box_left", "1", "1", "1", "1") == (
        "a box needs all of box_left, box_top, box_right, box_bottom, but there is no column box_top, box_right, box_bottom",
    )


def test_unbelievable_rate(folder):
    """A frame rate is between 1 and 1000."""
    assert column_problems(folder, "fps", "30", "0", "", "") == ("row 3, column fps: 0 must be 1 to 1000",)


def test_parameter_file_with_a_reserved_name(folder):
    """A parameter may not be called like a column that means something else."""
    clash = dataclasses.replace(load_parameters()[0], key="frames")
    with pytest.raises(ConfigurationError, check=coded("cohort.column.name_clash", "'frames'")):
        read(manifest(folder, *FOUR), parameters=(clash,))
