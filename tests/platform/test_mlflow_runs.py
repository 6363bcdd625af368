"""`--mlflow` against MLflow: a real server on loopback where one is installed, else MLflow's own sqlite store."""

import contextlib
import dataclasses
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from platform.console import Console
from platform.mlflow_runs import STUDY, TRIAL, StudyRuns, mirrored

import pytest

from tests.errors import coded
from tests.make_study import make_study
from trainables.errors import ConfigurationError
from trainables.study.leaderboard import best, read_trials
from trainables.study.records import StudyRecord

mlflow = pytest.importorskip("mlflow", reason="MLflow's client is not installed (pip install 'stridefold[mlflow]')")
SERVER = os.environ.get("STRIDEFOLD_MLFLOW_SERVER") or ""
"""The command `mlflow` of an environment with the whole of MLflow; make mlflow-test sets it."""


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Returns the address of an empty server with a sqlite store."""
    folder = tmp_path_factory.mktemp("mlflow")
    if not SERVER:
        yield f"sqlite:///{folder}/runs.db"
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [SERVER, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
               "--backend-store-uri", f"sqlite:///{folder}/runs.db", "--artifacts-destination", str(folder / "files")]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
        )
        try:
            until = time.monotonic() + 120
            while time.monotonic() < until and process.poll() is None:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                    break
                time.sleep(0.3)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def runs_of(uri: str, study: Path) -> tuple[mlflow.entities.Run, dict[int, mlflow.entities.Run]]:
    """Returns the parent run of a study and its children by trial, as the server has them."""
    client, record = mlflow.tracking.MlflowClient(uri), StudyRecord.load(study)
    experiment = client.get_experiment_by_name("stridefold").experiment_id
    (parent,) = client.search_runs([experiment], f"tags.`{STUDY}` = '{record.name} {record.started}'")
    children = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    return parent, {int(run.data.tags[TRIAL]): run for run in children}


def test_a_study_becomes_runs(uri, tmp_path, monkeypatch):
    """Every trial is a run with its settings, its folds as steps and its state; the page and the models are artifacts."""
    monkeypatch.chdir(tmp_path)
    study = make_study(tmp_path / "P07-clinic" / "study", trials=8)
    (study / "best").mkdir()
    (study / "best" / "fold-0.safetensors").write_bytes(b"weights")
    (study / "best" / "predict.txt").write_text("python -m platform.predict /home/someone/study VIDEO")
    with mirrored(uri, study, Console(plain=True)):
        pass
    parent, children = runs_of(uri, study)
    trials = read_trials(study, "gait-study")
    assert parent.info.status == "FINISHED"
    assert sorted(children) == [t.number for t in trials]
    states = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
    client = mlflow.tracking.MlflowClient(uri)
    for trial in trials:
        run = children[trial.number]
        assert run.info.status == states[trial.state]
        assert run.data.params["text.n_ctx"] == str(trial.config["text.n_ctx"])
        history = client.get_metric_history(run.info.run_id, "fold_subject_macro_f1")
        assert [m.step for m in history] == list(range(len(trial.folds)))
        if trial.scored:
            assert run.data.metrics["subject_macro_f1"] == pytest.approx(trial.value)
    chosen = best(trials, 3)
    assert parent.data.metrics["subject_macro_f1"] == pytest.approx(chosen.value)
    kept = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"report.html", "results.json", "model_card.md", "model"} <= kept
    assert [f.path for f in client.list_artifacts(parent.info.run_id, "model")] == ["model/fold-0.safetensors"]
    page = Path(client.download_artifacts(parent.info.run_id, "report.html", str(tmp_path))).read_text()
    assert "S01" not in page  # pseudonyms
    told = str(parent.data.params) + str(parent.data.tags)
    assert "P07-clinic" not in told.replace(str(parent.data.tags.get("mlflow.source.name")), "")


def test_a_search_that_goes_on_goes_on_in_its_runs(uri, tmp_path, monkeypatch):
    """A stopped study's runs are found again: nothing is sent twice, and what ended is not opened."""
    monkeypatch.chdir(tmp_path)
    study = make_study(tmp_path / "study", trials=5, seed=1, finished=False)
    later = dataclasses.replace(StudyRecord.load(study), started="2026-11-27T12:00:00+00:00")
    later.save(study)  # another study than the one of the test before, whose runs the same server has
    with contextlib.suppress(KeyboardInterrupt), mirrored(uri, study, Console(plain=True)):
        raise KeyboardInterrupt
    parent, children = runs_of(uri, study)
    assert (parent.info.status, children[4].info.status) == ("KILLED", "RUNNING")
    again = StudyRuns(uri, study)
    again.update()
    assert (again.parent, again.children) == (parent.info.run_id, {n: r.info.run_id for n, r in children.items()})
    history = again.client.get_metric_history(children[0].info.run_id, "fold_subject_macro_f1")
    assert [m.step for m in history] == [0, 1, 2]


def test_no_server_is_one_sentence(tmp_path):
    """A wrong address ends the command before anything is trained."""
    study = make_study(tmp_path / "study", trials=1)
    with pytest.raises(ConfigurationError, check=coded("mlflow.no_server", "--mlflow http://127.0.0.1:9")) as error:
        StudyRuns("http://127.0.0.1:9", study)
    assert "\n" not in str(error.value)


def test_a_server_that_is_lost_ends_no_search(tmp_path, capsys, monkeypatch):
    """It is reported once, and the block goes on to its end."""
    monkeypatch.chdir(tmp_path)
    study, reached = make_study(tmp_path / "study", trials=2), False
    store = tmp_path / "runs.db"
    with mirrored(f"sqlite:///{store}", study, Console(plain=True)):
        shutil.rmtree(study / "folds")
        reached = True
    assert reached
    assert capsys.readouterr().out.count("the search goes on") == 1
