"""A model that was given away, on a machine that has never seen its cohort, and on people who were filmed in another way."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from platform.evaluate import main
from platform.export import main as export
from platform.study import Study

import numpy as np
import polars as pl
import pytest

from tests.platform.test_predict import make_study
from tests.tiny import save_tiny_clip
from trainables.simulation.cohort import Settings, Walk, draw_subjects, draw_walks, simulate_cohort, write_video
from trainables.simulation.renderer import capsules, draw_look, joint_pixels

FIRST_SEED, SECOND_SEED = 11, 12
SIZE = 64


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a first cohort of shaded walkers in rooms, and a second one of white lines on black."""
    folder = tmp_path_factory.mktemp("elsewhere")
    shaded = simulate_cohort(
        folder / "shaded", subjects=9, videos_per_subject=(1, 1), seconds=4, size=SIZE, seed=FIRST_SEED
    )
    table = pl.read_csv(shaded).filter(pl.col("diagnosis") != "DLB")
    (folder / "videos" / "videos").mkdir(parents=True)
    for video in table["video"]:
        shutil.copy(shaded.parent / video, folder / "videos" / video)
    table.select("subject", "video", "diagnosis").write_csv(folder / "videos" / "cohort.csv")
    save_tiny_clip(folder / "clip")
    drawn = Settings(subjects=12, videos_per_subject=(1, 1), seconds=4, size=SIZE, seed=SECOND_SEED)
    (folder / "second").mkdir()
    lines = ["subject,video,diagnosis"]
    for index, subject in enumerate(draw_subjects(drawn), start=1):
        if subject.group != "DLB":
            write_video(folder / "second" / f"line_{index}.mp4", line_drawing(*draw_walks(drawn, index, subject)))
            lines.append(f"L{index},line_{index}.mp4,{subject.group}")
    (folder / "second" / "other.csv").write_text("\n".join(lines) + "\n")
    return folder


def line_drawing(walk: Walk) -> np.ndarray:
    """Returns a walk's frames [T, N, N, 3] as white lines between its joints on black, without body, light or room."""
    look = draw_look(np.random.default_rng(0))
    flat = joint_pixels(walk.joints, look, walk.view, SIZE)
    links = [(a, b) for a, b, *_ in capsules(look, np.zeros(flat.shape[1]))]
    frames = np.zeros((len(flat), SIZE, SIZE, 3), dtype=np.uint8)
    for frame, joints in zip(frames, flat, strict=True):
        for a, b in links:
            across, down = np.linspace(joints[a], joints[b], 2 * SIZE).round().astype(int).clip(0, SIZE - 1).T
            frame[down, across] = 255
    return frames


@pytest.fixture(scope="module")
def study(place: Path) -> Study:
    """Returns a finished study of two folds of the first cohort."""
    return make_study(place, "first", folds=2).noted(finished="2026-03-14T11:02:10+00:00")


def test_the_cohorts_do_not_look_alike(place: Path) -> None:
    """The second cohort is black but for its lines, the first one is a lit room."""
    from trainables.recordings.decode import decode

    def brightness(video: Path) -> float:
        return float(np.stack(list(decode(video))).mean())

    assert brightness(next((place / "second").glob("*.mp4"))) < 30
    assert brightness(next((place / "videos" / "videos").glob("*.mp4"))) > 80


def test_from_the_exported_folder_on_a_machine_without_the_study(study: Study, place: Path, tmp_path: Path) -> None:
    """With the first cohort, its frames and its study gone, an exported model gives the numbers that the study gave."""
    given = ["--cohort", str(place / "second" / "other.csv"), "--label", "diagnosis", "--cache", str(place / "cache")]
    assert main([str(study.folder), *given, "--out", str(tmp_path / "ours")]) == 0
    clean = tmp_path / "clean"
    (clean / "home").mkdir(parents=True)
    assert export([str(study.folder), str(clean / "model")]) == 0
    shutil.copytree(place / "second", clean / "second")
    shutil.copytree(place / "clip", clean / "backbone")
    hidden = place.with_name("hidden")
    place.rename(hidden)
    try:
        done = evaluate_in(clean)
    finally:
        hidden.rename(place)
    assert done.returncode == 0, done.stderr
    assert "was not checked" in done.stdout
    assert any((clean / "cache").iterdir())  # its own frames, decoded there
    assert not list((clean / "home").rglob("*.mp4"))
    ours, theirs = (json.loads((p / "results.json").read_text()) for p in (tmp_path / "ours", clean / "out"))
    assert theirs["cohort"]["subjects"] == 8
    assert ours["confusion"] == theirs["confusion"]
    assert ours["drop"] == theirs["drop"]
    assert [level["units"] for level in theirs["levels"][:2]] == [8, 8]
    a, b = (pl.read_parquet(p / "predictions.parquet") for p in (tmp_path / "ours", clean / "out"))
    assert np.allclose(a["probabilities"].to_list(), b["probabilities"].to_list(), atol=1e-6)


def evaluate_in(clean: Path) -> subprocess.CompletedProcess[str]:
    """Runs the command in a folder that holds all it may need; home and caches of this machine are not its own."""
    command = [sys.executable, "-m", "platform.evaluate", "model", "--cohort", "second/other.csv", "--label", "diagnosis",
               "--backbone", "backbone", "--out", "out"]  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "STRIDEFOLD", "HF_HOME"))}
    environment = kept | {"HOME": str(clean / "home"), "XDG_CACHE_HOME": str(clean / "cache"),
                          "PYTHONPATH": str(Path(__file__).parents[2])}  # fmt: skip
    return subprocess.run(command, cwd=clean, env=environment, capture_output=True, text=True, check=False)
