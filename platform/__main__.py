"""`python -m platform` and `stridefold`: the commands, one line each. `stridefold search ...` runs python -m platform.search ..."""

import importlib.metadata
import runpy
import sys
from collections.abc import Sequence

COMMANDS = {
    "search": "train, cross-validate and compare configurations on a cohort of gait videos; without options, on simulated walkers",
    "predict": "put new videos through the models of a finished study",
    "evaluate": "score a second cohort by a finished study's model, or by one that was given away",
    "export": "write a study's model as a folder that can be given away",
    "report": "write the report of a study again",
    "cohort": "simulate walkers, or check a manifest without training anything",
    "task": "write a task file for your own label, for a clinician to fill in",
    "completion": "print what completes these commands in your shell",
}


def usage() -> str:
    """Returns the text that lists the commands."""
    lines = [f"  python -m platform.{name:<12}{summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        ["stridefold's commands (--help after one shows its options; --version alone is the version):", "", *lines]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command named by the first argument, or prints the list of commands or the version; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["--version"]:
        print(f"stridefold {importlib.metadata.version('stridefold')}")
        return 0
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    if arguments[0] not in COMMANDS:
        print(f"{arguments[0]!r} is not a command; use one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    sys.argv = [f"stridefold {arguments[0]}", *arguments[1:]]
    runpy.run_module(f"platform.{arguments[0]}", run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
