"""Prediction of many videos: folders, patterns, a run that goes on, and videos that are unlike the training."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from platform.predict import main
from platform.predicting_on import VIDEOS_PER_WRITE
from platform.study import Study

import pytest

from tests.errors import coded
from tests.platform.test_predict import make_study
from tests.tiny import save_tiny_clip, write_tiny_cohort
from tests.videos import write_video
from trainables.cohort.new_videos import expanded
from trainables.errors import StridefoldError


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a cohort of ten subjects, a backbone, and a folder of new walks."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "videos").mkdir()
    write_tiny_cohort(folder / "videos", subjects=10, videos=1)
    save_tiny_clip(folder / "clip")
    (folder / "walks" / "deep").mkdir(parents=True)
    for i in range(9):
        write_video(folder / "walks" / f"{i}.mp4", frames=45, seed=900 + i)
    write_video(folder / "walks" / "deep" / "x.MP4", frames=45, seed=990)
    (folder / "walks" / "notes.txt").write_text("no video")
    return folder


@pytest.fixture(scope="module")
def study(place: Path) -> Study:
    return make_study(place, "study", folds=2)


def test_folders_and_patterns(place: Path) -> None:
    """A folder is all its videos, deep ones too; a pattern what it matches; what is named twice comes once."""
    walks = place / "walks"
    nine = [str(walks / f"{i}.mp4") for i in range(9)]
    assert list(expanded((str(walks),))) == [*nine, str(walks / "deep" / "x.MP4")]
    assert list(expanded((str(walks / "[0-3].mp4"), nine[0]))) == nine[:4]
    assert expanded(("gone.mp4",)) == ("gone.mp4",)  # which reading then says is missing
    for wrong, code in ((str(walks / "*.avi"), "videos.no_match"), (str(place / "clip"), "videos.empty_folder")):
        with pytest.raises(StridefoldError, check=coded(code, wrong)):
            expanded((wrong,))


def run(place: Path, *arguments: object) -> int:
    return main([*map(str, arguments), "--cache", str(place / "cache")])


def test_a_run_goes_on(study: Study, place: Path, tmp_path: Path, capsys) -> None:
    """What an earlier run has answered is kept as it is; together they are what one run gives; another model's file is refused."""
    out, whole = tmp_path / "p.json", tmp_path / "whole.json"
    assert run(place, study.folder, place / "walks", "--out", whole, "--workers", 2) == 0
    assert run(place, study.folder, place / "walks" / "[0-3].mp4", "--out", out, "--resume") == 0
    first = json.loads(out.read_text())
    assert len(first["videos"]) == 4
    assert run(place, study.folder, place / "walks", "--out", out, "--resume") == 0
    found, expected = (json.loads(p.read_text()) for p in (out, whole))
    assert found["videos"][:4] == first["videos"]
    by = {e["sha256"]: e["probabilities"] for e in expected["videos"]}
    assert {e["sha256"] for e in found["videos"]} == set(by)
    for e in found["videos"]:
        assert e["probabilities"] == pytest.approx(by[e["sha256"]], abs=1e-6)
    assert len(found["windows"]) == len(expected["windows"])
    capsys.readouterr()
    assert run(place, study.folder, place / "walks", "--out", out, "--resume") == 0
    assert "all 10 videos are in" in capsys.readouterr().out
    assert run(place, study.folder, place / "walks", "--fold", 0, "--out", out, "--resume") == 1
    assert "[predict.resume_other_model]" in capsys.readouterr().err


def test_options_that_do_not_go_together(study: Study, place: Path, capsys) -> None:
    """--resume needs a JSON file and single videos; no process cannot decode."""
    for extra, said in ((("--resume",), "--resume"), (("--workers", 0), "--workers is 0")):
        assert run(place, study.folder, place / "walks", *extra) == 1
        assert said in capsys.readouterr().err


def test_videos_that_are_unlike_the_training(study: Study, place: Path, tmp_path: Path, capsys) -> None:
    """Each video has a distance with the share of training videos that are nearer, and a white one is called unlike.

    The study's own frames say where its videos lie; an exported model has that in its folder.
    """
    from platform.export import main as export

    import av
    import numpy as np

    with av.open(str(tmp_path / "white.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(45):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), 255, np.uint8), format="rgb24"))
            )
        container.mux(stream.encode())
    own = shutil.copy(place / "videos" / "S0_0.mp4", tmp_path / "own.mp4")
    out = tmp_path / "p.json"
    assert run(place, study.folder, tmp_path / "white.mp4", own, "--out", out) == 0
    white, usual = json.loads(out.read_text())["unlike_training"]
    assert white["unlike"]
    assert white["nearer"] == 1.0
    assert usual["distance"] < white["distance"]
    assert "white.mp4 is unlike the videos that the model was trained on" in capsys.readouterr().out
    study.noted(finished="2026-03-14T11:02:10+00:00")
    assert export([str(study.folder), str(tmp_path / "model"), "--cache", str(place / "cache")]) == 0
    theirs = tmp_path / "theirs.json"
    assert run(place, tmp_path / "model", tmp_path / "white.mp4", "--backbone", place / "clip", "--out", theirs) == 0
    (again,) = json.loads(theirs.read_text())["unlike_training"]
    assert again["distance"] == pytest.approx(white["distance"], rel=1e-3)


def test_a_run_that_was_killed_goes_on(study: Study, place: Path, tmp_path: Path) -> None:
    """SIGKILL after the first videos were written loses none of them; the same command answers the others."""
    out = tmp_path / "p.json"
    given = [study.folder, place / "walks", "--out", out, "--resume", "--cache", place / "cache"]
    command = [sys.executable, "-m", "platform.predict", *map(str, given)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL)
    while not out.exists():
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.wait()
    first = json.loads(out.read_text())["videos"]
    assert len(first) >= VIDEOS_PER_WRITE
    assert main([*map(str, given)]) == 0
    found = json.loads(out.read_text())["videos"]
    assert found[: len(first)] == first
    assert len({entry["sha256"] for entry in found}) == len(found) == 10
