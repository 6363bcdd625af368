"""The report in a real browser: offline, silent, accessible, and inside the width of a phone."""

import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from reports.documents.page import write_report
from tests import ROOT
from tests.make_study import add_outer_folds, make_study
from trainables.study.leaderboard import best, read_trials
from trainables.study.records import StudyRecord

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium")
MISSING = "Chromium is not installed, so nobody looked at the report in a browser (apt-get install chromium)"
SCREENSHOTS = ROOT / "screenshots"
"""For a person to look at; git ignores it."""
SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Debian's Chromium; without it the tests are skipped, but fail where CI is set, as .ci/run does."""
    if CHROMIUM is None:
        pytest.fail(MISSING) if os.environ.get("CI") else pytest.skip(MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    """A report with every part that a report can have, and long and hostile names."""
    long = "dementia with Lewy bodies at an early stage and a name that goes on"
    classes = ("</script><img src=x onerror=alert(1)>", long, "Alzheimer's_disease_without_any_place_to_break")
    folder = make_study(tmp_path_factory.mktemp("s") / "s", trials=8, permutations=9, classes=classes)
    _nest(folder)
    return write_report(folder).as_uri()


def _nest(folder: Path) -> None:
    """Gives a made study baselines and outer folds: the results of two of its trials stand for them."""
    record = StudyRecord.load(folder)
    trials = read_trials(folder, record.name)
    winner = best(trials, 3)
    other = next(t for t in trials if t.state == "COMPLETE" and t.number != winner.number)
    dataclasses.replace(record, baselines={"majority": list(other.folds)}).save(folder)
    shutil.copytree(folder / "folds", folder / "outer" / "folds")
    add_outer_folds(folder, scorings=2)


@pytest.mark.parametrize("width", [320, 768, 1280])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_page_is_silent_and_fits(browser, address, width, scheme):
    """No request but the page itself, no console message, no dialog, and no sideways scroll, closed or opened."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True)
    page = context.new_page()
    seen: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert requests == [address]
    assert seen == []
    context.close()


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing(browser, address, width, scheme):
    """axe-core finds no violation with everything opened, and leaves only colours behind undecided (the next test's).

    The page's own policy stays in force: Playwright gives axe to the page from outside, which the policy does not cover.
    """
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True)
    page = context.new_page()
    page.goto(address)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    found = Axe().run(page, options={"resultTypes": ["violations", "incomplete"]})
    assert found.violations_count == 0, found.generate_report()
    assert {rule["id"] for rule in found.response["incomplete"]} <= {"color-contrast"}
    assert len(found.response["passes"]) >= 40
    context.close()


def test_policy_forbids_scripts(browser, address):
    """A script put into the page does not run: the policy that the tests above leave on is in force."""
    page = browser.new_page()
    page.goto(address)
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'document.title = \\'ran\\''}))"
    )
    assert page.title() != "ran"
    page.close()


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_has_contrast(browser, address, width, scheme):
    """Every text, in drawings and opened details too, stands out from the page by 4.5 to 1 (WCAG AA)."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto(address)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    poor = page.evaluate(
        """() => {
          const paint = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
          const over = (layers) => { paint.clearRect(0, 0, 1, 1);
            for (const c of layers) { paint.fillStyle = c; paint.fillRect(0, 0, 1, 1); }
            return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3); };
          const light = (rgb) => rgb.map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
          const poor = [];
          for (const e of document.querySelectorAll('body *')) {
            const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
            const box = e.getBoundingClientRect();
            if (!own || !box.width || e.closest('.hidden, .skip, title, desc')) continue;
            const layers = [];
            for (let up = e; up; up = up.parentElement) layers.unshift(getComputedStyle(up).backgroundColor);
            const behind = over(['white', ...layers]);
            const style = getComputedStyle(e);
            const front = over([style.display && e instanceof SVGElement ? style.fill : style.color]);
            const [a, b] = [light(behind), light(front)].sort((x, y) => x - y);
            const ratio = (b + .05) / (a + .05);
            if (ratio < 4.5) poor.push(`${e.tagName} ${e.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
          }
          return poor;
        }"""
    )
    assert poor == []
    context.close()


def test_phone_gets_its_own_drawings(browser, address):
    """At 320 px the narrow drawings are shown and their text is at least 9 px high; on a desk the wide ones are."""
    context = browser.new_context(viewport={"width": 320, "height": 800})
    page = context.new_page()
    page.goto(address)
    assert page.locator(".narrow-only svg").first.is_visible()
    assert not page.locator(".wide-only svg").first.is_visible()
    heights = page.evaluate(
        "[...document.querySelectorAll('figure svg text')].filter(t => t.getClientRects().length)"
        ".map(t => parseFloat(getComputedStyle(t).fontSize) * t.ownerSVGElement.getScreenCTM().a)"
    )
    assert min(heights) >= 9
    page.set_viewport_size({"width": 1280, "height": 800})
    assert page.locator(".wide-only svg").first.is_visible()
    assert not page.locator(".narrow-only svg").first.is_visible()
    context.close()


def test_keyboard_reaches_the_answer(browser, address):
    """The first Tab shows the link that skips to the answer."""
    page = browser.new_page()
    page.goto(address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the answer"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
    page.close()


def test_page_prints(browser, address, tmp_path: Path):
    """Printing gives a PDF of several pages."""
    page = browser.new_page()
    page.goto(address)
    page.pdf(path=tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").stat().st_size > 20_000
    page.close()


def test_screenshots_are_left_to_look_at(browser, tmp_path, capsys):
    """An ordinary report is drawn wide and narrow, light and dark, into a folder whose path is printed."""
    folder = make_study(tmp_path / "s", permutations=40)
    _nest(folder)
    address = write_report(folder).as_uri()
    SCREENSHOTS.mkdir(exist_ok=True)
    for width in (320, 1280):
        for scheme in SCHEMES:
            page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
            page.goto(address)
            path = SCREENSHOTS / f"report-{width}-{scheme}.png"
            path.unlink(missing_ok=True)
            page.screenshot(path=path, full_page=True)
            assert path.stat().st_size > 50_000
            page.close()
    with capsys.disabled():
        print(f"\nscreenshots of the report: {SCREENSHOTS}")
