"""`python -m platform.completion SHELL`: prints what completes the command `stridefold` in a shell.

In bash: eval "$(stridefold completion bash)"
"""

import argparse
import importlib
import sys
from collections.abc import Iterator
from platform.__main__ import COMMANDS

import shtab

FILES = ("FILE", "VIDEO")
FOLDERS = ("FOLDER", "STUDY")
PATHS = {
    "studies": shtab.DIRECTORY,
    "cache": shtab.DIRECTORY,
    "study": shtab.DIRECTORY,
    "task": shtab.FILE,
    "manifest": shtab.FILE,
}
"""Options without such a name in their help that take a path all the same."""


def parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    made = argparse.ArgumentParser(
        prog="python -m platform.completion",
        description="Print the shell script that completes the command stridefold: its commands, options, choices and paths.",
        epilog='In bash: eval "$(stridefold completion bash)"; in ~/.bashrc it lasts.',
    )
    made.add_argument("shell", choices=shtab.SUPPORTED_SHELLS, help="the shell that reads the script")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    print(shtab.complete(stridefold(), parser().parse_args(arguments).shell))
    return 0


def stridefold() -> argparse.ArgumentParser:
    """Returns one parser with every command: a module of a command may have a function `parser`."""
    whole = argparse.ArgumentParser(prog="stridefold")
    commands = whole.add_subparsers(dest="command")
    for name, summary in COMMANDS.items():
        own = getattr(importlib.import_module(f"platform.{name}"), "parser", None)
        parents = [own()] if own is not None else []
        commands.add_parser(name, help=summary, parents=parents, add_help=not parents)
    for each in _all(whole):
        for action in each._actions:
            if action.metavar in FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif action.metavar in FOLDERS:
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
            elif action.dest in PATHS and not action.choices:
                action.complete = PATHS[action.dest]  # type: ignore[attr-defined]
    return whole


def _all(above: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yields a parser and those of its commands."""
    yield above
    for action in above._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _all(below)


if __name__ == "__main__":
    sys.exit(main())
