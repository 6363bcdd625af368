"""Prediction as a user runs it: a real study, trained here fold by fold, and its models on videos."""

import csv
import dataclasses
import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from platform.options import SearchOptions
from platform.predict import main
from platform.study import Study, open_study
from typing import Any

import numpy as np
import optuna
import polars as pl
import pytest
import torch
from optuna.trial import TrialState

from reports.documents.page import write_report
from tests.tiny import save_tiny_clip, write_tiny_cohort
from tests.videos import write_video
from trainables.cohort.manifest import read_manifest
from trainables.data.cache import ingest, ingest_cohort, open_cached
from trainables.inference import exported as exported_module
from trainables.inference.class_descriptions import describe_fold
from trainables.inference.ensemble import open_ensemble
from trainables.inference.exported import exported_folds
from trainables.inference.predictions import holds
from trainables.knowledge.parameters import load_parameters
from trainables.knowledge.tasks import task_from_dict
from trainables.model.backbone import load_backbone
from trainables.study.descriptions import ClassDescription
from trainables.study.files import file_sha256
from trainables.study.leaderboard import read_trials
from trainables.study.metrics import at_level
from trainables.study.records import FoldResult
from trainables.study.training_version import TRAINING_VERSION
from trainables.training.checkpoint import load_weights, save_weights
from trainables.training.distributed import Workers
from trainables.training.fold import prepare, train_fold
from trainables.training.frozen import FrozenFeatures
from trainables.training.job import FoldJob

SETTINGS = {
    "video.window": 24, "video.stride": 12, "video.min_tail": 12, "optimizer.lr": 0.003, "text.bottleneck": 8,
    "numeracy.subset_size": 2, "numeracy.max_correlation": 1.0, "decoder.width": 32, "decoder.layers": 1,
    "decoder.steps": 20,
}  # fmt: skip
"""45 frames are two windows: one whole, one padded."""
CLASSES = ("healthy", "Alzheimer's disease")
NOTICE = "for research only: not a medical device, and no basis for the diagnosis or treatment of anyone"


def make_study(place: Path, name: str, *, folds: int = 3, numbers: bool = True, **settings: Any) -> Study:
    """Trains, describes and records one trial of a study on the tiny cohort, as a search does but without Ray."""
    manifest = place / "videos" / "cohort.csv"
    ignored = () if numbers else tuple(n for n in NUMBERS if n in pl.read_csv(manifest).columns)
    options = SearchOptions(cohort=str(manifest), study=str(place / name), folds=folds, epochs=1, frames=2, ignore=ignored,
                            backbone=str(place / "clip"), settings=SETTINGS | settings)  # fmt: skip
    cohort, task = read_manifest(
        manifest, task=None, label="diagnosis", parameters=load_parameters(), folds=folds, ignore=ignored
    )
    backbone = load_backbone(options.backbone)
    study = open_study(place / name, options, cohort, task, backbone.about())
    cohort = ingest_cohort(cohort, size=backbone.image_size, folder=place / "cache" / "frames")
    cohort.save(study.folder)
    config = options.reference()
    frozen = FrozenFeatures(backbone, task, [p.name for p in cohort.parameters])
    keys = study.keys(config)
    for fold, key in zip(study.splits.folds, keys, strict=True):
        folder, cache = study.folder / "folds" / key, place / "cache" / "frames"
        job = FoldJob(cohort=cohort, fold=fold, frozen=frozen, cache=cache, folder=folder, key=key)
        train_fold(config, job)
        describe_fold(job)
    record_trial(study, config.flat(), keys)
    return dataclasses.replace(study, cohort=cohort)


NUMBERS = ("walking_speed", "cadence", "stride_length_left", "swing_left")


def record_trial(study: Study, config: dict[str, Any], keys: list[str], value: float = 0.5) -> None:
    """Adds a complete trial to a study's database, as the tuner does."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(f"sqlite:///{study.folder / 'study.db'}")
    opened = optuna.create_study(
        study_name=study.record.name, storage=storage, direction="maximize", load_if_exists=True
    )
    trial = opened.ask()
    for name, attribute in {"config": config, "folds": keys, "log_loss": 0.7}.items():
        trial.set_user_attr(name, attribute)
    opened.tell(trial, value, state=TrialState.COMPLETE)
    storage.remove_session()
    storage.engine.dispose()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a tiny cohort, a tiny backbone and a new video."""
    folder = tmp_path_factory.mktemp("predict")
    (folder / "videos").mkdir()
    write_tiny_cohort(folder / "videos", subjects=10)
    save_tiny_clip(folder / "clip")
    write_video(folder / "new.mp4", frames=60, seed=777)
    return folder


