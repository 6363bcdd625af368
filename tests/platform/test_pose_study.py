"""A study whose walkers were followed by landmarks, from films to predictions: every later command follows them in the same way."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from platform.evaluate import main as evaluate
from platform.export import main as export
from platform.predict import main as predict
from typing import Any

import polars as pl
import pytest

from tests.clinic_films import film
from trainables.study.files import read_json, write_json
from trainables.study.leaderboard import read_trials
from trainables.study.metrics import mean_of_models
from trainables.study.records import Cohort, Splits, StudyRecord
from trainables.tracking.landmark_model import LANDMARKS, WEIGHTS, keep_weights
from trainables.tracking.readiness import version_of

pytestmark = pytest.mark.slow

SEARCH = ["--track", "pose", "--label", "side", "--label-per-video", "--folds", "2", "--trials", "1", "--epochs", "1", "--frames", "2",
          "--baselines", "none", "--plain", "--set", "video.window=24", "--set", "video.stride=12", "--set", "video.min_tail=12",
          "--set", "decoder.width=32", "--set", "decoder.layers=1", "--set", "decoder.steps=20"]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, pose_weights: Path) -> Path:
    """Returns a folder with two cohorts, of four people and of two, and a finished study of the first."""
    folder = tmp_path_factory.mktemp("pose-study")
    manifest = film(folder / "films", "S", range(1, 5))
    film(folder / "second", "T", range(11, 13))
    command = [sys.executable, "-m", "platform.search", "--cohort", str(manifest), "--study", str(folder / "study"),
               "--cache", str(folder / "cache"), "--pose-weights", str(pose_weights), *SEARCH]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "walker followed in 8 of 8 videos" in done.stdout
    return folder


@pytest.fixture
def ready(tmp_path: Path, pose_weights: Path) -> Path:
    """Returns an empty cache, but for the weights."""
    (tmp_path / "cache" / "frames").mkdir(parents=True, mode=0o700)
    keep_weights(pose_weights, tmp_path / "cache" / "frames")
    return tmp_path / "cache"


def answers(out: Path) -> dict[int, list[float]]:
    """Returns the probabilities of each window of a file of predictions, by its first frame."""
    return {w["window"]: list(w["probabilities"].values()) for w in json.loads(out.read_text())["windows"]}


def test_the_tracker_its_version_and_its_weights_belong_to_the_study(place: Path) -> None:
    """They are in its record, and a search with another tracker does not continue it."""
    record = StudyRecord.load(place / "study")
    assert record.options["track"] == "pose"
    assert record.tracking == version_of("pose")
    assert record.tracking.weights == WEIGHTS
    videos = Cohort.load(place / "study").videos
    assert set(videos["followed"]) == {"followed"}
    assert "pose_weights" not in record.options  # where they lay is not what was computed
    again = [sys.executable, "-m", "platform.search", "--cohort", str(place / "films" / "cohort.csv"), "--study",
             str(place / "study"), "--cache", str(place / "cache"), *SEARCH, "--track", "motion"]  # fmt: skip
    done = subprocess.run(again, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("[study.option_changed]")


def test_a_video_of_the_study_gets_the_held_out_answers_again(place: Path, ready: Path, tmp_path: Path) -> None:
    """From an empty cache and by the fold that held its subject out, each window's probabilities are those of the search."""
    splits = Splits.load(place / "study" / "splits.json")
    fold = next(f for f in splits.folds if "S1" in f.test)
    key = read_trials(place / "study", "study")[0].folds[fold.index]
    held_out = mean_of_models(pl.read_parquet(place / "study" / "folds" / key / "predictions.parquet"))
    held_out = held_out.filter(pl.col("video") == "1-left.mp4")
    given = [
        place / "study",
        place / "films" / "1-left.mp4",
        "--fold",
        fold.index,
        "--cache",
        ready,
        "--out",
        tmp_path / "p.json",
    ]
    assert predict([str(word) for word in given]) == 0
    found = answers(tmp_path / "p.json")
    assert sorted(found) == sorted(held_out["window"])
    for window, probabilities in held_out.select("window", "probabilities").rows():
        assert found[window] == pytest.approx(probabilities, abs=1e-5)
    assert len(list((ready / "frames" / "landmarks").glob("*.npz"))) == 1


