"""The TRIPOD+AI checklist and the references: complete, and no more than the page of this very study shows."""

import dataclasses
import re
from html import unescape

import pytest

from reports.documents.page import render
from reports.documents.tripod import NOBODY, NOT_SUPPLIED, NOT_YET, checklist, references
from reports.numbers.analysis import Analysis, analyse
from tests.make_study import add_outer_folds, make_study

NUMBERS = ["1", "2", "3a", "3b", "3c", "4", "5a", "5b", "6a", "6b", "6c", "7", "8a", "8b", "8c", "9a", "9b", "9c", "10", "11", "12a", "12b", "12c", "12d", "12e", "12f", "12g", "13", "14", "15", "16", "17", "18a", "18b", "18c", "18d", "18e", "18f", "19", "20a", "20b", "20c", "21", "22", "23a", "23b", "24", "25", "26", "27a", "27b", "27c"]  # fmt: skip
CLAIMS = {
    "7": "Each video was cut into windows",
    "8a": "The label is the column updrs_gait",
    "10": "Detectable",
    "11": "2 rows of the manifest not used",
    "12b": "evenly spaced frames were used",
    "12c": "The search ran",
    "12e": "expected calibration error",
    "12g": "Probabilities were averaged from windows to videos and from videos to subjects",
    "13": "focal cross-entropy",
    "15": "Probabilities were averaged",
    "16": "Fold ledger",
    "18f": "Git commit",
    "20a": "Subjects and videos of each class",
    "20b": "Subjects and videos of each class",
    "20c": "Fold ledger",
    "21": "Fold ledger",
    "22": "Configuration of trial",
    "23a": "This is a selection score.",
    "26": "The interval covers the choice of subjects, not the choice of configuration.",
}
"""Words that the section must have which an item names."""
NESTED_CLAIMS = CLAIMS | {
    "12a": "Each outer fold",
    "12c": "In nested cross-validation",
    "23a": "Macro F1 per subject, nested",
    "26": "how optimistic choosing by a score has been",
}


def with_settings(analysis: Analysis, **settings) -> Analysis:
    """Returns the analysis as if the chosen configuration had other settings; '__' stands for a dot."""
    values = {name.replace("__", "."): value for name, value in settings.items()}
    trial = dataclasses.replace(analysis.results.trial, config=analysis.results.trial.config | values)
    return dataclasses.replace(analysis, results=dataclasses.replace(analysis.results, trial=trial))


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> Analysis:
    """A finished search of eight complete trials, on people."""
    return analyse(make_study(tmp_path_factory.mktemp("searched") / "s", simulated=False))


@pytest.fixture(scope="module")
def nested(tmp_path_factory) -> Analysis:
    """The same with outer folds."""
    return analyse(add_outer_folds(make_study(tmp_path_factory.mktemp("nested") / "s", simulated=False)))


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Analysis:
    """A search on simulated walkers that has no complete trial yet."""
    return analyse(make_study(tmp_path_factory.mktemp("begun") / "s", trials=1, finished=False))


