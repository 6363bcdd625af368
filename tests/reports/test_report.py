"""The report of whole study folders: finished, running, empty, damaged, and with hostile names."""

import dataclasses
import hashlib
import itertools
import json
import re
import sqlite3
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from platform.next_step import next_line

import optuna
import polars as pl
import pytest

from reports.documents.methods import methods
from reports.documents.page import number, quantity, write_report
from reports.wording import duration, scientific
from tests.errors import coded
from tests.make_study import CLASSES, make_study
from trainables.config import PUBLISHED, TrainConfig
from trainables.errors import StridefoldError
from trainables.study.leaderboard import best, read_trials
from trainables.study.records import FoldResult

HOSTILE = "</script><img src=x onerror=alert(1)>"
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Reads a page's elements and its text."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A finished study with its report."""
    folder = make_study(tmp_path_factory.mktemp("studies") / "finished", permutations=20)
    write_report(folder)
    return folder


def _page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def _words(page: Page) -> str:
    return re.sub(r"\s+", " ", page.text)


def test_same_study_gives_same_bytes(study):
    """The page depends on the study folder and on no clock, order or draw."""
    before = (study / "report.html").read_bytes(), (study / "results.json").read_bytes()
    write_report(study)
    assert ((study / "report.html").read_bytes(), (study / "results.json").read_bytes()) == before


def test_page_is_well_formed_and_accessible(study):
    """Elements close in order, ids are unique, headings descend by one, tables have scopes, drawings have words."""
    page = _page(study)
    assert page.open == []
    ids = [a["id"] for _, a in page.elements if a.get("id")]
    assert len(ids) == len(set(ids))
    assert dict(page.elements)["html"]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert all(a.get("scope") for tag, a in page.elements if tag == "th")
    drawings = [a for tag, a in page.elements if tag == "svg"]
    assert len(drawings) > 8
    for drawing in drawings:
        assert drawing["role"] == "img"
        assert all(part in ids for part in drawing["aria-labelledby"].split())
    linked = [a["href"][1:] for tag, a in page.elements if tag == "a"]
    assert linked
    assert set(linked) <= set(ids)


def test_page_fetches_and_runs_nothing(study):
    """No script, no address of another host, and a policy that forbids both."""
    html = (study / "report.html").read_text(encoding="utf-8")
    tags = {tag for tag, _ in _page(study).elements}
    assert not tags & {"script", "link", "iframe", "img", "object", "form"}
    assert "http://" not in html
    assert "https://" not in html
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html


def test_page_says_what_the_study_found(study):
    """The chosen trial, its score, the warning about selection, the ledger's sentence and the failed trial's reason."""
    words = _words(_page(study))
    results = json.loads((study / "results.json").read_text())
    chosen = results["chosen"]
    for sentence in (
        f"The best configuration is trial {chosen['trial']}.",
        "This is a selection score. It is the best of 8 configurations compared on the same folds, so it is optimistic",
        "no subject and no video file of any fold stand on both its training and its test side. Every subject is tested exactly once.",
        "trial 5 ran out of memory at batch size 4; lower optimizer.batch_size",
        "12 trials (8 complete, 1 failed, 3 stopped early)",
        "This is not a medical device",
        "Simulated cohort",
        "2026-03-14 09:26 UTC",
        f"(p = {chosen['permutation_null']['p_value']:.3f})",
    ):
        assert sentence in words, sentence
    assert f"Macro F1 per subject{chosen['score']:.2f}" in words.replace(" 0.", "0.")


def test_results_hold_the_chosen_trial(study):
    """results.json names the trial that the leaderboard's rule picks, with the score that the database holds."""
    results = json.loads((study / "results.json").read_text())
    chosen = best(read_trials(study, "gait-study"), 3)
    assert results["chosen"]["trial"] == chosen.number
    assert results["chosen"]["score"] == pytest.approx(chosen.value)
    assert sum(map(sum, results["chosen"]["confusion"])) == 27


def test_predictions_are_every_held_out_window_once(study):
    """predictions.parquet has each of the 108 windows once, with the names of truth and answer."""
    frame = pl.read_parquet(study / "predictions.parquet")
    assert frame.select("video", "window").n_unique() == len(frame) == 108
    assert set(frame["true_class"]) == set(CLASSES)


