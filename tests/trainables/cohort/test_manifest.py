"""What a manifest becomes, and everything that can be wrong with one, said in the user's words."""

import os
from pathlib import Path

import polars as pl
import pytest

from tests.errors import coded
from tests.videos import write_video
from trainables.cohort.manifest import read_manifest
from trainables.errors import CohortError, ConfigurationError
from trainables.knowledge.parameters import load_parameters
from trainables.knowledge.tasks import ClassKnowledge, Description, Task
from trainables.study.records import Cohort

HEADER = "subject,video,label"


def task(*values: str, label: str = "label", healthy: str | None = None) -> Task:
    classes = tuple(
        ClassKnowledge(value=v, name=f"class {v}", descriptions=(Description(notion=f"Gait {v}."),)) for v in values
    )
    return Task(name="t", title="T", label=label, ordinal=False, healthy=healthy, classes=classes)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> Path:
    """Returns a folder with eight different videos of 30 frames, 64 x 48, that tests link into their own."""
    folder = tmp_path_factory.mktemp("shelf")
    for i in range(8):
        write_video(folder / f"{i}.mp4", seed=i, frames=30)
    write_video(folder / "short.mp4", seed=90, frames=19)
    return folder


@pytest.fixture
def folder(tmp_path, shelf) -> Path:
    for file in shelf.iterdir():
        os.link(file, tmp_path / file.name)
    return tmp_path


