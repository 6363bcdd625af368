"""Labels and subjects as people type them: words for 'missing', codes, look-alikes, and the cohort's own spelling."""

import pytest

from tests.trainables.cohort import test_manifest
from tests.trainables.cohort.test_manifest import FOUR, manifest, problems, read, task
from trainables.cohort.new_videos import seen_in_study
from trainables.cohort.spelling import look_of_id
from trainables.study.records import Fold, Splits

folder, shelf = test_manifest.folder, test_manifest.shelf  # pytest finds fixtures by their name in this module


def labelled(folder, *labels: str, **options):
    """Returns the cohort of one subject per label, and the notes."""
    notes: list[str] = []
    rows = (f'S{i},{i}.mp4,"{label}"' for i, label in enumerate(labels))
    cohort, made = read(manifest(folder, *rows), on_note=notes.append, **options)
    return cohort, made, notes


def label_problems(folder, *labels: str, **options) -> tuple[str, ...]:
    return problems(manifest(folder, *(f'S{i},{i}.mp4,"{label}"' for i, label in enumerate(labels))), **options)


def subjects_problems(folder, *subjects: str, **options) -> tuple[str, ...]:
    rows = (f'"{s}",{i}.mp4,{"xy"[i // 2]}' for i, s in enumerate(subjects))
    return problems(manifest(folder, *rows), **options)


@pytest.mark.parametrize(
    "word",
    ["NA", "n/a", "N.A.", "nan", "NaN", "NULL", "null", "#N/A", "<NA>", "-", "--", "—", ".", "?", "missing", "Unknown",
     "not available", "k.A.", "\\N", "NaT", " ", "\u200b", "\u00a0", "n. a.", "ＮＡ", "n / a", "n.d.", "TBD", "pending",
     "????", "*", "/", "___", "not assessed", "nicht erhoben", "#NV", ".a"],
)  # fmt: skip
def test_words_for_missing_are_no_class(folder, word):
    """A row whose label says that it is not known has none, which is said and noted as the reason."""
    cohort, _, notes = labelled(folder, "PD", "HC", word, "PD", "HC", word)
    assert cohort.classes == ("HC", "PD")
    assert [video for video, _ in cohort.excluded] == ["2.mp4", "5.mp4"]
    if word.strip(" \u200b\u00a0"):
        assert notes[0] == f"column label: {word!r} in 2 rows counts as no label"
        assert cohort.excluded[0][1] == f"row 4: column label says {word!r}"


def test_words_that_are_classes(folder):
    """A task's own value, the sign of a negative finding, and 'none' below mild and severe are classes."""
    assert labelled(folder, "NA", "x", "NA", "x", task=task("NA", "x"))[0].classes == ("class NA", "class x")
    assert labelled(folder, "+", "-", "+", "-")[0].classes == ("+", "-")
    assert labelled(folder, "++", "--", "++", "--")[0].classes == ("++", "--")
    assert labelled(folder, "ND", "not demented", "ND", "not demented")[0].classes == ("ND", "not demented")
    assert labelled(folder, "none", "mild", "none", "mild")[0].classes == ("mild", "none")


@pytest.mark.parametrize("word", ["None", "none", "nil", "NONE"])
def test_none_may_be_a_class_or_a_missing_label(folder, word):
    """Which of the two is meant is not guessed."""
    found = label_problems(folder, "PD", "HC", word, "PD", "HC", word)
    assert [line.split(":")[0] for line in found] == ["row 4, column label", "row 7, column label"]
    assert all("may be a class or a missing label" in line for line in found)


@pytest.mark.parametrize("code", ["-9", "-99", "99", "999", "-1", "9", "88", "-999", "9999"])
def test_codes_are_no_class(folder, code):
    """A number that stands for 'not known' among whole-number labels is an error that names its rows."""
    found = label_problems(folder, "0", "1", code, "0", "1", code, "2", "2")
    assert [line.split(":")[0] for line in found] == ["row 4, column label", "row 7, column label"]
    assert all("looks like a code" in line for line in found)


