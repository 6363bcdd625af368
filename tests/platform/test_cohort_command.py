"""`python -m platform.cohort` and what it shares with the search: options, the lines that it prints, its exit status."""

import re
from pathlib import Path
from platform.arguments import parse_search
from platform.cohort import main
from platform.next_step import next_line

import pytest

from tests.trainables.cohort import test_manifest
from tests.trainables.cohort.test_manifest import HEADER, manifest

folder, shelf = test_manifest.folder, test_manifest.shelf  # pytest finds fixtures by their name in this module
ROWS = [f"S{i},{i}.mp4,{('PD', 'MCI')[i % 2]},{0.8 + i / 20},{90 + 3 * i},{i * i + 40},{60 + i}" for i in range(8)]
MORE = f"{HEADER},walking_speed,cadence,sway,age"


def check(capsys: pytest.CaptureFixture[str], path: Path, *options: str) -> tuple[int, list[str], str]:
    """Runs the check, and returns its exit status, the lines that it prints, and its error."""
    status = main(["check", str(path), "--label", "label", "--folds", "2", *options])
    out, errors = capsys.readouterr()
    lines = [line for line in out.splitlines() if "no clinical knowledge" not in line]
    return status, lines[: lines.index("no problems") + 1] if status == 0 else lines, errors


def test_the_summary_says_what_is_there_and_what_comes_next(folder, capsys):
    """After the check come subjects, hours, classes, parameters, formats, disk and time, and the command to go on with."""
    path = manifest(folder, *ROWS, header=MORE)
    assert main(["check", str(path), "--label", "label", "--folds", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rest = lines[lines.index("no problems") + 1 :]
    assert rest[0].startswith("  8 subjects with 1 to 1 videos each; 8 videos of 0.")
    assert rest[1:5] == [
        "  class MCI: 4 subjects, 4 videos",
        "  class PD: 4 subjects, 4 videos",
        "  2 gait parameters, 100% of their values are there",
        "  recordings: 8 h264 64 x 48, 30 frames/s (.mp4)",
    ]
    assert "GiB at 224 x 224 pixels" in rest[5]
    assert re.fullmatch(r"  time to decode: about \d+ s on \d+ CPUs?, without following walkers; .*", rest[6])
    assert rest[7] == next_line("search", "--cohort", path, "--label", "label", "--folds", "2", "--dry-run")


def test_what_is_used_and_what_is_left_out(folder, capsys):
    """One line says which columns are gait parameters, one which are not and why; classes are spelled as in the table."""
    assert check(capsys, manifest(folder, *ROWS, header=MORE)) == (
        0,
        [
            "  gait parameters: walking_speed (leg/s), cadence (steps/min)",
            "  left out: sway (unknown, --parameter COLUMN uses it); age (about the person or the recording)",
            "  no column leg_length: taken as divided by the leg length already: walking_speed",
            "cohort cohort.csv: 8 videos of 8 subjects (4 MCI, 4 PD), 2 numeric parameters",
            "no problems",
        ],
        "",
    )


def test_columns_that_are_asked_for(folder, capsys):
    """--parameter adds a column, again and again, and --ignore takes a known one away."""
    path = manifest(folder, *ROWS, header=MORE)
    _, lines, _ = check(capsys, path, "--parameter", "sway", "--parameter", "age", "--ignore", "cadence")
    assert lines[:2] == ["  gait parameters: walking_speed (leg/s), sway, age", "  left out: cadence (--ignore)"]
    assert lines[-2].endswith("3 numeric parameters")


def test_the_options_of_a_study(folder):
    """What decides the result is part of a study's identity; whether links are followed is not."""
    options = parse_search(["--parameter", "a", "--parameter", "b", "--follow-links"])
    assert (options.parameter, options.follow_links) == (("a", "b"), True)
    assert options.identity()["parameter"] == ("a", "b")
    assert "follow_links" not in options.identity()


def test_labels_per_video_are_counted_by_video(folder, capsys):
    """Someone who has both labels is not counted under the first one alone."""
    rows = [f"S{i // 2},{i}.mp4,{('first', 'second')[i % 2]}" for i in range(8)]
    _, lines, _ = check(capsys, manifest(folder, *rows), "--label-per-video")
    assert lines[-2] == "cohort cohort.csv: 8 videos of 4 subjects (videos: 4 first, 4 second), 0 numeric parameters"


def test_links_that_are_followed(folder, tmp_path_factory, capsys):
    """The option lets a link lead out of the folder, and the check says that it did."""
    store = tmp_path_factory.mktemp("store")
    (folder / "0.mp4").rename(store / "0.mp4")
    (folder / "0.mp4").symlink_to(store / "0.mp4")
    path = manifest(folder, *ROWS, header=MORE)
    status, _, error = check(capsys, path)
    assert (status, "--follow-links" in error) == (1, True)
    status, lines, _ = check(capsys, path, "--follow-links")
    assert status == 0
    assert any("allowed by --follow-links" in line for line in lines)


def test_errors_of_the_disk(tmp_path, capsys):
    """A folder that cannot be made is one sentence and exit status 1, as in the other commands."""
    (tmp_path / "file").write_text("x")
    assert main(["simulate", str(tmp_path / "file" / "cohort"), "--subjects", "3"]) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert len(error.splitlines()) == 1
    assert str(tmp_path / "file") in error
