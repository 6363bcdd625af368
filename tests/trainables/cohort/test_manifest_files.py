"""Manifests and videos as they come from real disks: missing, damaged, copied, linked, of a wrong kind."""

import os
import shutil
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import WALKERS
from tests.trainables.cohort import test_manifest
from tests.trainables.cohort.test_manifest import FOUR, HEADER, manifest, problems, read
from tests.videos import write_video
from trainables.errors import CohortError
from trainables.knowledge.parameters import load_parameters

folder, shelf = test_manifest.folder, test_manifest.shelf  # pytest finds fixtures by their name in this module


def raw(folder: Path, content: bytes, name: str = "cohort.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def video_problem(folder: Path, name: str) -> str:
    """Returns what is said about one more video in a good cohort."""
    (found,) = problems(manifest(folder, *FOUR, f"E,{name},x"))
    assert found.startswith("row 6, column video: ")
    return found.removeprefix("row 6, column video: ")


# The manifest itself


@pytest.mark.parametrize("name", ["gone.csv", "gone.parquet", "no_folder/gone.csv", "x" * 300 + ".csv"])
def test_missing_manifest(tmp_path, name):
    """A manifest that is not there is said so."""
    (found,) = problems(tmp_path / name)
    assert found in (
        "it does not exist; give the path of a CSV or parquet file that lists the videos",
        "it cannot be read (file name too long)",
    )


def test_folder_as_manifest(tmp_path):
    """A folder is not a manifest."""
    assert problems(tmp_path) == ("it is a folder; give the CSV or parquet file in it that lists the videos",)


def test_pipe_as_manifest(tmp_path):
    """A pipe would be waited on forever."""
    os.mkfifo(tmp_path / "cohort.csv")
    assert problems(tmp_path / "cohort.csv") == (
        "it is not a regular file; give the path of a CSV or parquet file that lists the videos",
    )


def test_spreadsheet(tmp_path):
    """A spreadsheet is to be saved as CSV, also where it was only renamed."""
    assert problems(raw(tmp_path, b"PK\x03\x04", "cohort.xlsx")) == (
        "its name ends in '.xlsx', but it must end in .csv, .tsv, .parquet, .pq; from a spreadsheet, save it as 'CSV UTF-8'",
    )
    assert problems(raw(tmp_path, b"PK\x03\x04\x14\x00\x06\x00\xff")) == (
        "row 1: a character is not UTF-8; save the file as 'CSV UTF-8'",
    )
    assert problems(raw(tmp_path, b"PK\x03\x04\x14\x00\x06\x00")) == (
        "it holds zero bytes, as no text file does; save it as 'CSV UTF-8'",
    )


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b",,,\n"])
def test_empty_manifest(tmp_path, content):
    """A file without any text is empty."""
    assert problems(raw(tmp_path, content)) == (
        "it is empty; its first row must name the columns, then comes one row per video",
    )


def test_header_only(tmp_path):
    """A header without rows lists no video."""
    assert problems(raw(tmp_path, b"subject,video,label\n\n,,\n")) == ("it has no rows; it needs one row per video",)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le"])
def test_other_encodings(folder, encoding):
    """What is not UTF-8 and has no byte-order mark is pointed at instead of guessed."""
    text = "\n".join([HEADER, FOUR[0], "Jörg,1.mp4,x"])
    (found,) = problems(raw(folder, text.encode(encoding)))
    assert found in (
        "row 3: a character is not UTF-8; save the file as 'CSV UTF-8'",
        "row 1: a character is not UTF-8; save the file as 'CSV UTF-8'",
    )


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_separators_line_ends_and_mark(folder, separator, ending):
    """Semicolons, tabs, every line end, quotes, spaces, a byte-order mark and blank lines are read."""
    lines = [f' {HEADER} ,"cadence"', "", *(f' {row} ,"10{i}"' for i, row in enumerate(FOUR)), ""]
    text = ending.join(lines).replace(",", separator)
    cohort, _ = read(raw(folder, b"\xef\xbb\xbf" + text.replace(" ", "").encode()))
    assert cohort.videos.select("subject", "cadence").rows() == [("A", 100), ("B", 101), ("C", 102), ("D", 103)]


def test_spaces_around_cells(folder):
    """White space around a cell is not part of it."""
    cohort, _ = read(manifest(folder, *(row.replace(",", " , ") for row in FOUR), header=" subject , video , label "))
    assert cohort.videos["video"].to_list() == ["0.mp4", "1.mp4", "2.mp4", "3.mp4"]


def test_decimal_commas(folder):
    """A semicolon file with decimal commas is told what to write, not read as text."""
    rows = [f"{row.replace(',', ';')};0,{i}5" for i, row in enumerate(FOUR)]
    found = problems(manifest(folder, *rows, header="subject;video;label;arm_swing_m"), named=("arm_swing_m",))
    assert found[0] == "row 2, column arm_swing_m: '0,05' is not a number; write 0.05, with a decimal point"


def test_duplicate_header(folder):
    """Two columns of one name cannot be told apart."""
    assert problems(manifest(folder, *(f"{row},1" for row in FOUR), header=f"{HEADER},label")) == (
        "column 'label' is there 2 times; give each column a name of its own",
    )


