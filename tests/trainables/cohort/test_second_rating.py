"""A second rater's column: read in the label's classes, seen by no model, and wrong cells are one sentence each."""

import pytest

from tests.trainables.cohort import test_manifest
from tests.trainables.cohort.test_manifest import FOUR, HEADER, manifest, problems, read
from trainables.study.records import SECOND_RATING, Cohort

folder, shelf = test_manifest.folder, test_manifest.shelf  # pytest finds fixtures by their name in this module


def with_ratings(folder, *cells: str):
    """Returns the manifest of four subjects with a column of second ratings."""
    rows = [f"{row},{cell}" for row, cell in zip(FOUR, cells, strict=True)]
    return manifest(folder, *rows, header=f"{HEADER},other")


def test_ratings_are_class_indices_and_not_part_of_the_hash(folder, tmp_path):
    """Empty cells are null, the rating comes back from disk, and training's hash of the cohort does not know of it."""
    plain, _ = read(with_ratings(folder, "x", "x", "", "y"), ignore=("other",))
    notes: list[str] = []
    cohort, task = read(with_ratings(folder, "x", "x", "n/a", "y"), second_rating="other", on_note=notes.append)
    order = [c.value for c in task.classes]
    names = [None if i is None else order[i] for i in cohort.videos[SECOND_RATING]]
    assert names == ["x", "x", None, "y"]
    assert cohort.sha256() == plain.sha256()
    assert "second rating other: 1 of 4 videos have none" in notes
    cohort.save(tmp_path / "study")
    assert Cohort.load(tmp_path / "study").videos[SECOND_RATING].to_list() == cohort.videos[SECOND_RATING].to_list()


@pytest.mark.parametrize(
    ("cells", "column", "said"),
    [
        ("xxyy", "others", "--second-rating others: there is no such column; it has subject, video, label, other"),
        ("xxyy", "label", "--second-rating label: this column means something else"),
        (("",) * 4, "other", "--second-rating other: the column is empty; leave it out"),
        ("xxyz", "other", "'z' is not among the classes of the labels; it must be one of"),
    ],
)
def test_wrong_ratings_are_one_sentence(folder, cells, column, said):
    """A column that is not there or holds another thing is named with what is allowed."""
    assert any(said in line for line in problems(with_ratings(folder, *cells), second_rating=column))


def test_two_ratings_of_one_subject(folder):
    """Labels are by subject, so one subject's videos have one second rating; with labels per video they may differ."""
    first, second, *rest = FOUR
    same = f"{first.split(',')[0]},{second.split(',', 1)[1]}"
    rows = [f"{row},{cell}" for row, cell in zip((first, same, *rest), "xyxy", strict=True)]
    path = manifest(folder, *rows, header=f"{HEADER},other")
    assert any("has 'y' here and 'x' in row 2" in line for line in problems(path, second_rating="other"))
