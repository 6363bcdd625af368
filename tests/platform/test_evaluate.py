"""A second cohort, scored by a model that was trained on another: nothing fitted, nobody of the training, every number with its interval."""

import json
import re
import shutil
from pathlib import Path
from platform.evaluate import main
from platform.export import main as export
from platform.next_step import next_line
from platform.study import Study

import numpy as np
import polars as pl
import pytest

from tests import WALKERS
from tests.errors import coded
from tests.platform.test_predict import make_study
from tests.tiny import save_tiny_clip, write_tiny_cohort
from tests.videos import write_video
from trainables.data.cache import ingest_cohort
from trainables.data.cache_folder import open_frames
from trainables.inference.ensemble import load_frozen, open_ensemble, score_videos
from trainables.study.metrics import FUNCTIONS, at_level, mean_of_folds
from trainables.training.checkpoint import load_weights, save_weights
from trainables.training.fold import WEIGHTS

TASK = """\
name = "groups"
title = "groups"
label = "group"
ordinal = false
healthy = "HC"

[[class]]
value = "HC"
name = "healthy"
[[class.description]]
notion = ""

[[class]]
value = "Alzheimer"
name = "{other}"
[[class.description]]
notion = ""
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a first cohort, its backbone, and a second cohort that spells its labels in another way."""
    folder = tmp_path_factory.mktemp("evaluate")
    (folder / "videos").mkdir()
    write_tiny_cohort(folder / "videos")
    save_tiny_clip(folder / "clip")
    second = folder / "second"
    second.mkdir()
    lines = ["subject,video,group,age,sex"]
    for i in range(14):
        write_video(second / f"w{i}.mp4", frames=45, seed=5000 + i)
        lines.append(f"T{i // 2},w{i}.mp4,{('HC', 'Alzheimer')[i // 2 % 2]},{60 + 3 * (i // 2)},{'mf'[i // 2 % 3 > 0]}")
    (second / "other.csv").write_text("\n".join(lines) + "\n")
    (second / "groups.toml").write_text(TASK.format(other="Alzheimer's disease"))
    return folder


@pytest.fixture(scope="module")
def study(place: Path) -> Study:
    """Returns a finished study of two folds of the first cohort."""
    return make_study(place, "first", folds=2).noted(finished="2026-03-14T11:02:10+00:00")


def run(place: Path, out: Path, model: Path, *extra: object, cohort: Path | None = None) -> int:
    """Runs the command on the second cohort and returns its exit status."""
    second = place / "second"
    given = [model, "--cohort", cohort or second / "other.csv", "--label", "group", "--task", second / "groups.toml"]
    return main([*map(str, given), "--out", str(out), "--cache", str(place / "cache"), *map(str, extra)])


