"""Studies of every schema are read: today's, the first one, which is kept here as it was written, and none that is newer."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from platform.console import Console
from platform.options import SearchOptions
from platform.pipeline import announce
from platform.predictions import cautions
from platform.report import main as report
from platform.study import open_study
from typing import Any

import pytest

from tests import DATA
from tests.errors import coded
from trainables.config import TrainConfig
from trainables.errors import StridefoldError
from trainables.inference.ensemble import open_ensemble
from trainables.knowledge.tasks import task_from_dict
from trainables.study.fold_embeddings import FoldMaps
from trainables.study.formats import SCHEMA, build
from trainables.study.leaderboard import read_trials
from trainables.study.outer_records import OuterResult
from trainables.study.records import Cohort, FoldResult, Splits, StudyRecord
from trainables.study.training_version import TRAINING_VERSION, source_hash

FIRST = DATA / "study-schema-1"
FOLD = "folds/825df766499c5a9fd16a"
LOADERS: dict[str, Callable[[Path], Any]] = {
    "study.json": StudyRecord.load,
    "cohort.json": Cohort.load,
    "splits.json": lambda study: Splits.load(study / "splits.json"),
    f"{FOLD}/result.json": lambda study: FoldResult.load(study / FOLD),
    "outer/0/outer.json": lambda study: OuterResult.load(study / "outer", 0),
}


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """Returns a copy of a study of the first schema."""
    return Path(shutil.copytree(FIRST, tmp_path / "schema-1"))


def change(path: Path, **changes: Any) -> None:
    """Writes a record with other fields; None takes one away."""
    record = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in record.items() if value is not None}))


def plain(record: Any) -> Any:
    """Returns a record as values that can be compared: its tables as rows."""
    return {
        f.name: v.rows() if hasattr(v := getattr(record, f.name), "rows") else v for f in dataclasses.fields(record)
    }


def test_a_study_of_the_first_schema_has_the_page_that_it_had(first: Path) -> None:
    """Its trials, choice, scores and nested folds are those that were noted when it was written."""
    before = json.loads((first / "results.json").read_text())
    assert report([str(first), "--no-pdf"]) == 0
    now = json.loads((first / "results.json").read_text())
    for name in ("trial", "score", "log_loss", "confusion", "config"):
        assert now["chosen"][name] == before["chosen"][name]
    for name in ("number", "state", "value", "params", "folds"):
        assert [t[name] for t in now["leaderboard"]] == [t[name] for t in before["leaderboard"]]
    assert [f["score"] for f in now["nested"]["folds"]] == [f["score"] for f in before["nested"]["folds"]]
    assert [c["sentences"] for c in now["words"]["classes"]] == [c["sentences"] for c in before["words"]["classes"]]


def test_the_hash_that_decided_keys_in_the_first_schema_is_information(first: Path) -> None:
    """Version 1 of training is whatever computed such a study."""
    record = StudyRecord.load(first)
    assert record.training_version == 1
    assert record.code == ("b330c4573c0051a1",)
    assert "code" not in record.options
    assert [t.state for t in read_trials(first, record.name)] == ["COMPLETE", "COMPLETE"]
    assert FoldMaps.load(first / FOLD) is not None


def test_what_is_written_is_of_this_schema_and_read_back(first: Path, tmp_path: Path) -> None:
    """A record of the first schema that is written again is of today's."""
    other = tmp_path / "other"
    Cohort.load(first).save(other)
    StudyRecord.load(first).save(other)
    Splits.load(first / "splits.json").save(other / "splits.json")
    FoldResult.load(first / FOLD).save(other / FOLD)
    outer = OuterResult.load(first / "outer", 0)
    assert outer is not None
    outer.save(other / "outer")
    for name, load in LOADERS.items():
        assert json.loads((other / name).read_text())["schema"] == SCHEMA
        assert plain(load(other)) == plain(load(first))


@pytest.mark.parametrize("name", LOADERS)
def test_a_record_of_a_newer_schema_is_one_sentence(name: str, first: Path) -> None:
    """It says both schemas, and what to do."""
    change(first / name, schema=SCHEMA + 1)
    with pytest.raises(StridefoldError) as caught:
        LOADERS[name](first)
    assert str(caught.value) == (
        f"{first / name} was written by a newer version of stridefold (schema {SCHEMA + 1}, but this version reads 1 to {SCHEMA}); "
        "install that version, or begin another study with --study NAME"
    )


