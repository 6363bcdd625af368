"""The task files that ship, and what a user's own file may and may not say."""

import re
from pathlib import Path

import pytest

from tests.errors import coded
from trainables.errors import ConfigurationError
from trainables.knowledge.parameters import load_parameters, parameter_from_column
from trainables.knowledge.tasks import Description, load_task, plain_task, shipped_tasks, task_for

TASKS = ("diagnosis", "diagnosis5", "updrs")
MINIMAL = """
name = "legs"
title = "leg"
label = "leg"
ordinal = false
healthy = "good"
[[class]]
value = "good"
name = "good leg"
[[class.description]]
notion = "A leg
  that carries."
[[class]]
value = "bad"
name = "bad leg"
[[class.description]]
notion = "A leg that does not."
""".replace('"A leg\n  that carries."', '"""A leg\n  that carries."""')


def write(folder: Path, text: str) -> str:
    """Returns the path of a task file with this text."""
    path = folder / "task.toml"
    path.write_text(text)
    return str(path)


def test_three_tasks_ship() -> None:
    """The diagnosis in three and in five classes, and the gait score."""
    assert shipped_tasks() == TASKS


@pytest.mark.parametrize(
    ("task", "label", "values", "ordinal", "healthy"),
    [
        ("diagnosis", "diagnosis", ("healthy", "DLB", "AD"), False, "healthy"),
        ("diagnosis5", "diagnosis5", ("healthy", "early DLB", "severe DLB", "early AD", "severe AD"), False, "healthy"),
        ("updrs", "updrs_gait", ("0", "1", "2", "3"), True, "0"),
    ],
)
def test_a_shipped_task_has_its_classes(
    task: str, label: str, values: tuple[str, ...], ordinal: bool, healthy: str
) -> None:
    """Label column, class values in order, ordinal or not, and the healthy class."""
    loaded = load_task(task)
    assert (loaded.name, loaded.label, loaded.ordinal, loaded.healthy) == (task, label, ordinal, healthy)
    assert tuple(c.value for c in loaded.classes) == values
    assert loaded.value_index() == {value: i for i, value in enumerate(values)}


@pytest.mark.parametrize("task", TASKS)
def test_every_description_fits_the_prompt_and_names_its_sources(task: str) -> None:
    """A class has five descriptions: 100-230 words, sources with a year, keywords that leave room for 20 context tokens."""
    for entry in load_task(task).classes:
        assert len(entry.descriptions) == 5
        for description in entry.descriptions:
            assert 100 <= len(description.notion.split()) <= 230, entry.value
            assert 2 <= len(description.keywords) <= 4, entry.value
            assert len(" ".join([*description.keywords, entry.name]).split()) <= 20, entry.value
            assert description.sources, entry.value
            for source in description.sources:
                assert re.match(r"[^:]+: .*\b(19|20)\d\d\b", source), source


def test_no_two_classes_of_a_task_share_a_text() -> None:
    """Names, keywords and notions tell the classes apart."""
    for task in map(load_task, TASKS):
        notions = [d.notion for c in task.classes for d in c.descriptions]
        keywords = [d.keywords for c in task.classes for d in c.descriptions]
        assert len(set(notions)) == len(notions)
        assert len(set(keywords)) == len(keywords)
        assert len({c.name for c in task.classes}) == len(task.classes)


def test_a_label_column_finds_its_shipped_task() -> None:
    """Known column and known values give the knowledge; an unknown value gives a plain task."""
    assert task_for("updrs_gait", ["2", "0"]).name == "updrs"
    assert task_for("diagnosis", ["AD", "healthy"]).name == "diagnosis"
    assert task_for("diagnosis", ["AD", "healthy", "FTD"]).name == "diagnosis"
    assert task_for("diagnosis", ["AD", "healthy", "FTD"]).classes[0].descriptions[0].keywords == ()


def test_a_plain_task_is_ordinal_where_all_values_are_whole_numbers() -> None:
    """Whole numbers are sorted as numbers and named after the column; words are sorted as words."""
    stages = plain_task("hoehn_yahr", ["10", "2", "1"])
    assert stages.ordinal
    assert [(c.value, c.name) for c in stages.classes] == [
        ("1", "hoehn yahr 1"),
        ("2", "hoehn yahr 2"),
        ("10", "hoehn yahr 10"),
    ]
    assert stages.healthy is None
    words = plain_task("impaired", ["yes", "no"])
    assert (words.ordinal, words.healthy, [c.name for c in words.classes]) == (False, "no", ["no", "yes"])


