"""Text tables as spreadsheets and programs write them: encodings, separators, quotes, and names that cannot be seen."""

import polars as pl
import pytest

from tests.trainables.cohort import test_manifest
from tests.trainables.cohort.test_manifest import FOUR, HEADER, problems, read
from tests.trainables.cohort.test_manifest_files import raw

folder, shelf = test_manifest.folder, test_manifest.shelf  # pytest finds fixtures by their name in this module
SPEEDS = (1.1, 0.7, 0.9, 0.8)
ROWS = [f"{row},{speed}" for row, speed in zip(FOUR, SPEEDS, strict=True)]


def table(*rows: str, header: str = f"{HEADER},walking_speed", separator: str = ",") -> str:
    """Returns the text of a table whose rows are given with commas."""
    return "\n".join([header, *(row.replace(",", separator) for row in rows)]) + "\n"


def speeds(path) -> list[float]:
    """Returns the walking speeds that are read from a manifest."""
    values: list[float] = read(path)[0].videos["walking_speed"].to_list()
    return values


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("announced", ["", "sep={}\r\n", '"sep={}"\n', "SEP={}\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_that_are_announced_or_found(folder, separator, announced, encoding):
    """Every separator is read in every encoding that says what it is, with Excel's line 'sep=' and without."""
    text = table(*ROWS, header=f"{HEADER},walking_speed".replace(",", separator), separator=separator)
    content = (announced.format(separator) + text).encode(encoding)
    assert speeds(raw(folder, content)) == list(SPEEDS)


def test_a_separator_that_only_the_first_line_names(folder):
    """Any character can be announced; padding after it says that the file was saved again with another."""
    text = table(*ROWS, header=f"{HEADER},walking_speed".replace(",", "^"), separator="^")
    assert speeds(raw(folder, b"sep=^\n" + text.encode())) == list(SPEEDS)
    assert speeds(raw(folder, b"sep=;,,,\n" + table(*ROWS).encode())) == list(SPEEDS)


def test_rows_are_counted_as_a_spreadsheet_does(folder):
    """Excel hides its line 'sep=;', so the header is row 1 there and here."""
    rows = [f"{row},fast" for row in FOUR[:1]] + ROWS[1:]
    text = table(*rows, header=f"{HEADER},walking_speed".replace(",", ";"), separator=";")
    (found,) = problems(raw(folder, b"sep=;\r\n" + text.encode()))
    assert found.startswith("row 2, column walking_speed: 'fast'")


@pytest.mark.parametrize(
    ("name", "separator"),
    [
        ('"step length (left, right, mean, max, min), m"', ";"),
        ("step length (left, right, mean, max, min), m", ";"),
        ('"a;b;c;d;e;f"', ","),
        ('"the ""mean"", in m | cm"', "\t"),
        ('"step length\n(left, right, mean), m"', "|"),
    ],
)
def test_separators_inside_a_header_do_not_count(folder, name, separator):
    """The separator is the one that divides the rows as it divides the header, whatever stands in the header's names."""
    header = separator.join([*HEADER.split(","), name, "walking_speed"])
    rows = [f"{row},1,{speed}" for row, speed in zip(FOUR, SPEEDS, strict=True)]
    assert speeds(raw(folder, table(*rows, header=header, separator=separator).encode())) == list(SPEEDS)


def test_a_name_over_two_lines_is_one_name(folder):
    """A line break in a column's name, as Excel's Alt+Enter makes it, is a space to --parameter and --column."""
    text = table(*ROWS, header=f'{HEADER},"walking\n speed"')
    assert read(raw(folder, text.encode()), named=("walking speed",))[0].parameters[0].key == "walking speed"
    assert read(raw(folder, text.encode()), columns={"walking_speed": "walking speed"})[0].parameters[0].unit == "leg/s"


def test_marks_and_invisible_characters_in_names(folder):
    """A second byte-order mark, a zero-width space or a decomposed accent in the header hides no column."""
    text = "\ufeff" + table(*ROWS, header="\u200bsubject,video\ufeff,la\u00adbel,Große La\u0308nge")
    cohort, _ = read(raw(folder, text.encode("utf-8-sig")), named=("Große Länge",))
    assert [p.key for p in cohort.parameters] == ["Große Länge"]


def test_decimal_commas_between_commas(folder):
    """A decimal comma makes one cell too many, and the message says how numbers are written."""
    found = problems(raw(folder, table(*(row.replace(".8", ",8").replace(".7", ",7") for row in ROWS)).encode()))
    assert all("write numbers with a decimal point" in line for line in found)


def test_nan_and_whole_numbers_in_parquet(folder):
    """NaN is an empty cell in every column, and 1.0 is the subject 1."""
    frame = pl.DataFrame(
        {
            "subject": [1.0, 2.0, 3.0, 4.0, float("nan")],
            "video": [f"{i}.mp4" for i in range(5)],
            "label": ["x", "x", "y", "y", None],
            "walking_speed": [1.1, float("nan"), 0.7, None, 1.0],
        }
    )
    frame.write_parquet(folder / "cohort.parquet")
    cohort, _ = read(folder / "cohort.parquet")
    assert cohort.videos.select("subject", "walking_speed").rows() == [("1", 1.1), ("2", None), ("3", 0.7), ("4", None)]
    assert cohort.excluded == (("4.mp4", "row 5: column label is empty"),)
    frame.with_columns(label=pl.lit("x")).write_parquet(folder / "cohort.parquet")
    assert "row 5, column subject: it is empty" in "\n".join(problems(folder / "cohort.parquet"))


def test_a_table_that_was_not_fetched(folder):
    """A pointer of Git LFS and a link to nowhere are named for what they are."""
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    for name in ("cohort.csv", "cohort.parquet"):
        (found,) = problems(raw(folder, pointer, name))
        assert found.startswith("it is a Git LFS pointer to a file of 12,345 bytes")
    (folder / "link.csv").symlink_to(".git/annex/objects/aa/bb/cohort.csv")
    (found,) = problems(folder / "link.csv")
    assert found.startswith(
        "it is a link to .git/annex/objects/aa/bb/cohort.csv, which is not there; fetch it with 'git"
    )


@pytest.mark.parametrize("title", ["Gait laboratory, export of 2024", "# exported"])
def test_a_title_above_the_header(folder, title):
    """A line above the columns' names is named once, in place of a problem in every row."""
    path = folder / "cohort.csv"
    path.write_text(f'"{title}"\n\nsubject,video,label\nA,0.mp4,x\nB,1.mp4,y\n')
    assert problems(path) == (
        f"row 1 is {title!r}, a title above the table; delete it, so that the columns' names come first",
    )
