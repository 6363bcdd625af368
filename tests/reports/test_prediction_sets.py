"""Prediction sets against the definition of conformal prediction, in coverage on known truth, and as a page shows them."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from crepes import ConformalClassifier
from hypothesis import given
from hypothesis import strategies as st

from reports.documents.page import write_report
from reports.numbers.analysis import analyse
from reports.numbers.prediction_sets import set_coverage
from tests.errors import coded
from tests.make_study import add_outer_folds, make_study
from trainables.errors import StridefoldError
from trainables.study.metrics import at_level
from trainables.study.outer_records import OuterResult
from trainables.study.prediction_sets import (
    PredictionSets,
    SetRule,
    fewest,
    in_words,
    rounded_down,
    set_rule,
    smallest_probability,
    unknown,
)
from trainables.study.records import Cohort, StudyRecord

SHARES = st.lists(st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.4, 0.5, 0.7, 0.9, 1.0]), min_size=1, max_size=40)
COVERAGES = st.sampled_from([0.5, 0.75, 0.8, 0.9, 0.95])


def conformal_p(shares: list[float], share: float) -> float:
    """Returns the conformal p-value of a new person whose class has a probability: how unusual so small a one is."""
    return (1 + sum(s <= share for s in shares)) / (len(shares) + 1)


@given(SHARES, COVERAGES)
def test_a_class_is_in_the_set_where_its_p_value_is_above_alpha(shares: list[float], coverage: float) -> None:
    """The threshold is that of the definition by p-values, ties among it; without enough people every class would be in."""
    found = smallest_probability(np.array(shares), np.arange(len(shares)), coverage)
    assert (found is None) == (len(shares) < fewest(coverage)) == (1 / (len(shares) + 1) > 1 - coverage + 1e-9)
    for share in {*shares, 0.03, 0.3, 0.99}:
        wanted = conformal_p(shares, share) > 1 - coverage + 1e-9
        assert (found is None or share >= found) == wanted


@given(SHARES, COVERAGES)
def test_sets_are_those_of_crepes(shares: list[float], coverage: float) -> None:
    """A second opinion. Only where p is exactly 1 - coverage do its sets hold a class that ours leave out."""
    found, asked = smallest_probability(np.array(shares), np.arange(len(shares)), coverage), np.linspace(0, 1, 41)
    theirs = ConformalClassifier()
    theirs.fit(1 - np.array(shares))
    p = theirs.predict_p(1 - asked[:, None], smoothing=False)[:, 0]
    clear = ~np.isclose(p, 1 - coverage)
    ours = np.ones(len(asked), dtype=bool) if found is None else asked >= found
    sets = theirs.predict_set(1 - asked[:, None], confidence=coverage, smoothing=False)[:, 0]
    assert ours[clear].tolist() == sets[clear].astype(bool).tolist()


@pytest.mark.parametrize(("coverage", "subjects"), [(0.9, 9), (0.95, 19), (0.8, 4), (0.5, 1), (0.75, 3), (0.99, 99)])
def test_fewest_subjects(coverage: float, subjects: int) -> None:
    """It is 1 / alpha - 1: the largest rank that a new person can have must be at most alpha."""
    assert fewest(coverage) == subjects


@given(SHARES, COVERAGES, st.integers(1, 4))
def test_a_subject_counts_once(shares: list[float], coverage: float, times: int) -> None:
    """Several videos of a person with the same probability change nothing, even if they are those of one person alone."""
    once = smallest_probability(np.array(shares), np.arange(len(shares)), coverage)
    several = np.repeat(np.arange(len(shares)), [times, *[1] * (len(shares) - 1)])
    assert smallest_probability(np.array(shares)[several], several, coverage) == once


def test_coverage_of_videos_of_new_people() -> None:
    """Over 4000 cohorts of 24 people with one to five alike videos each, a video of a new person is covered as promised."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(4000):
        videos = rng.integers(1, 6, 25)
        person = np.repeat(np.arange(25), videos)
        shares = 1 / (1 + np.exp(-(rng.normal(1, 1, 25)[person] + rng.normal(0, 0.3, len(person)))))
        known = person < 24
        threshold = smallest_probability(shares[known], person[known], 0.9)
        held.append(shares[~known][0] >= threshold)
    assert 0.9 - 0.012 < np.mean(held) < 0.9 + 1 / 25 + 0.012


