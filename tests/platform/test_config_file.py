"""`--config`: a file of options, what the command line wins over, what is refused, and the file that repeats a study."""

import dataclasses
from pathlib import Path
from platform.arguments import parse_search
from platform.config_file import write_config
from platform.options import SearchOptions

import pytest

from tests.errors import coded
from trainables.errors import ConfigurationError


def config(folder: Path, text: str) -> list[str]:
    """Returns the command line that reads a file."""
    (folder / "study.toml").write_text(text)
    return ["--config", str(folder / "study.toml")]


def test_every_kind_of_option(tmp_path):
    """Options, settings as tables or dotted names, column names, lists: as the command line would have given them."""
    text = """
        cohort = "cohort.csv"
        trials = 5
        folds = "subjects"
        prune = 0
        follow-links = true
        outer_folds = 3
        baselines = ["untrained"]
        parameter = ["sway", "height"]
        metric = "accuracy"
        gpus-per-worker = 0.5
        [column]
        subject = "patient_id"
        [set]
        "text.n_ctx" = 12
        optimizer.lr = 0.001
        [set.video]
        frames = 8
    """
    line = ["--cohort", "cohort.csv", "--trials", "5", "--folds", "subjects", "--prune", "0", "--follow-links",
            "--outer-folds", "3", "--baselines", "untrained", "--parameter", "sway", "--parameter", "height",
            "--metric", "accuracy", "--gpus-per-worker", "0.5", "--column", "subject=patient_id",
            "--set", "text.n_ctx=12", "--set", "optimizer.lr=0.001", "--set", "video.frames=8"]  # fmt: skip
    assert parse_search(config(tmp_path, text)) == parse_search(line)


def test_the_command_line_wins(tmp_path):
    """An option, a flag, a list and an entry of a table are each replaced; what is not named stays."""
    text = 'trials = 5\nseed = 3\nplain = true\nparameter = ["sway"]\n[set]\n"text.n_ctx" = 12\nseed = 4\n'
    given = ["--trials", "7", "--no-plain", "--parameter", "height", "--set", "text.n_ctx=4"]
    options = parse_search([*given, *config(tmp_path, text)])
    assert (options.trials, options.seed, options.plain, options.parameter) == (7, 3, False, ("height",))
    assert options.settings == {"text.n_ctx": 4, "seed": 4}


@pytest.mark.parametrize("value", ['"none"', '["none"]', "[]"])
def test_no_baselines_in_each_way_of_saying_so(tmp_path, value):
    """The word stands for an empty list, in a list too; next to a name it is refused."""
    assert parse_search(config(tmp_path, f"baselines = {value}")).baselines == ()
    with pytest.raises(ConfigurationError, check=coded("option.baselines.unknown", "none")):
        parse_search(config(tmp_path, 'baselines = ["none", "untrained"]'))


@pytest.mark.parametrize(
    ("text", "code", "value"),
    [
        ("trails = 5", "config_file.unknown_option", "'trials'"),
        ("outer-fold = 3", "config_file.unknown_option", "'outer-folds'"),
        ('"optimizer.lr" = 0.1', "config_file.unknown_option", "[set]"),
        ("[optimizer]\nlr = 0.1", "config_file.unknown_option", "[set]"),
        ("[set]\noptimizer.rate = 0.1", "config_file.value", "'optimizer.rate'"),
        ("settings = 1", "config_file.unknown_option", "'settings'"),
        ("set = 3", "config_file.not_a_table", "set is 3"),
        ('trials = "many"', "setting.type", "trials is 'many'"),
        ("plain = 3", "setting.type", "plain is 3"),
        ("[set]\noptimizer.lr = [1]", "config_file.value", "optimizer.lr is [1]"),
        ('sampler = "dice"', "option.choice", "--sampler is 'dice'"),
        ("a-b = 1\na_b = 2", "config_file.unknown_option", "'a-b'"),
        ("outer-folds = 3\nouter_folds = 3", "config_file.twice", "'outer_folds'"),
        ("trials = ", "config_file.not_toml", "study.toml"),
    ],
)
def test_what_is_refused(tmp_path, text, code, value):
    """Each is one sentence that names the file, what stands there, and what may."""
    with pytest.raises(ConfigurationError, check=coded(code, value)) as error:
        parse_search(config(tmp_path, text))
    assert "\n" not in str(error.value) or "TOML" in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    """The sentence has the option and the path."""
    with pytest.raises(ConfigurationError, check=coded("config_file.unreadable", "--config", "none.toml")):
        parse_search(["--config", str(tmp_path / "none.toml")])


@pytest.mark.parametrize(
    "line",
    [
        [],
        ["--folds", "subjects", "--column", "subject=a = \"b\"", "--set", "text.context_init=words", "--baselines", "none"],
        ["--cohort", "a b/ü.csv", "--parameter", "x", "--follow-links", "--gpus-per-worker", "2", "--no-tensorboard",
         "--sampler", "gp", "--fold-column", "site", "--cost", "seconds", "--set", "numeracy.enabled=no"],
    ],
)  # fmt: skip
def test_the_written_file_gives_the_same_options(tmp_path, line):
    """Whatever was given, the file that a study writes is read as the same options, also where it was a dry run."""
    options = parse_search([*line, "--dry-run"])
    path = write_config(tmp_path, options, options.reference())
    assert parse_search(["--config", str(path)]) == dataclasses.replace(options, dry_run=False)
    text = path.read_text()
    assert all(
        f"\n{name.replace('_', '-')} = " in text for name in ("trials", "seed", "prune") if getattr(options, name)
    )
    assert all(f"{name} = " in text or f'"{name}" = ' in text for name in options.reference().flat())


def test_every_option_can_stand_in_a_file(tmp_path):
    """The file's keys are the fields of SearchOptions: each default can be given, and says the same."""
    default = SearchOptions()
    for field in dataclasses.fields(SearchOptions):
        value = getattr(default, field.name)
        if isinstance(value, bool | int | float | str) and not isinstance(value, dict):
            text = str(value).lower() if isinstance(value, bool) else repr(value)
            assert parse_search(config(tmp_path, f"{field.name} = {text}")) == parse_search([]), field.name
