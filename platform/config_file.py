"""`--config study.toml`: the options of a search as a file. Every study writes the one that repeats it.

A key is an option's name without its dashes; `[set]` holds settings and `[column]` the names of columns. What the command line
gives goes before what the file gives.
"""

import argparse
import dataclasses
import difflib
import shlex
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from platform.declared import declarations
from platform.options import SearchOptions
from typing import Any

import tomli_w

from trainables.config import TrainConfig
from trainables.errors import ConfigurationError
from trainables.setting_types import checked
from trainables.study.files import write_text

NAME = "study.toml"
TABLES = {"set": "settings", "column": "column"}
"""Tables of the file, and the options that they are."""


def read_config(path: Path) -> dict[str, Any]:
    """Returns the options that a file gives, by the names of SearchOptions' fields and as their types.

    Raises:
        ConfigurationError: The file cannot be read, or holds an option or setting that does not exist, or a value that is not
            of its option's type.
    """
    try:
        with path.open("rb") as file:
            given = tomllib.load(file)
    except OSError as error:
        raise ConfigurationError(
            f"--config {path} cannot be read ({error.strerror})", code="config_file.unreadable"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--config {path} is not a TOML file: {error}", code="config_file.not_toml") from None
    kinds = typing.get_type_hints(SearchOptions)
    found: dict[str, Any] = {}
    for key, value in given.items():
        name = TABLES.get(key) or key.replace("-", "_")
        if name not in kinds or key == "settings":
            raise ConfigurationError(
                f"{path}: {key!r} is not an option{_meant(key, kinds)}", code="config_file.unknown_option"
            )
        if name in found:
            raise ConfigurationError(
                f"{path}: {key!r} is given twice, with dashes and with underscores; leave one out",
                code="config_file.twice",
            )
        found[name] = _value(f"{path}: {key}", name, value, kinds[name])
    return found


def _value(where: str, name: str, value: Any, kind: Any) -> Any:
    if name == "settings":
        if not isinstance(value, Mapping):
            raise ConfigurationError(
                f"{where} is {value!r}, but must be a table, as in [set] with optimizer.lr = 0.001",
                code="config_file.not_a_table",
            )
        try:
            return TrainConfig.checked(_dotted(value))
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}: {error}", code="config_file.value") from None
    words = declarations(SearchOptions)[name].words
    alone = value[0] if isinstance(value, list) and len(value) == 1 else value  # ["none"] is "none"
    if isinstance(alone, str) and alone in words:
        return words[alone]
    return checked(where, value, kind)


def _dotted(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested tables as {'optimizer.lr': 0.001, ...}."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _dotted(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def _meant(key: str, kinds: Mapping[str, Any]) -> str:
    """Returns a suggestion for an unknown key: an option, or a setting that belongs into [set]."""
    options = [*(name.replace("_", "-") for name in kinds if name not in TABLES.values()), *TABLES]
    if near := difflib.get_close_matches(key.replace("_", "-"), options, n=1):
        return f"; did you mean {near[0]!r}?"
    sections = [field.name for field in dataclasses.fields(TrainConfig)]
    if key in sections:
        return "; settings stand in the table [set], as in [set] with optimizer.lr = 0.001"
    if near := difflib.get_close_matches(key, TrainConfig().flat(), n=1):
        return f"; did you mean the setting {near[0]!r}, in the table [set]?"
    return f"; options are {', '.join(sorted(options))}"


def merged(command_line: Mapping[str, Any], file: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of a command line, parsed with the file's values as defaults, with the file's lists and tables.

    A list that the command line gives replaces the file's; tables are joined, and the command line's entries win.
    """
    given = dict(command_line)
    for name, value in file.items():
        if isinstance(value, dict):
            given[name] = value | given[name]
        elif isinstance(given[name], list) and not given[name]:
            given[name] = value
    return given


def as_defaults(parser: argparse.ArgumentParser, file: Mapping[str, Any]) -> None:
    """Makes a file's plain values the defaults of a parser; lists and tables are for `merged`."""
    repeated = {name for name in file if isinstance(parser.get_default(name), list)}
    parser.set_defaults(**{name: value for name, value in file.items() if name not in repeated})


def write_config(folder: Path, options: SearchOptions, reference: TrainConfig) -> Path:
    """Writes the file that repeats a study into its folder, and returns the file's path.

    All options are written, defaults too, so that another version's defaults change nothing; settings that were not given
    follow as comments.

    Args:
        options: completed, as the study uses them.
        reference: the configuration from which the search starts.
    """
    given = dataclasses.asdict(options)
    tables, about = {key: given.pop(name) for key, name in TABLES.items()}, declarations(options)
    plain = {
        name.replace("_", "-"): list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value is not None and not about[name].one_run
    }
    if not options.folds:
        plain["folds"] = "subjects"
    path = folder / NAME
    again = f"python -m platform.search --config {shlex.quote(str(path))}"
    lines = [
        f"# Continues this study, or shows it where it is finished: {again}",
        f"# Runs it once more from nothing: {again} --study ANOTHER",
        f"# Paths are those of {Path.cwd()}, where the study was begun.",
        tomli_w.dumps(plain | {key: values for key, values in tables.items() if values}),
        "# The other settings of the reference configuration; to change one, put it into [set]:",
        *(f"# {name} = {_as_toml(value)}" for name, value in reference.flat().items() if name not in tables["set"]),
    ]
    write_text(path, "\n".join(lines) + "\n")
    return path


def _as_toml(value: Any) -> str:
    return tomli_w.dumps({"value": value}).removeprefix("value = ").rstrip()