def test_an_exported_model_follows_by_landmarks_too(
    place: Path, ready: Path, pose_weights: Path, tmp_path: Path
) -> None:
    """It predicts as its study does, and asks for the weights where they are not kept."""
    assert export([str(place / "study"), str(tmp_path / "model"), "--cache", str(place / "cache")]) == 0
    video = str(place / "second" / "11-left.mp4")
    for model, cache, extra in (
        (place / "study", ready, []),
        (tmp_path / "model", tmp_path / "new", ["--pose-weights", str(pose_weights)]),
    ):
        assert (
            predict([str(model), video, "--cache", str(cache), "--out", str(tmp_path / f"{model.name}.json"), *extra])
            == 0
        )
    ours, theirs = (answers(tmp_path / f"{name}.json") for name in ("study", "model"))
    assert ours == theirs
    record = read_json(tmp_path / "model" / "model.json")
    assert (record["tracker"], record["tracking"]["weights"]) == ("pose", WEIGHTS)


def test_a_second_cohort_is_followed_by_landmarks(place: Path, pose_weights: Path, tmp_path: Path) -> None:
    """Every film has landmarks in the cache, and windows only where a whole walker walks."""
    given: list[Any] = [place / "study", "--cohort", place / "second" / "cohort.csv", "--label", "side", "--label-per-video",
                        "--cache", tmp_path / "cache", "--pose-weights", pose_weights, "--out", tmp_path / "e"]  # fmt: skip
    assert evaluate([str(word) for word in given]) == 0
    assert len(list((tmp_path / "cache" / "frames" / "landmarks").glob("*.npz"))) == 4
    windows = pl.read_parquet(tmp_path / "e" / "predictions.parquet")
    first = windows.group_by("video").agg(pl.col("window").min())
    assert (first["window"] > 0).all()  # the films begin without the walker


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_weights_that_are_missing_or_others_are_one_sentence(
    command: str, place: Path, pose_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No video is followed by anything else; the sentence names the file and the hashes, and nothing is written."""
    other = tmp_path / "other"
    other.mkdir()
    for name in WEIGHTS:
        shutil.copy(pose_weights / name, other)
    (other / LANDMARKS).write_bytes((other / LANDMARKS).read_bytes()[:-1] + b"x")
    for extra, code in (([], "pose.weights_missing"), (["--pose-weights", other], "pose.weights_other")):
        run, out = (predict, tmp_path / "p.json") if command == "predict" else (evaluate, tmp_path / "e")
        what = (
            [place / "second" / "11-left.mp4"]
            if command == "predict"
            else ["--cohort", place / "second" / "cohort.csv", "--label", "side", "--label-per-video"]
        )
        given = [place / "study", *what, "--cache", tmp_path / "cache", "--out", out, *extra]
        assert run([str(word) for word in given]) == 1
        said = capsys.readouterr().err.strip()
        assert said.endswith(f"[{code}]")
        assert len(said.splitlines()) == 1
        assert not out.exists()


def test_a_study_of_other_weights_or_another_tracker_says_so(
    place: Path, ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A study that was followed by other weights is refused, and so are weights for a tracker that has none."""
    copy = shutil.copytree(place / "study", tmp_path / "copy")
    record = read_json(copy / "study.json")
    record["tracking"]["weights"][LANDMARKS] = "0" * 64
    write_json(copy / "study.json", record)
    given = [str(copy), str(place / "second" / "11-left.mp4"), "--cache", str(ready)]
    assert predict(given) == 1
    said = capsys.readouterr().err
    assert said.strip().endswith("[study.other_tracker]")
    assert "000000000000" in said
    record["options"]["track"], record["tracking"]["weights"] = "motion", {}
    write_json(copy / "study.json", record)
    assert predict([*given, "--pose-weights", str(tmp_path)]) == 1
    assert capsys.readouterr().err.strip().endswith("[pose.weights_unused]")
