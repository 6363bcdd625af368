"""The last line of a command names the next one as a shell here takes it."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from platform.next_step import next_line
from platform.report import after

import pytest

from tests.make_study import make_study

CODE = "from platform.next_step import next_line; print(next_line('cohort', 'check', 'my walks/cohort.csv'))"
BIN = Path(sys.executable).parent
WORDS = "check 'my walks/cohort.csv'"


def said(folder: Path, path: str, *program: str) -> str:
    """Returns the line that a Python started in a folder with a PATH prints."""
    environment = os.environ | {"PATH": path}
    done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_program_is_named_as_a_shell_finds_it(tmp_path):
    """By its name where PATH leads to it, from the folder where it lies below, else by its whole path."""
    python = (sys.executable, "-c", CODE)
    elsewhere = "/usr/bin:/bin"
    assert said(tmp_path, f"{BIN}:{elsewhere}", *python) == f"next: python -m platform.cohort {WORDS}"
    assert said(tmp_path, elsewhere, *python) == f"next: {BIN / 'python'} -m platform.cohort {WORDS}"
    relative = BIN.relative_to(BIN.parents[1])
    assert said(BIN.parents[1], elsewhere, *python) == f"next: {relative / 'python'} -m platform.cohort {WORDS}"


def test_who_types_stridefold_goes_on_so(tmp_path):
    """The command of that name names itself, by its path where PATH does not lead to it."""
    script = tmp_path / "bin" / "stridefold"
    script.parent.mkdir()
    script.write_text(CODE)
    command = (sys.executable, str(script))
    assert said(tmp_path, f"{script.parent}:/usr/bin:/bin", *command) == f"next: bin/stridefold cohort {WORDS}"
    script.chmod(0o755)
    assert said(tmp_path, f"{script.parent}:/usr/bin:/bin", *command) == f"next: stridefold cohort {WORDS}"


def test_a_report_of_a_running_search_goes_on_with_the_search(tmp_path):
    """A finished study predicts; one that was stopped is continued by its own file of options."""
    running, finished = (make_study(tmp_path / name, trials=1, finished=name == "b") for name in "ab")
    assert after(running) == next_line("search", "--config", running / "study.toml")
    assert after(finished) == next_line("predict", finished, "VIDEO", "...")


@pytest.mark.slow
def test_each_line_leads_to_the_next(tmp_path, monkeypatch):
    """From walkers in an empty folder, the lines that are printed can be pasted one after the other, up to a dry run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    line = f"{shlex.quote(sys.executable)} -m platform.cohort simulate 'my walkers' --subjects 6 --size 48"
    lines = []
    for _ in range(3):
        done = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done.stderr)
        line = done.stdout.splitlines()[-1].removeprefix("next: ")
        lines.append(line.partition(" -m platform.")[2])
    assert lines == [
        "cohort check 'my walkers/cohort.csv' --folds 2",
        "search --cohort 'my walkers/cohort.csv' --folds 2 --dry-run",
        "search --cohort 'my walkers/cohort.csv' --folds 2",
    ]
    assert not (tmp_path / "studies").exists()