def manifest(folder: Path, *rows: str, header: str = HEADER, name: str = "cohort.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


FOUR = ("A,0.mp4,x", "B,1.mp4,x", "C,2.mp4,y", "D,3.mp4,y")
"""The rows of a cohort with nothing wrong: two subjects of each of two classes."""


def read(path: Path, **options) -> tuple[Cohort, Task]:
    settings = {"task": None, "label": "label", "parameters": load_parameters(), "folds": 2} | options
    return read_manifest(path, **settings)


def problems(path: Path, **options) -> tuple[str, ...]:
    with pytest.raises(CohortError) as caught:
        read(path, **options)
    return caught.value.problems


def with_column(name: str, *cells: str) -> dict:
    """Returns rows and header of the good cohort with one more column."""
    rows = [f"{row},{cell}" for row, cell in zip(FOUR, cells, strict=True)]
    return {"rows": rows, "header": f"{HEADER},{name}"}


def column_problems(folder: Path, name: str, *cells: str, **options) -> tuple[str, ...]:
    given = with_column(name, *cells)
    return problems(manifest(folder, *given["rows"], header=given["header"]), **options)


def column_cohort(folder: Path, name: str, *cells: str, **options) -> Cohort:
    given = with_column(name, *cells)
    return read(manifest(folder, *given["rows"], header=given["header"]), **options)[0]


# What a manifest becomes


def test_good_manifest(folder):
    """A plain manifest becomes one row per video, sorted, with hashes, absolute paths and frame counts."""
    cohort, made = read(manifest(folder, *reversed(FOUR)))
    assert cohort.videos.select("subject", "video", "label", "frames").rows() == [
        ("A", "0.mp4", 0, 30),
        ("B", "1.mp4", 0, 30),
        ("C", "2.mp4", 1, 30),
        ("D", "3.mp4", 1, 30),
    ]
    assert cohort.classes == ("x", "y") == tuple(c.name for c in made.classes)
    assert (cohort.name, cohort.label, cohort.simulated, cohort.excluded) == ("cohort.csv", "label", False, ())
    assert cohort.videos["path"][0] == str((folder / "0.mp4").resolve())
    assert cohort.videos["sha256"].n_unique() == 4
    assert cohort.videos["cached"].null_count() == 4
    cohort.save(folder / "study")
    assert Cohort.load(folder / "study").sha256() == cohort.sha256()


def test_parquet(folder):
    """A parquet file with whole numbers, empty cells and floats reads as the CSV of the same cells does."""
    table = pl.DataFrame(
        {
            "subject": [1, 2, 3, 4],
            "video": [f"{i}.mp4" for i in range(4)],
            "label": [0.0, 0.0, 1.0, 1.0],
            "cadence": [100.5, None, 98.0, 97.0],
        }
    )
    table.write_parquet(folder / "cohort.parquet")
    rows = ("1,0.mp4,0,100.5", "2,1.mp4,0,", "3,2.mp4,1,98.0", "4,3.mp4,1,97.0")
    of_csv, _ = read(manifest(folder, *rows, header=f"{HEADER},cadence"))
    of_parquet, _ = read(folder / "cohort.parquet")
    assert of_parquet.sha256() == of_csv.sha256()
    assert of_parquet.classes == ("label 0", "label 1")


def test_column_mapping(folder):
    """Columns may be called otherwise, and messages then use the user's names."""
    header = "patient_id,file,dx,speed"
    rows = [f"{row},{speed}" for row, speed in zip(FOUR, ("1.1", "1.0", "0.7", "0.8"), strict=True)]
    names = {"subject": "patient_id", "video": "file", "walking_speed": "speed"}
    cohort, _ = read(manifest(folder, *rows, header=header), columns=names, label="dx")
    assert [p.key for p in cohort.parameters] == ["walking_speed"]
    assert cohort.videos["walking_speed"].to_list() == [1.1, 1.0, 0.7, 0.8]
    rows[2] = ",2.mp4,y,fast"
    assert problems(manifest(folder, *rows, header=header), columns=names, label="dx")[:2] == (
        "row 4, column patient_id: it is empty; say whose video this is, so that folds can be subject-wise",
        "row 4, column speed: 'fast' is not a finite number; correct it, leave it empty if it was not measured, "
        "or pass --ignore speed",
    )


def test_mapped_label(folder):
    """The task's label column may be mapped as well."""
    path = manifest(folder, *FOUR, header="subject,video,dx")
    assert read(path, columns={"label": "dx"}, label=None, task=task("x", "y"))[0].label == "label"
    assert read(path, columns={"label": "dx"}, label="dx")[0].label == "label"


def test_task_gives_classes_and_their_order(folder):
    """A task decides the classes' names and order; classes without a subject are left out, with a note."""
    notes: list[str] = []
    cohort, made = read(
        manifest(folder, *FOUR), label=None, task=task("z", "y", "x", healthy="z"), on_note=notes.append
    )
    assert cohort.classes == ("class y", "class x")
    assert cohort.videos["label"].to_list() == [1, 1, 0, 0]
    assert (made.value_index(), made.healthy) == ({"y": 0, "x": 1}, None)
    assert notes == ["gait parameters: none", "no subject has class 'class z'; it is left out"]


def test_whole_number_labels(folder):
    """Labels that a spreadsheet wrote as 1.0 are 1."""
    rows = ("A,0.mp4,0.0", "B,1.mp4,0", "C,2.mp4,1.0", "D,3.mp4,1.0", "A,4.mp4,0")
    cohort, made = read(manifest(folder, *rows), task=task("0", "1"))
    assert (cohort.videos["label"].to_list(), len(made.classes)) == ([0, 0, 0, 1, 1], 2)


def test_empty_label_excludes(folder):
    """A video without a label is left out with its row as the reason, and is not even looked at."""
    cohort, _ = read(manifest(folder, *FOUR, "E,gone.mp4,"))
    assert len(cohort.videos) == 4
    assert cohort.excluded == (("gone.mp4", "row 6: column label is empty"),)


def test_parameters_keep_their_order(folder):
    """Known parameters come in their file's order, then those that were asked for; what else there is is named once."""
    notes: list[str] = []
    header = f"{HEADER},knee_range_degree,cadence,impaired,view,walking_speed,step_time_left,sway"
    rows = [
        f"{row},{extra}"
        for row, extra in zip(
            FOUR, ("50,100,no,90,1.1,,1", "51,101,no,90,,,2", "52,,yes,90,0.8,,4", "53,103,yes,90,0.9,,3"), strict=True
        )
    ]
    cohort, _ = read(manifest(folder, *rows, header=header), named=("knee_range_degree",), on_note=notes.append)
    assert [p.key for p in cohort.parameters] == ["walking_speed", "cadence", "knee_range_degree"]
    assert (cohort.parameters[2].name, cohort.parameters[2].unit) == ("knee range", "degree")
    assert cohort.videos["cadence"].to_list() == [100, 101, None, 103]
    assert notes == [
        "gait parameters: walking_speed (leg/s), cadence (steps/min), knee_range_degree (degree)",
        "left out: step_time_left (empty); impaired (text); view (about the person or the recording); "
        "sway (unknown, --parameter COLUMN uses it)",
        "no column leg_length: taken as divided by the leg length already: walking_speed",
    ]


def test_ignored_column(folder):
    """A known parameter can be left out, and so can a leg length."""
    assert column_cohort(folder, "cadence", "90", "91", "92", "93", ignore=("cadence",)).parameters == ()
    assert column_cohort(folder, "leg_length", "long", "", "", "", ignore=("leg_length",)).parameters == ()
    assert column_problems(folder, "age", "1", "2", "3", "4", ignore=("agee",)) == (
        "--ignore agee: there is no such column; it has subject, video, label, age",
    )


def test_other_label_columns_are_no_parameters(folder):
    """The label columns of the shipped tasks are never taken for measurements."""
    assert column_cohort(folder, "updrs_gait", "0", "1", "2", "3").parameters == ()


def test_label_per_video(folder):
    """Where each video has its own label, a subject may have several."""
    rows = ("A,0.mp4,x", "A,1.mp4,y", "B,2.mp4,x", "B,3.mp4,y")
    cohort, _ = read(manifest(folder, *rows), label_per_video=True)
    assert (cohort.videos["label"].to_list(), cohort.per_video_labels) == ([0, 1, 0, 1], True)


# What is wrong with columns, labels and subjects


def test_everything_at_once(folder):
    """All problems are listed together, by row, with the manifest in front."""
    path = manifest(
        folder, "A,0.mp4,x,abc", ",1.mp4,x,91", "C,gone.mp4,y,92", "D,3.mp4,q,93", header=f"{HEADER},cadence"
    )
    with pytest.raises(CohortError) as caught:
        read(path, task=task("x", "y"))
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path} has {len(lines) - 1} problems:"
    assert [line.split(":")[0] for line in lines[-4:]] == [
        "  - row 2, column cadence",
        "  - row 3, column subject",
        "  - row 4, column video",
        "  - row 5, column label",
    ]