def test_hostile_names_are_text(tmp_path):
    """Markup and formulas in classes and subjects are shown and never obeyed."""
    classes = (HOSTILE, r"$\bad{", 'quote" onload="x')
    folder = make_study(tmp_path / "s", trials=5, classes=classes, subject_prefix="<b>&{{ 7*7 }}", per_class=4)
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    assert page.open == []
    assert not {"script", "img", "b"} & {tag for tag, _ in page.elements}
    assert not any(name.startswith("on") for _, a in page.elements for name in a)
    for name in (*classes, "<b>&{{ 7*7 }}000"):
        assert name in page.text


def test_unfinished_search_says_what_is_missing(tmp_path):
    """While a trial still runs, the page shows what is done and says that it may change."""
    folder = make_study(tmp_path / "s", trials=7, finished=False, simulated=False, per_class=4)
    words = _words(Page(write_report(folder).read_text(encoding="utf-8")))
    assert "The search is not finished: 5 of 12 trials have a result." in words
    assert "1 not finished" in words
    assert "The best configuration is trial" in words
    assert "Simulated" not in words


@pytest.mark.parametrize("trials", [0, 1])
def test_study_without_a_complete_trial(tmp_path, trials):
    """Before the first complete trial the page has the cohort and the classes, and no score."""
    folder = make_study(tmp_path / "s", trials=trials, finished=False)
    if trials == 0:
        (folder / "study.db").unlink()
    words = _words(Page(write_report(folder).read_text(encoding="utf-8")))
    assert "No configuration has finished all 3 folds yet" in words
    assert "27 subjects with 54 videos" in words
    assert not (folder / "predictions.parquet").exists()
    assert json.loads((folder / "results.json").read_text())["chosen"] is None


def test_two_subjects_two_folds_of_one_class_each(tmp_path):
    """The smallest cohort that can be split still gives a page."""
    folder = make_study(tmp_path / "s", trials=1, per_class=1, folds=3)
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    assert page.open == []
    assert "of 3 subjects right" in _words(page)


def test_missing_fold_is_a_sentence(tmp_path):
    """A deleted fold of the chosen trial is named, with what to do."""
    folder = make_study(tmp_path / "s", trials=1)
    key = read_trials(folder, "gait-study")[0].folds[1]
    (folder / "folds" / key / "result.json").unlink()
    with pytest.raises(StridefoldError, check=coded("study.fold_missing", key, "trial 0")):
        write_report(folder)


def test_a_model_that_names_one_class_is_said_to_tell_nothing_apart(tmp_path):
    """One answer for everybody, and one sentence for two classes, are written where the reader looks first."""
    folder = make_study(tmp_path / "s", trials=1, per_class=3)
    for key in read_trials(folder, "gait-study")[0].folds:
        result = FoldResult.load(folder / "folds" / key)
        flat = result.predictions.with_columns(probabilities=pl.lit([0.2, 0.5, 0.3], dtype=pl.List(pl.Float64)))
        alike = tuple(dataclasses.replace(d, sentence="cadence is 100 steps/min") for d in result.decoded)
        dataclasses.replace(result, predictions=flat, decoded=alike).save(folder / "folds" / key)
    words = _words(Page(write_report(folder).read_text(encoding="utf-8")))
    assert "It gave every subject the same answer, “slight impairment”: it tells no classes apart." in words
    assert "so this study does not show that the model learned anything" in words
    assert "Fold 2: normal gait, slight impairment, mild impairment have the same words" in words


def test_changed_score_is_noticed(tmp_path):
    """Where the database's score is not that of the predictions, the page shows the predictions' and says so."""
    folder = make_study(tmp_path / "s", trials=1)
    with sqlite3.connect(folder / "study.db") as database:
        database.execute("update trial_values set value = 0.123")
    words = _words(Page(write_report(folder).read_text(encoding="utf-8")))
    assert "The database gives trial 0 a score of 0.1230, but its predictions give" in words


def test_reading_leaves_the_database_alone_and_sees_an_open_search(tmp_path):
    """Trials are read while another connection is in mid-write, the uncommitted part is not seen, and no byte changes."""
    folder = make_study(tmp_path / "s", trials=2)
    before = hashlib.sha256((folder / "study.db").read_bytes()).hexdigest()
    writer = sqlite3.connect(folder / "study.db", isolation_level=None)
    writer.execute("begin immediate")
    writer.execute("update trial_values set value = 0.5")
    assert all(t.value != 0.5 for t in read_trials(folder, "gait-study"))
    writer.execute("rollback")
    writer.close()
    assert hashlib.sha256((folder / "study.db").read_bytes()).hexdigest() == before
    assert sorted(p.name for p in folder.glob("study.db*")) == ["study.db"]


