"""The page as a PDF, printed by a real Chromium, and what happens without one."""

import os
import re
import shutil
import socket
import time
from pathlib import Path

import pytest

from reports.documents.page import write_report
from reports.documents.pdf import BROWSERS, write_pdf
from tests.make_study import make_study


@pytest.fixture
def chromium() -> str:
    """Debian's Chromium; without it the test is skipped, but fails where CI is true."""
    found = shutil.which("chromium")
    if found is None and os.environ.get("CI") != "true":
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    assert found is not None, "CI must have Chromium (apt-get install chromium)"
    return found


@pytest.fixture
def page(tmp_path) -> Path:
    """A page of a few words."""
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "report.html").write_text("<!doctype html><title>t</title><p>words")
    return tmp_path / "page" / "report.html"


def _stand_in(tmp_path: Path, monkeypatch, script: str) -> None:
    """Puts a program named chromium before everything else; $FILE is where it should print."""
    folder = tmp_path / "bin"
    folder.mkdir()
    find = 'for a in "$@"; do case "$a" in --print-to-pdf=*) FILE="${a#--print-to-pdf=}";; esac; done\n'
    (folder / "chromium").write_text(f"#!/bin/sh\n{find}{script}\n")
    (folder / "chromium").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.browser
def test_the_report_becomes_a_pdf_with_the_same_bytes_each_time(chromium, tmp_path):
    """A real report gives several pages beside it and leaves nothing else, and printed again it is byte for byte the same."""
    report = write_report(make_study(tmp_path / "s", trials=4), pdf=False)
    before = set(report.parent.iterdir())
    assert write_pdf(report) == report.with_name("report.pdf")
    content = report.with_name("report.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(content) > 10_000
    assert len(re.findall(rb"/Type /Page\b", content)) > 1
    assert b"CreationDate" not in content
    assert b"ModDate" not in content
    assert set(report.parent.iterdir()) - before == {report.with_name("report.pdf")}
    time.sleep(1.1)  # a PDF's date has seconds
    write_pdf(report)
    assert report.with_name("report.pdf").read_bytes() == content


@pytest.mark.browser
@pytest.mark.parametrize("proxy", [False, True])
def test_printing_touches_no_network(chromium, page, monkeypatch, proxy):
    """A page that asks for pictures of a host, by number, by name or through a proxy, gets none, and the host no call."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        host = f"127.0.0.1:{server.getsockname()[1]}"
        if proxy:
            monkeypatch.setenv("http_proxy", f"http://{host}")
        page.write_text(f"<img src=http://{host}/a><img src=http://stridefold.invalid/b><p>words")
        assert write_pdf(page) is not None
        with pytest.raises(BlockingIOError):
            server.accept()


def test_without_chromium_there_is_no_pdf(page, monkeypatch, tmp_path):
    """A PATH without a browser is not an error."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not any(shutil.which(name) for name in BROWSERS)
    assert write_pdf(page) is None
    assert [p.name for p in page.parent.iterdir()] == ["report.html"]


@pytest.mark.browser
def test_a_missing_page_is_not_printed(chromium, tmp_path):
    """Chromium would print its own error message."""
    assert write_pdf(tmp_path / "report.html") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "script",
    [
        'printf "%%PDF-1.4 half" > "$FILE"',
        'printf "%%PDF-1.4 half" > "$FILE"; exit 3',
        "exit 0",
        'printf "<html>" > "$FILE"',
        'printf "%%PDF-1.4\\n%%%%EOF\\n" > "$FILE"; exit 3',
    ],
)
def test_half_a_pdf_is_none(page, tmp_path, monkeypatch, script):
    """What is cut off, of a browser that failed, or no PDF at all is not taken, and the PDF of before stays."""
    _stand_in(tmp_path, monkeypatch, script)
    page.with_name("report.pdf").write_bytes(b"of before")
    assert write_pdf(page) is None
    assert page.with_name("report.pdf").read_bytes() == b"of before"
    assert len(list(page.parent.iterdir())) == 2


def test_a_browser_that_hangs_is_killed_with_its_children(page, tmp_path, monkeypatch):
    """After its time neither it nor what it started is left."""
    pids = tmp_path / "pids"
    _stand_in(tmp_path, monkeypatch, f'printf "%%PDF-1.4 half" > "$FILE"; sleep 60 & echo $$ $! > {pids}; wait')
    assert write_pdf(page, seconds=1.0) is None
    assert [p.name for p in page.parent.iterdir()] == ["report.html"]
    for pid in pids.read_text().split():
        assert _gone(int(pid))


def _gone(pid: int) -> bool:
    """Returns whether a process has ended within five seconds; one that only waits to be counted has."""
    for _ in range(50):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


def test_a_folder_that_cannot_be_written_gives_no_pdf(page, tmp_path, monkeypatch):
    """The place of the PDF is taken by a folder: None, and nothing is left beside it."""
    _stand_in(tmp_path, monkeypatch, 'printf "%%PDF-1.4\\n%%%%EOF\\n" > "$FILE"')
    page.with_name("report.pdf").mkdir()
    assert write_pdf(page) is None
    assert sorted(p.name for p in page.parent.iterdir()) == ["report.html", "report.pdf"]
