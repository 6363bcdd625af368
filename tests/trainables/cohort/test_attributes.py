"""Patients' attributes are not gait parameters: what --attribute keeps, and columns that tell the classes apart alone."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tests.platform.test_cohort_command import check
from tests.trainables.cohort import test_manifest
from tests.trainables.cohort.test_manifest import FOUR, HEADER, manifest, problems, read
from tests.videos import write_video
from trainables.cohort.separation import auroc, separation
from trainables.study.records import Attribute, Cohort

folder, shelf = test_manifest.folder, test_manifest.shelf  # pytest finds fixtures by their name in this module


@pytest.fixture(scope="module")
def twenty(tmp_path_factory) -> list[str]:
    """Returns the first three cells of twenty rows, ten subjects of each class, whose videos lie in `.folder`."""
    place = tmp_path_factory.mktemp("twenty")
    for i in range(20):
        write_video(place / f"{i}.mp4", seed=i, frames=30)
    return [str(place), *(f"P{i:02d},{i}.mp4,{'yx'[i < 10]}" for i in range(20))]


def of_twenty(twenty: list[str], header: str, cells: list[str]):
    """Returns the manifest of twenty subjects with more columns."""
    place, *rows = twenty
    return manifest(
        Path(place), *(f"{row},{more}" for row, more in zip(rows, cells, strict=True)), header=f"{HEADER},{header}"
    )


def test_attributes_are_kept_beside_the_parameters(folder):
    """Numbers stay numbers, words and codes become categories, gaps are null, and no parameter is made of any."""
    rows = [f"{row},{more}" for row, more in zip(FOUR, ("71,m,1.1", "68,f,0.9", "n/a,f,0.7", "80,,0.8"), strict=True)]
    notes: list[str] = []
    path = manifest(folder, *rows, header=f"{HEADER},age,sex,walking_speed")
    cohort, _ = read(path, attributes=("sex", "age"), on_note=notes.append)
    assert [p.key for p in cohort.parameters] == ["walking_speed"]
    assert cohort.attributes == (Attribute(name="sex", kind="category"), Attribute(name="age", kind="category"))
    assert cohort.videos["attribute sex"].to_list() == ["m", "f", "f", None]
    assert cohort.videos["attribute age"].to_list() == ["71", "68", None, "80"]
    assert "attributes of subjects, which the model does not see: sex, age" in notes
    assert not [n for n in notes if n.startswith("left out")]


def test_many_different_numbers_are_a_number(twenty):
    """Ages are numbers, the degree of the camera is a category."""
    cells = [f"{50 + i},{(45, 90)[i % 2]}" for i in range(20)]
    cohort, _ = read(of_twenty(twenty, "years of age,view_degree", cells), attributes=("years of age", "view_degree"))
    assert [a.kind for a in cohort.attributes] == ["number", "category"]
    assert cohort.videos["attribute years of age"].to_list() == [float(50 + i) for i in range(20)]


def test_attributes_come_back_from_disk(twenty, tmp_path):
    """A study's cohort has them again, and they are part of what its hash covers."""
    path = of_twenty(twenty, "site", ["AB"[i % 2] for i in range(20)])
    cohort, plain = read(path, attributes=("site",))[0], read(path)[0]
    cohort.save(tmp_path / "study")
    assert Cohort.load(tmp_path / "study").attributes == (Attribute(name="site", kind="category"),)
    assert Cohort.load(tmp_path / "study").sha256() == cohort.sha256() != plain.sha256()


@pytest.mark.parametrize(
    ("cells", "attributes", "options", "said"),
    [
        ("1111", ("sway",), {}, "--attribute sway: the column is the same in every row; leave it out"),
        (("n/a",) * 4, ("sway",), {}, "--attribute sway: the column is empty; leave it out"),
        ("1234", ("swing",), {}, "--attribute swing: there is no such column; it has subject, video, label, sway"),
        ("1234", ("label",), {}, "--attribute label: this column means something else; leave it out"),
        ("mMff", ("sway",), {}, "column sway: values 'm' and 'M' look like the same one; write it in one way"),
        (
            "1234",
            ("sway",),
            {"named": ("sway",)},
            "--parameter sway: --attribute names the same column; give one of the two",
        ),
    ],
)
def test_attributes_that_cannot_be(folder, cells, attributes, options, said):
    """An attribute that says nothing, is missing, or is something else already is a problem."""
    rows = [f"{row},{cell}" for row, cell in zip(FOUR, cells, strict=True)]
    assert said in problems(manifest(folder, *rows, header=f"{HEADER},sway"), attributes=attributes, **options)


def test_names_of_people_are_no_attribute(twenty):
    """A column with another word for nearly everybody would make subgroups of one person."""
    place, *rows = twenty
    more = [f"P{i},{i}.mp4,x" for i in range(20, 22)]
    for i in (20, 21):
        write_video(Path(place) / f"{i}.mp4", seed=i, frames=30)
    path = manifest(Path(place), *(f"{r},n{i}" for i, r in enumerate([*rows, *more])), header=f"{HEADER},nick")
    (said,) = problems(path, attributes=("nick",))
    assert said.startswith("--attribute nick: the column has 22 different values (at most 20)")


def test_a_known_column_that_separates_the_classes_is_an_error_until_named(twenty, capsys):
    """A walking speed of 0.5 in all patients and 1.2 in all others is more often a fault than a finding."""
    cells = [f"{(0.5, 1.2)[i < 10] + i / 1000:g},{100 + (i * 7) % 20}" for i in range(20)]
    path = of_twenty(twenty, "walking_speed,cadence", cells)
    status, _, said = check(capsys, path)
    assert status == 1
    assert "column walking_speed alone nearly separates 'x' from the others (AUROC 1.00 over 20 subjects)" in said
    assert "cadence" not in said
    assert check(capsys, path, "--parameter", "walking_speed")[0] == 0
    status, lines, _ = check(capsys, path, "--ignore", "walking_speed")
    assert status == 0
    assert "  left out: walking_speed (--ignore)" in lines


def test_an_attribute_that_separates_the_classes_is_said(twenty, capsys):
    """Where each class comes from its own hospital, the check says what a model may learn in place of the class."""
    path = of_twenty(twenty, "site,age", [f"{'AB'[i < 10]},{60 + (i * 7) % 20}" for i in range(20)])
    status, lines, _ = check(capsys, path, "--attribute", "site,age")
    assert status == 0
    assert [line for line in lines if "alone" in line] == [
        "  attribute site alone nearly separates 'x' from the others (AUROC 1.00 over 20 subjects): what a model learns here may "
        "be site"
    ]


def test_few_subjects_are_not_judged():
    """Nine subjects of a class in perfect order are no finding; ten are."""
    for count, judged in ((9, False), (10, True)):
        subjects = [f"{i}" for i in range(2 * count)]
        labels = ["x"] * count + ["y"] * count
        found = separation([float(i) for i in range(2 * count)], subjects, labels)
        assert (found is not None and found.nearly) is judged


def test_a_subject_counts_once():
    """Many videos of one subject are one mean, not many subjects."""
    subjects, labels = ["A"] * 30 + ["B"] * 30, ["x"] * 30 + ["y"] * 30
    assert separation([1.0] * 30 + [2.0] * 30, subjects, labels) is None


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_the_area_under_the_curve(positive, negative):
    """It is scikit-learn's, ties included."""
    truth = [1] * len(positive) + [0] * len(negative)
    assert auroc(np.array(positive), np.array(negative)) == pytest.approx(roc_auc_score(truth, positive + negative))
