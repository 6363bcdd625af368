"""Every byte of a model that is given away with all that it can hold: nothing of one person is in it, and damage is noticed."""

import dataclasses
import hashlib
import itertools
import json
import pickle
import re
import shutil
import socket
import struct
import urllib.parse
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from platform.export import main
from platform.predict import main as predict
from platform.study import Study

import polars as pl
import pytest
from safetensors import safe_open

from tests.platform.test_export import COLUMNS, every_byte, study_keys, told, words_of, write_hospital
from tests.platform.test_predict import make_study
from trainables.data.cache_folder import open_frames
from trainables.inference.checksums import NAME, write_checksums
from trainables.inference.ensemble import open_ensemble
from trainables.inference.likeness import video_feature
from trainables.knowledge.parameters import load_parameters
from trainables.model.backbone import load_backbone
from trainables.model.scaling import Scaler
from trainables.study.descriptions import Attention, ClassDescription, FoldDescriptions
from trainables.study.records import Attribute, FoldResult
from trainables.training.fold import WEIGHTS
from trainables.training.job import parameter_values

PEOPLE = [f"{'Jördis Ø' if n % 5 else 'patient'}-{4700 + n}" for n in range(20)]
SITES = ("Klinik Sommerfeld", "Spital Hinterwald")
FINISHED = "2026-03-14T11:02:10+00:00"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a backbone, a new video, and a cohort of ten people a class, all of them measured."""
    folder = tmp_path_factory.mktemp("hospital-of-sommerfeld")
    walks = [(subject, f"recording_{number}_of_march.mp4", number, number % 2) for number, subject in enumerate(PEOPLE)]
    write_hospital(folder, walks, slower=(0.1, 4.0))
    return folder


@pytest.fixture(scope="module")
def study(place: Path) -> Study:
    """Returns a finished study with attributes, and with words that repeat the numbers of one patient a class."""
    made = make_study(place, "studies-of-sommerfeld", folds=2).noted(finished=FINISHED)
    videos = made.cohort.videos.with_columns(
        pl.Series("attribute site", [SITES[i // 10] for i in range(20)]),
        pl.Series("attribute age", [60.25 + i for i in range(20)]),
    )
    attributes = (Attribute(name="site", kind="category"), Attribute(name="age", kind="number"))
    cohort = dataclasses.replace(made.cohort, videos=videos, attributes=attributes)
    cohort.save(made.folder)
    for key in study_keys(made):
        result = FoldResult.load(made.folder / "folds" / key)
        _repeating(result, dataclasses.replace(made, cohort=cohort)).save(made.folder / "folds" / result.key)
    return dataclasses.replace(made, cohort=cohort)


def _repeating(result: FoldResult, study: Study) -> FoldResult:
    """Returns a fold whose words of each class are the values of the first of its people."""
    own = [study.cohort.videos.row(label, named=True) for label in (0, 1)]
    looks = Attention(own=0.61234567, chance=0.5, effective=4.1234567, largest=0.31234567)
    classes = tuple(ClassDescription(label=label, attention=looks) for label in study.cohort.classes)
    decoded = tuple(
        words_of(label, **{c: row[c] for c in COLUMNS}) for label, row in zip(study.cohort.classes, own, strict=True)
    )
    described = FoldDescriptions(classes=classes, training=(), held_out=())
    return dataclasses.replace(result, decoded=decoded, descriptions=described)


@pytest.fixture(scope="module")
def model(study: Study, place: Path) -> Path:
    """Returns the folder that the command writes, next to its zip."""
    given = place / "given" / "gait-model"
    assert main([str(study.folder), str(given), "--zip", "--cache", str(place / "cache")]) == 0
    return given


def test_the_model_holds_all_that_could_tell(model: Path) -> None:
    """Words, scales, likeness, calibration and attention are in it; a field that is new here is one to think about.

    Prediction sets need outer folds: test_prediction_sets.py exports them, with two digits.
    """
    record = json.loads((model / "model.json").read_text(encoding="utf-8"))
    assert set(record) == {
        "backbone", "calibration", "code", "config", "estimate", "folds", "knowledge_encoder", "likeness", "metric", "name",
        "schema", "score", "sets", "simulated", "subjects", "tracker", "tracking", "training_version", "trial", "versions", "whole",
    }  # fmt: skip
    for fold in record["folds"]:
        assert set(fold) == {"class_similarity", "decoded", "descriptions", "scaling", "trainings"}
        assert [len(fold[name]) for name in ("decoded", "scaling")] == [2, 4]
        assert all(c["attention"] and not c["values"] for c in fold["descriptions"]["classes"])
    assert record["likeness"]
    assert record["calibration"]
    assert "Decoded, fold 0" in (model / "README.md").read_text(encoding="utf-8")


def text_forms(value: float) -> Iterator[bytes]:
    """Yields a number's first five digits, cut off and rounded."""
    yield repr(value)[:6].encode()
    yield f"{value:.5g}".encode()


