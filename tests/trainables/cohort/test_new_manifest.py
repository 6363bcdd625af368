"""A table is begun from a folder of videos, and a search can be started once its labels are filled in."""

import shutil
from pathlib import Path
from platform.cohort import main

import polars as pl
import pytest

from tests.videos import write_video
from trainables.cohort.new_manifest import write_manifest
from trainables.errors import CohortError, ConfigurationError, StridefoldError


@pytest.fixture
def folder(tmp_path: Path, video: Path) -> Path:
    """Returns a folder with two videos of each of four people."""
    for subject in ("P01", "P02", "P03", "P04"):
        (tmp_path / "videos" / subject).mkdir(parents=True)
        for walk in "ab":
            shutil.copy(video, tmp_path / "videos" / subject / f"{walk}.mp4")
    return tmp_path / "videos"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a short video."""
    return write_video(tmp_path_factory.mktemp("video") / "walk.mp4", frames=30)


def test_folders_are_subjects(folder: Path) -> None:
    """Where every video lies in a folder of its own inside, the folder names the subject; the label is left empty."""
    made = write_manifest(folder, "diagnosis")
    assert (made.path, made.videos, made.subjects) == (folder / "cohort.csv", 8, 4)
    table = pl.read_csv(made.path)
    assert table.columns == ["subject", "video", "diagnosis"]
    assert table["subject"].to_list() == sorted(2 * ["P01", "P02", "P03", "P04"])
    assert table["video"].to_list()[:2] == ["P01/a.mp4", "P01/b.mp4"]
    assert table["diagnosis"].null_count() == 8


def test_subjects_are_not_guessed_from_names(folder: Path) -> None:
    """With one video outside of such folders the column stays empty; a pattern fills it from the names."""
    shutil.copy(folder / "P01" / "a.mp4", folder / "P05_a.mp4")
    made = write_manifest(folder, "diagnosis", out=folder.parent / "empty.csv")
    assert made.subjects == 0
    table = pl.read_csv(made.path)
    assert table["subject"].null_count() == 9
    assert table["video"].to_list()[-1] == "videos/P05_a.mp4"
    made = write_manifest(folder, "diagnosis", subject="P([0-9]+)", out=folder.parent / "found.csv")
    assert (made.subjects, pl.read_csv(made.path, infer_schema=False)["subject"].to_list()[-1]) == (5, "05")


@pytest.mark.parametrize(
    ("asked", "error", "code"),
    [
        ({"label": "video"}, ConfigurationError, "cohort.label_name"),
        ({"subject": "(P"}, ConfigurationError, "cohort.pattern"),
        ({"subject": "P05"}, CohortError, "cohort.problems"),
        ({"out": Path("table.xlsx")}, ConfigurationError, "output.ending"),
    ],
)
def test_what_cannot_be_written(folder: Path, asked: dict, error: type[StridefoldError], code: str) -> None:
    """A label's name, a pattern and an ending that cannot be used are one error each, and nothing is written."""
    with pytest.raises(error) as caught:
        write_manifest(folder, **{"label": "diagnosis"} | asked)
    assert caught.value.code == code
    assert not list(folder.parent.rglob("*.csv"))


def test_what_is_there_is_kept(folder: Path, tmp_path: Path) -> None:
    """A table that is there is not written over; a file is not a folder; a folder without videos is said."""
    (folder / "cohort.csv").write_text("mine")
    for place, code in ((folder, "output.exists"), (folder / "cohort.csv", "cohort.no_folder")):
        with pytest.raises(ConfigurationError) as caught:
            write_manifest(place, "diagnosis")
        assert caught.value.code == code
    assert (folder / "cohort.csv").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    with pytest.raises(StridefoldError) as none:
        write_manifest(tmp_path / "empty", "diagnosis")
    assert none.value.code == "videos.empty_folder"


def test_a_name_that_is_not_utf8(folder: Path, video: Path) -> None:
    """Such a name is a problem with its file, not a traceback."""
    shutil.copy(video, Path(str(folder / "P01") + "/caf\udce9.mp4"))
    with pytest.raises(CohortError) as caught:
        write_manifest(folder, "diagnosis")
    assert "caf" in caught.value.problems[0]


def test_from_a_folder_to_a_checked_cohort(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command names what to fill in and what comes next; without labels the next one says so; with them it passes."""
    for number, path in enumerate(sorted(folder.rglob("*.mp4"))):
        write_video(path, frames=45, seed=number)
    assert main(["new", str(folder)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"written: {folder / 'cohort.csv'} (4 subjects, 8 videos); fill in the column diagnosis"
    assert out[1] == f"next: python -m platform.cohort check {folder / 'cohort.csv'} --label diagnosis"
    check = ["check", str(folder / "cohort.csv"), "--label", "diagnosis", "--folds", "2"]
    assert main(check) == 1
    assert "diagnosis" in capsys.readouterr().err
    text = (folder / "cohort.csv").read_text().splitlines()
    filled = [f"{line}{'healthy' if line[:3] in ('P01', 'P02') else 'AD'}" for line in text[1:]]
    (folder / "cohort.csv").write_text("\n".join([text[0], *filled]) + "\n")
    assert main(check) == 0
