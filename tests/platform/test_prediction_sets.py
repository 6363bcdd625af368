"""Prediction sets from a trained study to one new person: predict, an exported model, and a second cohort."""

import csv
import dataclasses
import json
import shutil
from pathlib import Path
from platform.evaluate import main as evaluate
from platform.export import main as export
from platform.options import SearchOptions
from platform.predict import main as predict
from platform.study import Study
from typing import Any

import polars as pl
import pytest

from reports.documents.page import write_report
from tests.errors import coded
from tests.make_study import add_outer_folds
from tests.platform.test_predict import make_study, record_trial
from tests.tiny import save_tiny_clip, write_tiny_cohort
from trainables.errors import ConfigurationError
from trainables.inference.exported import open_model
from trainables.study.metrics import at_level
from trainables.study.prediction_sets import PredictionSets, SetRule, in_words

CLASSES = ("healthy", "Alzheimer's disease")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a tiny cohort of ten people, a backbone, and a second cohort of six others."""
    folder = tmp_path_factory.mktemp("sets")
    (folder / "videos").mkdir()
    write_tiny_cohort(folder / "videos", subjects=10, videos=1)
    save_tiny_clip(folder / "clip")
    second = folder / "second"
    second.mkdir()
    write_tiny_cohort(second, subjects=16, videos=1)
    rows = pl.read_csv(second / "cohort.csv").filter(pl.col("subject").str.slice(1).cast(pl.Int64) >= 10)
    rows.select("subject", "video", "diagnosis").write_csv(second / "cohort.csv")
    return folder


@pytest.fixture(scope="module")
def study(place: Path) -> Study:
    """Returns a finished study with two outer folds and sets of 80 %."""
    made = make_study(place, "study", folds=2, numbers=False)
    add_outer_folds(made.folder)
    options = made.record.options | {"coverage": 0.8, "outer_folds": 2}
    made = made.noted(options=options, finished="2026-03-14T11:02:10+00:00")
    write_report(made.folder, pdf=False)
    return made


@pytest.fixture
def wide(study: Study, tmp_path: Path) -> Study:
    """Returns a copy of the study whose sets differ from person to person: their probabilities are set between the answers."""
    copy = shutil.copytree(study.folder, tmp_path / "study")
    sets = PredictionSets.load(copy)
    assert sets is not None
    rules = tuple(dataclasses.replace(rule, smallest=(0.4, 0.7)) for rule in sets.rules)
    dataclasses.replace(sets, rules=rules).save(copy)
    return dataclasses.replace(study, folder=copy)


def predicted(place: Path, out: Path, *arguments: object) -> dict[str, Any]:
    """Runs the command on the second cohort's videos and returns the JSON that it wrote."""
    manifest = ("--manifest", place / "second" / "cohort.csv", "--cache", place / "cache", "--out", out)
    assert predict([*map(str, [*arguments, *manifest])]) == 0
    document: dict[str, Any] = json.loads(out.read_text())
    return document


def test_a_study_stores_the_sets_of_its_outer_folds(study: Study) -> None:
    """Ten people in two outer folds calibrate sets of 80 % together, five outside each, and three of a class are too few."""
    sets = PredictionSets.load(study.folder)
    assert sets is not None
    assert (sets.coverage, sets.by_class, sets.subjects) == (0.8, False, 10)
    assert [rule.level for rule in sets.rules] == ["subject", "video"]
    nested = pl.concat([pl.read_parquet(study.folder / "outer" / str(f) / "predictions.parquet") for f in (0, 1)])
    own = sorted((u["probabilities"][u["true"]] for u in at_level(nested, "subject").to_dicts()), reverse=True)
    ninth = own[8]  # of eleven with the new person, 0.8 x 11 = 8.8
    smallest = sets.rules[0].smallest
    assert ninth - 0.01 < smallest[0] <= ninth
    assert smallest[0] == smallest[1]


def test_predict_prints_the_set_of_each_person_and_video(wide: Study, place: Path, tmp_path: Path, capsys) -> None:
    """A class is in the set from its probability on; table, JSON and CSV have the set, and a note says what it promises."""
    found = predicted(place, tmp_path / "p.json", wide.folder)
    said = capsys.readouterr().out
    for entry in [*found["subjects"], *found["videos"]]:
        shares = entry["probabilities"]
        expected = [name for name, least in zip(CLASSES, (0.4, 0.7), strict=True) if shares[name] >= least]
        assert entry["set"] == expected
        assert entry["set_in_words"] == in_words([CLASSES.index(name) for name in expected], CLASSES)
    assert all(entry["set"] is entry["set_in_words"] is None for entry in found["windows"])
    assert found["prediction_sets"]["subjects"] == 10
    assert "80 % set" in said
    assert "note: a set of 80 % holds the true class of about 80 % of new people of all classes together" in said
    predicted_csv = tmp_path / "p.csv"
    given = [
        wide.folder,
        "--manifest",
        place / "second" / "cohort.csv",
        "--cache",
        place / "cache",
        "--out",
        predicted_csv,
    ]
    assert predict([*map(str, given)]) == 0
    rows = list(csv.DictReader(predicted_csv.open(encoding="utf-8")))
    entries = [*found["subjects"], *found["videos"], *found["windows"]]
    assert [row["set"] or None for row in rows] == [entry["set_in_words"] for entry in entries]