def test_a_command_on_a_newer_study_ends_with_that_sentence(first: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback, and a status that is not 0."""
    change(first / "study.json", schema=99)
    assert report([str(first)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "99" in said
    assert "[study.newer_version]" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", LOADERS)
def test_a_field_that_is_not_known_is_passed_over(name: str, first: Path) -> None:
    """A field may be added within a schema; nested ones too."""
    before = plain(LOADERS[name](first))
    change(first / name, weather="fine")
    if name == "cohort.json":
        parameters = json.loads((first / name).read_text())["parameters"]
        change(first / name, parameters=[p | {"colour": "red"} for p in parameters])
    if name == f"{FOLD}/result.json":
        decoded = json.loads((first / name).read_text())["decoded"]
        change(first / name, decoded=[d | {"language": "en"} for d in decoded])
    assert plain(LOADERS[name](first)) == before


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("schema", [None, 0, "1", 1.5, True])
def test_a_record_without_a_schema_is_damaged(name: str, schema: Any, first: Path) -> None:
    """Any other JSON, under the name of a record."""
    change(first / name, schema=schema)
    with pytest.raises(StridefoldError, check=coded("study.file_damaged", "schema")):
        LOADERS[name](first)


def test_json_that_is_no_object_is_damaged(first: Path) -> None:
    """A list, under the name of a record."""
    (first / "study.json").write_text("[1, 2]")
    with pytest.raises(StridefoldError, check=coded("study.file_damaged", "study.json")):
        StudyRecord.load(first)


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("study.json", {"metric": None}, "'metric' is missing"),
        ("study.json", {"options": None}, "schema 1 without 'options'"),
        ("study.json", {"wall_seconds": "long"}, "'wall_seconds' is 'long'"),
        ("cohort.json", {"classes": "healthy"}, "'classes' is 'healthy'"),
        ("cohort.json", {"excluded": [["a"]]}, "'excluded' has 1 entries instead of 2"),
        ("splits.json", {"folds": [1]}, "'folds' is 1"),
        (f"{FOLD}/result.json", {"decoded": {"a": 1}}, "'decoded' is {'a': 1}"),
        ("outer/0/outer.json", {"keys": None}, "'keys' is missing"),
    ],
)
def test_a_field_that_is_missing_or_of_another_type_is_named(
    name: str, changes: dict[str, Any], reason: str, first: Path
) -> None:
    """The file, the field and its value, in one sentence."""
    change(first / name, **changes)
    with pytest.raises(StridefoldError) as caught:
        LOADERS[name](first)
    assert str(caught.value).startswith(f"{first / name} is damaged ({reason}); restore it")


@pytest.mark.parametrize("name", ["cohort.parquet", f"{FOLD}/predictions.parquet", "outer/0/predictions.parquet"])
def test_a_table_that_is_damaged_or_missing_is_one_sentence(name: str, first: Path) -> None:
    """As a record that is."""
    load = next(
        LOADERS[record]
        for record in reversed(LOADERS)
        if Path(record).parent == Path(name).parent and record != "splits.json"
    )
    (first / name).write_bytes(b"PAR1 is not all that it takes")
    with pytest.raises(StridefoldError, check=coded("study.file_damaged", Path(name).name)):
        load(first)
    (first / name).unlink()
    with pytest.raises(StridefoldError, check=coded("study.file_missing", Path(name).name)):
        load(first)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inner:
    """Something inside a record."""

    value: float
    tags: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outer:
    """Every kind of field that a record has."""

    pairs: tuple[tuple[str, int], ...]
    inner: dict[str, Inner]
    maybe: Inner | None
    anything: Any
    names: list[str] = dataclasses.field(default_factory=list)


def test_nested_records_are_made_from_their_annotations() -> None:
    """Lists become tuples where a field is one, objects become dataclasses, and a default stands for what is missing."""
    record = {"pairs": [["a", 1]], "inner": {"x": {"value": 1, "tags": ["t"]}}, "maybe": None, "anything": [1]}
    made = build(Outer, record, Path("record.json"))
    assert made == Outer(pairs=(("a", 1),), inner={"x": Inner(value=1, tags=("t",))}, maybe=None, anything=[1])


def reopened(study: Path, **changes: Any) -> Any:
    """Opens a study with the options that it has on record, some of them changed."""
    record = StudyRecord.load(study)
    known = {f.name for f in dataclasses.fields(SearchOptions)}
    options = {"track": "none"} | {name: value for name, value in record.options.items() if name in known}
    options = SearchOptions(**(options | {n: tuple(options[n]) for n in ("ignore", "allow_duplicate")} | changes))
    return open_study(study, options, Cohort.load(study), task_from_dict(record.task), record.backbone)


def test_a_study_of_another_version_of_training_is_not_continued(first: Path) -> None:
    """Its results would be mixed with others; both versions are named."""
    with pytest.raises(
        StridefoldError, check=coded("study.other_training_version", "version 1", f"version {TRAINING_VERSION}")
    ):
        reopened(first)


@pytest.fixture
def current(first: Path) -> Path:
    """Returns the same study as of this version of training and this source."""
    record = StudyRecord.load(first)
    dataclasses.replace(record, training_version=TRAINING_VERSION, code=(source_hash(),)).save(first)
    return first


def test_a_study_of_this_version_is_continued_whatever_the_source_text(
    current: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A word changed in a docstring ends no study: keys stay, the other hash is noted, the page and the terminal say so."""
    before = reopened(current)
    assert len(before.record.code) == 1
    dataclasses.replace(before.record, code=("0123456789abcdef",)).save(current)
    after = reopened(current)
    assert after.record.code == ("0123456789abcdef", source_hash())
    assert after.splits == before.splits
    announce(after, SearchOptions(), Console(plain=True))
    assert "the source text of the trainers was changed while this study was under way" in capsys.readouterr().out
    assert report([str(current), "--no-pdf"]) == 0
    notices = json.loads((current / "results.json").read_text())["notices"]
    assert any("The source text of the trainers was changed" in n and "0123456789abcdef" in n for n in notices)
    assert "The source text of the trainers was changed" in (current / "report.html").read_text()


def test_without_a_change_of_the_source_nothing_is_said(current: Path) -> None:
    """A study on which one source text has worked has no such notice."""
    reopened(current)
    assert report([str(current), "--no-pdf"]) == 0
    assert "source text of the trainers was changed" not in (current / "report.html").read_text()


def test_an_option_that_came_later_counts_as_its_default(current: Path) -> None:
    """A study that does not have it on record goes on, and another value than the default is another study."""
    record = StudyRecord.load(current)
    options = {name: value for name, value in record.options.items() if name not in ("choose", "repeats")}
    dataclasses.replace(record, options=options).save(current)
    assert reopened(current).record.options["choose"] == "best"
    dataclasses.replace(record, options=options).save(current)
    with pytest.raises(StridefoldError, check=coded("study.option_changed", "--choose best", "one_se")):
        reopened(current, choose="one_se")


def test_a_study_from_before_the_tracker_saw_whole_pictures(current: Path) -> None:
    """It goes on with --track none alone, and its results keep their names; with a tracker they have others."""
    assert "track" not in StudyRecord.load(current).options
    with pytest.raises(StridefoldError, check=coded("study.option_changed", "--track none", "motion")):
        reopened(current, track="motion")
    whole = reopened(current)
    tracked = dataclasses.replace(
        whole, record=dataclasses.replace(whole.record, options=whole.record.options | {"track": "motion"})
    )
    before = dataclasses.replace(
        whole,
        record=dataclasses.replace(
            whole.record, options={n: v for n, v in whole.record.options.items() if n != "track"}
        ),
    )
    config, fold = TrainConfig(), whole.splits.folds[0]
    assert before.fold_key(config, fold) == whole.fold_key(config, fold) != tracked.fold_key(config, fold)


def test_predictions_of_an_older_study_say_its_version(first: Path) -> None:
    """Whoever reads them knows that other trainers made the models; of another source text of this version they know too."""
    assert any("by version 1 of the trainers" in line for line in cautions(open_ensemble(first), []))
    record = StudyRecord.load(first)
    dataclasses.replace(record, training_version=TRAINING_VERSION).save(first)
    assert any(
        "the source text of the trainers is not the study's" in line for line in cautions(open_ensemble(first), [])
    )
    dataclasses.replace(record, training_version=TRAINING_VERSION, code=(source_hash(),)).save(first)
    assert not any("trainers" in line for line in cautions(open_ensemble(first), []))