def test_lacking_columns(folder):
    """Columns that are not there are named beside those that are, with the way to map them."""
    assert problems(manifest(folder, *FOUR, header="patient,Video,dx")) == (
        "there is no column 'subject'; it has patient, Video, dx; pass its name as --column subject=NAME, "
        "as in --column subject=patient_id",
        "there is no column 'video'; it has patient, Video, dx; pass its name as --column video=NAME, "
        "as in --column video=Video",
        "there is no column 'label'; it has patient, Video, dx; pass its name as --column label=NAME, "
        "as in --column label=dx, or choose another with --label",
    )


def test_wrong_mapping(folder):
    """A mapping to a column that is not there, and two of the same column, are problems."""
    path = manifest(folder, *FOUR)
    assert problems(path, columns={"subject": "patient"}) == (
        "--column subject=patient: there is no column 'patient'; it has subject, video, label",
    )
    assert problems(path, columns={"subject": "video", "video": "video"})[0] == (
        "--column: 'video' is given for subject and video; each needs a column of its own"
    )


def test_no_label_named(folder):
    """Without a task and a label there is nothing to predict."""
    assert problems(manifest(folder, *FOUR), label=None) == (
        "no label column was named; pass --label COLUMN, one of subject, video, label",
    )
    assert problems(manifest(folder, *FOUR), label="subject")[0] == (
        "--label subject: this column says which subject a row is; name the column of the classes"
    )


def test_unknown_label_value(folder):
    """A value that the task does not know is named with those that it does."""
    assert problems(manifest(folder, *FOUR, "E,4.mp4,X"), task=task("x", "y")) == (
        "row 6, column label: 'X' is not a class; it must be one of x, y, or empty",
    )


