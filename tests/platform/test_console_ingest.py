"""What a terminal shows while videos are decoded, and what is left of it."""

import re
import subprocess
import sys
from platform.watching import bar_line

import pytest

from tests.terminal import draw, printed, shown

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


BARS = """
import time
from platform.console import Console
console = Console()
with console.bar("checking videos") as on_file:
    on_file(1, 4)
    time.sleep(0.4)
with console.progress("following walkers", 4) as on_video:
    on_video(3)
    time.sleep(0.4)
console.error(ValueError("wrong"))
"""


def test_bars_show_how_far_it_is() -> None:
    """A terminal gets a bar while videos are checked and walkers followed, in characters that its encoding has, and colours."""
    text = printed(BARS)
    assert "checking videos ■■■■■□□□□□□□□□□□□□□□ 1 of 4" in text
    assert "following walkers ■■■■■■■■■■■■■■■□□□□□ 3 of 4" in text
    assert "\x1b[1;31merror: " in text
    ascii_only = printed(BARS, PYTHONIOENCODING="ascii")
    assert "checking videos #####............... 1 of 4" in ascii_only


def test_bars_and_colours_are_off_where_they_should_be() -> None:
    """NO_COLOR leaves no colour; a dumb terminal gets the lines that a log gets, without one control character."""
    assert not re.search(r"\x1b\[[\d;]*3\d[\d;]*m", printed(BARS, NO_COLOR="1"))
    expected = r"following walkers: 4 in \d s\nerror: wrong\n"
    assert re.fullmatch(expected, printed(BARS, TERM="dumb").replace("\r\n", "\n"))
    piped = subprocess.run(
        [sys.executable, "-c", BARS], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True
    )
    assert re.fullmatch(expected, piped.stdout)


def test_a_bar_in_words() -> None:
    """The time left is what the finished part took, and is not told in the first second or at the end."""
    assert bar_line("x", 29, 58, 12.0, "■□") == f"x {'■' * 10}{'□' * 10} 29 of 58, about 12 s left"
    assert bar_line("x", 1, 58, 0.5, "■□") == f"x {'□' * 20} 1 of 58"
    assert bar_line("x", 58, 58, 9.0, "■□") == f"x {'■' * 20} 58 of 58"
    assert bar_line("x", 0, 0, 9.0, "■□") == f"x {'□' * 20} 0 of 0"


def test_the_screen_of_these_tests_shows_what_a_carriage_return_leaves() -> None:
    """The model of a terminal would show a stray character."""
    assert draw("decoding videos: 54 of 54\rdecoded 54 videos in 5 s\n", 100) == ["decoded 54 videos in 5 s4"]