def test_a_plain_task_says_nothing_of_its_classes() -> None:
    """No sentence is made up where no clinician wrote one: there is the name, and nothing to embed."""
    plain = plain_task("impaired", ["yes", "no"])
    assert [c.descriptions for c in plain.classes] == [(Description(),), (Description(),)]
    assert (plain.notions(), plain.knows()) == ([], False)
    assert load_task("updrs").knows()


def test_two_values_that_sound_healthy_leave_the_healthy_class_open() -> None:
    """Which of 'normal' and 'healthy' is meant is not guessed."""
    assert plain_task("group", ["normal", "healthy", "PD"]).healthy is None


def test_a_users_file_is_read_with_line_breaks_folded(tmp_path: Path) -> None:
    """A notion over several lines is one paragraph; keywords and sources may be left out."""
    task = load_task(write(tmp_path, MINIMAL))
    assert task.classes[0].descriptions[0].notion == "A leg that carries."
    assert task.classes[0].descriptions[0].keywords == ()


@pytest.mark.parametrize(
    ("old", "new", "code", "value"),
    [
        ('value = "bad"', 'value = "good"', "task.invalid", "['good', 'good']"),
        ('name = "bad leg"', 'name = " "', "task.invalid", "'bad' needs a name"),
        ('healthy = "good"', 'healthy = "fine"', "task.invalid", "healthy is 'fine'"),
        ('title = "leg"', "", "task.incomplete", "'title'"),
        ('label = "leg"', 'label = "leg', "task.not_toml", "line"),
        ('"A leg that does not."', '" "', "task.invalid", "'bad' has a description"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_in_one_sentence(tmp_path: Path, old: str, new: str, code: str, value: str) -> None:
    """What is wrong, what was found, and which file."""
    assert old in MINIMAL
    path = write(tmp_path, MINIMAL.replace(old, new))
    with pytest.raises(ConfigurationError, check=coded(code, path, value)):
        load_task(path)


def test_an_unknown_or_missing_task_names_the_choices(tmp_path: Path) -> None:
    """A name that does not ship, and a path that is not there."""
    with pytest.raises(
        ConfigurationError, check=coded("task.unknown", "--task parkinson", "diagnosis, diagnosis5, updrs")
    ):
        load_task("parkinson")
    with pytest.raises(ConfigurationError, check=coded("task.unreadable", "none.toml")):
        load_task(str(tmp_path / "none.toml"))


def test_the_walkway_parameters_are_the_29_of_the_paper_with_mirrors_that_agree() -> None:
    """29 keys; the mirror of the mirror is the parameter itself, and lies on the other side."""
    parameters = {p.key: p for p in load_parameters()}
    assert len(parameters) == 29
    sided = [p for p in parameters.values() if p.side in ("left", "right")]
    assert len(sided) == 24
    for parameter in sided:
        assert parameter.mirror is not None
        mirror = parameters[parameter.mirror]
        assert mirror.mirror == parameter.key
        assert {mirror.side, parameter.side} == {"left", "right"}
        assert (mirror.unit, mirror.leg_scaled) == (parameter.unit, parameter.leg_scaled)


@pytest.mark.parametrize(
    ("column", "name", "unit", "side"),
    [
        ("walking_speed_m_per_s", "walking speed", "m/s", "both"),
        ("left_knee_range_degree", "left knee range", "degree", "left"),
        ("arm_swing_difference_percent", "arm swing difference", "%", "difference"),
        ("Sway", "sway", "", "both"),
    ],
)
def test_a_columns_name_says_its_unit_and_side(column: str, name: str, unit: str, side: str) -> None:
    """The ending of an unknown column's name is its unit; left, right and difference are its side."""
    parameter = parameter_from_column(column)
    assert (parameter.key, parameter.name, parameter.unit, parameter.side) == (column, name, unit, side)


@pytest.mark.parametrize(
    ("text", "code", "value"),
    [
        ('[[parameter]]\nkey = "a"', "parameters.incomplete", "[[parameter]]"),
        ('[[parameter]]\nkey="a"\nname="a"\nunit=""\n' * 2, "parameters.twice", "'a'"),
        ('[[parameter]]\nkey="a"\nname="a"\nunit=""\nmirror="b"', "parameters.mirror", "'a' mirrors 'b'"),
        ("[[parameter", "parameters.not_toml", "parameters.toml"),
    ],
)
def test_a_wrong_parameter_file_is_told_in_one_sentence(tmp_path: Path, text: str, code: str, value: str) -> None:
    """What is wrong with a parameter file stands in the error."""
    path = tmp_path / "parameters.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, check=coded(code, str(path), value)):
        load_parameters(path)
