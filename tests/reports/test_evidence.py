"""What the page says about the ground of decoded words."""

import dataclasses
import json
from pathlib import Path

import pytest

from reports.documents.model_card import model_card
from reports.documents.page import write_report
from reports.numbers.analysis import analyse
from reports.numbers.evidence import (
    Difference,
    class_evidence,
    comparative,
    difference_sentence,
    skill_rows,
    stable_terms,
)
from tests.make_study import make_study
from trainables.study.descriptions import CLASS_MEAN, UNTRAINED
from trainables.study.records import FoldResult


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("evidence") / "study", trials=4)


@pytest.fixture(scope="module")
def results(study: Path) -> tuple[FoldResult, ...]:
    found = analyse(study).results
    assert found is not None
    return found.folds_done


@pytest.mark.parametrize(
    ("parameter", "unit", "above", "word"),
    [
        ("walking speed", "leg/s", False, "lower"),
        ("left step time", "s", True, "longer"),
        ("left stride length", "leg", False, "shorter"),
        ("left heel to heel base of support", "cm", True, "wider"),
        ("left-right step time difference", "s", True, "larger"),
        ("left double support", "% cycle", True, "higher"),
    ],
)
def test_comparatives(parameter: str, unit: str, above: bool, word: str) -> None:
    """A clinician reads on which side a parameter is."""
    assert comparative(parameter, unit, above) == word


def test_the_sentence_of_what_differs() -> None:
    """Value, what all subjects have, unit and distance, four parameters at most."""
    slower = Difference(parameter="walking speed", unit="leg/s", value=0.712, pooled=1.024, departure=-1.31, folds=3)
    assert difference_sentence([slower]) == "lower walking speed (0.712 instead of 1.02 leg/s, 1.3 SD)"
    assert difference_sentence([slower] * 6).count("lower walking speed") == 4
    assert difference_sentence([]) == ""


def test_evidence_over_folds(results: tuple[FoldResult, ...]) -> None:
    """Means over the folds with words, each refusal once, differences from the furthest down."""
    found = class_evidence(results, results[0].decoded[1].label)
    assert found is not None
    assert (found.folds, len(found.refusals)) == (2, 1)
    assert found.own == pytest.approx(0.8)
    assert found.largest == pytest.approx(1 / 3)
    assert found.separation == pytest.approx(found.inside - found.others)
    departures = [abs(d.departure) for d in found.differences]
    assert departures == sorted(departures, reverse=True)
    assert class_evidence((), "any") is None


def test_stable_terms_outnumber_the_controls(results: tuple[FoldResult, ...]) -> None:
    """A term that the untrained model names as often on the same side is not stable; the class mean takes none away."""
    label = results[0].decoded[0].label
    assert set(stable_terms(results, label) or ()) == {"walking speed", "cadence"}

    def with_control(name: str) -> tuple[FoldResult, ...]:
        changed = []
        for r in results:
            assert r.descriptions is not None
            classes = tuple(
                dataclasses.replace(
                    c,
                    controls=tuple(
                        dataclasses.replace(k, terms=c.terms[:1]) if k.name == name else k for k in c.controls
                    ),
                )
                for c in r.descriptions.classes
            )
            changed.append(dataclasses.replace(r, descriptions=dataclasses.replace(r.descriptions, classes=classes)))
        return tuple(changed)

    assert stable_terms(with_control(UNTRAINED), label) == ("cadence",)
    assert set(stable_terms(with_control(CLASS_MEAN), label) or ()) == {"walking speed", "cadence"}


def test_studies_without_evidence_are_read(results: tuple[FoldResult, ...]) -> None:
    """Folds of an older version have words and no evidence."""
    old = tuple(dataclasses.replace(r, descriptions=None) for r in results)
    assert class_evidence(old, results[0].decoded[0].label) is None
    assert stable_terms(old, results[0].decoded[0].label) is None
    assert skill_rows(old) == ()


def test_page_card_and_numbers_say_it(study: Path) -> None:
    """The page leads with what differs and the separation, and refuses in words; results.json and the card have the same."""
    page = write_report(study, pdf=False).read_text(encoding="utf-8")
    section = page[page.index('id="words"') : page.index("How alike the classes are")]
    analysis = analyse(study)
    for c in analysis.words.classes:
        assert c.evidence is not None
        assert f"Separation {c.evidence.separation:.2f}" in section
        assert c.evidence.sentence in section
    assert "2 of its training subjects have numbers" in section
    assert "Error of the median" in section
    assert "They are estimates, not measurements." in section
    words = json.loads((study / "results.json").read_text(encoding="utf-8"))["words"]
    assert words["least_subjects"] == 3
    assert words["skills"][0]["skill"] == pytest.approx(0.6)
    assert len(words["classes"][0]["evidence"]["controls"]) == 4
    card = model_card(analysis)
    assert "Skill of the decoder on held-out subjects" in card
    assert "effective number of subjects at least 4.2" in card.replace("\n", " ")
