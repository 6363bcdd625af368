"""PROBAST+AI: every topic once, answered only by what the page of this very study shows."""

import dataclasses
import re

import pytest

from reports.documents.page import render
from reports.documents.probast import UNKNOWN, Signal, signals, topics
from reports.documents.tripod import references
from reports.numbers.analysis import Analysis, analyse
from tests.make_study import add_baselines, add_outer_folds, make_study

DOMAINS = ["Participants and data sources", "Predictors", "Outcome", "Analysis"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> Analysis:
    """A finished search on people."""
    return analyse(make_study(tmp_path_factory.mktemp("searched") / "s", simulated=False))


def by_name(analysis: Analysis) -> dict[str, Signal]:
    """Returns the entries by the names of their topics."""
    return dict(zip([about["name"] for about in topics()], signals(analysis), strict=True))


def test_every_domain_is_there_and_every_link_leads_somewhere(searched):
    """Topics stand once each; an answer without a section says that the study does not hold it."""
    found = signals(searched)
    assert len({s.topic for s in found}) == len(found) == len(topics())
    assert list(dict.fromkeys(s.domain for s in found)) == DOMAINS
    sections = set(re.findall(r'<section id="([^"]+)"', render(searched)))
    for signal in found:
        assert signal.answer.endswith("."), signal
        assert signal.answer.startswith(UNKNOWN) == (signal.section is None), signal
        assert signal.section is None or signal.section in sections, signal


def test_what_only_people_know_is_not_answered(searched):
    """Recruitment, blinding and the assessment of the class are nowhere in a study folder."""
    found = by_name(searched)
    for name in ("source", "eligibility", "measured", "blind_predictors", "outcome", "blind_outcome", "external", "utility", "raters"):  # fmt: skip
        assert found[name].section is None, name


def test_a_selection_score_is_called_that(searched, tmp_path):
    """Optimism is answered 'no' until outer folds are scored."""
    assert by_name(searched)["optimism"].answer.startswith("No")
    assert "optimistic" in by_name(searched)["performance"].answer
    nested = analyse(add_outer_folds(make_study(tmp_path / "s", simulated=False)))
    assert by_name(nested)["optimism"].answer.startswith("The whole search was repeated")
    assert by_name(nested)["performance"].answer == "Both, of nested predictions."


def test_shortcuts_are_answered_by_their_baselines(searched, tmp_path):
    """Only a baseline that does not see the gait says whether something else tells the classes apart."""
    assert by_name(searched)["shortcuts"].section is None
    others = analyse(add_baselines(make_study(tmp_path / "a"), untrained=0.1))
    assert by_name(others)["shortcuts"].section is None
    asked = analyse(add_baselines(make_study(tmp_path / "b"), recording=0.1))
    assert by_name(asked)["shortcuts"].section == "comparisons"


def test_before_any_result_only_the_cohort_answers(tmp_path):
    """A study that has just begun has no scores, and simulated walkers are no people."""
    begun = analyse(make_study(tmp_path / "s", trials=1, finished=False))
    found = by_name(begun)
    assert found["performance"].section is None
    assert found["source"].answer.startswith("The walkers are simulated")
    assert render(begun).count("PROBAST+AI") >= 2


def test_the_counts_are_those_of_the_study(searched):
    """Rows left out, subjects of each class and overlaps are read from the study."""
    found = by_name(searched)
    assert found["left_out"].answer.startswith("2 rows of the manifest not used")
    assert f"{searched.ledger.subjects} subjects" in found["size"].answer
    assert found["leakage"].answer.startswith("No subject and no file")
    folds = (dataclasses.replace(searched.ledger.folds[0], shared_subjects=2), *searched.ledger.folds[1:])
    shared = dataclasses.replace(searched, ledger=dataclasses.replace(searched.ledger, folds=folds))
    assert by_name(shared)["leakage"].answer.startswith("2 subjects or files")


def test_the_tool_is_cited(searched):
    """Its publication stands among the references."""
    assert any("e082505" in reference.citation for reference in references(searched))
