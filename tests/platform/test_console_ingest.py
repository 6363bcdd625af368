"""What a terminal shows while videos are decoded, and what is left of it."""

import re
import subprocess
import sys

import pytest

from tests.terminal import draw, shown

INGEST = """
from platform.console import Console
console = Console()
console.say("before")
try:
    with console.ingest() as on_video:
        for done in range({total}):
            on_video(done + 1, {total})
        {last}
except ValueError:
    console.say("error: no")
console.say("after")
"""


@pytest.mark.parametrize("columns", [100, 20])
@pytest.mark.parametrize("total", [9, 54, 12345])
def test_nothing_is_left_of_the_line_that_counts_videos(total: int, columns: int) -> None:
    """The line of the end stands alone, whether it is shorter or longer than the line that was there."""
    lines = shown(INGEST.format(total=total, last=""), columns=columns)
    whole = "".join(lines).replace(" ", "")  # a narrow terminal wraps, at blanks or not
    assert lines[0] == "before"
    assert re.fullmatch(rf"beforedecoded{total}videosin\d+safter", whole)


def test_an_error_in_the_midst_of_decoding_stands_alone() -> None:
    """The line that counts is wiped before whoever catches the error prints anything."""
    assert shown(INGEST.format(total=54, last="raise ValueError")) == ["before", "error: no", "after"]


def test_without_a_terminal_only_the_end_is_printed() -> None:
    """A log gets one line and no control characters."""
    code = INGEST.format(total=54, last="")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"before\ndecoded 54 videos in \d+ s\nafter\n", done.stdout)


def test_the_screen_of_these_tests_shows_what_a_carriage_return_leaves() -> None:
    """The model of a terminal would show a stray character."""
    assert draw("decoding videos: 54 of 54\rdecoded 54 videos in 5 s\n", 100) == ["decoded 54 videos in 5 s4"]
