"""Numbers that nobody walks with: codes for 'not measured', other units, thousands, and words in columns of numbers."""

import math
from pathlib import Path

import pytest

from tests.errors import coded
from tests.trainables.cohort import test_manifest
from tests.trainables.cohort.test_manifest import HEADER, manifest, problems, read
from trainables.cohort.plausible import is_code, likely_units, rows_in_words
from trainables.errors import ConfigurationError
from trainables.knowledge.parameters import load_parameters
from trainables.simulation.cohort import Settings, draw_subjects, draw_walks

folder, shelf = test_manifest.folder, test_manifest.shelf  # pytest finds fixtures by their name in this module
PARAMETERS = {p.key: p for p in load_parameters()}
SPEEDS = (0.65, 1.25, 0.7, 1.3, 0.62, 1.1, 0.9, 1.21)
CADENCES = (92, 104.5, 99, 101, 88, 110, 95, 97)
USUAL = {
    "walking_speed": SPEEDS,
    "cadence": CADENCES,
    "step_time_left": (0.54, 0.58, 0.6, 0.52, 0.7, 0.5, 0.55, 0.61),
    "step_length_left": (0.6, 0.55, 0.5, 0.62, 0.4, 0.6, 0.5, 0.7),
    "stride_length_right": (1.2, 1.1, 1, 1.3, 0.9, 1.1, 1.2, 1.3),
    "base_of_support_left": (9, 10, 8, 11, 12, 7, 9.5, 10.2),
    "swing_left": (37, 38, 35, 34, 36, 33, 38, 39),
    "double_support_right": (27, 28, 25, 24, 26, 33, 28, 29),
    "step_time_difference": (0.02, 0.03, 0.01, 0.05, 0.02, 0.04, 0.02, 0.01),
}


def rows_of(**columns) -> tuple[list[str], str]:
    """Returns eight rows of two classes with more columns, and their header."""
    cells = zip(*columns.values(), strict=True)
    rows = [f"S{i},{i}.mp4,{'xy'[i % 2]}," + ",".join(f'"{c}"' for c in row) for i, row in enumerate(cells)]
    return rows, f"{HEADER},{','.join(columns)}"


def eight(folder: Path, **columns) -> Path:
    rows, header = rows_of(**columns)
    return manifest(folder, *rows, header=header)


CODES = ("-99", "-9", "-1", "99", "999", "9999", "88", "77", "-999", "999.9", "2147483647")


@pytest.mark.parametrize(("key", "code"), [(key, c) for key in ("walking_speed", "swing_left") for c in CODES])
def test_codes_in_a_known_parameter(folder, key, code):
    """A code for 'not measured' is an error that names its rows and says what it looks like."""
    values = [code if i in (0, 4) else value for i, value in enumerate(USUAL[key])]
    found = problems(eight(folder, **{key: values}))
    assert [line.split(":")[0] for line in found] == [f"row 2, column {key}", f"row 6, column {key}"]
    assert all("looks like a code for 'not measured'; leave the cell empty" in line for line in found)


def test_many_codes_share_a_line(folder):
    """More than three rows with one fault are one problem that names them all."""
    values = ["-99" if i in (0, 3, 4, 5, 7) else value for i, value in enumerate(SPEEDS)]
    assert problems(eight(folder, walking_speed=values)) == (
        "column walking_speed: -99 in rows 2, 5-7 and 9 (5 of 8) is not between 0.03 and 3 leg/s; it looks like a code for "
        "'not measured'; leave the cell empty",
    )


@pytest.mark.parametrize("code", ["-99", "-9", "-1", "99", "999", "-2147483648"])
def test_codes_in_a_column_without_limits(folder, tmp_path, code):
    """A code that is far from all other values is an error too, unless a parameter file gives the column limits."""
    path = eight(folder, arm_swing=[code, *SPEEDS[1:]])
    (found,) = problems(path, named=("arm_swing",))
    assert found.startswith(f"row 2, column arm_swing: {code} is far from all other values and looks like a code")
    limits = "low = -1e10\nhigh = 1e10"
    (tmp_path / "own.toml").write_text(f'[[parameter]]\nkey = "arm_swing"\nname = "arm swing"\nunit = ""\n{limits}\n')
    notes: list[str] = []
    cohort, _ = read(path, parameters=load_parameters(tmp_path / "own.toml"), on_note=notes.append)
    assert cohort.videos["arm_swing"][0] == float(code)
    if abs(float(code)) > 1:
        assert notes[0].startswith(f"column arm_swing: {code} in row 2 is far from all other values; if it stands for")