def binary_forms(value: float) -> Iterator[bytes]:
    """Yields a number as files hold it; the four bytes of a float32 stand in some weights by chance, so `pairs` seeks those."""
    for form in ("<d", ">d"):
        yield struct.pack(form, value)


def pairs(values: Sequence[float]) -> Iterator[bytes]:
    """Yields numbers that follow each other, as float32."""
    for two in itertools.pairwise(values):
        yield struct.pack("<2f", *two)
        yield struct.pack(">2f", *two)


def secrets(study: Study, place: Path) -> dict[str, bytes]:
    """Returns what must not leave the house, by what it is, in each form that a file could hold it in."""
    found: dict[str, bytes] = {}

    def add(what: str, *forms: bytes) -> None:
        found.update({f"{what} ({i})": form for i, form in enumerate(dict.fromkeys(forms))})

    def add_text(what: str, text: str) -> None:
        add(
            what,
            text.encode(),
            json.dumps(text)[1:-1].encode(),
            urllib.parse.quote(text).encode(),
            text.encode("utf-16-le"),
        )

    for row in study.cohort.videos.iter_rows(named=True):
        video, sha256 = row["video"], row["sha256"]
        add_text("subject", row["subject"])
        add_text("file name", Path(video).stem)
        add_text("cache file", row["cached"].removesuffix(".npy"))
        add(f"hash of {video}", sha256.encode(), sha256[:16].encode(), bytes.fromhex(sha256))
        for column in COLUMNS:
            add(f"{column} of {video}", *text_forms(row[column]), *binary_forms(row[column]))
        add(f"age of {video}", *binary_forms(row["attribute age"]))
        add(f"values of {video}", *pairs([row[column] for column in COLUMNS]))
    for what, values in derived(study, place).items():
        add(f"{what}, in turn", *pairs(values))
        for i, value in enumerate(values):
            add(f"{what} {i}", f"{value:.9f}"[:9].encode(), *binary_forms(value))
    for site in SITES:
        add_text("site", site)
    if len(machine := socket.gethostname()) >= 8:  # a shorter name stands in some weights by chance
        add_text("machine", machine)
    table = (place / "videos" / "cohort.csv").read_bytes()
    for what, text in {
        "folder": place.name, "home": f"{Path.home()}/", "name of the study": study.record.name,
        "hash of the cohort": study.record.cohort_sha256, "hash of the folds": study.record.splits_sha256,
        "hash of the table": hashlib.sha256(table).hexdigest(), "start": study.record.started[:10], "end": FINISHED[:10],
        **{f"key of fold {i}": key for i, key in enumerate(study_keys(study))},
    }.items():  # fmt: skip
        add_text(what, text)
    return found


def derived(study: Study, place: Path) -> dict[str, list[float]]:
    """Returns what was computed of single people: scaled parameters, held-out probabilities, frozen features."""
    ensemble = open_ensemble(study.folder)
    scaled = []
    for fold in ensemble.splits.folds:
        videos = study.cohort.of_subjects(fold.train)
        values, centred = parameter_values(study.cohort, videos), videos["label"].to_numpy() == 0
        scaler = Scaler.fit(values, videos["subject"].to_numpy(), centred, ensemble.config.numeracy.clip)
        scaled += ((values - scaler.centre) / scaler.unit_per_v).ravel().tolist()
    answers = [p for fold in (0, 1) for row in ensemble.result(fold).predictions["probabilities"] for p in row]
    backbone, window = load_backbone(str(place / "clip")), ensemble.config.video.window
    frames = open_frames(str(place / "cache"))
    features = [video_feature(backbone, frames, name, window)[:3].tolist() for name in study.cohort.videos["cached"]]
    # ±2.5 is where the scale is clipped, whoever's value it is
    return {
        "scaled value": [v for v in scaled if 0.01 < abs(v) < 2.49],
        "probability": answers,
        "feature": [v for own in features for v in own if abs(v) > 0.01],
    }


def test_no_byte_tells_of_a_person(study: Study, model: Path, place: Path, tmp_path: Path) -> None:
    """No file of the folder or the zip, and no file's name, holds any of it; each of it would be found."""
    everything = secrets(study, place)
    assert len(everything) > 1500
    assert told(model.parent, everything) == set()
    (tmp_path / "leak.bin").write_bytes(b"\0".join(everything.values()))
    assert {what for what, _ in told(tmp_path, everything)} == set(everything)


def test_numbers_of_people_have_two_digits(model: Path) -> None:
    """Words, scales, quantiles of distances and the weight of the most looked-at person are rounded."""
    record = json.loads((model / "model.json").read_text(encoding="utf-8"))
    folds = record["folds"]
    numbers = [float(n) for f in folds for d in f["decoded"] for n in re.findall(r"\d+\.?\d*", d["sentence"])]
    numbers += [s[name] for f in folds for s in f["scaling"] for name in ("centre", "unit_per_v")]
    numbers += [
        c["attention"][name] for f in folds for c in f["descriptions"]["classes"] for name in ("largest", "effective")
    ]
    numbers += record["likeness"]["quantiles"]
    assert len(numbers) > 60
    assert [n for n in numbers if float(f"{n:.2g}") != n] == []
    card = (model / "README.md").read_text(encoding="utf-8")
    said = re.findall(r"- Decoded, fold \d: (.+)", card)
    assert said == [d["sentence"] for i in (0, 1) for f in folds for d in [f["decoded"][i]]]