def frame(shares: np.ndarray, true: np.ndarray) -> pl.DataFrame:
    """Returns one subject each, as `at_level` gives them."""
    subjects = [f"s{i:03}" for i in range(len(true))]
    return pl.DataFrame({"subject": subjects, "true": true, "probabilities": shares.tolist()})


def drawn(rng: np.random.Generator, subjects: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns probabilities and truth of subjects of three classes, of which the third is common and easy."""
    true = rng.choice(3, subjects, p=[0.2, 0.2, 0.6])
    logits = rng.normal(0, 1, (subjects, 3)) + np.array([0.6, 0.6, 2.5])[true][:, None] * np.eye(3)[true]
    shares = np.exp(logits)
    return shares / shares.sum(1, keepdims=True), true


def test_sets_by_class_hold_in_each_class() -> None:
    """Sets of all people together leave two hard classes far below 90 %; sets by class hold in each of them."""
    rng = np.random.default_rng(1)
    held: dict[bool, list[tuple[int, bool]]] = {True: [], False: []}
    for _ in range(300):
        calibrating = frame(*drawn(rng, 120))
        shares, true = drawn(rng, 20)
        for by_class, found in held.items():
            rule = set_rule(calibrating, "subject", 3, 0.9, by_class=by_class)
            if rule is not None:
                members = rule.members(shares)
                found += list(zip(true.tolist(), members[np.arange(20), true].tolist(), strict=True))
    shares_of = {k: [np.mean([m for c, m in v if c == label]) for label in range(3)] for k, v in held.items()}
    assert all(0.885 < share < 0.95 for share in shares_of[True])
    assert max(shares_of[False][:2]) < 0.85
    assert 0.885 < np.mean([m for _, m in held[False]]) < 0.925


@given(st.floats(0, 1))
def test_rounding_only_makes_sets_larger(value: float) -> None:
    """A probability of two digits is at most the person's own, and at least nine tenths of it or next to nothing."""
    found = rounded_down(value)
    assert found <= value
    assert found > 0.9 * value or value < 1e-6
    assert float(f"{found:.2g}") == pytest.approx(found)


def test_what_sets_say() -> None:
    """An empty set and one of all classes say nothing; coverage, sizes and shares are counted by hand."""
    labels = ("healthy", "DLB", "AD")
    members = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 1], [0, 0, 0], [0, 1, 0]], dtype=bool)
    assert [in_words(np.flatnonzero(m).tolist(), labels) for m in members] == [
        "healthy",
        "DLB or AD",
        "does not know",
        "does not know",
        "DLB",
    ]
    assert in_words([0, 1, 3], ("a", "b", "c", "d")) == "a, b or d"
    assert unknown(members).tolist() == [False, False, True, True, False]
    found = set_coverage(frame(np.zeros((5, 3)), np.array([0, 1, 2, 0, 0])), members, labels, "subject")
    assert (found.held, found.sizes, found.unknown) == (0.6, (1, 2, 1, 1), 0.4)
    assert (found.single, found.single_right) == (2, 0.5)
    assert [(c.units, c.held) for c in found.classes] == [(3, pytest.approx(1 / 3)), (1, 1.0), (1, 1.0)]


def reported(folder: Path) -> tuple[str, dict]:
    page = write_report(folder, pdf=False).read_text(encoding="utf-8")
    return page, json.loads((folder / "results.json").read_text())


def test_a_page_shows_the_sets_of_the_outer_folds(tmp_path: Path) -> None:
    """Coverage is that of each outer fold's people by the others' rule, counted here person by person; all is in the files."""
    study = add_outer_folds(make_study(tmp_path / "s", trials=2, per_class=20))
    page, results = reported(study)
    nested = pl.concat([OuterResult.load(study / "outer", f).predictions for f in range(3)])
    units = at_level(nested, "subject").to_dicts()
    held, sizes = [], []
    for unit in units:
        others = [o for o in units if o["fold"] != unit["fold"]]
        chosen = []
        for c in range(3):
            own = sorted((o["probabilities"][c] for o in others if o["true"] == c), reverse=True)
            rank = int(np.ceil((len(own) + 1) * 0.9 - 1e-9))
            chosen.append(unit["probabilities"][c] >= rounded_down(own[rank - 1]))
        held.append(chosen[unit["true"]])
        sizes.append(sum(chosen))
    subject = results["prediction_sets"]["measured"][0]
    assert subject["held"] == pytest.approx(np.mean(held))
    assert subject["sizes"] == [sizes.count(n) for n in range(4)]
    assert subject["unknown"] == pytest.approx(np.mean([n in (0, 3) for n in sizes]))
    stored = PredictionSets.load(study)
    assert stored.by_class
    assert stored.subjects == 60
    assert stored.held == subject["held"]
    whole = set_rule(at_level(nested, "subject"), "subject", 3, 0.9, by_class=True)
    assert stored.rule("subject") == whole
    low, high = (f"{100 * end:.0f}" for end in subject["held_interval"])
    assert f'{100 * subject["held"]:.0f}\N{NO-BREAK SPACE}%</td><td class="n">{low}\N{NO-BREAK SPACE}% – {high}' in page
    assert f"{100 * subject['unknown']:.0f}\N{NO-BREAK SPACE}%" in page[page.index('id="sets"') :]
    assert "does not know" in page
    assert "Prediction sets (conformal, 90 %" in (study / "model_card.md").read_text()


