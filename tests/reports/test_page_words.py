"""What the page says next to its numbers: what intervals were worth, whose calibration it is, and in which order it reads."""

import dataclasses
import re
from html import unescape
from pathlib import Path

import pytest

from reports.documents.measured import MEASURED, NOMINAL, worth
from reports.documents.model_card import model_card
from reports.documents.page import render
from reports.numbers.analysis import Analysis, analyse
from tests.make_study import add_baselines, add_outer_folds, make_study

DECISION = Path(__file__).parents[2] / "docs" / "decisions" / "0020-inference-on-known-truth.md"


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Analysis:
    return analyse(add_baselines(make_study(tmp_path_factory.mktemp("p") / "s", trials=3), untrained=0.2))


@pytest.fixture(scope="module")
def nested(tmp_path_factory) -> Analysis:
    return analyse(add_outer_folds(make_study(tmp_path_factory.mktemp("n") / "s", trials=3)))


def table() -> dict[str, list[float]]:
    """Returns the shares of each row of the decision's tables."""
    rows = re.findall(
        r"^\| (\S[^|]*?) \| [^|]* \|((?: [\d.]+ \|){4})$", DECISION.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {what: [float(cell) for cell in cells.split("|")[:-1]] for what, cells in rows}


@pytest.mark.parametrize("kind", MEASURED)
def test_measured_coverages_are_the_decisions(kind: str):
    """The page prints the least and the most of the rows that the decision's tables have of the kind."""
    cells = [cell for row in MEASURED[kind].rows for cell in table()[row]]
    assert (MEASURED[kind].low, MEASURED[kind].high) == (min(cells), max(cells))


def test_every_coverage_that_was_measured_is_printed():
    """No row of coverage in the tables is left out of what the page prints."""
    printed = {row for m in MEASURED.values() for row in m.rows}
    assert {row for row in table() if "coverage" in row} <= printed


def test_what_is_outside_is_said():
    """A kind outside 92 to 97 % is called too narrow or too wide; one inside is not."""
    for m in MEASURED.values():
        assert ("too narrow" in m.worth()) == (m.low < NOMINAL[0])
        assert ("wider than need be" in m.worth()) == (m.high > NOMINAL[1])
    assert worth("sets").endswith("in 90.5 to 95.5 % of cases, so it is somewhat too narrow.")


def test_the_page_says_what_its_intervals_were_worth(plain: Analysis, nested: Analysis):
    """Each sentence stands where its interval does, and all kinds stand in one folded table."""
    page = render(plain)
    assert all(worth(kind) in page for kind in ("ranking", "methods"))
    assert worth("nested") not in page
    assert worth("nested") in render(nested).split('id="cohort"')[0]
    folded = unescape(page).split("What the intervals of this page were worth")[1].split("</details>")[0]
    assert all(m.what in folded for m in MEASURED.values())
    assert "hold 0 where its p before the correction is above .05" in page


def test_calibration_of_single_models_is_called_that(plain: Analysis, nested: Analysis):
    """Without outer folds the page and the card say whose probabilities they are; with them the nested ones are shown."""
    said = "These are the probabilities of single folds' models."
    assert said in render(plain)
    first = render(nested).split("selection data, optimistic</summary>")[0]
    assert "Can the probabilities be believed?" in first
    assert said not in first
    assert "Calibration of the selection predictions over" in model_card(plain)
    assert "Calibration of the nested predictions over" in model_card(nested)
    shown = nested.nested.detail.calibration
    assert f"expected calibration error {shown.expected_error:.2f}, Brier score {shown.brier:.2f}" in model_card(nested)


def test_a_worse_brier_score_is_called_worse(plain: Analysis):
    """A negative skill is not printed as a negative improvement."""
    found = plain.results.detail
    worse = dataclasses.replace(found, calibration=dataclasses.replace(found.calibration, brier_skill=-0.2))
    page = render(dataclasses.replace(plain, results=dataclasses.replace(plain.results, detail=worse)))
    assert "20\N{NO-BREAK SPACE}% worse than always saying how common each class is" in page
