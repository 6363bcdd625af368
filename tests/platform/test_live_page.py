"""`python -m platform.report STUDY --serve` as a browser without JavaScript sees it, and as strangers do."""

import dataclasses
import http.client
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from platform.live_page import LivePage, served
from urllib.parse import urlsplit

import pytest

from tests.errors import coded
from tests.make_study import make_study
from trainables.errors import ConfigurationError, StridefoldError
from trainables.study.records import StudyRecord

CHROMIUM = shutil.which("chromium")
MISSING = "Chromium is not installed, so nobody looked at the live page in a browser (apt-get install chromium)"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A search that is under way."""
    return make_study(tmp_path / "study", trials=4, finished=False)


def finish(study: Path) -> None:
    """Ends the search."""
    dataclasses.replace(StudyRecord.load(study), finished="2026-03-14T11:02:10+00:00").save(study)


def ask(address: str, path: str | None = None, host: str | None = None) -> http.client.HTTPResponse:
    """Returns the answer to a request for a path, by default the address's own."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.request("GET", parts.path if path is None else path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    answer.body = answer.read().decode()
    return answer


def test_only_who_has_the_address_sees_the_page(study):
    """Without the token, with another, or under another site's name there is no page; with it there is, and nothing keeps it."""
    with served(LivePage(study)) as address:
        assert address.startswith("http://127.0.0.1:")
        answer = ask(address)
        assert (answer.status, "gait-study" in answer.body) == (200, True)
        assert '<meta http-equiv="refresh" content="10">' in answer.body
        assert answer.getheader("Cache-Control") == "no-store"
        assert answer.getheader("Referrer-Policy") == "no-referrer"
        for path, host in (("/", None), ("/wrong/", None), ("/%ff", None), (None, "evil.example:80")):
            refused = ask(address, path, host)
            assert (refused.status, "gait-study" in refused.body) == (403, False)
    with pytest.raises(OSError, match="refused"):
        ask(address)


def test_a_finished_study_is_not_loaded_again(study):
    """The page of a finished search stays as the reader has it."""
    finish(study)
    with served(LivePage(study)) as address:
        assert 'http-equiv="refresh"' not in ask(address).body


def test_a_damaged_file_is_one_sentence(study):
    """A study that cannot be read for a moment is said so on the page, which asks again."""
    with served(LivePage(study, rest=0)) as address:
        (study / "study.json").write_text("{")
        answer = ask(address)
        assert (answer.status, "cannot be read now" in answer.body) == (200, True)
        assert 'http-equiv="refresh"' in answer.body


def test_what_cannot_be_served(tmp_path, study):
    """A folder without a study and a port that is taken are errors for the user."""
    with pytest.raises(StridefoldError):
        LivePage(tmp_path / "nothing")
    page = LivePage(study)
    with (
        served(page) as address,
        pytest.raises(ConfigurationError, check=coded("live.port_taken", "--port")),
        served(page, urlsplit(address).port),
    ):
        pass


@pytest.mark.browser
def test_the_page_renews_itself_without_javascript(study):
    """In Chromium with JavaScript switched off the page changes when the search ends, and asks for nothing else."""
    if CHROMIUM is None:
        pytest.fail(MISSING) if os.environ.get("CI") else pytest.skip(MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, served(LivePage(study, reload=1, rest=0)) as address:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(java_script_enabled=False).new_page()
        asked: set[str] = set()
        page.on("request", lambda request: asked.add(request.url))
        page.goto(address)
        page.get_by_text("Search not finished").first.wait_for()
        finish(study)
        page.get_by_text("Search finished").first.wait_for(timeout=30_000)
        assert asked <= {address, address.replace(urlsplit(address).path, "/favicon.ico")}
        browser.close()


def test_the_command_serves_until_it_is_stopped(study):
    """It prints the address, answers there, and a signal ends it with one line."""
    command = [sys.executable, "-m", "platform.report", str(study), "--serve"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().split()[-1]
    assert ask(address).status == 200
    process.send_signal(signal.SIGTERM)  # Ctrl-C is ignored where a shell ran pytest in the background
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (143, "")
    assert out.splitlines()[-1] == "stopped"