@pytest.fixture(scope="module")
def study(place: Path) -> Study:
    """Returns a study of three trained and described folds."""
    return make_study(place, "study")


@pytest.fixture
def copy(study: Study, tmp_path: Path) -> Study:
    """Returns a copy of the study that a test may damage."""
    return dataclasses.replace(study, folder=shutil.copytree(study.folder, tmp_path / "study"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs each test in a folder of its own: without --out, files are written into the current one."""
    monkeypatch.chdir(tmp_path)


def run(place: Path, *arguments: object) -> int:
    """Runs the command with the place's frame cache and returns its exit status."""
    return main([*map(str, arguments), "--cache", str(place / "cache")])


def predicted(place: Path, out: Path, *arguments: object) -> dict[str, Any]:
    """Runs the command and returns the JSON that it wrote."""
    assert run(place, *arguments, "--out", out) == 0
    document: dict[str, Any] = json.loads(out.read_text())
    return document


def sentence_of(errors: str) -> str:
    """Returns an error as it was printed, without the code in brackets after it."""
    sentence, code = errors.removeprefix("error: ").strip().removesuffix("]").rsplit(" [", 1)
    assert "." in code
    return sentence


def refused(place: Path, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Runs the command, which must fail, and returns what it says: nothing but the error."""
    capsys.readouterr()
    assert run(place, *arguments) == 1
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.startswith("error: ")
    return sentence_of(errors)


def results(study: Study) -> list[FoldResult]:
    """Returns what each fold of the first trial left."""
    config = SearchOptions(epochs=1, frames=2, settings=SETTINGS, backbone="clip").reference()
    return [FoldResult.load(study.folder / "folds" / key) for key in study.keys(config)]


def by_unit(entries: list[dict[str, Any]], *names: str) -> dict[tuple[Any, ...], list[float]]:
    """Returns {unit: probabilities} of a JSON's windows, videos or subjects, in the order of the cohort's classes."""
    return {tuple(e[n] for n in names): [e["probabilities"][name] for name in CLASSES] for e in entries}


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_a_fold_scores_its_held_out_videos_as_in_training(study: Study, place: Path, tmp_path: Path, fold: int) -> None:
    """The command on a fold's held-out videos gives the probabilities that the fold's training stored."""
    stored = results(study)[fold].predictions
    manifest = place / "videos" / f"held-out-{fold}.csv"
    manifest.write_text(
        "".join(["subject,video\n", *(f"{s},{v}\n" for s, v in stored.select("subject", "video").unique().rows())])
    )

    found = predicted(place, tmp_path / "p.json", study.folder, "--manifest", manifest, "--fold", fold)

    for level, names in {"window": ["video", "window"], "video": ["video"], "subject": ["subject"]}.items():
        expected = at_level(stored, level)
        got = by_unit(found[f"{level}s"], *names)
        assert len(got) == len(expected) > 0
        for row in expected.iter_rows(named=True):
            assert got[tuple(row[n] for n in names)] == pytest.approx(row["probabilities"], abs=1e-6)
    assert len(stored) == 4 * stored["subject"].n_unique()  # two videos of two windows each


def test_the_ensemble_is_the_mean_of_its_folds(study: Study, place: Path, tmp_path: Path) -> None:
    """At each level, the probabilities of all folds together are the mean of those that --fold K gives."""
    manifest = place / "videos" / "cohort.csv"
    together = predicted(place, tmp_path / "all.json", study.folder, "--manifest", manifest)
    alone = [
        predicted(place, tmp_path / f"{k}.json", study.folder, "--manifest", manifest, "--fold", k) for k in range(3)
    ]

    assert together["folds"] == [0, 1, 2]
    assert [a["folds"] for a in alone] == [[0], [1], [2]]
    for level, names, count in [
        ("windows", ("video", "window"), 40),
        ("videos", ("video",), 20),
        ("subjects", ("subject",), 10),
    ]:
        mean = by_unit(together[level], *names)
        parts = [by_unit(a[level], *names) for a in alone]
        assert len(mean) == count
        for unit, probabilities in mean.items():
            assert probabilities == pytest.approx(np.mean([p[unit] for p in parts], axis=0).tolist(), abs=1e-9)
        assert np.ptp([p[next(iter(mean))][0] for p in parts]) > 1e-4  # the folds are not all the same


def test_a_class_is_the_most_probable_one_and_agreement_counts_the_folds(
    study: Study, place: Path, tmp_path: Path
) -> None:
    """The class of each unit is the argmax of the mean; folds_agreeing counts the folds with that argmax."""
    found = predicted(place, tmp_path / "p.json", study.folder, "--manifest", place / "videos" / "cohort.csv")

    for entry in [*found["windows"], *found["videos"], *found["subjects"]]:
        assert entry["class"] == max(entry["probabilities"], key=entry["probabilities"].get)
        own = [max(f["probabilities"], key=f["probabilities"].get) for f in entry["by_fold"]]
        assert entry["folds_agreeing"] == own.count(entry["class"])


def test_predictions_have_the_labels_of_the_cohort(study: Study, place: Path, tmp_path: Path) -> None:
    """A class in words comes with the value that the label column has, by which predictions join with the table."""
    manifest = place / "videos" / "cohort.csv"
    found = predicted(place, tmp_path / "p.json", study.folder, "--manifest", manifest)
    assert run(place, study.folder, "--manifest", manifest, "--out", tmp_path / "p.csv") == 0

    entries = [*found["subjects"], *found["videos"], *found["windows"]]
    value = {"healthy": "healthy", "Alzheimer's disease": "AD"}
    assert {e["label_value"] for e in entries} <= set(value.values())
    assert all(e["label_value"] == value[e["class"]] for e in entries)
    rows = csv.DictReader((tmp_path / "p.csv").open(encoding="utf-8"))
    assert [r["label_value"] for r in rows] == [e["label_value"] for e in entries]


def cosines(study: Study, place: Path, fold: int, video: Path) -> np.ndarray:
    """Returns the cosines of a video's windows with a fold's class features, [N, C], from the model of the training."""
    config = SearchOptions(epochs=1, frames=2, settings=SETTINGS, backbone="clip").reference()
    key = study.keys(config)[fold]
    backbone, task = load_backbone(str(place / "clip")), task_from_dict(study.record.task)
    frozen = FrozenFeatures(backbone, task, [p.name for p in study.cohort.parameters])
    cache = place / "cache" / "frames"
    job = FoldJob(cohort=study.cohort, fold=study.splits.folds[fold], frozen=frozen, cache=cache,
                  folder=study.folder / "folds" / key, key=key)  # fmt: skip
    model = prepare(config, job, Workers(), torch.device("cpu")).model.eval()
    model.load_trained(load_weights(job.folder / "model.safetensors"))
    cached = ingest(video, sha256=file_sha256(video), box=None, size=frozen.backbone.image_size, folder=cache)
    frames = torch.from_numpy(np.array(open_cached(cache, cached.name))).movedim(3, 1)
    windows = torch.stack(
        [frames[[6, 18]], frames[[30, 42]], frames[[42, 54]]]
    )  # 60 frames; the last window ends with them
    with torch.inference_mode():
        features = torch.nn.functional.normalize(model.encode(windows).video, dim=-1)
        return (features @ model.class_features().T).numpy()


def test_the_description_is_the_class_sentence_of_the_most_similar_fold(
    study: Study, place: Path, tmp_path: Path
) -> None:
    """The nearest description is the predicted class's, of the fold with the highest cosine among those whose words hold."""
    video = predicted(place, tmp_path / "all.json", study.folder, place / "new.mp4")["videos"][0]

    label = study.cohort.classes.index(video["class"])
    expected = [cosines(study, place, fold, place / "new.mp4")[:, label].mean() for fold in range(3)]
    near = video["description"]
    holding = [fold for fold in range(3) if holds(results(study)[fold], video["class"])]
    assert near["fold"] == max(holding, key=lambda fold: expected[fold])
    assert near["cosine"] == pytest.approx(expected[near["fold"]], abs=1e-5)
    assert near["label"] == video["class"]
    assert near["sentence"] == {d.label: d.sentence for d in results(study)[near["fold"]].decoded}[video["class"]]
    assert " is " in near["sentence"]


def test_words_that_do_not_hold_are_not_shown(
    study: Study, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A class without words that hold has a sentence that says why, in place of the nearest description."""
    copy = tmp_path / "study"
    shutil.copytree(study.folder, copy)
    reason = "2 of its training subjects have numbers"
    for result in results(study):
        assert result.descriptions is not None
        classes = tuple(ClassDescription(label=c.label, refusal=reason) for c in result.descriptions.classes)
        descriptions = dataclasses.replace(result.descriptions, classes=classes)
        dataclasses.replace(result, descriptions=descriptions).save_about(copy / "folds" / result.key)
    video = predicted(place, tmp_path / "p.json", copy, place / "new.mp4")["videos"][0]
    assert video["description"] is None
    assert f"{place / 'new.mp4'}: no description of {video['class']}: {reason}" in capsys.readouterr().out.splitlines()


def test_a_videos_own_parameters_are_estimates_with_their_error(
    study: Study, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Estimates are of parameters that a fold reads better than the median, apart from measured values, with their error."""
    video = predicted(place, tmp_path / "p.json", study.folder, place / "new.mp4")["videos"][0]
    skills = [s for r in results(study) if r.descriptions is not None for s in r.descriptions.video]
    assert {s.parameter for s in skills} == {"walking speed", "cadence", "left stride length", "left swing"}
    expected = {s.parameter for s in skills if s.skill > 0}
    assert {e["parameter"] for e in video["estimated_not_measured"]} == expected
    for e in video["estimated_not_measured"]:
        errors = [s.error for s in skills if s.parameter == e["parameter"] and s.skill > 0]
        assert e["error"] == pytest.approx(np.mean(errors))
        assert np.isfinite(e["value"])
        assert e["folds"] == len(errors)
    said = f"{place / 'new.mp4'}: estimated from the video, not measured"
    assert any(line.startswith(said) for line in capsys.readouterr().out.splitlines()) == bool(expected)


def test_no_number_of_the_pseudonymised_words_is_one_subjects(study: Study, tmp_path: Path) -> None:
    """Page, results.json and model card of a copy for others say no value of a description that one subject or video has."""
    copy = tmp_path / "study"
    shutil.copytree(study.folder, copy)
    write_report(copy, share=True, pdf=False)
    words = json.loads((copy / "shared" / "results.json").read_text(encoding="utf-8"))["words"]
    classes = [c for c in words["classes"] if c["evidence"]["folds"]]
    assert classes
    assert all(c["evidence"]["largest"] <= 1 / words["least_subjects"] + 1e-9 for c in classes)
    for parameter in study.cohort.parameters:
        said = [v[name] for c in classes for s in c["sentences"] for v in s["values"] for name in LIMITS
                if v["parameter"] == parameter.name]  # fmt: skip
        said += [d[name] for c in classes for d in c["evidence"]["differences"] for name in ("value", "pooled")
                 if d["parameter"] == parameter.name]  # fmt: skip
        videos = study.cohort.videos.select("subject", value=pl.col(parameter.key).cast(pl.Float64))
        own = videos["value"].to_list() + videos.group_by("subject").mean()["value"].to_list()
        assert not np.isclose(np.array(said)[:, None], np.array(own), rtol=1e-6, atol=0).any()
    page = (copy / "shared" / "report.html").read_text(encoding="utf-8")
    assert "never more than 1/3" in page


def test_what_is_given_away_knows_which_words_hold(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exported fold has the refusals and where queries look, so that the same words hold, and no value or control.

    Where five people of a class are asked for, these folds of three or four give no words.
    """
    ensemble = open_ensemble(study.folder)
    assert not any(c.holds for f in exported_folds(ensemble) if f.descriptions for c in f.descriptions.classes)
    monkeypatch.setattr(exported_module, "FEWEST_MEASURED", 3)
    for fold, exported in enumerate(exported_folds(ensemble)):
        theirs, ours = exported.descriptions, ensemble.result(fold).descriptions
        assert theirs is not None
        assert ours is not None
        assert [(c.label, c.holds) for c in theirs.classes] == [(c.label, c.holds) for c in ours.classes]
        assert all(not c.values and not c.controls for c in theirs.classes)
        assert not theirs.training


LIMITS = ("value", "low", "median", "high")


def test_the_csv_holds_the_mean_of_every_unit(study: Study, place: Path, tmp_path: Path) -> None:
    """The CSV has one row per subject, video and window, with the JSON's numbers and the description."""
    manifest = place / "videos" / "cohort.csv"
    document = predicted(place, tmp_path / "p.json", study.folder, "--manifest", manifest)
    assert run(place, study.folder, "--manifest", manifest, "--out", tmp_path / "p.csv") == 0

    rows = list(csv.DictReader((tmp_path / "p.csv").open(encoding="utf-8")))
    assert [r["level"] for r in rows] == ["subject"] * 10 + ["video"] * 20 + ["window"] * 40
    entries = [*document["subjects"], *document["videos"], *document["windows"]]
    for row, entry in zip(rows, entries, strict=True):
        assert row["subject"] == entry["subject"]
        assert row["video"] == entry.get("video", "")
        assert row["window"] == str(entry.get("window", ""))
        assert row["class"] == entry["class"]
        for name, value in entry["probabilities"].items():
            assert float(row[f"probability of {name}"]) == pytest.approx(value, abs=1e-9)
        assert row["folds_agreeing"] == str(entry["folds_agreeing"])
        assert row["folds"] == "3"
        assert row["description"] == (entry["description"] or {"sentence": ""})["sentence"]
    assert [float(r["seconds"]) for r in rows[-2:]] == [0.0, 0.7]


def test_the_json_says_what_made_it(study: Study, place: Path, tmp_path: Path) -> None:
    """The JSON names the study, the trial, the folds' keys, the backbone and the research-use notice."""
    document = predicted(place, tmp_path / "p.json", study.folder, place / "new.mp4", "--fold", 2)

    assert document["notice"] == NOTICE
    assert document["study"] == "study"
    assert document["trial"] == 0
    assert document["folds"] == [2]
    assert document["fold_keys"] == [results(study)[2].key]
    assert document["backbone"]["sha256"] == load_backbone(str(place / "clip")).sha256
    assert document["classes"] == list(CLASSES) == list(study.cohort.classes)
    assert document["subjects"] == []
    assert document["videos"][0]["sha256"] == file_sha256(place / "new.mp4")
    assert [w["window"] for w in document["windows"]] == [0, 24, 36]
    assert sum(document["videos"][0]["probabilities"].values()) == pytest.approx(1)


def test_the_table_shows_class_probabilities_description_and_notice(
    study: Study, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints a row per video, its description, and last of all that this is not a medical device."""
    document = predicted(place, tmp_path / "p.json", study.folder, place / "new.mp4")

    lines = capsys.readouterr().out.splitlines()
    video = document["videos"][0]
    chosen = "study study, 3 folds of trial 0, chosen by its subject/macro_f1 of 0.500 over 10 held-out subjects"
    assert chosen in lines
    [header] = [line for line in lines if line.startswith("video ")]
    assert header.split("  ")[0] == "video"
    assert "folds that agree" in header
    [row] = [line for line in lines if line.startswith(f"{place / 'new.mp4'}  ")]
    assert video["class"] in row
    assert f"{video['folds_agreeing']} of 3" in row
    assert row.split()[-2:] == [f"{video['probabilities'][name]:.3f}" for name in CLASSES]
    assert any(line.endswith(f": {video['description']['sentence']}") for line in lines)
    assert (
        "note: descriptions are what the folds' models learned of the class; nothing in them was measured in the video"
        in lines
    )
    assert lines[-2:] == [f"warning: {NOTICE}", f"written: {tmp_path / 'p.json'}"]


def test_without_out_both_files_get_the_next_free_number(study: Study, place: Path, tmp_path: Path) -> None:
    """Two runs write predictions-1 and predictions-2 as JSON and CSV into the current folder, and nothing is replaced."""
    assert run(place, study.folder, place / "new.mp4", "--fold", 0) == 0
    first = (tmp_path / "predictions-1.json").read_bytes()
    assert run(place, study.folder, place / "new.mp4", "--fold", 1) == 0

    names = [f"predictions-{n}.{kind}" for n in (1, 2) for kind in ("csv", "json")]
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    assert (tmp_path / "predictions-1.json").read_bytes() == first


def test_it_runs_as_a_module_from_any_folder(study: Study, place: Path, tmp_path: Path) -> None:
    """`python -m platform.predict` in a fresh process, in the folder of the videos, writes the files there."""
    shutil.copy(place / "new.mp4", tmp_path / "walk.mp4")
    command = [sys.executable, "-m", "platform.predict", str(study.folder), "walk.mp4", "--cache", str(place / "cache")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert json.loads((tmp_path / "predictions-1.json").read_text())["videos"][0]["video"] == "walk.mp4"


def test_a_video_of_the_study_is_named_with_the_folds_that_saw_its_subject(
    study: Study, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A renamed copy of a cohort video is recognised by its contents; the fold that held its subject out is named."""
    shutil.copy(place / "videos" / "S3_1.mp4", tmp_path / "renamed.mp4")
    [out] = [f.index for f in study.splits.folds if "S3" in f.test]
    a, b = (f for f in range(3) if f != out)
    name = str(tmp_path / "renamed.mp4")

    together = predicted(place, tmp_path / "p.json", study.folder, name)
    expected = f"warning: {name} is in the study's cohort (subject S3): folds {a} and {b} were trained on this subject; --fold {out} held this subject out"
    assert expected in capsys.readouterr().out.splitlines()
    assert together["in_study"] == [
        {"video": name, "subject": "S3", "same_file": True, "trained": [a, b], "held_out": [out]}
    ]
    predicted(place, tmp_path / "q.json", study.folder, name, "--fold", out)
    assert f"note: {name} is in the study's cohort (subject S3), whom this fold held out" in capsys.readouterr().out


def test_a_new_video_of_a_subject_of_the_study_is_named_too(
    study: Study, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A manifest's subject with the name of one of the cohort's is pointed out; one with another name is not."""
    shutil.copy(place / "new.mp4", tmp_path / "a.mp4")
    write_video(tmp_path / "b.mp4", frames=45, seed=778)
    (tmp_path / "new.csv").write_text("subject,video\nS0,a.mp4\nZ9,b.mp4\n")
    predicted(place, tmp_path / "p.json", study.folder, "--manifest", tmp_path / "new.csv")

    out = capsys.readouterr().out
    assert "warning: a.mp4 is of subject S0, and the study's cohort has a subject of that name: folds " in out
    assert "b.mp4 is " not in out


def test_a_box_and_a_frame_rate_of_the_manifest_are_used(study: Study, place: Path, tmp_path: Path) -> None:
    """A box changes what the model sees; fps replaces the file's own, so that half the rate gives twice the frames."""
    for name in "abc":
        write_video(tmp_path / f"{name}.mp4", frames=48, seed=3, options={"g": str(10 + ord(name))})
    (tmp_path / "m.csv").write_text(
        "subject,video,box_left,box_top,box_right,box_bottom,fps,note\nP,a.mp4,,,,,,x\nP,b.mp4,10,5,40,40,,y\nP,c.mp4,,,,,15,z\n"
    )
    found = predicted(place, tmp_path / "p.json", study.folder, "--manifest", tmp_path / "m.csv", "--fold", 0)

    windows = {v: [w for w in found["windows"] if w["video"] == v] for v in ("a.mp4", "b.mp4", "c.mp4")}
    assert [len(w) for w in windows.values()] == [2, 2, 4]
    plain, boxed = (windows[v][0]["probabilities"]["healthy"] for v in ("a.mp4", "b.mp4"))
    assert abs(plain - boxed) > 1e-4
    videos = by_unit(found["videos"], "video")
    assert by_unit(found["subjects"], "subject")["P",] == pytest.approx(np.mean(list(videos.values()), 0).tolist())


@pytest.mark.parametrize("settings", [{"numbers": False}, {"model": "vita_clip"}], ids=["no numbers", "vita_clip"])
def test_a_fold_trained_without_numbers_scores_as_in_training(
    place: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    """Folds whose cohort has no numbers, and the plain baseline, load too; they have no words for their classes."""
    name = "plain-" + "-".join(map(str, settings))
    study = make_study(place, name, folds=2, **settings)
    [trial] = read_trials(study.folder, study.record.name)
    stored = FoldResult.load(study.folder / "folds" / trial.folds[0]).predictions
    videos = [place / "videos" / v for v in stored["video"].unique(maintain_order=True)]
    found = predicted(place, tmp_path / "p.json", study.folder, *videos, "--fold", 0)

    got = by_unit(found["windows"], "video", "window")
    assert len(got) == len(stored) > 0
    for row in stored.iter_rows(named=True):
        assert got[str(place / "videos" / row["video"]), row["window"]] == pytest.approx(row["probabilities"], abs=1e-6)
    assert all(v["description"] is None for v in found["videos"])


def test_wrong_folds_and_studies_are_refused(
    study: Study, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fold out of range and a folder that is not a study end in one sentence."""
    new = place / "new.mp4"
    for fold in (3, -1):
        said = refused(place, capsys, study.folder, new, "--fold", fold)
        assert said == f"fold {fold} asked for, but the study has 3 folds (0-2)"
    assert (
        refused(place, capsys, tmp_path, new) == f"{tmp_path / 'study.json'} is missing: is {tmp_path} a study folder?"
    )


def test_a_study_without_a_complete_trial_is_refused(
    copy: Study, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A search that has no complete trial yet has no model to predict with."""
    (copy.folder / "study.db").unlink()
    said = refused(place, capsys, copy.folder, place / "new.mp4")
    assert said == f"{copy.folder} has no trial yet that is complete on all 3 folds; finish its search first"


def test_a_chosen_baseline_is_refused(copy: Study, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A baseline that was chosen keeps no weights, and the command says so."""
    config = {"model": "linear_probe"}
    record_trial(copy, config, ["x", "y", "z"], value=0.9)
    said = refused(place, capsys, copy.folder, place / "new.mp4")
    assert said == (
        "the chosen trial 1 is the baseline 'linear_probe', which keeps no weights; "
        "predict from a study whose chosen trial is a video CLIP"
    )


@pytest.mark.parametrize("model", ["untrained", "frozen_motion"])
def test_a_model_that_takes_no_step_predicts(model: str, place: Path, tmp_path: Path) -> None:
    """Baselines that are a video CLIP have weights like any other, and predict as they were scored."""
    study = make_study(place, f"study-{model}", folds=2, model=model)
    [video] = predicted(place, tmp_path / "p.json", study.folder, place / "new.mp4")["videos"]
    assert sum(video["probabilities"].values()) == pytest.approx(1)


def test_videos_that_cannot_be_read_are_named(
    study: Study, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing, unreadable, repeated and too short videos each get a sentence, several of them at once."""
    new, text, copy = place / "new.mp4", tmp_path / "text.mp4", tmp_path / "copy.mp4"
    text.write_text("no video")
    shutil.copy(new, copy)
    missing = f"there is no file 'cpy.mp4' in {tmp_path}; did you mean 'copy.mp4'?"
    unreadable = "'text.mp4' cannot be read as a video; export it again, as MP4 with H.264"
    assert refused(place, capsys, study.folder, tmp_path / "cpy.mp4") == missing
    assert refused(place, capsys, study.folder, text) == unreadable
    repeated = f"'{copy}' is the same video as '{new}'; give it once"
    assert refused(place, capsys, study.folder, new, copy) == repeated
    said = refused(place, capsys, study.folder, new, text, copy)
    assert said == f"the list of videos has 2 problems:\n  - {unreadable}\n  - {repeated}"


def test_a_video_shorter_than_a_window_allows_is_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], copy: Study
) -> None:
    """A video that gives no window under the study's settings is named with its length and what is needed."""
    write_video(tmp_path / "short.mp4", frames=22, seed=5)
    [trial] = read_trials(copy.folder, copy.record.name)
    record_trial(copy, trial.config | {"video.min_tail": 23}, list(trial.folds), value=0.9)
    assert run(place, copy.folder, tmp_path / "short.mp4", "--out", tmp_path / "p.json") == 1
    assert not (tmp_path / "p.json").exists()
    short = tmp_path / "short.mp4"
    assert (
        f"the list of videos has 1 problem:\n  - {short} has 22 frames at 30 frames/s; 23 at least"
        in capsys.readouterr().err
    )


def test_a_manifest_with_problems_is_refused(
    study: Study, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing column, an empty subject, a box outside the frame and a repeated video are listed with their rows."""
    manifest = tmp_path / "m.csv"
    manifest.write_text("patient,video\nP,a.mp4\n")
    said = refused(place, capsys, study.folder, "--manifest", manifest)
    assert said == f"{manifest} has 1 problem:\n  - there is no column 'subject'; it has patient, video; rename one"
    shutil.copy(place / "new.mp4", tmp_path / "a.mp4")
    shutil.copy(place / "new.mp4", tmp_path / "b.mp4")
    manifest.write_text(
        "subject,video,box_left,box_top,box_right,box_bottom\n,a.mp4,0,0,65,48\nP,b.mp4,,,,\nP,cc.mp4,,,,\n"
    )
    assert refused(place, capsys, study.folder, "--manifest", manifest).splitlines()[1:] == [
        "  - row 2, column subject: it is empty; say whose video this is",
        "  - row 2, column box: (0, 0, 65, 48) is not inside the frame of 64 x 48 pixels",
        "  - row 3, column video: it is the same video as row 2; keep one row",
        f"  - row 4, column video: there is no file 'cc.mp4' in {tmp_path}",
    ]


def test_options_that_do_not_fit_are_refused(
    study: Study, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No videos, videos and a manifest, and an --out that cannot be written are refused before anything is computed."""
    new, manifest = place / "new.mp4", place / "videos" / "cohort.csv"
    both = refused(place, capsys, study.folder, new, "--manifest", manifest)
    assert both == "give video files or --manifest FILE; both were given"
    assert refused(place, capsys, study.folder) == "give video files or --manifest FILE; neither was given"
    assert refused(place, capsys, study.folder, new, "--out", "p.txt") == "--out p.txt must end in .json or .csv"
    nowhere = tmp_path / "nowhere" / "p.csv"
    said = refused(place, capsys, study.folder, new, "--out", nowhere)
    assert said == f"--out {nowhere}: there is no folder {nowhere.parent}; make it first"
    said = refused(place, capsys, study.folder, "--manifest", manifest, "--out", manifest)
    assert said == f"--out {manifest} is the manifest itself; choose another file"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(study: Study, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--device cuda on a machine without one is an error, not a silent change to the CPU."""
    said = refused(place, capsys, study.folder, place / "new.mp4", "--device", "cuda")
    assert said == "--device cuda, but no CUDA GPU can be used here; use cpu or auto"


def test_another_backbone_is_refused_and_a_moved_one_is_taken(
    study: Study, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--backbone takes a copy of the study's backbone and refuses one with other weights."""
    new = place / "new.mp4"
    moved = shutil.copytree(place / "clip", tmp_path / "moved")
    here = predicted(place, tmp_path / "a.json", study.folder, new)
    assert predicted(place, tmp_path / "b.json", study.folder, new, "--backbone", moved)["windows"] == here["windows"]
    other = save_tiny_clip(tmp_path / "other", seed=1)
    said = refused(place, capsys, study.folder, new, "--backbone", other)
    a, b = (load_backbone(str(folder)).sha256[:12] for folder in (place / "clip", other))
    assert said == (
        f"the study was trained on another backbone ({a}) than {other} ({b}); give the one it was trained on with --backbone"
    )
    said = refused(place, capsys, study.folder, new, "--backbone", tmp_path / "none")
    assert said.startswith(
        f"the study's backbone cannot be loaded: --backbone {tmp_path / 'none'} is neither 'small' nor"
    )


def test_weights_that_are_not_the_folds_own_are_refused(
    copy: Study, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Damaged weights, another fold's, those of another backbone and changed class texts are each refused."""
    keys = [result.key for result in results(copy)]
    files = [copy.folder / "folds" / key / "model.safetensors" for key in keys]
    weights = load_weights(files[0])

    def said() -> str:
        capsys.readouterr()
        assert run(place, copy.folder, place / "new.mp4", "--fold", 0, "--out", copy.folder / "p.json") == 1
        return sentence_of(capsys.readouterr().err)

    about = {"key": keys[0], "backbone": copy.record.backbone["sha256"]}
    save_weights(files[0], weights | {"prompts.context": -weights["prompts.context"]}, about)
    assert said().startswith(
        "fold 0 no longer computes what it computed in training: the cosines of its class features"
    )
    save_weights(files[0], {k: v for k, v in weights.items() if k != "log_scale"}, about)
    assert said() == f"{files[0]} does not fit the configuration of trial 0"
    save_weights(files[0], weights, about | {"backbone": "0" * 64})
    assert said().startswith("fold 0 was trained on another backbone (000000000000) than ")
    for suffix in ("", ".sha256"):
        shutil.copy(f"{files[1]}{suffix}", f"{files[0]}{suffix}")
    assert said() == f"{files[0]} holds the weights of another fold ({keys[1]}); copy the study again"
    files[0].write_bytes(files[0].read_bytes()[:-1])
    assert said().startswith(f"{files[0]} is damaged")
    (files[0].parent / "result.json").unlink()
    save_weights(files[0], weights, about)
    assert (
        said() == f"fold 0 of trial 0 is not whole in {files[0].parent}; copy the study again, or run its search again"
    )


def test_an_unfinished_simulated_study_of_another_version_says_so(
    copy: Study, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What weakens a prediction stands beside it: an unfinished search, simulated walkers, another version."""
    dataclasses.replace(copy.record, training_version=1).save(copy.folder)
    dataclasses.replace(copy.cohort, simulated=True).save(copy.folder)
    document = predicted(place, tmp_path / "p.json", copy.folder, place / "new.mp4", "--fold", 0)

    notes = [
        "note: the study's models were trained on simulated walkers, not on patients",
        "note: the study's search has not ended; trial 0 is the best so far",
        f"note: the study was computed by version 1 of the trainers, and this is version {TRAINING_VERSION}; its class features "
        "are the same here, whether its video features are was not checked",
    ]
    assert document["simulated"] is True
    cautions = [c for c in document["cautions"][1:-1] if " is unlike the videos " not in c]  # the new video is noise
    assert cautions == notes
    out = capsys.readouterr().out
    assert all(note in out for note in notes)
    dataclasses.replace(copy.record, finished="2026-01-01T00:00:00+00:00").save(copy.folder)
    copy.cohort.save(copy.folder)
    cautions = predicted(place, tmp_path / "q.json", copy.folder, place / "new.mp4", "--fold", 0)["cautions"]
    assert len([c for c in cautions if " is unlike the videos " not in c]) == 2


def test_a_prediction_that_makes_the_cache_closes_it(
    study: Study, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody but the user may look into a cache that a prediction makes first, with either reader."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    write_video(tmp_path / "walk.mp4", frames=45)
    for reader in ("pyav", "decord"):
        assert main([str(study.folder), "walk.mp4", "--reader", reader]) == 0
        frames = tmp_path / "home" / "stridefold" / "frames"
        files = sorted(path for path in frames.rglob("*") if path.is_file())
        assert len(files) == 3, "the frames, what their motion is read from, and where the walker is"
        assert {stat.S_IMODE(path.stat().st_mode) for path in (frames.parent, frames)} == {0o700}
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
        for file in files:
            file.unlink()
