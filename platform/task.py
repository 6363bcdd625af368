"""`python -m platform.task`: write the task file of a label that no shipped task knows, for a clinician to fill in."""

import argparse
import re
import shlex
import sys
from pathlib import Path
from platform.cohort_arguments import parse_column
from platform.console import Console
from platform.next_step import next_line

from trainables.cohort.manifest import task_of_label
from trainables.errors import ConfigurationError, StridefoldError
from trainables.knowledge.new_task import task_file
from trainables.knowledge.tasks import FOLDER, shipped_tasks
from trainables.study.files import write_text


def parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    made = argparse.ArgumentParser(
        prog="python -m platform.task", description="Writes a task file for a clinician to fill in."
    )
    commands = made.add_subparsers(dest="command", required=True)
    new = commands.add_parser("new", help="write a task file with the classes of a label column")
    new.add_argument("cohort", type=Path, help="manifest (.csv or .parquet)")
    new.add_argument("--label", required=True, help="label column")
    new.add_argument("--column", metavar="OURS=YOURS", action="append", default=[], help="as in platform.search")
    new.add_argument("--out", type=Path, metavar="FILE", help="new file; none: LABEL.toml here")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    given = parser().parse_args(arguments)
    console = Console(plain=True)
    try:
        path = write_new_task(given.cohort, given.label, dict(parse_column(text) for text in given.column), given.out)
    except StridefoldError as error:
        console.error(error)
        return 1
    except OSError as error:
        console.error(
            StridefoldError(f"{error.filename or given.out} cannot be written: {error.strerror}", code="file.system")
        )
        return 1
    console.say(f"{path}: fill in keywords and notions, then pass it to the search with --task")
    columns = [word for column in given.column for word in ("--column", column)]
    console.say(next_line("cohort", "check", given.cohort, "--task", path, *columns))
    return 0


def write_new_task(cohort: Path, label: str, columns: dict[str, str], out: Path | None) -> Path:
    """Writes the task file of a label column, and returns its path.

    Raises:
        CohortError: The manifest or the column cannot be used.
        ConfigurationError: A shipped task knows the label already, or the file is there already.
    """
    task = task_of_label(cohort, label, columns)
    if task.name in shipped_tasks() and task.knows():
        raise ConfigurationError(
            f"--label {label}: the shipped task {task.name!r} knows these classes; copy {FOLDER / task.name}.toml, "
            "change the copy, and pass it with --task",
            code="task.shipped_label",
        )
    path = out or Path(re.sub(r"[^\w-]+", "_", task.name) + ".toml")
    if path.suffix != ".toml":
        raise ConfigurationError(
            f"--out {path} ends in {path.suffix or 'nothing'!r}, but a task file ends in '.toml'", code="output.ending"
        )
    if path.exists():
        raise ConfigurationError(
            f"{path} is there already and may hold someone's work; choose another with --out FILE", code="output.exists"
        )
    named = "".join(f" --column {shlex.quote(f'{ours}={theirs}')}" for ours, theirs in columns.items())
    search = f"python -m platform.search --cohort {shlex.quote(str(cohort))} --task {shlex.quote(str(path))}{named}"
    write_text(path, task_file(task, search))
    return path


if __name__ == "__main__":
    sys.exit(main())