@pytest.mark.parametrize(
    ("per_class", "coverage", "said", "given"),
    [
        (3, 0.9, "a set with 90 % coverage needs 9 subjects outside every outer fold, and there are 6", False),
        (9, 0.9, "9 of its subjects are needed outside every outer fold, and normal gait has 6", True),
        (9, 0.95, "a set with 95 % coverage needs 19 subjects outside every outer fold, and there are 18", False),
        (9, 0.8, "at most 20\N{NO-BREAK SPACE}% of the people of each class", True),
    ],
)
def test_too_few_subjects_are_said(tmp_path: Path, per_class: int, coverage: float, said: str, given: bool) -> None:
    """With fewer than 1 / alpha - 1 people there are no sets; with fewer of a class the promise is for all together."""
    study = add_outer_folds(make_study(tmp_path / "s", trials=2, per_class=per_class))
    record = StudyRecord.load(study)
    dataclasses.replace(record, options=record.options | {"coverage": coverage}).save(study)
    page, results = reported(study)
    assert said in page
    assert bool(results["prediction_sets"]["measured"]) == given
    assert bool(PredictionSets.load(study).rules) == given


def test_labels_per_video_have_sets_of_videos_alone(tmp_path: Path) -> None:
    """A subject with videos of several classes has no class that a set of its own could hold."""
    study = add_outer_folds(make_study(tmp_path / "s", trials=2, per_class=20))
    for folder in (study, study / "outer"):
        dataclasses.replace(Cohort.load(folder), per_video_labels=True).save(folder)
    dataclasses.replace(StudyRecord.load(study), metric="video/macro_f1").save(study)
    found = analyse(study).sets
    assert [rule.level for rule in found.record.rules] == [m.level for m in found.measured] == ["video"]
    assert not found.record.by_class


def test_without_outer_folds_there_are_no_sets(tmp_path: Path) -> None:
    """Selection data calibrate nothing: page, file and model card say how to get sets."""
    study = make_study(tmp_path / "s", trials=2)
    page, _ = reported(study)
    assert "There are no prediction sets: sets are calibrated by people whom no search saw" in page
    assert "--outer-folds adds them" in PredictionSets.load(study).sentence()
    assert "There are no prediction sets" in (study / "model_card.md").read_text()


def test_a_study_that_has_no_model_has_no_sets(tmp_path: Path) -> None:
    """Before a configuration is chosen nothing is written, and an older file goes away."""
    study = make_study(tmp_path / "s", trials=0, finished=False)
    (study / "prediction_sets.json").write_text("{}")
    assert analyse(study).sets is None
    write_report(study, pdf=False)
    assert not (study / "prediction_sets.json").exists()


def test_sets_of_another_model_are_not_given() -> None:
    """After the search has gone on, the sets of the trial before it are not those of its model."""
    rule = SetRule(level="subject", smallest=(0.2, 0.3))
    sets = PredictionSets(trial=3, refit="folds", coverage=0.9, subjects=20, rules=(rule,))
    assert sets.of_model(3, "folds") is sets
    assert sets.of_model(4, "folds").rules == sets.of_model(3, "all").rules == ()
    assert "trial 3" in sets.of_model(4, "folds").sentence()


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    """It is not passed over silently."""
    (tmp_path / "prediction_sets.json").write_text('{"schema": 2, "trial": "x"}')
    with pytest.raises(StridefoldError, check=coded("study.file_damaged", "prediction_sets.json")):
        PredictionSets.load(tmp_path)