def test_values_that_only_resemble_codes(folder):
    """99 steps/min among others near it, and a toe-in of 9 degrees, are measurements."""
    cohort, _ = read(eight(folder, cadence=(99, *CADENCES[1:]), toe_angle_left=(-9, 5, 7, 8, 9, 3, 2, 11)))
    assert (cohort.videos["cadence"][0], cohort.videos["toe_angle_left"][0]) == (99, -9)


@pytest.mark.parametrize(
    ("key", "factor", "unit"),
    [
        ("walking_speed", 90, "cm/s"),
        ("walking_speed", 900, "mm/s"),
        ("walking_speed", 0.9 * 3.6, "km/h"),
        ("walking_speed", 0.9 / 0.44704, "mph"),
        ("walking_speed", 0.9 * 60, "m/min"),
        ("walking_speed", 0.9 / 0.3048, "ft/s"),
        ("cadence", 1 / 2, "strides/min"),
        ("cadence", 1 / 60, "steps/s"),
        ("step_time_left", 1000, "ms"),
        ("step_time_difference", 1000, "ms"),
        ("step_length_left", 90, "cm"),
        ("step_length_left", 900, "mm"),
        ("step_length_left", 0.9 / 0.0254, "inches"),
        ("stride_length_right", 100, "% of leg length"),
        ("base_of_support_left", 10, "mm"),
        ("base_of_support_left", 0.01, "m"),
        ("swing_left", 0.01, "fractions of 1"),
        ("double_support_right", 0.01, "fractions of 1"),
    ],
)
def test_a_column_in_another_unit(folder, key, factor, unit):
    """A whole column in another unit is one problem that names the likely unit first, or second after a near one."""
    (found,) = problems(eight(folder, **{key: [f"{value * factor:.6g}" for value in USUAL[key]]}))
    assert found.startswith(f"column {key}: ")
    said = found.partition("it looks like ")[2].partition(";")[0].split(" or ")
    assert unit in said, found


def test_usual_values_are_left_alone(folder):
    """Values in the parameters' own units pass."""
    cohort, _ = read(eight(folder, **USUAL))
    assert {p.key for p in cohort.parameters} == set(USUAL)


def test_some_rows_in_another_unit(folder):
    """Rows of another site are named one by one."""
    values = [f"{value * (90 if i in (1, 4) else 1):.3g}" for i, value in enumerate(SPEEDS)]
    found = problems(eight(folder, walking_speed=values))
    assert [line.split(",")[0] for line in found] == ["row 3", "row 6"]
    assert all("it looks like cm/s" in line for line in found)


@pytest.mark.parametrize(("speed", "leg"), [(100, 1), (1, 100), (1000, 100)])
def test_speed_and_leg_length_of_different_units(folder, speed, leg):
    """A speed in cm/s over a leg length in m is said to be that."""
    values = {
        "walking_speed": [v * speed for v in SPEEDS],
        "leg_length": [v * leg for v in (0.8, 0.9, 1) * 2 + (0.85, 0.95)],
    }
    (found,) = problems(eight(folder, **values))
    assert "in rows 2-9 (8 of 8), divided by leg_length, is not between 0.03 and 3 leg/s" in found
    assert found.endswith("walking_speed and leg_length must be in the same unit of length")


@pytest.mark.parametrize("code", ["999", "-99", "88", "0", "9.99"])
def test_codes_in_the_leg_length(folder, code):
    """What no leg is long is an error of the leg length alone, not of what is divided by it."""
    (found,) = problems(eight(folder, walking_speed=SPEEDS, leg_length=[code, *[0.9] * 7]))
    assert found.startswith("row 2, column leg_length: ")


@pytest.mark.parametrize("word", ["n/a", "NaN", "NA", "nan", "null", "None", "-", ".", "?", "not measured", "N.A."])
def test_words_for_missing_are_not_measured(folder, word):
    """BIDS demands n/a: such a cell is empty, which is said once."""
    notes: list[str] = []
    cohort, _ = read(eight(folder, cadence=(word, *CADENCES[1:7], word)), on_note=notes.append)
    assert cohort.videos["cadence"].null_count() == 2
    assert notes[0] == f"column cadence: {word!r} in 2 rows counts as not measured"


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (("1,137",), "write 1137 if its comma separates thousands, 1.137 if it is a decimal comma"),
        (("1,137", "980"), "write 1137, without a comma between thousands"),
        (("1,137", "1,2"), "write 1.137, with a decimal point"),
        (("0,840",), "write 0.840, with a decimal point"),
        (("1.137,5",), "write 1137.5, without a sign between thousands"),
        (("1,137.5",), "write 1137.5, without a sign between thousands"),
        (("1 137",), "write 1137, without a sign between thousands"),
        (("1\u202f137,5",), "write 1137.5, without a sign between thousands"),
        (("1'137",), "write 1137, without a sign between thousands"),
        (("1\u2019137.5",), "write 1137.5, without a sign between thousands"),
        (("1.137.500",), "write 1137500, without a sign between thousands"),
        (("\u221212",), "write -12; its digits or its sign are other characters"),
        (("\u200b12",), "write 12; it holds an invisible character"),
        (("92.9 steps/min",), "write 92.9, without the unit"),
        (("34 %",), "write 34, without the unit"),
    ],
)
def test_numbers_written_otherwise(folder, cells, said):
    """Thousands, decimal commas, units and look-alike digits: the message says what to write."""
    column = [*cells, *([""] * 6), "12"][:8]
    found = problems(eight(folder, stride_time_ms=column), named=("stride_time_ms",))
    assert found[0] == f"row 2, column stride_time_ms: {cells[0]!r} is not a number; {said}"


