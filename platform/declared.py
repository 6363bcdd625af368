"""One declaration for each option: its field says how the command line reads it, and whether a study may go on with another value."""

import argparse
import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from os.path import expanduser
from pathlib import Path
from typing import Any, Literal

KEY = "option"


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What a field of options is on a command line, in a file, and when a study is continued."""

    group: str
    """Under which --help shows it."""
    help: str
    read: Callable[[str], Any] | None = None
    """Makes the value of a text; None: by the field's type."""
    choices: tuple[str, ...] | None = None
    metavar: str | None = None
    flag: str | None = None
    """Its name on the command line, where that is not the field's."""
    words: Mapping[str, Any] = field(default_factory=dict)
    """Words that stand for a value of another type."""
    path: bool = False
    """Whether it may be a path, in which ~ is the home folder."""
    together: bool = False
    """Whether the values of a list are given at once, as A,B, and not one by one."""
    when_continued: Literal["same", "recorded", "free"] = "same"
    """same: decides what was computed, so it may not change. recorded: may change, and the study's record has the last value.
    free: may change without a trace."""
    one_run: bool = False
    """Whether it belongs to one run of the command, so that a study's file does not keep it."""
    command_alone: bool = False
    """Whether Python has no such option."""


def option(default: Any = None, **about: Any) -> Any:
    """Returns a field of options with its declaration; `about` is as Declaration."""
    metadata = {KEY: Declaration(**about)}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


def declarations(options: Any) -> dict[str, Declaration]:
    """Returns the declaration of each field of options, by the field's name and in their order."""
    return {f.name: f.metadata[KEY] for f in dataclasses.fields(options) if KEY in f.metadata}


def group_titles(options: Any) -> list[str]:
    """Returns the titles of the groups under which --help shows options, in their order."""
    return list(dict.fromkeys(about.group for about in declarations(options).values()))


def add_options(group: argparse._ArgumentGroup, options: Any) -> None:
    """Adds those options of a dataclass to a parser's group that are declared under its title."""
    hints, defaults = typing.get_type_hints(options), options()
    for name, about in declarations(options).items():
        if about.group == group.title:
            given = _argument(about, hints[name], getattr(defaults, name))
            given |= {"metavar": about.metavar} if about.metavar else {}
            given |= {"choices": about.choices} if about.choices else {}
            flag = f"--{about.flag or name.replace('_', '-')}"
            group.add_argument(flag, dest=name, help=about.help, **given)


def _argument(about: Declaration, hint: Any, default: Any) -> dict[str, Any]:
    """Returns what argparse needs to know of an option's value."""
    kind = next(k for k in typing.get_args(hint) if k is not type(None)) if isinstance(hint, types.UnionType) else hint
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction, "default": default}
    read = about.read or (expanduser if about.path else kind if kind in (int, float) else None)
    reads = {"type": read} if read else {}
    if isinstance(default, tuple | dict) and not about.together:
        return reads | {"action": "append", "default": []}
    return reads | {"default": ",".join(default) if about.together else default}


def home_path(text: str) -> Path:
    """Returns the path of an argument, with ~ as the home folder."""
    return Path(expanduser(text))