def test_the_zip_says_nothing_but_the_files(model: Path) -> None:
    """No time, user, mode of this machine, extra field or comment."""
    with zipfile.ZipFile(model.with_name("gait-model.zip")) as archive:
        assert archive.comment == b""
        for entry in archive.infolist():
            assert entry.filename.startswith("gait-model/")
            assert (entry.date_time, entry.extra, entry.comment) == ((1980, 1, 1, 0, 0, 0), b"", b"")
            assert entry.external_attr == 0o644 << 16


def test_the_head_of_the_weights(study: Study, model: Path) -> None:
    """Their metadata is the fold's number and the backbone; the tensors are those of the model, none of the words' decoder."""
    for fold in (0, 1):
        with safe_open(model / "weights" / f"fold-{fold}" / WEIGHTS, "np") as file:
            assert file.metadata() == {"key": f"fold-{fold}", "backbone": study.record.backbone["sha256"]}
            assert {name.partition(".")[0] for name in file.keys()} <= {  # noqa: SIM118
                "log_scale", "numeric", "prompts", "readout", "video_encoder",
            }  # fmt: skip


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self.path,)


def flip(path: Path) -> None:
    """Changes one bit in the middle of a file."""
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 1
    path.write_bytes(contents)


FOLD = f"weights/fold-1/{WEIGHTS}"


@pytest.mark.parametrize("name", [FOLD, "model.json", "task.toml", "parameters.toml"])
def test_damage_is_noticed(model: Path, place: Path, tmp_path: Path, capsys, name: str) -> None:
    """A changed bit, a missing file and a pickle in a file's place are one sentence each, and the pickle is not run."""
    for damage, code in (
        (flip, "model.file_changed"),
        (Path.unlink, "model.file_missing"),
        (lambda path: path.write_bytes(pickle.dumps(Payload(tmp_path / "ran"))), "model.file_changed"),
    ):
        copy = shutil.copytree(model, tmp_path / "copy", dirs_exist_ok=True)
        damage(copy / name)
        assert predict([str(copy), str(place / "new.mp4"), "--backbone", str(place / "clip")]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert str(copy / name) in line
        assert line.endswith(f"[{code}]")
    assert not (tmp_path / "ran").exists()


def test_a_pickle_with_its_hash_is_not_run(model: Path, place: Path, tmp_path: Path, capsys) -> None:
    """Hashes that were written again prove nothing, but what is read is data in any case."""
    for name, code in ((FOLD, "study.weights_damaged"), ("model.json", "study.file_damaged")):
        copy = shutil.copytree(model, tmp_path / name.partition(".")[0].replace("/", "-"))
        (copy / name).write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
        (copy / f"{FOLD}.sha256").write_text(hashlib.sha256((copy / FOLD).read_bytes()).hexdigest())
        write_checksums(copy)
        given = ["--backbone", str(place / "clip"), "--cache", str(tmp_path / "cache")]
        assert predict([str(copy), str(place / "new.mp4"), *given]) == 1
        assert f"[{code}]" in capsys.readouterr().err
    pickle.loads(pickle.dumps(Payload(tmp_path / "control")))
    assert (tmp_path / "control").exists()
    assert not (tmp_path / "ran").exists()


def test_checksums_are_those_of_sha256sum(model: Path, tmp_path: Path, capsys, place: Path) -> None:
    """Every file that decides an answer is listed, with its hash; without the list the model is not read."""
    listed = dict(line.split("  ")[::-1] for line in (model / NAME).read_text().splitlines())
    weights = {f"weights/fold-{i}/{WEIGHTS}" for i in (0, 1)}
    assert set(listed) == {"model.json", "task.toml", "parameters.toml"} | weights
    assert listed == {name: hashlib.sha256((model / name).read_bytes()).hexdigest() for name in listed}
    copy = shutil.copytree(model, tmp_path / "copy")
    (copy / NAME).unlink()
    assert predict([str(copy), str(place / "new.mp4")]) == 1
    assert capsys.readouterr().err.strip().endswith("[model.file_missing]")


def test_parameters_without_numbers_of_people(model: Path) -> None:
    """The parameter file that goes along is what the shipped one says of these parameters, not what was measured."""
    shipped = {p.key: p for p in load_parameters()}
    for p in load_parameters(model / "parameters.toml"):
        assert (p.name, p.unit) == (shipped[p.key].name, shipped[p.key].unit)
    assert sum(1 for _ in every_byte(model)) == 10