def test_unnamed_columns(folder):
    """The unnamed column of row numbers that pandas writes, and empty ones at the end, do not matter."""
    rows = [f"{i},{row},," for i, row in enumerate(FOUR)]
    assert read(manifest(folder, *rows, header=f",{HEADER},,"))[0].parameters == ()


def test_ragged_rows(folder):
    """A row with more or fewer cells than the header is named, blank lines are counted."""
    assert problems(manifest(folder, *FOUR, "", "E,4.mp4", "F,5.mp4,x,9")) == (
        "row 7: 2 cells, but the header has 3; put text that holds the separator in quotes, "
        "and write numbers with a decimal point",
        "row 8: 4 cells, but the header has 3; put text that holds the separator in quotes, "
        "and write numbers with a decimal point",
    )


def test_open_quote(folder):
    """A quote that is never closed would swallow the rest of the file."""
    assert problems(manifest(folder, FOUR[0], '"B,1.mp4,x', *FOUR[2:])) == (
        "row 3: a quote is opened and not closed; put a cell's text in a pair of quotes, or use none",
    )


def test_damaged_parquet(tmp_path):
    """A parquet file that is none is one sentence."""
    (found,) = problems(raw(tmp_path, b"subject,video\n", "cohort.parquet"))
    assert found.startswith("it is not a whole parquet file (")
    assert "\n" not in found


# The videos


def test_missing_video(folder):
    """A missing video is named with where it was looked for, and a near name is offered."""
    (folder / "clips").mkdir()
    write_video(folder / "clips" / "Walk1.mp4", seed=50)
    assert video_problem(folder, "gone.avi") == f"there is no file 'gone.avi' in {folder}"
    assert video_problem(folder, "clips/walk1.MP4") == (
        f"there is no file 'clips/walk1.MP4' in {folder}; did you mean 'clips/Walk1.mp4'?"
    )
    assert video_problem(folder, "clips\\Walk1.mp4") == (
        f"there is no file 'clips\\\\Walk1.mp4' in {folder}; write clips/Walk1.mp4, with forward slashes"
    )
    assert video_problem(folder, "klips/Walk1.mp4") == (
        f"there is no file 'klips/Walk1.mp4' in {folder}: its folder {folder}/klips cannot be listed"
    )


def test_no_video_named(folder):
    """An empty cell names no video."""
    assert video_problem(folder, "") == "it is empty; name the row's video file"


def test_short_video(folder):
    """19 frames are too few."""
    assert video_problem(folder, "short.mp4") == "'short.mp4' is too short: 19 frames at 30 frames/s; 20 at least"


