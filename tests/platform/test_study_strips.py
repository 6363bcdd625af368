"""`--strips`: the page of a real small study shows how each walker was followed, with heads blurred and names escaped."""

import base64
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path
from platform.report import main as report
from platform.search import main as search

import numpy as np
import pytest
from PIL import Image

from reports.documents.strips import BOX, COURSE_HEIGHT, SQUARE, STATE_BAR_HEIGHT
from tests.clinic_films import film

pytestmark = pytest.mark.slow

FAST = ["--label", "side", "--label-per-video", "--folds", "2", "--trials", "1", "--epochs", "1", "--frames", "2", "--baselines", "none",
        "--plain", "--set", "video.window=24", "--set", "video.stride=12", "--set", "video.min_tail=12", "--set", "decoder.width=32",
        "--set", "decoder.layers=1", "--set", "decoder.steps=20"]  # fmt: skip
ENDING = "<b>&Anna"
"""Of the videos' names: to be escaped, and not to be told to others."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with films and a study that was searched with --strips."""
    folder = tmp_path_factory.mktemp("strips")
    manifest = film(folder / "films", "Anna", range(1, 5), ending=ENDING)
    command = [sys.executable, "-m", "platform.search", "--cohort", str(manifest), "--study", str(folder / "study"),
               "--cache", str(folder / "cache"), "--strips", *FAST]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def strips(page: Path) -> list[tuple[str, np.ndarray, str]]:
    """Returns (name, picture [H, W, 3], sentence) of each strip of a page, as they stand in its text."""
    found = re.findall(
        r'<section class="video">\s*<h2>(.*?)</h2>\s*<img src="data:image/jpeg;base64,([^"]+)".*?<p class="small">(.*?)</p>',
        page.read_text(encoding="utf-8"),
        re.S,
    )
    return [(name, np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), said) for name, data, said in found]


def near(picture: np.ndarray, colour: str) -> int:
    """Returns how many pixels of a picture have nearly a colour, as '#00d0ff'."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return int((np.abs(picture.astype(int) - wanted).max(axis=2) < 60).sum())


def test_the_page_of_a_search_shows_every_walker(place: Path) -> None:
    """Eight videos with frames, box, square and what was left out and why, in one file that loads nothing."""
    page = place / "study" / "report.html"
    found = strips(page)
    assert len(found) == 8
    for name, picture, said in found:
        assert re.fullmatch(r"\d-(right|left)&lt;b&gt;&amp;Anna\.mp4", name)
        assert picture.shape == (135 + STATE_BAR_HEIGHT + COURSE_HEIGHT, 8 * 240, 3)
        assert near(picture[:135], BOX) > 100
        assert near(picture[:135], SQUARE) > 100
        assert re.match(r"The walker is followed\. \d\.\d s of 3\.5 s used; not used: ", said)
        assert "absent" in said or "cut off" in said
    text = page.read_text(encoding="utf-8")
    assert "<b>&Anna" not in text
    assert not re.search(r'(src|href)="(?!#|data:)', text)


def test_heads_are_blurred(place: Path) -> None:
    """The wall behind the walker has no fine grain left, while the walker's body below the head has."""
    for _, picture, _ in strips(place / "study" / "report.html"):
        grey = picture[:135].astype(float).mean(axis=2)
        assert np.median(np.abs(np.diff(grey[5:30, 5:100], axis=1))) < 3


def test_a_report_for_others_has_pseudonyms(place: Path) -> None:
    """The same strips under other names, in an order of their own; nothing tells a subject or a file."""
    copy = shutil.copytree(place / "study", place / "copy")
    given = [str(copy), "--pseudonyms", "--strips", "--no-pdf", "--cache", str(place / "cache")]
    assert report(given) == 0
    found = strips(copy / "shared" / "report.html")
    assert len(found) == 8
    names = [name for name, _, _ in found]
    assert all(re.fullmatch(r"video-[0-9a-f]{8,}", name) for name in names)
    assert names == sorted(names)
    assert "Anna" not in (copy / "shared" / "report.html").read_text(encoding="utf-8")


def test_only_who_asks_sees_strips(place: Path) -> None:
    """A report without the option shows none, and one with it again shows what it did."""
    copy = shutil.copytree(place / "study", place / "again")
    assert report([str(copy), "--no-pdf"]) == 0
    assert strips(copy / "report.html") == []
    assert report([str(copy), "--no-pdf", "--strips", "--cache", str(place / "cache")]) == 0
    assert (copy / "report.html").read_text() == (place / "study" / "report.html").read_text()


def test_a_video_that_has_changed_is_named(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its old track would lie about it, so it has no strip; the others have theirs."""
    copy = shutil.copytree(place / "study", tmp_path / "changed")
    video = place / "films" / f"1-left{ENDING}.mp4"
    kept = video.read_bytes()
    try:
        video.write_bytes((place / "films" / f"2-left{ENDING}.mp4").read_bytes())
        assert report([str(copy), "--no-pdf", "--strips", "--cache", str(place / "cache")]) == 0
    finally:
        video.write_bytes(kept)
    assert f"no strip: 1-left{ENDING}.mp4 has changed since it was followed" in capsys.readouterr().out
    assert len(strips(copy / "report.html")) == 7


def test_whole_pictures_have_no_strips(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A search that follows nobody refuses the option before it trains."""
    given = [
        "--cohort",
        str(place / "films" / "cohort.csv"),
        "--study",
        str(tmp_path / "none"),
        "--track",
        "none",
        "--strips",
        *FAST,
    ]
    assert search([*given, "--cache", str(tmp_path / "cache")]) == 1
    assert capsys.readouterr().err.strip().endswith("[report.strips_untracked]")
    assert not (tmp_path / "none" / "study.json").exists()
