"""Optuna's dashboard on a study's database, as a browser shows it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT
from tests.make_study import make_study

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium")
MISSING = "Chromium is not installed, so nobody looked at the dashboard (apt-get install chromium)"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The dashboard of a search that is under way, by the command of docs/trackers.md."""
    study = make_study(tmp_path / "study", trials=4, finished=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("optuna-dashboard"), f"sqlite:///{study / 'study.db'}"]
    server = subprocess.Popen([*command, "--port", str(port), "--quiet"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=10).close()
                break
            except OSError:
                assert server.poll() is None, "the dashboard ended"
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/dashboard"
    finally:
        server.terminate()
        server.wait(10)


def test_the_dashboard_shows_a_running_study(address: str) -> None:
    """The study is listed, and its trials are under its name; the picture is for a person."""
    if CHROMIUM is None:
        pytest.fail(MISSING) if os.environ.get("CI") else pytest.skip(MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        page.get_by_text("gait-study").first.click()
        page.get_by_text("Hyperparameter Importance").first.wait_for(timeout=30_000)
        (ROOT / "screenshots").mkdir(exist_ok=True)
        page.screenshot(path=ROOT / "screenshots" / "optuna-dashboard.png")
        assert page.get_by_text("text.n_ctx").count()
        browser.close()