def test_no_labels_at_all(folder):
    """A label column that is empty everywhere is a problem."""
    assert problems(manifest(folder, "A,0.mp4,", "B,1.mp4,")) == (
        "no row has a label in column 'label'; fill it in where it is known",
    )


def test_labels_that_are_none(folder):
    """A column with dozens of values, or with paragraphs, is not a label."""
    rows = [f"S{i},{i}.mp4,v{i}" for i in range(21)]
    assert problems(manifest(folder, *rows)) == ("column label has 21 different values (at most 20); is it the label?",)
    assert problems(manifest(folder, *FOUR, f"E,4.mp4,{'long ' * 40}z")) == (
        "column label has a text of 201 characters (at most 80); is it the label?",
    )


def test_two_spellings_of_a_label(folder):
    """'x' and 'X ' would be two classes; they are taken for a slip."""
    assert problems(manifest(folder, *FOUR, "E,4.mp4,X", "F,5.mp4,X")) == (
        "column label: labels 'X' and 'x' look like the same one; write it in one way",
    )


@pytest.mark.parametrize(("one", "other"), [("P01", "p01"), ("P01", "P1"), ("P 01", "P_01"), ("Zoé", "Zoe\u0301")])
def test_two_spellings_of_a_subject(folder, one, other):
    """One person under two spellings would stand on both sides of a split."""
    (found,) = problems(manifest(folder, f"{one},0.mp4,x", "B,1.mp4,x", f"{other},2.mp4,y", "D,3.mp4,y"))
    assert found.startswith("column subject: subjects ")
    assert found.endswith(" look like the same one; write it in one way")


def test_subjects_that_only_look_alike(folder):
    """P1, P10, P100 and P11 are four people."""
    rows = ("P1,0.mp4,x", "P10,1.mp4,x", "P100,2.mp4,y", "P11,3.mp4,y")
    assert read(manifest(folder, *rows))[0].videos["subject"].n_unique() == 4


def test_missing_subject(folder):
    """A video without a subject cannot be put on one side."""
    assert problems(manifest(folder, *FOUR, ",4.mp4,x")) == (
        "row 6, column subject: it is empty; say whose video this is, so that folds can be subject-wise",
    )


def test_two_labels_of_one_subject(folder):
    """A subject's label is one, unless labels are per video."""
    assert problems(manifest(folder, *FOUR, "A,4.mp4,y")) == (
        "row 6, column label: subject 'A' has 'y' here and 'x' in row 2; a subject has one label, "
        "unless each video has its own (--label-per-video)",
    )


def test_too_few_subjects_for_folds(folder):
    """A class with fewer subjects than folds names the largest feasible number of folds."""
    rows = (*FOUR, "E,4.mp4,x", "F,5.mp4,x")
    assert problems(manifest(folder, *rows), folds=3) == (
        "class 'y' has 2 subjects, too few for --folds 3; use --folds 2 at most, or --folds 6 to leave one subject out "
        "at a time",
    )
    assert len(read(manifest(folder, *rows), folds=6)[0].videos) == 6
    assert problems(manifest(folder, *rows), folds=7) == ("--folds 7, but there are 6 subjects; use 6 at most",)


def test_class_of_one_subject(folder):
    """A class with one subject cannot be cross-validated."""
    assert problems(manifest(folder, *FOUR, "E,4.mp4,z")) == (
        "class 'z' has 1 subject, who cannot be both trained on and held out; add subjects, or empty column label in "
        "that subject's rows",
    )


def test_one_class(folder):
    """One class is nothing to tell apart."""
    assert problems(manifest(folder, *FOUR[:2])) == (
        "only class 'x' is there; training needs videos of 2 classes at least",
    )


def test_folds_below_two(folder):
    """One fold is not a cross-validation."""
    with pytest.raises(ConfigurationError, check=coded("option.folds.range", "--folds 1")):
        read(manifest(folder, *FOUR), folds=1)
