"""`python -m platform.task new`: a file for a clinician, from a label that no task knows."""

import subprocess
import sys
from pathlib import Path
from platform.console import Console
from platform.next_step import invocation, next_line
from platform.options import SearchOptions
from platform.pipeline import gather_cohort, no_knowledge
from platform.task import main

import pytest

from tests.tiny import write_tiny_cohort
from trainables.knowledge.tasks import load_task

ROWS = "subject,video,Knee pain,stage,diagnosis\nP1,a.mp4,yes,2,AD\nP2,b.mp4,no,1,healthy\nP3,c.mp4,,1,healthy\n"


@pytest.fixture
def cohort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cohort.csv").write_text(ROWS)
    return tmp_path / "cohort.csv"


def test_a_new_task_has_the_classes_and_nothing_else(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Classes as found, empty keywords and notions, the healthy class where one is named so, and the next step."""
    assert main(["new", str(cohort), "--label", "Knee pain"]) == 0
    task = load_task("Knee_pain.toml")
    assert (task.label, task.ordinal, task.healthy) == ("Knee pain", False, "no")
    assert [(c.value, c.name) for c in task.classes] == [("no", "no"), ("yes", "yes")]
    assert not task.knows()
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == next_line("cohort", "check", cohort, "--task", "Knee_pain.toml")
    text = Path("Knee_pain.toml").read_text()
    assert "# Then: python -m platform.search --cohort" in text
    assert all(line.startswith("#") or len(line) < 60 for line in text.splitlines())


def test_a_filled_file_is_a_task_with_knowledge(cohort: Path) -> None:
    """What a clinician writes between the quotes is read; the comments are in nobody's way."""
    main(["new", str(cohort), "--label", "stage", "--out", "mine.toml"])
    text = Path("mine.toml").read_text()
    assert load_task("mine.toml").ordinal
    filled = text.replace('"""\n"""', '"""\nSlow and stiff.\n"""').replace("keywords = []", 'keywords = ["slow steps"]')
    Path("mine.toml").write_text(filled)
    task = load_task("mine.toml")
    assert task.notions() == ["Slow and stiff.", "Slow and stiff."]
    assert task.classes[0].descriptions[0].keywords == ("slow steps",)


def test_a_column_under_another_name(cohort: Path) -> None:
    """The file names the user's own column, whatever the manifest's columns are mapped to."""
    assert main(["new", str(cohort), "--label", "outcome", "--column", "outcome=Knee pain", "--out", "o.toml"]) == 0
    assert load_task("o.toml").label == "Knee pain"


@pytest.mark.parametrize("label", ['a "b" \\ c', "größe", "line\nbreak"])
def test_any_label_gives_a_readable_file(tmp_path: Path, label: str) -> None:
    """Quotes, backslashes, letters of any script and line breaks are written as TOML reads them; a column's name is one line."""
    cell = '"' + label.replace('"', '""') + '"'
    (tmp_path / "cohort.csv").write_text(f"subject,video,{cell}\nP1,a.mp4,{cell}\nP2,b.mp4,no\n")
    assert main(["new", str(tmp_path / "cohort.csv"), "--label", label, "--out", str(tmp_path / "t.toml")]) == 0
    task = load_task(str(tmp_path / "t.toml"))
    assert task.label == label.replace("\n", " ")
    assert {c.value for c in task.classes} == {label, "no"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--label", "diagnosis"), "--label diagnosis: the shipped task 'diagnosis' knows these classes; copy "),
        (("--label", "age"), "there is no column 'age'; it has subject, video, Knee pain, stage, diagnosis"),
        (("--label", "video"), "this column says which video a row is"),
        (
            ("--label", "stage", "--out", "cohort.csv"),
            "--out cohort.csv ends in '.csv', but a task file ends in '.toml'",
        ),
        (("--label", "stage", "--out", "there.toml"), "there.toml is there already and may hold someone's work"),
        (("--label", "stage", "--out", "cohort.csv/t.toml"), "cannot be written: "),
        (("--label", "stage", "--column", "x"), "--column x is not OURS=YOURS"),
    ],
)
def test_a_wrong_line_is_one_sentence(cohort: Path, arguments: tuple[str, ...], sentence: str,
                                      capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    """Nothing is overwritten, and nothing is a traceback."""
    Path("there.toml").write_text("kept")
    assert main(["new", str(cohort), *arguments]) == 1
    assert sentence in capsys.readouterr().err
    assert Path("there.toml").read_text() == "kept"


def test_one_value_is_no_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A column with a single value has nothing to tell apart."""
    (tmp_path / "cohort.csv").write_text("subject,video,group\nP1,a.mp4,x\n")
    assert main(["new", str(tmp_path / "cohort.csv"), "--label", "group"]) == 1
    assert "column group names 1 class; a task needs 2 at least" in capsys.readouterr().err


def test_the_search_says_what_is_missing_and_how_to_write_it() -> None:
    """The sentence names the command, ready to be pasted; for a task file that is still empty it names the file."""
    asked = SearchOptions(cohort="my cohort.csv", label="Knee pain")
    assert no_knowledge(asked, Path("my cohort.csv"), "Knee pain") == (
        "there is no clinical knowledge for label 'Knee pain', so class names alone are read; to write some: "
        f"{invocation('task')} new 'my cohort.csv' --label 'Knee pain'"
    )
    empty = SearchOptions(cohort="my cohort.csv", task="mine.toml")
    assert no_knowledge(empty, Path("my cohort.csv"), "Knee pain").startswith(
        "mine.toml has no keywords and no notions yet"
    )


def test_the_search_says_it_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A label without a task gets the sentence; one with a shipped task does not; a filled file ends it."""
    manifest = write_tiny_cohort(tmp_path)
    gather_cohort(SearchOptions(cohort=str(manifest), label="diagnosis", folds=2), Console(plain=True))
    assert "clinical knowledge" not in capsys.readouterr().out
    manifest.write_text(manifest.read_text().replace("diagnosis", "impaired").replace("AD", "yes"))
    _, task = gather_cohort(SearchOptions(cohort=str(manifest), label="impaired", folds=2), Console(plain=True))
    said = [line for line in capsys.readouterr().out.splitlines() if "clinical knowledge" in line]
    assert len(said) == 1
    assert said[0].endswith(f"{invocation('task')} new {manifest} --label impaired")
    assert not task.knows()


def test_platform_lists_the_command() -> None:
    """It stands among the others."""
    listed = subprocess.run([sys.executable, "-m", "platform"], capture_output=True, text=True, check=True).stdout
    assert "python -m platform.task " in listed