def test_points_between_thousands(folder):
    """1.137 in a column of 950 and 980 is not read as one and a bit."""
    found = problems(eight(folder, time=["950", "1.137", "", "980", "1.200", "900", "910", "1.001"]), named=("time",))
    assert [line.split(":")[0] for line in found] == ["row 3, column time", "row 6, column time", "row 9, column time"]
    assert found[0].endswith("1.137 may be 1137 with a point between thousands; write 1137, or 1.1370 if it is not")
    assert read(eight(folder, time=[950.5, 1.137, 2.2, 980, 1.2, 900, 910, 1.001]), named=("time",))


def test_thousands_in_a_column_that_is_not_used(folder):
    """The line of what is left out says why such a column could not be used as it is."""
    notes: list[str] = []
    read(eight(folder, stride_time_ms=[f"1,{100 + 37 * i}" for i in range(8)]), on_note=notes.append)
    assert "stride_time_ms (unknown, --parameter COLUMN uses it, but '1,100' is not a number; write 1100 if" in notes[1]


def test_a_frame_rate_that_is_a_code(folder):
    """999 among 30 is not a frame rate."""
    assert "999 is far from all other values" in problems(eight(folder, fps=[30, 25, 999, 30, 30, 25, 30, 30]))[0]


@pytest.mark.parametrize("seed", [0, 7])
def test_simulated_walkers_are_plausible(seed):
    """Every value of the embedded cohort is within its parameter's limits."""
    settings = Settings(subjects=24, videos_per_subject=(2, 3), seconds=5.0, size=112, seed=seed)
    for index, subject in enumerate(draw_subjects(settings), start=1):
        for walk in draw_walks(settings, index, subject):
            for key, value in walk.parameters.items():
                assert not math.isfinite(value) or PARAMETERS[key].low <= value <= PARAMETERS[key].high, (key, value)


def test_every_parameter_has_limits_that_its_mirror_shares():
    """Low below high, the median's limits within them, and left as right."""
    for parameter in PARAMETERS.values():
        assert -math.inf < parameter.low < parameter.high < math.inf
        if math.isfinite(parameter.median_low):
            assert parameter.low < parameter.median_low < parameter.median_high < parameter.high
        mirror = PARAMETERS[parameter.mirror or parameter.key]
        assert (mirror.low, mirror.high) == (parameter.low, parameter.high)
        assert (mirror.median_low, mirror.median_high) == (parameter.median_low, parameter.median_high)


@pytest.mark.parametrize("limits", ["low = 2\nhigh = 1", 'low = "a"', "median_low = true", "low = nan"])
def test_wrong_limits_in_a_parameter_file(tmp_path, limits):
    """Limits are numbers in order."""
    (tmp_path / "own.toml").write_text(f'[[parameter]]\nkey = "a"\nname = "a"\nunit = ""\n{limits}\n')
    with pytest.raises(ConfigurationError, check=coded("parameters.incomplete", "own.toml", "a: low")):
        load_parameters(tmp_path / "own.toml")


def test_numbers_that_are_codes():
    """Repeated sevens, eights and nines, small negative whole numbers, and the largest integers."""
    assert all(map(is_code, (-9, -99, 999, 9997, 88, 77.7, -1, 99.9, 32767, 1.7e308)))
    assert not any(map(is_code, (0, 1, 9, -2, 90, 100, 12.3, 990, 1.1)))


def test_units_of_values_that_fit_none():
    """Where no unit makes sense of the values, none is named."""
    assert likely_units(PARAMETERS["cadence"], [5000.0, 6000.0]) == []
    assert likely_units(PARAMETERS["walking_speed"], [118.0, 97.0, 104.0])[0] == "cm/s"


def test_rows_in_words():
    """Neighbours are a range; of very many runs the first are named."""
    assert rows_in_words([2]) == "2"
    assert rows_in_words([2, 3, 4, 9]) == "2-4 and 9"
    assert rows_in_words([2, 4, 6]) == "2, 4 and 6"
    assert rows_in_words(list(range(2, 100, 2))).endswith("38, 40 and others")
