"""Folders of any name, homes that cannot be written, and paths with ~."""

import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from platform.arguments import parse_search
from platform.cohort import main as cohort
from platform.console import Console
from platform.pipeline import make_plan
from platform.predict import parse_predict
from platform.report import main as report

import optuna
import polars as pl
import pytest
from optuna.trial import TrialState

from reports.documents.page import write_report
from tests.errors import coded
from tests.make_study import make_study
from tests.tiny import write_place
from tests.videos import write_video
from trainables.data.cache_folder import open_cache
from trainables.errors import StridefoldError
from trainables.study.files import read_parquet, write_parquet
from trainables.study.leaderboard import open_storage, read_trials
from trainables.study.records import StudyRecord

NAMES = ["a?b", "%41", "x#y", "two words", "q'u\"o", "ünï", "new\nline", "{x}", "[a]*", "~t", "file:x", "a&b=c", ":memory:",
         "-v", "\\b", " ", "x" * 200, "$HOME", "a;b", "...", "\x01"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_database_in_a_folder_of_any_name(name: str, tmp_path: Path) -> None:
    """It is written where it was asked for and nowhere else, opened again, and read."""
    folder = tmp_path / name
    folder.mkdir()
    for _ in range(2):
        storage = open_storage(folder / "study.db")
        study = optuna.create_study(study_name=name, storage=storage, load_if_exists=True)
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        study.tell(trial, math.pi, state=TrialState.COMPLETE)
        storage.remove_session()
        storage.engine.dispose()
    assert [t.value for t in read_trials(folder, name)] == [math.pi, math.pi]
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert [p.name for p in folder.iterdir()] == ["study.db"]


@pytest.mark.parametrize("name", NAMES)
def test_a_table_in_a_folder_of_any_name(name: str, tmp_path: Path) -> None:
    """A name with * or [ is not a pattern, even where the pattern would fit another folder."""
    (tmp_path / "a").mkdir()
    write_parquet(tmp_path / "a" / "t.parquet", pl.DataFrame({"x": [2]}))
    write_parquet(tmp_path / name / "t.parquet", pl.DataFrame({"x": [1]}))
    assert read_parquet(tmp_path / name / "t.parquet")["x"].to_list() == [1]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a study to be copied."""
    return make_study(tmp_path_factory.mktemp("places") / "study", trials=3)


@pytest.mark.parametrize("name", ["a?b%41#c", "new\nline", "[a]* {x} ü'\"", "x=1&:memory:"])
def test_a_report_of_a_study_in_a_folder_of_any_name(name: str, study: Path, tmp_path: Path) -> None:
    """The page says the same as of a folder with a plain name."""
    here, there = (Path(shutil.copytree(study, tmp_path / folder)) for folder in ("plain", name))
    assert write_report(there, pdf=False) == there / "report.html"
    write_report(here, pdf=False)
    assert (there / "results.json").read_bytes() == (here / "results.json").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, "plain"])


def test_a_temporary_folder_of_any_name(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is copied into it to be read."""
    (tmp_path / "t?m%41p#").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t?m%41p#"))
    assert len(read_trials(study, StudyRecord.load(study).name)) == 3


@pytest.mark.slow
def test_a_search_in_a_folder_of_any_name(tmp_path: Path) -> None:
    """Train workers, the database, the best model and the page are all in that folder; a second run finds them."""
    place = write_place(tmp_path)
    name = "a?b%41#c 'd\" {e} [f]*\nü\\:g&h=i"
    quick = ["--plain", "--epochs", "1", "--folds", "2", "--frames", "2", "--trials", "1", "--set", "decoder.width=32",
             "--set", "decoder.layers=1", "--set", "decoder.steps=5"]  # fmt: skip
    given = ["--cohort", "videos/cohort.csv", "--backbone", "clip", "--cache", "cache", "--study", name]
    command = [sys.executable, "-m", "platform.search", *given, *quick]
    done = subprocess.run(command, capture_output=True, text=True, cwd=place, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = place / "studies" / name
    assert [t.state for t in read_trials(folder, name)] == ["COMPLETE"]
    assert (folder / "best" / "fold-0.safetensors").is_file()
    assert (folder / "report.html").stat().st_size > 10_000
    assert [p.name for p in (place / "studies").iterdir()] == [name]
    assert {p.name for p in place.iterdir()} == {"videos", "clip", "cache", "studies"}
    again = subprocess.run(command, capture_output=True, text=True, cwd=place, timeout=900, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "continued: 6 finished folds are reused" in again.stdout


def test_options_that_name_files_know_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell leaves ~ as it is in --cohort=~/cohort.csv."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "clip").mkdir()
    names = ("cohort", "task", "parameters", "study", "studies", "space", "backbone", "knowledge-encoder", "cache")
    options = parse_search([f"--{name}=~/clip" for name in names])
    assert {getattr(options, name.replace("-", "_")) for name in names} == {str(tmp_path / "clip")}
    predict = parse_predict(["~/study", "~/walk.mp4", "--out=~/p.json", "--backbone=~/clip", "--cache=~/c"])
    assert (predict.study, predict.videos) == (tmp_path / "study", (str(tmp_path / "walk.mp4"),))
    assert (predict.out, predict.backbone, predict.cache) == (tmp_path / "p.json", f"{tmp_path}/clip", f"{tmp_path}/c")


def test_other_commands_know_the_home_folder(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The study of a report, and the folder of a simulated cohort."""
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(study, tmp_path / "study")
    assert report(["~/study", "--no-pdf"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{tmp_path}/study/report.html"
    assert cohort(["simulate", "~/walkers", "--subjects", "3", "--seconds", "4"]) == 0
    assert (tmp_path / "walkers" / "cohort.csv").exists()


def test_a_models_folder_is_absolute_and_everything_else_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker on another machine, or in another folder, finds it; a hub id and the embedded models are no folders."""
    for name in ("clip", "small", "encoder"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse_search(["--backbone", "clip"]).backbone == str(tmp_path / "clip")
    assert parse_search(["--backbone", "small"]).backbone == "small"
    assert parse_search(["--backbone", "openai/clip-vit-base-patch16"]).backbone == "openai/clip-vit-base-patch16"
    assert parse_search(["--knowledge-encoder", "clip"]).knowledge_encoder == "clip"
    assert parse_search(["--knowledge-encoder", "encoder#mean"]).knowledge_encoder == f"{tmp_path / 'encoder'}#mean"


def test_a_name_that_is_not_utf8_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Old archives hold such names; polars and Ray take none, so it is said before anything is computed."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "cohort.csv").write_text("subject,video,diagnosis\n")
    with pytest.raises(StridefoldError, check=coded("file.name_not_utf", "--study", r"caf\xe9")):
        make_plan(parse_search(["--study", str(folder / "study")]), Console(plain=True))
    assert cohort(["check", str(folder / "cohort.csv"), "--label", "diagnosis"]) == 1
    assert re.search(r"^error: --cohort .*caf\\xe9.*\[file\.name_not_utf\]", capsys.readouterr().err, re.MULTILINE)


def test_a_link_to_a_name_that_is_not_utf8_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table names the link in UTF-8, but the file itself is called otherwise."""
    for subject in "ABCD":
        write_video(tmp_path / f"{subject}.mp4", seed=ord(subject))
    os.rename(tmp_path / "A.mp4", tmp_path / os.fsdecode(b"\xe9.mp4"))
    (tmp_path / "A.mp4").symlink_to(os.fsdecode(b"\xe9.mp4"))
    rows = [f"{subject},{subject}.mp4,{'xy'[subject > 'B']}" for subject in "ABCD"]
    (tmp_path / "cohort.csv").write_text("\n".join(["subject,video,diagnosis", *rows]))
    assert cohort(["check", str(tmp_path / "cohort.csv"), "--label", "diagnosis", "--folds", "2"]) == 1
    said = capsys.readouterr().err
    assert "\\xe9.mp4" in said
    assert "[file.name_not_utf]" in said


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_lacks_a_character(tmp_path: Path, encoding: str) -> None:
    """What cannot be written is escaped: a class called łagodny ends nothing."""
    for number, subject in enumerate("ABCD"):
        write_video(tmp_path / f"{subject}.mp4", seed=number)
    rows = [f"{subject},{subject}.mp4,{label}" for subject, label in zip("ABCD", ["PD", "łagodny"] * 2, strict=True)]
    (tmp_path / "cohort.csv").write_text("\n".join(["subject,video,diagnosis", *rows]), encoding="utf-8")
    command = [sys.executable, "-m", "platform.cohort", "check", "cohort.csv", "--label", "diagnosis", "--folds", "2"]
    surroundings = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(command, cwd=tmp_path, env=surroundings, capture_output=True, text=True, encoding=encoding)
    assert done.returncode == 0, done.stderr
    assert "2 \\u0142agodny" in done.stdout


def test_a_cache_that_cannot_be_made_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a home folder that cannot be written, or where it was asked for."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/proc/nowhere")
    for given in ("", "/proc/nowhere/cache"):
        with pytest.raises(StridefoldError, check=coded("cache.not_writable", "/proc/nowhere")):
            open_cache(given)


def test_the_own_cache_is_private_and_one_that_was_asked_for_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames show faces; a folder that colleagues share is made as they make folders."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    mask = os.umask(0o022)
    try:
        assert open_cache("").stat().st_mode & 0o777 == 0o700
        assert open_cache(str(tmp_path / "shared")).stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(mask)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become a user without a name")
def test_a_user_without_a_home_is_told_what_to_give() -> None:
    """As in a container that runs under a number; no folder called ~ is made."""
    code = (
        "import os; from trainables.data.cache_folder import user_cache; from trainables.errors import StridefoldError\n"
        "os.environ.pop('HOME', None); os.environ.pop('XDG_CACHE_HOME', None); os.setuid(54321)\n"
        "try: user_cache()\n"
        "except StridefoldError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "this user has no home folder for the cache; choose one with --cache, or set XDG_CACHE_HOME\n"
