"""A model that is given away predicts as its study does, and holds nothing of the people it was trained on."""

import dataclasses
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from platform.export import main
from platform.exporting import hub_id
from platform.predict import main as predict
from platform.study import Study

import numpy as np
import polars as pl
import pytest
from huggingface_hub import ModelCard
from safetensors.numpy import load_file

from tests.platform.test_predict import make_study
from tests.tiny import save_tiny_clip
from tests.videos import write_video
from trainables.inference.exported import given_words, open_model
from trainables.knowledge.parameters import load_parameters
from trainables.knowledge.tasks import load_task, task_from_dict
from trainables.study.descriptions import ClassDescription, FoldDescriptions
from trainables.study.records import DecodedClass, DecodedValue, FoldResult
from trainables.study.vocabulary import tracker_of
from trainables.training.checkpoint import load_weights
from trainables.training.fold import WEIGHTS

PEOPLE = [f"patient-{n}" for n in (4711, 4712, 4713, 4714, 4715, 4716)]
COLUMNS = ("walking_speed", "cadence", "stride_length_left", "swing_left")


def write_hospital(folder: Path, walks: Sequence[tuple[str, str, int, int]], slower: tuple[float, float]) -> None:
    """Writes a backbone, a new video, and a cohort of one measured video for each (subject, name, seed, 1 if ill).

    Args:
        slower: By how much speed and cadence of the ill are less.
    """
    (folder / "videos").mkdir()
    save_tiny_clip(folder / "clip")
    write_video(folder / "new.mp4", frames=60, seed=777)
    rng = np.random.default_rng(5)
    lines = [f"subject,video,diagnosis,{','.join(COLUMNS)}"]
    for subject, name, seed, ill in walks:
        write_video(folder / "videos" / name, frames=45, seed=seed)
        values = rng.normal([1.2 - slower[0] * ill, 110 - slower[1] * ill, 1.3, 38], [0.1, 6, 0.1, 2])
        lines.append(",".join([subject, name, "AD" if ill else "healthy", *(f"{v:.6f}" for v in values)]))
    (folder / "videos" / "cohort.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a backbone, a new video, and a cohort whose ids, names and numbers are found again anywhere."""
    folder = tmp_path_factory.mktemp("hospital-of-sommerfeld")
    walks = [
        (subject, f"recording_{number}{walk}_of_march.mp4", 10 * number + ord(walk), number % 2)
        for number, subject in enumerate(PEOPLE)
        for walk in "ab"
    ]
    write_hospital(folder, walks, slower=(0.4, 15.0))
    return folder


@pytest.fixture(scope="module")
def study(place: Path) -> Study:
    """Returns a finished study of two described folds."""
    return make_study(place, "studies-of-sommerfeld", folds=2).noted(finished="2026-03-14T11:02:10+00:00")


@pytest.fixture(scope="module")
def model(study: Study, place: Path) -> Path:
    """Returns the folder that the command writes, and the zip beside it."""
    assert main([str(study.folder), str(place / "given" / "gait-model"), "--zip"]) == 0
    return place / "given" / "gait-model"


def test_the_tracker_goes_with_the_model(study: Study, model: Path) -> None:
    """New videos are cut out as those that the model was trained on."""
    assert tracker_of(open_model(model).record.options) == tracker_of(study.record.options) == "motion"


def secrets(study: Study, place: Path) -> dict[str, bytes]:
    """Returns what must not leave the house, by what it is, as bytes: each value in the forms that files hold."""
    found = {f"subject {s}": s.encode() for s in PEOPLE}
    for row in study.cohort.videos.iter_rows(named=True):
        found[f"file name {row['video']}"] = Path(row["video"]).stem.encode()
        found[f"hash of {row['video']}"] = row["sha256"].encode()
        found[f"first digits of the hash of {row['video']}"] = row["sha256"][:16].encode()
        found[f"hash of {row['video']}, raw"] = bytes.fromhex(row["sha256"])
        found[f"cache file of {row['video']}"] = row["cached"].removesuffix(".npy").encode()
        for column in COLUMNS:
            value = row[column]
            for what, form in {"text": f"{value:.4f}"[:6].encode(), "double": struct.pack("<d", value),
                               "float": struct.pack("<f", value), "big": struct.pack(">d", value)}.items():  # fmt: skip
                found[f"{column} of {row['video']} as {what}"] = form
    found |= {f"key of fold {i}": key.encode() for i, key in enumerate(study_keys(study))}
    found["folder"] = place.name.encode()
    found["user's folder"] = str(Path.home()).encode() + b"/"
    found["name of the study"] = study.record.name.encode()
    found["hash of the cohort"] = study.record.cohort_sha256.encode()
    found["hash of the folds"] = study.record.splits_sha256.encode()
    table = (place / "videos" / "cohort.csv").read_bytes()
    found["hash of the table"] = hashlib.sha256(table).hexdigest().encode()
    found["time of the study"] = study.record.started.encode()
    return found


def study_keys(study: Study) -> list[str]:
    return sorted(p.name for p in (study.folder / "folds").iterdir())


def every_byte(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yields the name and the contents of every file, and of every file inside a zip."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        yield path.relative_to(folder).as_posix(), path.read_bytes()
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for entry in archive.infolist():
                    yield f"{path.name}:{entry.filename}", archive.read(entry) + entry.extra + entry.comment


def told(folder: Path, secrets: dict[str, bytes]) -> set[tuple[str, str]]:
    """Returns (what, file) for everything secret that stands in a file or its name."""
    return {
        (what, name)
        for name, contents in every_byte(folder)
        for what, secret in secrets.items()
        if secret.lower() in contents.lower() or secret.lower() in name.lower().encode()
    }


def test_no_byte_tells_of_a_person(study: Study, model: Path, place: Path) -> None:
    """No subject id, path, file name, file hash or measured value is in any file of the folder or the zip; all are in the study."""
    everything = secrets(study, place)
    assert sum(1 for _ in every_byte(model.parent)) > 15
    assert told(model.parent, everything) == set()
    kinds = {what.split(" ")[0] for what, _ in told(study.folder, everything)}
    assert {"subject", "file", "hash", "cache", "key", "folder", "name", "time"} <= kinds  # the test itself finds them
    assert any("as double" in what for what, _ in told(study.folder, everything) | in_parquet(study, everything))


def in_parquet(study: Study, secrets: dict[str, bytes]) -> set[tuple[str, str]]:
    """Returns what is found in the cohort's table without its compression."""
    raw = b"".join(struct.pack("<d", v) for c in COLUMNS for v in study.cohort.videos[c])
    return {(what, "cohort.parquet") for what, secret in secrets.items() if secret in raw}


def test_the_folder_predicts_as_the_study_does(study: Study, model: Path, place: Path, tmp_path: Path, capsys) -> None:
    """Probabilities, folds and sentences are the study's to the last digit, from a copy on a machine without the study."""
    copy = shutil.copytree(model, tmp_path / "elsewhere")
    backbone, cache = ("--backbone", str(place / "clip")), ("--cache", str(tmp_path / "cache"))
    for which, extra in ((study.folder, ()), (copy, backbone)):
        out = tmp_path / f"{Path(which).name}.json"
        assert predict([str(which), str(place / "new.mp4"), "--out", str(out), *extra, *cache]) == 0
    ours, theirs = (json.loads((tmp_path / f"{n}.json").read_text()) for n in (study.folder.name, "elsewhere"))
    for level in ("windows", "videos"):
        assert [e["by_fold"] for e in ours[level]] == [e["by_fold"] for e in theirs[level]]
        assert [e["label_value"] for e in ours[level]] == [e["label_value"] for e in theirs[level]]
    assert [e["description"] for e in theirs["videos"]] == [e["description"] for e in ours["videos"]] == [None]
    assert theirs["in_study"] == []
    said = capsys.readouterr().out
    assert "over 6 held-out subjects" in said
    assert "its study has no words of it" in said  # too few subjects of each class are in each fold


def test_without_its_backbone_the_folder_says_which_it_needs(study: Study, model: Path, place: Path, capsys) -> None:
    """A backbone from a folder has no hub id: the error names its hash, and another backbone is refused by it."""
    capsys.readouterr()
    assert predict([str(model), str(place / "new.mp4")]) == 1
    assert study.record.backbone["sha256"] in capsys.readouterr().err
    assert predict([str(model), str(place / "new.mp4"), "--backbone", "small"]) == 1
    assert "[model.other_backbone]" in capsys.readouterr().err


def test_what_the_folder_holds(study: Study, model: Path) -> None:
    """Weights, task and parameters are the study's; the scale is rounded, and given for parameters of five subjects at least."""
    opened = open_model(model)
    assert task_from_dict(study.record.task) == load_task(str(model / "task.toml"))
    assert [p.key for p in load_parameters(model / "parameters.toml")] == list(COLUMNS)
    mirrors = {
        p.key: p.mirror if p.mirror in COLUMNS else None for p in study.cohort.parameters
    }  # no mirror that is not there
    assert [p.recorded() for p in load_parameters(model / "parameters.toml")] == [
        dataclasses.replace(p, mirror=mirrors[p.key]) for p in study.cohort.parameters
    ]
    for number, fold in enumerate(opened.folds):
        theirs = load_weights(opened.fold_folder(fold) / WEIGHTS)
        ours = load_file(study.folder / "folds" / fold_key(study, number) / WEIGHTS)
        assert theirs.keys() == ours.keys()
        assert all(np.array_equal(theirs[name].numpy(), ours[name]) for name in ours)
    record = json.loads((model / "model.json").read_text())
    assert record["estimate"]["kind"] == "selection"
    assert all(d["values"] == [] for fold in record["folds"] for d in fold["decoded"])
    assert all(
        fold["scaling"] == [] for fold in record["folds"]
    )  # three healthy subjects are too few for a mean to be nobody's


def fold_key(study: Study, fold: int) -> str:
    from trainables.study.leaderboard import read_trials

    return read_trials(study.folder, study.record.name)[0].folds[fold]


def test_scales_of_enough_subjects_have_two_digits(place: Path, tmp_path: Path) -> None:
    """A scale whose largest deviation is one person's is given with two digits, of enough people."""
    from trainables.inference.ensemble import open_ensemble
    from trainables.inference.exported import scaling

    opened = open_ensemble(place / "studies-of-sommerfeld")
    whole = dataclasses.replace(opened.splits.folds[0], train=tuple(PEOPLE), test=())
    task = opened.record.task | {"healthy": None}
    everyone = dataclasses.replace(
        opened,
        splits=dataclasses.replace(opened.splits, folds=(whole,)),
        record=dataclasses.replace(opened.record, task=task),
    )
    found = {s.key: s for s in scaling(everyone, 0)}
    assert set(found) == set(COLUMNS)
    means = opened.cohort.videos.group_by("subject").agg("cadence").select("cadence").to_series().list.mean()
    assert found["cadence"].centre == float(f"{means.mean():.2g}")
    assert all(s.unit_per_v == float(f"{s.unit_per_v:.2g}") for s in found.values())


def test_words_of_few_people_stay_in_the_house(study: Study, place: Path, tmp_path: Path, capsys) -> None:
    """A fold whose words repeat a patient's numbers gives none of them away where three people of a class were measured."""
    folder = shutil.copytree(study.folder, tmp_path / "studies" / study.folder.name)
    patient = study.cohort.videos.row(0, named=True)
    for fold in (0, 1):
        result = FoldResult.load(folder / "folds" / fold_key(study, fold))
        classes = tuple(ClassDescription(label=label) for label in study.cohort.classes)
        words = [
            words_of(label, walking_speed=patient["walking_speed"], cadence=patient["cadence"])
            for label in study.cohort.classes
        ]
        described = FoldDescriptions(classes=classes, training=(), held_out=())
        dataclasses.replace(result, decoded=tuple(words), descriptions=described).save(folder / "folds" / result.key)
    assert FoldResult.load(folder / "folds" / fold_key(study, 0)).decoded == tuple(words)
    assert main([str(folder), str(tmp_path / "model")]) == 0
    assert not [what for what, _ in told(tmp_path / "model", secrets(study, place)) if "cadence of" in what]
    assert all(fold["decoded"] == [] for fold in json.loads((tmp_path / "model" / "model.json").read_text())["folds"])
    assert "Decoded, fold" not in (tmp_path / "model" / "README.md").read_text()
    where = ("--backbone", str(place / "clip"), "--cache", str(tmp_path / "cache"))
    capsys.readouterr()
    assert predict([str(tmp_path / "model"), str(place / "new.mp4"), "--out", str(tmp_path / "p.json"), *where]) == 0
    assert "too few people of this class were measured for its words to be given away" in capsys.readouterr().out


def test_words_name_what_five_people_were_measured_in(study: Study) -> None:
    """Of a class of six, the value of a parameter that four of them have is left out, the others stand with two digits."""
    rows = study.cohort.videos.with_columns(pl.lit(1).alias("label"))
    people = rows["subject"].unique().sort()
    measured = pl.col("subject").is_in(people[:4].to_list())
    sparse = dataclasses.replace(
        study.cohort, videos=rows.with_columns(pl.when(measured).then("walking_speed").alias("walking_speed"))
    )
    label = sparse.classes[1]
    given = given_words(words_of(label, walking_speed=1.234567, cadence=98.7654), sparse, sparse.videos)
    assert given == DecodedClass(label=label, sentence="cadence is 99 steps/min", values=())
    assert given_words(words_of(label, walking_speed=1.234567), sparse, sparse.videos) is None
    fifth = dataclasses.replace(
        study.cohort,
        videos=rows.with_columns(
            pl.when(pl.col("subject").is_in(people[:5].to_list())).then("walking_speed").alias("walking_speed")
        ),
    )
    assert given_words(words_of(label, walking_speed=1.234567), fifth, fifth.videos) is not None


def words_of(label: str, **values: float) -> DecodedClass:
    """Returns a class's words with a value for each parameter's key."""
    about = {p.key: p for p in load_parameters()}
    decoded = tuple(
        DecodedValue(parameter=about[key].name, unit=about[key].unit, value=value, low=value, median=value, high=value)
        for key, value in values.items()
    )
    return DecodedClass(
        label=label, sentence=", ".join(f"{v.parameter} is {v.value:.4f} {v.unit}" for v in decoded), values=decoded
    )


def test_the_card_is_the_hubs(model: Path) -> None:
    """README.md is a model card that the hub's library reads, validates without a network as far as it can, and that says how to use it."""
    card = ModelCard.load(model / "README.md")
    assert card.data.library_name == "stridefold"
    assert card.data.model_name == "gait-model"
    assert card.data.eval_results
    assert "python -m platform.predict MODEL_FOLDER VIDEO" in card.text
    assert "sha256" in card.text


def test_the_zip_is_the_folder(model: Path, tmp_path: Path) -> None:
    """It unpacks into the same files, and the same model packs into the same bytes."""
    with zipfile.ZipFile(model.with_name("gait-model.zip")) as archive:
        archive.extractall(tmp_path)
    unpacked = dict(every_byte(tmp_path / "gait-model"))
    assert unpacked == dict(every_byte(model))


def test_a_zip_alone(study: Study, tmp_path: Path, capsys) -> None:
    """DEST.zip writes the zip and no folder; predict says that it is to be unpacked."""
    assert main([str(study.folder), str(tmp_path / "m.zip")]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.zip"]
    said = capsys.readouterr().out.splitlines()[-1].removeprefix("next: ")
    assert predict([str(tmp_path / "m.zip"), "x.mp4"]) == 1
    assert "[model.packed]" in capsys.readouterr().err
    subprocess.run(said, shell=True, check=True)
    assert (tmp_path / "m" / "model.json").exists()


def test_what_cannot_be_exported(study: Study, place: Path, tmp_path: Path, capsys) -> None:
    """A folder with something in it, a wrong hub id, no study, and a search that has not ended are one sentence each."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    unfinished = shutil.copytree(study.folder, tmp_path / "unfinished")
    dataclasses.replace(study.record, finished=None).save(unfinished)
    for arguments, said in (
        ((study.folder, tmp_path / "full"), "exists already"),
        ((study.folder, tmp_path / "a", "--backbone-id", "clip"), "is not a hub id"),
        ((tmp_path / "none", tmp_path / "a"), "none"),
        ((unfinished, tmp_path / "a"), "has not ended"),
    ):
        assert main([str(a) for a in arguments]) == 1
        assert said in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize(
    ("name", "given", "found"),
    [
        ("small", "", "small"),
        ("openai/clip-vit-base-patch16", "", "openai/clip-vit-base-patch16"),
        ("/home/anna/clip", "", ""),
        ("/home/anna/clip", "openai/clip-vit-base-patch16", "openai/clip-vit-base-patch16"),
        ("/home/anna/.cache/huggingface/hub/models--openai--clip-vit-base-patch16/snapshots/57c21/", "",
         "openai/clip-vit-base-patch16"),
    ],
)  # fmt: skip
def test_the_hub_id_of_a_backbone(name: str, given: str, found: str) -> None:
    """A folder's name stays at home; the cache of the hub's library says which model it holds."""
    assert hub_id(name, given) == found


class Hub(BaseHTTPRequestHandler):
    """A hub that takes what is uploaded to it."""

    taken: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.taken.append((self.path, body))
        address = f"http://127.0.0.1:{self.server.server_port}/anna/gait"
        if "/preupload/" in self.path:
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]
            ]
            answer = {"files": files}
        elif "/commit/" in self.path:
            answer = {"commitUrl": f"{address}/commit/{'0' * 40}", "commitOid": "0" * 40, "success": True}
        else:
            answer = {"url": address, "name": "anna/gait", "id": "1"}
        self._send(answer)

    def do_GET(self) -> None:
        self._send({"id": "anna/gait", "sha": "0" * 40, "siblings": [], "private": True})

    def _send(self, answer: dict) -> None:
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


def pushed(study: Study, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command with --push-to-hub in a process of its own: the library reads its settings when it is imported."""
    settings = os.environ | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"} | environment
    command = [
        sys.executable,
        "-m",
        "platform.export",
        str(study.folder),
        str(tmp_path / "m"),
        "--push-to-hub",
        "anna/gait",
    ]
    return subprocess.run(
        command, capture_output=True, text=True, env=settings, timeout=120, cwd=Path(__file__).parents[2]
    )


def test_an_upload(study: Study, tmp_path: Path) -> None:
    """The hub gets every file of the folder, in a repository that is private."""
    handler = type("TakingHub", (Hub,), {"taken": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        done = pushed(study, tmp_path, HF_HUB_OFFLINE="0", HF_TOKEN="hf_x", HF_HUB_DISABLE_XET="1",
                      HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}")  # fmt: skip
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert done.returncode == 0, done.stderr
    assert "uploaded: " in done.stdout
    created = next(json.loads(body) for path, body in handler.taken if path.endswith("/repos/create"))
    assert created.get("private") is True or created.get("visibility") == "private"  # versions of the library differ
    commit = next(body for path, body in handler.taken if "/commit/" in path)
    sent = {line["value"]["path"] for line in map(json.loads, commit.splitlines()) if line["key"] == "file"}
    assert sent == {p.relative_to(tmp_path / "m").as_posix() for p in (tmp_path / "m").rglob("*") if p.is_file()}


def test_an_upload_without_a_network(study: Study, tmp_path: Path) -> None:
    """Offline, the folder is there and one sentence says how to upload it later."""
    done = pushed(study, tmp_path, HF_HUB_OFFLINE="1", HF_TOKEN="hf_x")
    assert done.returncode == 1
    assert (tmp_path / "m" / "model.json").exists()
    assert done.stderr.startswith("error: --push-to-hub anna/gait: the hub did not take the model")
    assert "Traceback" not in done.stderr


def test_an_upload_without_a_token(study: Study, tmp_path: Path) -> None:
    """One sentence says what is lacking; nothing is written, and the hub is not even asked."""
    handler = type("TakingHub", (Hub,), {"taken": []})
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), handler
    )  # it takes no connection: one that is made would wait forever
    try:
        done = pushed(
            study, tmp_path, HF_HUB_OFFLINE="0", HF_TOKEN="", HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}"
        )
    finally:
        server.server_close()
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: --push-to-hub anna/gait needs a token of the Hugging Face hub")
    assert line.endswith("[export.no_token]")
    assert not (tmp_path / "m").exists()
    assert handler.taken == []
