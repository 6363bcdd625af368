"""`python -m platform.cohort track` and `measure`: films of a clinic become a page to look at, and a manifest with numbers."""

import base64
import csv
import io
import re
from pathlib import Path
from platform.cohort import main
from platform.console import Console
from platform.next_step import next_line
from platform.options import SearchOptions
from platform.pipeline import gather_cohort

import numpy as np
import pytest
from PIL import Image

from experiments.corridor import Film, crossing, cut_out, write
from tests.errors import coded
from trainables.errors import CohortError


@pytest.fixture(scope="module")
def clinic(tmp_path_factory) -> Path:
    """A manifest with two films of walkers, one to the right and one to the left."""
    folder = tmp_path_factory.mktemp("clinic")
    for name, facing, seed in (("a", 1, 7), ("b", -1, 8)):
        frames = [frame for frame, _ in crossing(cut_out(seed, facing=facing), Film(seed=seed))]
        write(folder / f"{name}.mp4", frames)
    (folder / "cohort.csv").write_text("subject,video,side,age\nS1,a.mp4,right,70\nS2,b.mp4,left,71\n")
    return folder


def test_track_writes_a_page_without_faces(clinic, tmp_path, monkeypatch, capsys):
    """One strip per video with what is not used; everything but the walker below the head is coarse."""
    monkeypatch.chdir(tmp_path)
    sheet = ["--sheet", "sheet.png"]
    assert main(["track", str(clinic / "cohort.csv"), "--cache", str(tmp_path / "c"), *sheet]) == 0
    out = capsys.readouterr().out
    assert "walker followed in 2 of 2 videos" in out
    cache = ["--cache", str(tmp_path / "c")]
    assert out.splitlines()[-1] == next_line("cohort", "measure", clinic / "cohort.csv", *cache)
    page = (tmp_path / "cohort-walkers.html").read_text()
    assert "The walker is followed." in page
    assert "All of a picture is blurred" in page
    images = re.findall(r"base64,([^\"]+)", page)
    assert len(images) == 2
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(images[0]))).convert("L"), dtype=float)
    tile = picture[:30, :100]  # a wall: in coarse tiles neighbours are alike
    assert np.median(np.abs(np.diff(tile, axis=1))) < 3
    assert Image.open(tmp_path / "sheet.png").height > 2 * 135
    assert list((tmp_path / "c" / "frames" / "tracks").glob("*.parquet"))


def test_all_walkers_that_cannot_be_followed_are_listed_at_once(clinic, tmp_path, capsys):
    """A sentence per video, an exit status of 1, and the page is written nevertheless."""
    for seed, name in enumerate("cd"):
        film = Film(seed=seed)
        write(clinic / f"{name}.mp4", [film.frame()[0] for _ in range(40)])
    manifest = clinic / "empty.csv"
    manifest.write_text("subject,video\nS1,a.mp4\nS3,c.mp4\nS4,d.mp4\n")
    page = tmp_path / "page.html"
    assert main(["track", str(manifest), "--out", str(page), "--cache", str(tmp_path / "c")]) == 1
    said = "".join(capsys.readouterr())
    assert said.count("shows nobody who walks") == 2
    assert "c.mp4" in said
    assert "d.mp4" in said
    assert "Cannot be used" in page.read_text()


def test_measured_numbers_are_parameters_of_the_next_search(clinic, tmp_path, capsys):
    """measure keeps the manifest's columns and adds numbers that a search takes, each known to be from video."""
    assert main(["measure", str(clinic / "cohort.csv"), "--cache", str(tmp_path / "c")]) == 0
    measured = clinic / "cohort-measured.csv"
    after = next_line("cohort", "check", measured, "--cache", tmp_path / "c")
    assert capsys.readouterr().out.splitlines()[-1] == after
    rows = list(csv.DictReader(measured.open()))
    assert [row["age"] for row in rows] == ["70", "71"]
    for row, seed, facing in zip(rows, (7, 8), (1, -1), strict=True):
        assert abs(float(row["video_cadence"]) - cut_out(seed, facing=facing).parameters["cadence"]) <= 4
    qualities = list(csv.DictReader((clinic / "cohort-measured-quality.csv").open()))
    assert len(qualities) == 2 * 5
    assert all(row["quality"] or row["missing"] for row in qualities)
    options = SearchOptions(cohort=str(measured), label="side", label_per_video=True, folds=2)
    with pytest.raises(
        CohortError, check=coded("cohort.problems", "subjects")
    ):  # two subjects are too few for a study; the columns are read first
        gather_cohort(options, Console(plain=True))
    assert "video_cadence (steps/min)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["measure", "M", "--out", "elsewhere.csv"], "must lie in"),
        (["measure", "M", "--out", "M"], "is the manifest itself"),
        (["measure", "M", "--track", "none"], "nothing can be measured"),
        (["track", "M", "--track", "none"], "follows nobody"),
        (["track", "M", "--out", "page.pdf"], "must end in .html"),
    ],
)
def test_wrong_options_are_one_sentence(clinic, tmp_path, monkeypatch, capsys, options, said):
    """What cannot be done is told before a video is read."""
    monkeypatch.chdir(tmp_path)
    manifest = str(clinic / "cohort.csv")
    assert main([manifest if option == "M" else option for option in options]) == 1
    text = "".join(capsys.readouterr())
    assert said in text
    assert "Traceback" not in text