def _sections(analysis: Analysis) -> dict[str, str]:
    """Returns the words of each section of the page by its id."""
    parts = re.findall(r'<section id="([^"]+)"(.*?)</section>', render(analysis), re.DOTALL)
    return {name: re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", html))) for name, html in parts}


def _answers(analysis: Analysis) -> dict[str, tuple[str, str | None]]:
    return {item.number: (item.answer, item.section) for item in checklist(analysis)}


@pytest.mark.parametrize("which", ["searched", "nested", "begun"])
def test_every_item_is_there_once_and_has_an_answer(which, request):
    """All 52 parts of the 27 items stand in order, and one without a section says why it has none."""
    items = checklist(request.getfixturevalue(which))
    assert [item.number for item in items] == NUMBERS
    assert len({item.topic for item in items}) == 52
    for item in items:
        by_hand = item.answer.startswith((NOT_SUPPLIED, NOT_YET, NOBODY))
        assert by_hand == (item.section is None), item
        assert item.answer.endswith("."), item


@pytest.mark.parametrize(
    ("which", "model"),
    [
        ("searched", "clip"),
        ("searched", "vita_clip"),
        ("searched", "linear_probe"),
        ("searched", "parameters"),
        ("nested", "clip"),
        ("begun", "clip"),
    ],
)
def test_what_is_said_to_be_here_is_on_the_page(which, model, request):
    """Each section that an item names exists, has something to show, and has the words that the item claims."""
    analysis = request.getfixturevalue(which)
    if analysis.results is not None:
        analysis = with_settings(analysis, model=model)
    sections = _sections(analysis)
    for number, (answer, section) in _answers(analysis).items():
        if section is not None:
            assert section in sections, number
            assert "This part appears once one has" not in sections[section], number
            claim = (NESTED_CLAIMS if which == "nested" else CLAIMS).get(number, "")
            assert claim in sections[section], (number, answer)


def test_nested_cross_validation_changes_the_answers(searched, nested):
    """A selection score is only part of an answer; with outer folds the estimate is the answer, and the folds are shown."""
    plain, outer = _answers(searched), _answers(nested)
    assert plain["23a"][0].startswith("In part: selection scores with intervals, which are optimistic; no nested")
    assert outer["23a"] == (
        "In part: the nested estimate with its interval, on subjects that no search saw; nothing by subgroup.",
        "answer",
    )
    assert (plain["12a"][1], outer["12a"][1]) == ("cohort", "comparisons")
    assert "nested" in outer["12c"][0]
    assert "nested" not in plain["12c"][0]
    assert plain["26"] != outer["26"]


def test_outer_folds_that_are_not_all_scored_are_no_estimate(tmp_path):
    """With one outer fold missing the answers are those of a search without any."""
    folder = add_outer_folds(make_study(tmp_path / "s", trials=1, simulated=False))
    (folder / "outer" / "2" / "outer.json").unlink()
    answers = _answers(analyse(folder))
    assert answers["12a"][1] == "cohort"
    assert "no nested estimate" in answers["23a"][0]


def test_calibration_is_claimed_where_it_is_shown(searched):
    """With too few videos for it the page has none, and the checklist says so and cites nothing for it."""
    assert "chance, and calibration; not use in a clinic" in _answers(searched)["12e"][0]
    without = dataclasses.replace(searched, results=dataclasses.replace(searched.results, calibration=None))
    assert "chance, not calibration, and not use in a clinic" in _answers(without)["12e"][0]
    assert _cited(searched) - _cited(without) == {"calibration", "the Brier score"}


def test_a_lone_trial_shows_nothing_of_sample_size(tmp_path):
    """Without a comparison there is no detectable difference, so the size of the study is for people to explain."""
    answers = _answers(analyse(make_study(tmp_path / "s", trials=1)))
    assert answers["10"] == (
        f"{NOT_SUPPLIED}: explain how the number of subjects came about, and why it is enough.",
        None,
    )


def test_people_answer_what_is_about_people(searched, begun):
    """Ethics, setting and dates are never answered by the software; of simulated walkers there is nothing to say."""
    for number in ("5a", "5b", "6a", "6b", "6c", "8b", "8c", "9c", "17"):
        assert _answers(searched)[number][0].startswith(NOT_SUPPLIED)
        assert _answers(begun)[number] == (NOBODY, None)
    for number in ("18a", "18b", "18c", "18d", "18e", "19", "25", "27a", "27b", "27c"):
        assert _answers(searched)[number][0].startswith(NOT_SUPPLIED)
        assert _answers(begun)[number][0].startswith(NOT_SUPPLIED)


def test_before_the_first_complete_trial_scores_are_not_yet_there(begun):
    """Nothing about scores or the method is claimed, and it is said that it may come."""
    answers = _answers(begun)
    assert {n for n, (answer, _) in answers.items() if answer == NOT_YET} == {
        "7",
        "12b",
        "12c",
        "12e",
        "12g",
        "13",
        "15",
        "22",
        "23a",
        "26",
    }
    assert {section for _, section in answers.values()} == {None, "cohort", "provenance"}


def test_folds_of_the_table_are_the_centres(searched):
    """Only folds that the user named, as by site, tell of differences between centres."""
    assert _answers(searched)["12d"][1] is None
    study = dataclasses.replace(searched.study, options=searched.study.options | {"fold_column": "site"})
    answers = _answers(dataclasses.replace(searched, study=study))
    assert (answers["12d"][1], answers["23b"][1]) == ("results", "results")


def _cited(analysis: Analysis) -> set[str]:
    return {reference.about for reference in references(analysis)}


def test_references_follow_the_configuration(searched):
    """What a configuration leaves off is not cited, and a baseline cites nothing of the full model."""
    full = _cited(searched)
    assert {"the method", "prompts in the video encoder", "the focal loss", "AdamW", "the search"} <= full
    less = _cited(
        with_settings(
            searched,
            optimizer__focal_gamma=0.0,
            text__knowledge=False,
            numeracy__encoding="digits",
            decoder__enabled=False,
            video__n_global=0,
            video__local=False,
            video__summary=False,
            text__n_ctx=0,
        )
    )
    gone = {
        "the focal loss",
        "knowledge in the prompts",
        "continuous numbers in text",
        "features decoded into words",
        "prompts in the video encoder",
        "learned prompts in the text encoder",
    }
    assert full - less <= gone
    assert not less & gone
    about_parameters = _cited(with_settings(searched, model="parameters"))
    assert not about_parameters & {"the method", "CLIP, the kind of the frozen backbone", "AdamW", *gone}


def test_references_follow_the_study(searched, nested, begun):
    """Options, comparisons, outer folds, the task's sources and the state of the search decide what is cited."""
    options = {"sampler": "tpe", "prune": 0.1, "choose": "one_se"}
    asked = dataclasses.replace(
        searched, study=dataclasses.replace(searched.study, options=searched.study.options | options)
    )
    assert _cited(asked) - _cited(searched) == {"the sampler TPE", "the choice within one standard error"}
    best = dataclasses.replace(asked.study, options=asked.study.options | {"choose": "best"})
    assert "the test that stops a trial" in _cited(dataclasses.replace(asked, study=best))
    assert _cited(nested) - _cited(searched) == {
        "nested cross-validation",
        "prediction sets",
        "prediction sets where a person has several videos",
    }
    assert {"the test over folds", "the correction for several comparisons", "the gait score"} <= _cited(searched)
    assert "dementia with Lewy bodies" not in _cited(searched)
    assert _cited(begun) == {
        "the search",
        "workers",
        "trials side by side",
        "the gait score",
        "the checklist",
        "the topics of quality and risk of bias",
    }


def test_references_are_each_said_once_and_without_links(searched):
    """The page may name no address of another host."""
    citations = [reference.citation for reference in references(searched)]
    assert len(set(citations)) == len(citations)
    assert not any("http" in citation for citation in citations)