def test_numbers_that_are_classes(folder):
    """Scores that lie together are classes, though 9 and -1 are codes elsewhere."""
    assert len(labelled(folder, "7", "8", "9", "7", "8", "9")[0].classes) == 3
    assert len(labelled(folder, "-1", "0", "1", "-1", "0", "1")[0].classes) == 3


def test_formulas_that_failed(folder):
    """The error of a spreadsheet is an error here."""
    assert "'#REF!' is the error of a formula" in label_problems(folder, "x", "y", "#REF!", "x", "y")[0]


def test_decimal_commas_in_labels(folder):
    """1,0 and 1.0 are 1, with a task and without; what is wrong is said of the cell that is."""
    assert labelled(folder, "1.0", "0.0", "1,0", "0.0", task=task("0", "1"))[0].videos["label"].to_list() == [
        1,
        0,
        1,
        0,
    ]
    assert labelled(folder, "1.0", "0.0", "1,0", "0.0")[0].classes == ("label 0", "label 1")
    assert label_problems(folder, "1.0", "0.0", "1,5", "0.0", "1.0", task=task("0", "1")) == (
        "row 4, column label: '1,5' is not a class; it must be one of 0, 1, or empty",
    )


def test_a_misspelt_label_is_said_once(folder):
    """Classes that are too small because of another spelling are not said too."""
    assert label_problems(folder, "PD", "HC", "PD", "HC", "pd", folds=3) == (
        "column label: labels 'PD' and 'pd' look like the same one; write it in one way",
    )
    assert label_problems(folder, "x", "y", "x", "y", "z", task=task("x", "y"), folds=3) == (
        "row 6, column label: 'z' is not a class; it must be one of x, y, or empty",
    )


def test_classes_that_are_too_small_are_said_together(folder):
    """Two classes with fewer subjects than folds are one problem with one way out."""
    assert label_problems(folder, "x", "y", "x", "y", "z", "z", "z", folds=3) == (
        "class 'x' has 2 subjects, class 'y' has 2 subjects, too few for --folds 3; use --folds 2 at most, "
        "or --folds 7 to leave one subject out at a time",
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "1.0"), ("1", "1.00"), ("001", "1"), ("01.0", "1"), ("P1", "P1\u200b"), ("P1", "\ufeffP1"), ("P1", "P\u00ad1"),
     ("P1", "P1\u2060"), ("P1", "P1\ufe0f"), ("P1", "P1\u3164"), ("P 1", "P\u00a01"), ("P-1", "P\u20111"), ("P1", "Р1"),
     ("P1", "Ｐ１"), ("7", "7,0"), ('=""007""', "007"), ("P1", "p1\u200e")],
)  # fmt: skip
def test_one_person_under_two_ids(folder, one, other):
    """Ids that a person would take for the same one are an error, in which they can be told apart."""
    (found,) = subjects_problems(folder, one, "B", other, "D")
    assert found.startswith("column subject: subjects ")
    assert found.endswith(" look like the same one; write it in one way")
    assert not any(character in found for character in "\u200b\ufeff\u00ad\u2060\ufe0f\u3164\u200e")


@pytest.mark.parametrize(
    ("one", "other"), [("1", "10"), ("P1", "P1.5"), ("1", "-1"), ("P0", "P"), ("10", "100"), ("A", "B")]
)
def test_ids_of_different_people(folder, one, other):
    """Ids that only resemble each other are two people."""
    rows = (f"{s},{i}.mp4,{'xy'[i // 2]}" for i, s in enumerate((one, "C", other, "D")))
    assert read(manifest(folder, *rows))[0].videos["subject"].n_unique() == 4


