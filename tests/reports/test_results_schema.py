"""The JSON Schema of results.json: made from the records, true of what is written, and never smaller within a version."""

import json
import shutil
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import stridefold
from reports.documents.page import write_report
from reports.numbers import json_schema
from reports.numbers.results_document import ResultsDocument
from tests import DATA
from tests.make_study import add_baselines, add_learning_curve, add_outer_folds, make_study

SCHEMA = stridefold.results_schema()


def closed(schema: Any) -> Any:
    """Returns a schema that also forbids fields it does not name."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    shut = {"additionalProperties": False} if "required" in schema else {}
    return {name: closed(part) for name, part in schema.items()} | shut


def problems(study: Path) -> list[str]:
    """Returns where a study's results.json, newly written, is not what the schema says."""
    write_report(study, pdf=False)
    found = json.loads((study / "results.json").read_text(encoding="utf-8"))
    return [f"{e.json_path}: {e.message}"[:300] for e in Draft202012Validator(closed(SCHEMA)).iter_errors(found)]


def fields() -> Iterator[str]:
    """Yields every field that the schema names, as 'Comparison.adjusted'."""
    for name, record in {"ResultsDocument": SCHEMA, **SCHEMA["$defs"]}.items():
        yield from (f"{name}.{field}" for field in record["properties"])


def test_the_schema_is_one() -> None:
    """Of the draft that it names, and plain JSON."""
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_a_study_of_a_real_search_validates(tmp_path: Path) -> None:
    """The oldest that is kept: trained on real videos, with outer folds and baselines."""
    shutil.copytree(DATA / "study-schema-1", tmp_path / "study")
    assert problems(tmp_path / "study") == []


def test_a_study_with_everything_validates(tmp_path: Path) -> None:
    """Outer folds, permuted labels, baselines, a learning curve, maps, prediction sets by class."""
    study = make_study(tmp_path / "study", per_class=24, permutations=20)
    add_baselines(study, untrained=0.2)
    add_learning_curve(study, share_40=0.2)
    add_outer_folds(study)
    assert problems(study) == []
    found = json.loads((study / "results.json").read_text(encoding="utf-8"))
    assert {name for name in ("nested", "learning_curve", "prediction_sets") if found[name] is None} == set()
    assert {
        name for name in ("maps", "shuffled", "permutation_null", "own_videos") if not found["chosen"][name]
    } == set()


@pytest.mark.parametrize("trials", [0, 12])
def test_a_running_study_validates(trials: int, tmp_path: Path) -> None:
    """What is not there yet is null; two classes have a decision curve."""
    study = make_study(tmp_path / "study", trials=trials, finished=False, classes=("healthy", "dementia"))
    assert problems(study) == []


def test_a_wrong_value_is_found(tmp_path: Path) -> None:
    """Deep inside as well: in the records of a list, and in a property that is computed."""
    study = make_study(tmp_path / "study")
    write_report(study, pdf=False)
    found = json.loads((study / "results.json").read_text(encoding="utf-8"))
    found["chosen"]["classes"][1]["precision_interval"] = [0.5]
    del found["chosen"]["shuffled"]["windows_share"]
    wrong = {error.json_path for error in Draft202012Validator(SCHEMA).iter_errors(found)}
    assert wrong == {"$.chosen"}  # within anyOf, which the validator reports as one
    found["chosen"] = None
    found["leaderboard"][0]["folds"] = "none"
    assert [e.json_path for e in Draft202012Validator(SCHEMA).iter_errors(found)] == ["$.leaderboard[0].folds"]


def test_no_field_goes_away_within_a_version() -> None:
    """tests/data/results_fields.txt has those of its version: add new ones; one that goes away raises RESULTS_SCHEMA."""
    version, *released = (DATA / "results_fields.txt").read_text(encoding="utf-8").split()
    assert version == f"schema-{SCHEMA['properties']['schema']['const']}"
    assert sorted(set(released) - set(fields())) == []


def test_fields_have_their_descriptions_and_types() -> None:
    """From the text under each field, of inherited and computed ones too."""
    records = SCHEMA["$defs"]
    assert records["Comparison"]["properties"]["adjusted"]["type"] == "number"
    assert records["Shuffled"]["properties"]["windows_share"]["type"] == "number"
    assert records["CohortFacts"]["properties"]["excluded"]["description"].startswith("Each excluded row")
    assert set(records["LearningCurve"]["properties"]["reading"]["enum"]) == {"rising", "risen", "falling", "undecided"}
    assert "predictions" not in records["Detail"]["properties"]


def test_a_type_without_a_json_form_is_refused() -> None:
    """A new field of such a type is noticed when the schema is made, not by a reader of the file."""

    @dataclass
    class Odd:
        """A record that cannot be written."""

        place: complex

    with pytest.raises(TypeError, match="complex"):
        json_schema._Schema().object_of(Odd)
    assert "schema" in typing.get_type_hints(ResultsDocument)
