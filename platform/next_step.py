"""The last line of a command: the command that comes next, ready to be pasted."""

import shlex
import shutil
import sys
from pathlib import Path


def next_line(command: str, *words: object) -> str:
    """Returns 'next: python -m platform.predict studies/gait VIDEO ...', with words quoted as a shell needs them."""
    return f"next: {invocation(command)} {shlex.join(map(str, words))}"


def invocation(command: str) -> str:
    """Returns how one of our commands is run from this folder, in the way this one was.

    That is 'stridefold search' after `stridefold`, 'python -m platform.search' in an activated environment, and else the
    path of the program, as in '.venv/bin/python -m platform.search'.
    """
    started = Path(sys.orig_argv[1]) if len(sys.orig_argv) > 1 else Path()
    if started.name == "stridefold":
        return f"{_typed(started)} {command}"
    return f"{python()} -m platform.{command}"


def python() -> str:
    """Returns what a shell in this folder needs for this Python, as 'python' or '.venv/bin/python'."""
    own = Path(sys.executable)
    return _typed(own.with_name("python") if own.with_name("python").exists() else own)


def _typed(program: Path) -> str:
    """Returns the shortest name by which a shell in this folder finds a program."""
    program = program.absolute()
    if (found := shutil.which(program.name)) and Path(found).absolute() == program:
        return program.name
    if program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    return shlex.quote(str(program))
