"""Decision curves against counts of who is rightly and wrongly acted on, and as a page shows them."""

import dataclasses
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.documents.page import write_report
from reports.numbers.decision_curve import net_benefit
from tests.make_study import add_outer_folds, make_study
from trainables.study.metrics import at_level
from trainables.study.outer_records import OuterResult
from trainables.study.records import StudyRecord

PEOPLE = st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=1, max_size=30)


@given(PEOPLE, st.integers(1, 19))
def test_net_benefit_is_counted_exactly(people: list[tuple[bool, int]], threshold: int) -> None:
    """It is true actions less wrong ones times the odds of the threshold, per person, in exact fractions."""
    odds = Fraction(threshold, 20 - threshold)
    right = sum(is_it and share >= threshold for is_it, share in people)
    wrong = sum(not is_it and share >= threshold for is_it, share in people)
    is_it, shares = np.array([p[0] for p in people]), np.array([p[1] for p in people]) / 20
    found = net_benefit(is_it, shares, np.array([threshold / 20]))[0]
    assert found == pytest.approx(float((right - wrong * odds) / len(people)))


def test_known_cases() -> None:
    """A perfect model has the prevalence at every threshold; acting for everyone has none at the prevalence itself."""
    is_it = np.array([True] * 3 + [False] * 7)
    limits = np.array([0.1, 0.3, 0.9])
    assert net_benefit(is_it, is_it.astype(float), limits) == pytest.approx([0.3] * 3)
    assert net_benefit(is_it, np.ones(10), limits) == pytest.approx([0.3 - 0.7 / 9, 0.0, 0.3 - 0.7 * 9])
    assert net_benefit(is_it, np.zeros(10), limits) == pytest.approx([0.0] * 3)


def reported(folder: Path) -> tuple[str, dict]:
    page = write_report(folder, pdf=False).read_text(encoding="utf-8")
    return page, json.loads((folder / "results.json").read_text())


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of two classes."""
    return make_study(tmp_path / "s", trials=2, classes=("normal gait", "impaired gait"), per_class=12)


def test_a_page_of_two_classes_has_a_curve_of_nested_predictions(study: Path) -> None:
    """Curve, ranges and figure are of subjects whom no search saw; the class that the task calls healthy is not acted on."""
    add_outer_folds(study)
    page, results = reported(study)
    found = results["decision_curve"]
    assert (found["kind"], found["label"], found["units"], found["prevalence"]) == ("nested", "impaired gait", 24, 0.5)
    units = [
        u for f in range(3) for u in at_level(OuterResult.load(study / "outer", f).predictions, "subject").to_dicts()
    ]
    for threshold, value, everyone in zip(found["thresholds"], found["model"], found["treat_all"], strict=True):
        acted = [u["true"] for u in units if u["probabilities"][1] >= threshold]
        odds = threshold / (1 - threshold)
        assert value == pytest.approx((acted.count(1) - acted.count(0) * odds) / 24)
        assert everyone == pytest.approx(0.5 - 0.5 * odds)
    inside = [any(low <= t <= high for low, high in found["better"]) for t in found["thresholds"]]
    wanted = zip(found["model"], found["treat_all"], strict=True)
    assert inside == [value > max(everyone, 0) + 1e-12 for value, everyone in wanted]
    assert "Does acting on the answer do good?</h3>" in page
    assert 'aria-labelledby="decision-curve-title' in page
    assert f"{found['model'][19]:.3f}" in page[page.index('id="decisions"') :]


def test_without_outer_folds_the_curve_is_labelled(study: Path) -> None:
    """It is then of selection data, and says so."""
    page, results = reported(study)
    assert results["decision_curve"]["kind"] == "selection"
    assert "Does acting on the answer do good? (selection data)</h3>" in page


def test_the_class_that_is_acted_on(study: Path) -> None:
    """Where the second class is the healthy one, the first is acted on."""
    record = StudyRecord.load(study)
    dataclasses.replace(record, task=record.task | {"healthy": "1"}).save(study)
    assert reported(study)[1]["decision_curve"]["label"] == "normal gait"


def test_three_classes_have_no_curve(tmp_path: Path) -> None:
    """A net benefit is one of acting or not."""
    page, results = reported(make_study(tmp_path / "s", trials=2))
    assert results["decision_curve"] is None
    assert 'id="decisions"' not in page