@pytest.mark.parametrize("word", ["NA", "nan", "-", "unknown", "\u200b"])
def test_subjects_that_are_missing(folder, word):
    """All videos of 'NA' would be one person."""
    (found,) = subjects_problems(folder, "A", "B", word, "D")
    assert found.startswith("row 4, column subject: it ")
    assert found.endswith("; say whose video this is, so that folds can be subject-wise")


def test_folds_that_look_alike_or_are_missing(folder):
    """The manifest's own folds are read with the same care as its subjects."""
    rows = [f"{row},{fold}" for row, fold in zip((*FOUR, "E,4.mp4,x"), ("1", "2", "1.0", "2", "NA"), strict=True)]
    assert problems(manifest(folder, *rows, header="subject,video,label,site"), fold_column="site") == (
        "column site: folds '1' and '1.0' look like the same one; write it in one way",
        "row 6, column site: it says 'NA'; name the fold in which this subject is held out",
    )


def test_the_cohorts_spelling_of_a_class(folder):
    """PD and MCI stay PD and MCI, so that predictions join with the user's table."""
    cohort, made, _ = labelled(folder, "PD", "MCI", "PD", "MCI")
    assert cohort.classes == ("MCI", "PD") == tuple(c.name for c in made.classes)


def test_a_new_video_of_a_subject_whose_id_looks_the_same(folder):
    """Whoever is scored by folds that were trained on P1 is warned though the id is written P01.0 now."""
    cohort, _ = read(manifest(folder, "P1,0.mp4,x", "B,1.mp4,x", "C,2.mp4,y", "D,3.mp4,y"))
    splits = Splits(method="one", folds=(Fold(index=0, train=("P1", "C"), test=("B", "D")),))
    assert look_of_id("P01.0") == look_of_id("P1")
    new = cohort.videos.with_columns(
        sha256=cohort.videos["sha256"].str.reverse(), subject=cohort.videos["subject"] + ""
    )
    new = new.with_columns(subject=new["subject"].replace({"P1": "P01.0", "B": "b\u200b", "C": "E", "D": "F"}))
    seen = {(s.video, s.subject, s.trained) for s in seen_in_study(cohort, splits, [0], new)}
    assert seen == {("0.mp4", "P1", (0,)), ("1.mp4", "B", ())}


@pytest.mark.parametrize(
    ("one", "other"),
    [("P-1", "P1"), ("P 01", "P1"), ("P1", "P_01"), ("1e3", "1000"), ("1E+03", "1000.0"), ("+7", "7"), ("1.0e0", "1"),
     ("Smith, J", "Smith,J"), ("P1.", "P1"), ("\u0661\u0662", "12"), ("\uff11", "1"), ("P1A", "P-01-a")],
)  # fmt: skip
def test_one_subject_in_two_ways_of_writing(folder, one, other):
    """Separators, numbers as spreadsheets write them and digits of other scripts do not make a second person."""
    (found,) = subjects_problems(folder, one, "B", other, "D")
    assert found.startswith("column subject: subjects ")
    assert found.endswith("look like the same one; write it in one way")


@pytest.mark.parametrize(
    ("one", "other"), [("1-2", "12"), ("1.10", "1.1"), ("P1-2", "P12"), ("-1", "1"), ("A1", "A2"), ("2e1b", "20b")]
)
def test_two_subjects_with_similar_ids(folder, one, other):
    """What stands between two digits tells people apart."""
    cohort, _ = read(manifest(folder, f"{one},0.mp4,x", "B,1.mp4,x", f"{other},2.mp4,y", "D,3.mp4,y"))
    assert cohort.videos["subject"].n_unique() == 4


def test_ids_that_a_spreadsheet_has_shortened(folder):
    """1.23457E+11 may stand for several people, whose last digits are lost."""
    found = subjects_problems(folder, "1.23457E+11", "B", "C", "D")
    assert found == (
        "row 2, column subject: '1.23457E+11' is a long number that a spreadsheet has shortened, so that several people may "
        "be one; format the column as text, and export it again",
    )
