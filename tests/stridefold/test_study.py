"""A study as a Python object, on real records of synthetic predictions."""

import dataclasses
import json
from pathlib import Path
from platform.arguments import parse_search
from platform.library import options_from

import polars as pl
import pytest

import stridefold
from tests.errors import coded
from tests.make_study import make_study
from trainables.errors import ConfigurationError, LeakageError, StridefoldError
from trainables.study.leaderboard import best, read_trials
from trainables.study.records import StudyRecord


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of a finished study."""
    return make_study(tmp_path_factory.mktemp("api") / "study")


@pytest.fixture(scope="module")
def study(folder: Path) -> stridefold.Study:
    """Returns the study."""
    return stridefold.load(folder)


def test_the_best_trial_is_the_one_that_the_study_chooses(study: stridefold.Study, folder: Path) -> None:
    """The same rule as everywhere."""
    assert study.best == best(read_trials(folder, "gait-study"), 3)
    assert study.best.params["text.n_ctx"] in range(4, 21)


def test_trials_are_a_table_with_the_best_first(study: stridefold.Study) -> None:
    """One row per trial, with the settings that the search drew as columns of their own."""
    trials = study.trials
    assert trials["trial"].n_unique() == len(trials) == 12
    assert trials.filter("chosen")["trial"].to_list() == [study.best.number]
    assert trials["trial"][0] == study.best.number
    assert trials["state"].value_counts().filter(pl.col("state") == "FAIL")["count"].to_list() == [1]
    assert trials["numeracy.weight"].dtype == pl.Float64
    assert trials.filter(pl.col("value").is_not_null())["value"].max() == study.best.value


def test_predictions_and_results_are_what_the_report_writes(study: stridefold.Study) -> None:
    """The objects and the files have one source."""
    page = study.report(pdf=False)
    assert page == study.folder / "report.html"
    assert study.predictions.equals(pl.read_parquet(study.folder / "predictions.parquet"))
    assert study.results == json.loads((study.folder / "results.json").read_text())


def test_a_report_for_others_names_nobody(study: stridefold.Study) -> None:
    """pseudonyms=True is the command's --pseudonyms."""
    page = study.report(pseudonyms=True, pdf=False)
    assert page == study.folder / "shared" / "report.html"
    subject = study.predictions["subject"][0]
    assert subject not in page.read_text()


def test_a_notebook_shows_scores_and_warnings(study: stridefold.Study) -> None:
    """And that simulated walkers are no patients, in HTML without scripts."""
    shown = study._repr_html_()
    assert "simulated walkers, not patients" in shown
    assert f"Trial {study.best.number}" in shown
    for warning in study.results["warnings"]:
        assert warning["sentence"].split("<")[0][:30] in shown
    assert "<script" not in shown
    assert repr(study) == f"Study({str(study.folder)!r})"


def test_names_in_a_study_cannot_inject_html(tmp_path: Path) -> None:
    """A study's name comes from a folder or a table."""
    folder = make_study(tmp_path / "study", trials=0)
    record = dataclasses.replace(StudyRecord.load(folder), name="<img src=x>")
    record.save(folder)
    (folder / "study.db").unlink()  # it has the study by its name
    assert "&lt;img src=x&gt;" in stridefold.load(folder)._repr_html_()


def test_a_study_without_a_result_says_so(tmp_path: Path) -> None:
    """It can be shown, and what there is not is an error of one sentence."""
    study = stridefold.load(make_study(tmp_path / "new", trials=0))
    assert len(study.trials) == 0
    assert study.results["chosen"] is None
    assert "there is no score" in study._repr_html_()
    with pytest.raises(StridefoldError, check=coded("study.no_complete_trial", "3 folds")):
        study.best  # noqa: B018
    with pytest.raises(StridefoldError, check=coded("study.no_complete_trial")):
        study.predictions  # noqa: B018


def test_a_folder_that_is_not_a_study_is_refused_at_once(tmp_path: Path) -> None:
    """Not later, when something is asked of it."""
    with pytest.raises(StridefoldError, check=coded("study.file_missing", "study.json")):
        stridefold.load(tmp_path)


def test_leakage_is_an_error_here_too(tmp_path: Path) -> None:
    """A ledger that does not fit the folds shows in the API as in the report."""
    folder = make_study(tmp_path / "study")
    (folder / "ledger.parquet").unlink()
    with pytest.raises(LeakageError):
        stridefold.load(folder).trials  # noqa: B018


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"trails": 3}, "'trails' is not an option of a search; did you mean 'trials'?"),
        ({"trials": 0}, "trials is 0, but must be at least 1"),
        ({"trials": "many"}, "trials is 'many', but must be a whole number"),
        ({"metric": "auc"}, "auc is not known"),
        ({"settings": {"optimizer.rate": 1}}, "'optimizer.rate' is not a setting"),
        ({"plain": True}, "'plain' is not an option"),
        ({"cohort": "nowhere.csv"}, "nowhere.csv"),
    ],
)
def test_a_wrong_option_is_one_sentence(
    given: dict, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is trained or written."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StridefoldError) as error:
        stridefold.search(**given)
    assert said in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_options_are_those_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names with underscores, values of Python's types; a model's folder becomes absolute, and ~ the home folder."""
    (tmp_path / "clip").mkdir()
    monkeypatch.chdir(tmp_path)
    line = ["--cohort", "~/c.csv", "--folds", "subjects", "--baselines", "none", "--metric", "accuracy", "--set", "seed=3",
            "--column", "subject=id", "--ignore", "a", "--backbone", "clip", "--prune", "0"]  # fmt: skip
    given = {"cohort": Path("~/c.csv"), "folds": "subjects", "baselines": "none", "metric": "accuracy", "prune": 0,
             "settings": {"seed": 3}, "column": {"subject": "id"}, "ignore": ["a"], "backbone": Path("clip")}  # fmt: skip
    assert options_from(given) == parse_search(line)


def test_a_device_that_there_is_not_is_refused(folder: Path) -> None:
    """Not taken for the CPU silently."""
    with pytest.raises(ConfigurationError, check=coded("option.choice", "'tpu'", "auto, cpu, cuda")):
        stridefold.load(folder).predictor(device="tpu")