def test_does_not_know_is_printed(study: Study, place: Path, tmp_path: Path, capsys) -> None:
    """A model whose sets take every class, or none, says for everyone that it does not know."""
    for smallest in ((0.0, 0.0), (1.0, 1.0)):
        copy = shutil.copytree(study.folder, tmp_path / f"study-{smallest[0]}")
        sets = PredictionSets.load(copy)
        assert sets is not None
        dataclasses.replace(sets, rules=(SetRule(level="subject", smallest=smallest),)).save(copy)
        found = predicted(place, tmp_path / "p.json", copy)
        assert {entry["set_in_words"] for entry in found["subjects"]} == {"does not know"}
        assert {entry["set"] for entry in found["videos"]} == {None}
        assert capsys.readouterr().out.count("does not know") >= 6


def test_one_fold_has_no_sets(study: Study, place: Path, tmp_path: Path) -> None:
    """Sets go with all folds together; --fold K gives another model."""
    found = predicted(place, tmp_path / "p.json", study.folder, "--fold", 0)
    assert found["prediction_sets"] is None
    assert {entry["set"] for entry in found["subjects"]} == {None}


def test_a_later_choice_has_no_sets_until_the_report_is_written(
    study: Study, place: Path, tmp_path: Path, capsys
) -> None:
    """After a better trial the sets are those of another model: predict gives none and says what to do."""
    copy = shutil.copytree(study.folder, tmp_path / "study")
    later = dataclasses.replace(study, folder=copy)
    trial = open_model(copy).trial
    record_trial(later, trial.config, list(trial.folds), value=0.99)
    found = predicted(place, tmp_path / "p.json", copy)
    assert {entry["set"] for entry in found["subjects"]} == {None}
    assert "note: there are no prediction sets: those of the study are of trial 0's model" in capsys.readouterr().out


def test_an_exported_model_gives_the_same_sets(study: Study, place: Path, tmp_path: Path) -> None:
    """The model's folder has the sets without its study, and their probabilities have two digits."""
    assert export([str(study.folder), str(tmp_path / "model"), "--cache", str(place / "cache")]) == 0
    ours = predicted(place, tmp_path / "ours.json", study.folder)
    theirs = predicted(place, tmp_path / "theirs.json", tmp_path / "model", "--backbone", place / "clip")
    for level in ("subjects", "videos"):
        assert [e["set"] for e in theirs[level]] == [e["set"] for e in ours[level]]
    assert None not in [e["set"] for e in theirs["subjects"]]
    record = json.loads((tmp_path / "model" / "model.json").read_text())["sets"]
    assert all(float(f"{p:.2g}") == p for rule in record["rules"] for p in rule["smallest"])
    assert "Prediction sets (conformal, 80 %" in (tmp_path / "model" / "README.md").read_text()


def test_a_second_cohort_shows_what_the_sets_hold_there(wide: Study, place: Path, tmp_path: Path, capsys) -> None:
    """Coverage and 'does not know' are counted on its people; page, terminal and results.json have them."""
    given = [
        wide.folder,
        "--cohort",
        place / "second" / "cohort.csv",
        "--label",
        "diagnosis",
        "--cache",
        place / "cache",
    ]
    assert evaluate([*map(str, given), "--out", str(tmp_path / "e")]) == 0
    found = json.loads((tmp_path / "e" / "results.json").read_text())["prediction_sets"]
    units = at_level(pl.read_parquet(tmp_path / "e" / "predictions.parquet"), "subject").to_dicts()
    sets = [[share >= least for share, least in zip(u["probabilities"], (0.4, 0.7), strict=True)] for u in units]
    held = sum(chosen[u["true"]] for chosen, u in zip(sets, units, strict=True)) / 6
    subject = found["measured"][0]
    assert (subject["level"], subject["units"], subject["held"]) == ("subject", 6, pytest.approx(held))
    assert subject["unknown"] == pytest.approx(sum(sum(chosen) != 1 for chosen in sets) / 6)
    page = (tmp_path / "e" / "evaluation.html").read_text()
    assert "Sets of 80 %, per subject (6)" in page
    assert f"{held:.0%} (" in capsys.readouterr().out


@pytest.mark.parametrize("share", [0.3, 1.0, 90.0])
def test_a_wrong_coverage_is_refused(share: float) -> None:
    """It is a share of people, with room for those whom a set may miss."""
    with pytest.raises(ConfigurationError, check=coded("option.coverage.range", "--coverage", str(share))):
        SearchOptions(coverage=share)