def test_unreadable_video(folder):
    """Empty files, text and cut-off videos are told apart."""
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("no video")
    content = (folder / "4.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(content[: len(content) // 2])
    assert video_problem(folder, "empty.mp4") == "'empty.mp4' is empty (0 bytes); copy it again"
    for name in ("text.mp4", "cut.mp4"):
        assert video_problem(folder, name) == f"{name!r} cannot be read as a video; export it again, as MP4 with H.264"


@pytest.mark.parametrize("name", ["/etc/passwd", "C:\\videos\\a.mp4", "C:/a.mp4"])
def test_absolute_path(folder, name):
    """A cohort must be movable: no absolute paths."""
    assert video_problem(folder, name) == f"{name!r} is an absolute path; write it relative to the manifest's folder"


@pytest.mark.parametrize("name", ["../a.mp4", "sub/../../a.mp4", "..\\a.mp4"])
def test_path_out_of_the_folder(folder, name):
    """A manifest reaches no file outside its folder."""
    assert video_problem(folder, name) == (
        f"{name!r} leaves the manifest's folder; put the manifest above all its videos"
    )


def test_link_out_of_the_folder(folder, tmp_path_factory):
    """Neither does a link, of a file or of a folder; a link that stays inside is fine."""
    outside = tmp_path_factory.mktemp("outside")
    shutil.copy(folder / "4.mp4", outside / "a.mp4")
    (folder / "link.mp4").symlink_to(outside / "a.mp4")
    (folder / "linked").symlink_to(outside)
    for name in ("link.mp4", "linked/a.mp4"):
        assert video_problem(folder, name) == (
            f"{name!r} is a link to {outside}/a.mp4, outside the manifest's folder; put the video itself there, or pass "
            "--follow-links if links may lead to any file that you may read"
        )
    (folder / "inside.mp4").symlink_to(folder / "4.mp4")
    assert len(read(manifest(folder, *FOUR, "E,inside.mp4,x"))[0].videos) == 5


def test_linked_cohort_folder(folder, tmp_path_factory):
    """A cohort folder that is itself reached through a link is inside itself."""
    link = tmp_path_factory.mktemp("links") / "cohort"
    link.symlink_to(folder)
    manifest(folder, *FOUR)
    assert len(read(link / "cohort.csv")[0].videos) == 4


def test_things_that_are_no_files(folder):
    """A folder, a pipe, a broken link, a link to itself and an endless name are no videos."""
    (folder / "sub").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    (folder / "broken.mp4").symlink_to(folder / "nothing.mp4")
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")
    assert video_problem(folder, "sub") == "'sub' is a folder; name a video file"
    assert video_problem(folder, "pipe.mp4") == "'pipe.mp4' is not a regular file; name a video file"
    assert video_problem(folder, "broken.mp4").startswith(
        f"'broken.mp4' is a link to {folder}/nothing.mp4, which is not"
    )
    assert video_problem(folder, "loop.mp4").startswith("'loop.mp4' cannot be opened (")
    assert video_problem(folder, "n" * 300) == f"{'n' * 300!r} cannot be opened (file name too long)"
    assert video_problem(folder, "0.mp4/a.mp4").startswith("'0.mp4/a.mp4' cannot be opened (not a directory)")


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may read everything")
def test_unreadable_permissions(folder):
    """A video that may not be read says so."""
    write_video(folder / "closed.mp4", seed=60).chmod(0)
    assert video_problem(folder, "closed.mp4") == "'closed.mp4' cannot be opened (permission denied)"


@pytest.mark.parametrize("name", ["Gang ältere Frau.mp4", "步态 1.mp4", "it's 100% 'ok'.mp4", "-x.mp4", "a:b|c.mp4"])
def test_unusual_names(folder, name):
    """Names in any script, with spaces, quotes and signs that mean something elsewhere, are read."""
    write_video(folder / "plain.mp4", seed=61).rename(folder / name)
    cohort, _ = read(manifest(folder, *FOUR, f"E,{name},x"))
    assert name in cohort.videos["video"].to_list()


def test_video_listed_twice(folder):
    """The same path, the same path written otherwise, and a copy are all the same video."""
    shutil.copy(folder / "0.mp4", folder / "copy.mp4")
    for name, said in (("0.mp4", "listed before"), ("./0.mp4", "listed before"), ("copy.mp4", "a copy of the one")):
        assert problems(manifest(folder, *FOUR, f"A,{name},x")) == (
            f"row 6, column video: it is {said} in row 2 ('0.mp4'); keep one row",
        )


def test_same_video_of_two_subjects(folder):
    """One video under two subjects would leak across a split, whatever its name."""
    shutil.copy(folder / "0.mp4", folder / "copy.mp4")
    for name in ("0.mp4", "copy.mp4"):
        assert video_problem(folder, name) == (
            "the same video belongs to subject 'A' in row 2 ('0.mp4') and to 'E' here; keep one"
        )


def test_progress(folder):
    """Looking into the videos is reported as it goes."""
    seen: list[tuple[int, int]] = []
    read(manifest(folder, *FOUR), on_file=lambda *n: seen.append(n))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.skipif(not WALKERS.exists(), reason="the real-motion cohort is not on this machine")
def test_real_motion_cohort():
    """Videos of real motion read without a problem, and 12 columns of measurements become parameters when asked for."""
    table = pl.read_csv(WALKERS)
    measured = tuple(table.columns[table.columns.index("walking_speed_m_per_s") :])
    cohort, task = read(WALKERS, label="diagnosis", named=measured, parameters=load_parameters())
    people = table["subject"].n_unique()
    assert (len(cohort.videos), len(cohort.subjects()), len(cohort.parameters)) == (len(table), people, 12)
    assert cohort.classes == ("Healthy", "Joint Problem", "Muscle Weakness", "Neurological Defect")
    assert (task.healthy, task.ordinal) == ("Healthy", False)
    assert [p.unit for p in cohort.parameters][:4] == ["m/s", "steps/min", "s", "m"]
    assert cohort.videos.null_count().select(p.key for p in cohort.parameters).sum_horizontal().item() == 0
    (first, *_) = problems(WALKERS, label="diagnosis", folds=5)
    assert "class 'Joint Problem' has 2 subjects" in first
    assert first.endswith(f"use --folds 2 at most, or --folds {people} to leave one subject out at a time")


@given(
    st.binary(max_size=300)
    | st.text(alphabet="subject,video,label\n\"';\t\r .0123x\x00é", max_size=200).map(str.encode)
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_as_manifest(tmp_path, content: bytes):
    """Whatever stands in a manifest, the answer is a list of problems."""
    for name in ("cohort.csv", "cohort.parquet"):
        assert problems(raw(tmp_path, content, name))


cells = st.sampled_from(
    ["", "A", "x", "y", "0.mp4", "1.mp4", "gone.mp4", "..", "1", "-1", "1e999", "nan", "9" * 400, "a\nb"]
)


@given(st.lists(st.lists(cells, min_size=9, max_size=9), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_cells(folder, rows: list[list[str]]):
    """Whatever stands in the cells, the answer is a cohort or a list of problems, never another error."""
    header = "subject,video,label,cadence,leg_length,box_left,box_top,box_right,box_bottom"
    lines = [",".join(f'"{cell}"' for cell in row) for row in rows]
    try:
        made, _ = read(manifest(folder, *lines, header=header))
    except CohortError as error:
        said = error.problems
    else:
        said = made.classes
    assert said
    assert not any("\n" in line for line in said)
