"""The experiment on known truth counts what it says, with the functions that make the page."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from experiments.inference import main, rows
from experiments.simulated_answers import Answers
from experiments.simulated_studies import NEW_PEOPLE, Discriminant, draw_people, nested
from experiments.trained_intervals import Row, held
from reports.numbers.statistics import Score
from trainables.study.metrics import at_level


def test_its_model_is_a_discriminant_analysis():
    """With all features and hardly any shrinkage it answers as scikit-learn's; without signal it knows nothing of new people."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    people = draw_people(np.random.default_rng(0), 90, 1.5)
    model = Discriminant(people, np.arange(90), (8, 1e-9))
    flat, labels = people.features.reshape(-1, 8), np.repeat(people.labels, 2)
    oracle = LinearDiscriminantAnalysis(solver="lsqr", priors=np.ones(3) / 3).fit(flat, labels)
    assert (model.probabilities(flat).argmax(1) == oracle.predict(flat)).mean() > 0.98
    noise = draw_people(np.random.default_rng(1), 60, 0.0)
    new = draw_people(np.random.default_rng(2), NEW_PEOPLE, 0.0)
    answers = Discriminant(noise, np.arange(60), (8, 0.5)).probabilities(new.features).mean(1).argmax(1)
    right = int((answers == new.labels).sum())
    assert stats.binomtest(right, NEW_PEOPLE, 1 / 3).pvalue > 1e-3


def test_outer_subjects_are_scored_once_and_by_models_that_never_saw_them():
    """Each subject has one nested answer for each video; models of one inner fold each answer for the same subjects."""
    people = draw_people(np.random.default_rng(0), 24, 1.5)
    study = nested(people, people.cohort(), 0, ((4, 0.5),), draw_people(np.random.default_rng(9), 30, 1.5))
    assert study.predictions.select("subject", "video").n_unique() == len(study.predictions) == 48
    assert len(study.alone) == 3 * 48
    inner = pl.concat([at_level(p, "subject") for p in study.inner])
    assert inner["subject"].value_counts()["count"].to_list() == [2] * 24
    assert study.new_people.sum() == pytest.approx(30)


def test_coverage_is_the_share_of_intervals_that_hold_the_truth():
    """Of two studies one interval holds the score of the mean matrix of new people."""

    def study(low: float, high: float) -> dict:
        score = Score(metric="accuracy", value=0.5, low=low, high=high, chance=0.3, largest_class=0.3)
        names = ("macro_f1", "balanced_accuracy", "accuracy")
        return {f"interval {n}": [score] for n in names} | {"new people": [np.diag([3, 3, 0]) + np.eye(3, k=2)]}

    empty = {
        "optimism without a search": [(0.0, -1.0, 1.0)],
        "methods": [],
        "methods, folds once": [],
        "trained models": [],
    }
    rest = empty | {"nested": [], "selected": [], "selected, interval alone": [], "null p": [], "null": []}
    found = {what: share for what, share, _ in rows([study(0.5, 0.9) | rest, study(0.9, 1.0) | rest], 0.0)}
    assert found["coverage of the nested accuracy"] == 0.5  # the truth is 6 / 7
    assert found["coverage of optimism 0, no search"] == 1


def test_the_command_prints_its_table(capsys):
    """Two studies a cell give every row for every cell, and a wrong number is a sentence."""
    assert main(["--studies", "2", "--subjects", "24", "--only", "studies"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n| ") == 18
    assert "| what | wanted | 24, no signal | 24, signal |" in printed
    with pytest.raises(SystemExit):
        main(["--studies", "1"])
    assert "--studies must be at least 2" in capsys.readouterr().err


def test_the_table_of_simulated_answers(capsys):
    """Every row has a share for each cell; with a signal, answers rank people better than without."""
    assert main(["--studies", "2", "--subjects", "24", "--only", "answers"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(lines) == 17
    assert all(line.count("|") == 5 for line in lines)
    assert all(0 <= float(cell) <= 100 for line in lines[1:] for cell in line.split("|")[3:5])
    one, other = (Answers.drawn(np.random.default_rng(3), 600, signal) for signal in (0.0, 1.5))
    right = [float((a.whole().argmax(1) == a.true).mean()) for a in (one, other)]
    assert right[0] == pytest.approx(1 / 3, abs=0.06)
    assert right[1] > 0.6


def test_the_table_of_cross_validated_intervals_is_the_decisions(capsys):
    """Every row that the command prints stands in decision 0020, with a share for each cell."""
    assert main(["--studies", "2", "--subjects", "24", "--only", "trained"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    decision = (Path(__file__).parents[2] / "docs" / "decisions" / "0020-inference-on-known-truth.md").read_text()
    assert len(lines) >= 23
    for line in lines[1:]:
        what, wanted, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        assert f"| {what} | {wanted} |" in decision
        assert all(cell == "–" or 0 <= float(cell) <= 100 for cell in cells)


def test_a_mean_truth_and_that_of_the_study_itself():
    """An interval of the procedure is asked of the mean over studies, one of the study's own models of their own truth."""
    spans, truths = [(0.0, 0.2), (0.4, 0.6)], [0.1, 0.5]
    own, mean = (
        [Row(what="w", wanted="", span=s, truth=t, own=o) for s, t in zip(spans, truths, strict=True)]
        for o in (True, False)
    )
    assert held(own) == "100.0"
    assert held(mean) == "0.0"