def test_database_of_a_killed_search_is_read(tmp_path):
    """A kill in mid-write leaves a journal; the last committed state is read, and the files stay for the search to repair."""
    folder = make_study(tmp_path / "s", trials=2)
    expected = [t.value for t in read_trials(folder, "gait-study")]
    kill = (
        "import os, sqlite3, sys; d = sqlite3.connect(sys.argv[1], isolation_level=None); d.execute('pragma cache_size=1');"
        "d.execute('begin immediate'); d.execute('update trial_values set value = 0.5');"
        "d.execute('create table big(x)'); [d.execute('insert into big values (zeroblob(4000))') for _ in range(99)];"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", kill, str(folder / "study.db")], check=False)
    journal = folder / "study.db-journal"
    assert journal.stat().st_size > 0
    before = (folder / "study.db").read_bytes(), journal.read_bytes()
    assert [t.value for t in read_trials(folder, "gait-study")] == expected
    assert ((folder / "study.db").read_bytes(), journal.read_bytes()) == before


def test_database_problems_are_sentences(tmp_path):
    """A file that is not a database, and one of another study, are named."""
    (tmp_path / "study.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StridefoldError, check=coded("study.database", "study.db")):
        read_trials(tmp_path, "a")
    other = make_study(tmp_path / "s", trials=0)
    with pytest.raises(StridefoldError, check=coded("study.not_in_database", "'b'")):
        read_trials(other, "b")
    assert optuna.load_study(study_name="gait-study", storage=f"sqlite:///{other / 'study.db'}").trials == []


def test_command_prints_the_path_or_one_sentence(tmp_path, study):
    """`python -m platform.report` prints where the page is and what comes next; a folder that is not a study is one line, and status 1."""
    good = subprocess.run([sys.executable, "-m", "platform.report", str(study)], capture_output=True, text=True)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.splitlines() == [str(study / "report.html"), next_line("predict", study, "VIDEO", "...")]
    bad = subprocess.run([sys.executable, "-m", "platform.report", str(tmp_path)], capture_output=True, text=True)
    assert bad.returncode == 1
    assert (
        bad.stderr
        == f"error: {tmp_path / 'study.json'} is missing: is {tmp_path} a study folder? [study.file_missing]\n"
    )


def test_report_needs_neither_torch_nor_ray():
    """Making pages loads no machine-learning framework."""
    code = "import sys, reports.documents.page; print(sorted({'torch', 'ray', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_methods_follow_the_configuration():
    """What is off is said to be off, and a baseline claims nothing of the full model."""
    about = {
        "ordinal": True,
        "folds": 5,
        "splits": "by subject",
        "backbone": "small",
        "metric_text": "subject/macro_f1",
        "options": {"space": "full", "sampler": "tpe", "knowledge_encoder": "roberta"},
        "trials": 12,
    }
    full = " ".join(methods(TrainConfig().flat(), **about))
    assert "prompt of 8 learned tokens" in full
    assert "Training ran for 2000 steps with AdamW (learning rate 0.001 for the class texts" in full
    assert "64 components on the training windows and added by a ridge regression in closed form." in full
    assert "5 passes over the training windows" in " ".join(methods(PUBLISHED, **about))
    assert "read-out" not in " ".join(methods(PUBLISHED, **about))
    whitened = "clinical notion (from roberta, centred and partly whitened over the task, one projector for all classes, 128 wide)"
    assert whitened in full
    published = " ".join(methods({"text.notions": "raw", "text.projector": "per_class"}, **about))
    assert "clinical notion (from roberta, one projector for each class, 128 wide)" in published
    swapped = " ".join(methods({"text.knowledge_source": "swapped"}, **about))
    assert "As a control, notions and keywords were another class's." in swapped
    plain = " ".join(methods({"numeracy.enabled": False, "text.knowledge": False}, **about))
    assert "Gait parameters were not used in training." in plain
    assert "without the clinical notion" in plain
    assert "language model" not in plain
    baseline = " ".join(methods({"model": "parameters"}, **about))
    assert "prompt" not in baseline
    assert (
        "The search ran 12 trials (search space full, sampler tpe) and compared configurations by macro F1 per subject"
        in baseline
    )


def test_numbers_for_reading():
    """Scores have two places and a true minus, measurements three figures, times a fitting unit."""
    assert (number(0.456), number(-0.1), number(None)) == ("0.46", "−0.10", "–")
    assert (quantity(112.4), quantity(0.01234), quantity(12345.0)) == ("112", "0.0123", "12345")
    assert (duration(42), duration(720), duration(11100)) == ("42 s", "12 min", "3 h 05 min")
    assert scientific(0.25) == "0.25"