def test_the_numbers_are_those_of_the_ensemble(study: Study, place: Path, tmp_path: Path) -> None:
    """Scores, confusion and answers are those of the folds' mean on these videos, and the page and results.json say them."""
    assert run(place, tmp_path / "e", study.folder, "--attribute", "age,sex") == 0
    found = json.loads((tmp_path / "e" / "results.json").read_text())
    answers = pl.read_parquet(tmp_path / "e" / "predictions.parquet")
    ensemble = open_ensemble(study.folder)
    frozen = load_frozen(ensemble, "cpu")
    videos = pl.DataFrame({"subject": [f"T{i // 2}" for i in range(14)], "video": [f"w{i}.mp4" for i in range(14)],
                           "label": [i // 2 % 2 for i in range(14)]})  # fmt: skip
    rows = [ingested(place, row["video"], frozen.backbone.image_size) for row in videos.iter_rows(named=True)]
    whole = pl.concat([videos, pl.DataFrame(rows)], how="horizontal")
    scores = score_videos(ensemble, whole, frozen, cache=open_frames(str(place / "cache")), device="cpu")
    expected = mean_of_folds(scores, whole)
    assert np.allclose(answers["probabilities"].to_list(), expected["probabilities"].to_list(), atol=1e-6)
    units = at_level(expected, "subject")
    by_metric = {s["metric"]: s["value"] for s in found["levels"][0]["scores"]}
    for name in ("macro_f1", "accuracy", "balanced_accuracy"):
        assert by_metric[name] == pytest.approx(
            FUNCTIONS[name](units["true"].to_numpy(), units["predicted"].to_numpy(), 2)
        )
    assert sum(map(sum, found["confusion"])) == found["cohort"]["subjects"] == 7
    assert [level["units"] for level in found["levels"][:2]] == [7, 14]
    assert found["drop"]["kind"] == "selection"
    assert found["drop"]["difference"] == pytest.approx(found["drop"]["here"] - found["drop"]["own"])
    assert {s["attribute"] for s in found["subgroups"]} == {"age", "sex"}
    page = (tmp_path / "e" / "evaluation.html").read_text()
    assert f"{by_metric['macro_f1']:.2f}" in page
    assert not re.search(r"https?://(?!www\.w3\.org)", re.sub(r'xmlns(:\w+)?="[^"]*"', "", page))  # opens offline
    assert "w3.mp4" not in page
    assert "T3" not in page


def ingested(place: Path, video: str, size: int) -> dict:
    from trainables.data.cache import ingest
    from trainables.study.files import file_sha256

    path = place / "second" / video
    done = ingest(path, sha256=file_sha256(path), box=None, size=size, folder=open_frames(str(place / "cache")))
    return {"frames": done.frames, "cached": done.name}


def test_people_and_files_of_the_training_are_refused(study: Study, place: Path, tmp_path: Path, capsys) -> None:
    """An id of the training, one of its files, and one of its recordings compressed again are each an error that says so."""
    first, second = place / "videos", tmp_path / "second"
    shutil.copytree(place / "second", second)
    shutil.copy(first / "S0_0.mp4", second / "w0.mp4")
    assert run(place, tmp_path / "e", study.folder, cohort=second / "other.csv") == 1
    assert "w0.mp4 is a file of the training cohort (subject 'S0')" in capsys.readouterr().err
    table = (place / "second" / "other.csv").read_text()
    (place / "second" / "same.csv").write_text(table.replace("T1,", "S0,"))
    assert run(place, tmp_path / "e", study.folder, cohort=place / "second" / "same.csv") == 1
    said = capsys.readouterr().err
    assert "'S0'" in said
    assert "[leakage.known_subject]" in said
    assert run(place, tmp_path / "e", study.folder, "--ids-are-unrelated", cohort=place / "second" / "same.csv") == 0
    assert "were said to be unrelated" in capsys.readouterr().out


def test_a_recording_of_the_training_compressed_again_is_refused(place: Path, tmp_path: Path) -> None:
    """Its file differs and its subject has another name; its pictures do not."""
    import dataclasses

    from trainables.cohort.manifest import read_manifest
    from trainables.errors import LeakageError
    from trainables.inference.second_cohort import refuse_copies, refuse_known
    from trainables.recordings.decode import decode
    from trainables.simulation.cohort import simulate_cohort, write_frames

    path = simulate_cohort(tmp_path / "walkers", subjects=6, videos_per_subject=(1, 1), seconds=4, size=112, seed=3)
    read = {"task": None, "label": "diagnosis", "parameters": (), "folds": 2}
    cohort, _ = read_manifest(path, **read)
    trained = ingest_cohort(cohort, size=64, folder=tmp_path / "cache")
    row = trained.videos.row(0, named=True)
    with (tmp_path / "again.mp4").open("wb") as file:
        write_frames(file, np.stack(list(decode(Path(row["path"])))), quality=32)
    (tmp_path / "again.csv").write_text("subject,video,diagnosis\nQ1,again.mp4,AD\n")
    again, _ = read_manifest(tmp_path / "again.csv", **read | {"task": None}, only_scored=True)
    new = ingest_cohort(again, size=64, folder=tmp_path / "cache")
    assert len(refuse_known(new, trained, ids_are_unrelated=False)) == 2
    with pytest.raises(LeakageError, check=coded("leakage.known_video", "again.mp4")):
        refuse_copies(new, trained, tmp_path / "cache")
    others = dataclasses.replace(trained, videos=trained.videos.filter(pl.col("subject") != row["subject"]))
    assert "looks like one of 5 of the 5 training videos" in refuse_copies(new, others, tmp_path / "cache")[0]
    assert "not checked" in refuse_copies(new, others, tmp_path / "empty")[0]


def test_labels_of_another_spelling(study: Study, place: Path, tmp_path: Path, capsys) -> None:
    """Without a task file the error lists the model's values; a class that the model does not know is an error too."""
    given = [study.folder, "--cohort", place / "second" / "other.csv", "--label", "group", "--out", tmp_path / "e"]
    assert main([*map(str, given), "--cache", str(place / "cache")]) == 1
    assert "'HC' is not a class; it must be one of healthy, AD" in capsys.readouterr().err
    (tmp_path / "wrong.toml").write_text(TASK.format(other="Parkinson's disease"))
    assert main([*map(str, given), "--task", str(tmp_path / "wrong.toml")]) == 1
    said = capsys.readouterr().err
    assert "Parkinson's disease" in said
    assert "[evaluate.unknown_class]" in said


def test_a_class_that_nobody_has(study: Study, place: Path, tmp_path: Path, capsys) -> None:
    """A cohort of patients alone can be scored; its labels stand under the model's classes, and the page says who is absent."""
    table = (place / "second" / "other.csv").read_text().splitlines()
    patients = [line for line in table if ",HC," not in line]
    (place / "second" / "patients.csv").write_text("\n".join(patients) + "\n")
    assert run(place, tmp_path / "e", study.folder, cohort=place / "second" / "patients.csv") == 0
    found = json.loads((tmp_path / "e" / "results.json").read_text())
    assert found["absent"] == ["healthy"]
    assert found["confusion"][0] == [0, 0]
    after = next_line("export", study.folder, f"{study.folder.name}-model")
    assert capsys.readouterr().out.splitlines()[-1] == after
    assert set(pl.read_parquet(tmp_path / "e" / "predictions.parquet")["true"]) == {1}


def test_the_study_of_an_exported_model_checks_the_overlap(study: Study, place: Path, tmp_path: Path, capsys) -> None:
    """With --study an exported model refuses the training's people as its study does; another study is not taken for it."""
    assert export([str(study.folder), str(tmp_path / "model")]) == 0
    table = (place / "second" / "other.csv").read_text()
    (place / "second" / "same.csv").write_text(table.replace("T1,", "S0,"))
    more = ("--study", study.folder, "--backbone", place / "clip")
    capsys.readouterr()
    assert run(place, tmp_path / "e", tmp_path / "model", *more, cohort=place / "second" / "same.csv") == 1
    said = capsys.readouterr().err
    assert "'S0'" in said
    assert "[leakage.known_subject]" in said
    own = ["--cohort", str(place / "videos" / "cohort.csv"), "--label", "diagnosis", "--cache", str(place / "cache")]
    assert main([str(tmp_path / "model"), *own, *map(str, more)]) == 1
    assert "S0_0.mp4 is a file of the training cohort" in capsys.readouterr().err
    other = shutil.copytree(study.folder, tmp_path / "other")
    path = sorted((other / "folds").glob(f"*/{WEIGHTS}"))[0]
    weights = {name: tensor + 0.5 for name, tensor in load_weights(path).items()}
    for fold in (other / "folds").iterdir():
        save_weights(fold / WEIGHTS, weights, {})
    for wrong in (other, tmp_path / "model"):  # a study of as many people, and a model, which knows none of them
        assert run(place, tmp_path / "e", tmp_path / "model", "--study", wrong, "--backbone", place / "clip") == 1
        assert "[evaluate.other_study]" in capsys.readouterr().err


def test_wrong_options(study: Study, place: Path, tmp_path: Path, capsys) -> None:
    """A folder that holds something, no workers, and something that is not a model are one sentence each."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    assert run(place, tmp_path / "full", study.folder) == 1
    assert "[output.exists]" in capsys.readouterr().err
    assert run(place, tmp_path / "e", study.folder, "--workers", 0) == 1
    said = capsys.readouterr().err
    assert "--workers" in said
    assert "[option.too_small]" in said
    assert run(place, tmp_path / "e", tmp_path / "full") == 1
    assert "is missing" in capsys.readouterr().err


@pytest.mark.slow
def test_on_ray(study: Study, place: Path, tmp_path: Path) -> None:
    """--address runs the same on Ray, with the same answers."""
    assert run(place, tmp_path / "here", study.folder) == 0
    assert run(place, tmp_path / "ray", study.folder, "--address", "local") == 0
    a, b = (pl.read_parquet(tmp_path / n / "predictions.parquet") for n in ("here", "ray"))
    assert np.allclose(a["probabilities"].to_list(), b["probabilities"].to_list(), atol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(not WALKERS.exists(), reason="the real walkers are not next to the checkout")
def test_half_of_the_real_walkers_by_the_other_half(tmp_path: Path, capsys) -> None:
    """A model of eleven people is evaluated on eleven others, by the view of the camera, which changes within each person."""
    table = pl.read_csv(WALKERS).drop("diagnosis").rename({"impaired": "diagnosis"})
    people = sorted(table["subject"].unique())
    sides = {"videos": people[::2], "second": people[1::2]}
    for name, own in sides.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "videos").mkdir()
        rows = table.filter(pl.col("subject").is_in(own))
        for video in rows["video"]:
            shutil.copy(WALKERS.parent / video, tmp_path / name / video)
        rows.select("subject", "video", "diagnosis", "view_degree").write_csv(tmp_path / name / "cohort.csv")
    save_tiny_clip(tmp_path / "clip")
    study = make_study(tmp_path, "first", folds=2, numbers=False)
    given = [
        study.folder,
        "--cohort",
        tmp_path / "second" / "cohort.csv",
        "--label",
        "diagnosis",
        "--attribute",
        "view_degree",
    ]
    assert main([*map(str, given), "--out", str(tmp_path / "e"), "--cache", str(tmp_path / "cache")]) == 0
    found = json.loads((tmp_path / "e" / "results.json").read_text())
    assert found["cohort"]["subjects"] == len(sides["second"])
    (view,) = found["subgroups"]
    assert view["within"]
    assert [g["value"] for g in view["groups"]] == ["45", "90"]
    assert "No file is one of" in capsys.readouterr().out
