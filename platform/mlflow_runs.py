"""`--mlflow URI`: mirrors a study to an MLflow server: a parent run, a child run per trial, each fold a step of it.

The study folder is the truth and is read here as a report reads it, by a thread of its own: a slow server delays no trial, and
a search that goes on after a stop goes on in the same runs. Ray's own callback is not used, because it loses artifacts.
Sent are settings, scores, the page with pseudonyms and the models; no subject, video or path.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from platform.console import Console
from platform.watching import LONGEST, every, reporting_once
from typing import TYPE_CHECKING, Any

from reports.documents.page import write_report
from trainables.errors import ConfigurationError, first_line
from trainables.study.files import fold_folder, read_json
from trainables.study.leaderboard import TrialRecord, read_trials
from trainables.study.metrics import log_loss, score
from trainables.study.records import Cohort, FoldResult, StudyRecord

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "stridefold"
"""Unless MLFLOW_EXPERIMENT_NAME names another."""
STUDY, TRIAL, PARENT = "stridefold.study", "stridefold.trial", "mlflow.parentRunId"
"""Tags by which runs are found again."""
OPTIONS = ("space", "trials", "sampler", "metric", "folds", "repeats", "outer_folds", "choose", "prune", "seed", "cost")
"""Of the parent run: those that hold no path and no name."""
BETWEEN = 5.0
"""Seconds between two looks at the study."""
MOST_PARAMETERS = 100
"""That MLflow takes at once."""
STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}


@contextmanager
def mirrored(uri: str | None, folder: Path, console: Console) -> Iterator[None]:
    """Mirrors a study to a server while the block runs, and its report and models at its end; without a URI does nothing.

    A server that is lost meanwhile is reported once, and the search goes on.

    Raises:
        ConfigurationError: MLflow is not installed, or no server answers at the URI.
    """
    if uri is None:
        yield
        return
    runs = StudyRuns(uri, folder)
    look = reporting_once(
        lambda finish="": runs.finish(finish) if finish else runs.update(), f"--mlflow {uri}", console.say
    )
    status = "KILLED"
    try:
        with every(BETWEEN, look):
            yield
        status = "FINISHED"
    finally:
        look(status)


class StudyRuns:
    """The runs of one study on a server."""

    def __init__(self, uri: str, folder: Path):
        """Finds the study's runs or begins them.

        Raises:
            ConfigurationError: MLflow is not installed, or no server answers at the URI.
        """
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        try:
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise ConfigurationError(
                "--mlflow needs MLflow's client; pip install 'stridefold[mlflow]', or leave --mlflow out",
                code="mlflow.not_installed",
            ) from None
        self.folder = folder
        try:
            self.client = MlflowClient(tracking_uri=uri)
            self.parent, self.children = self._open(StudyRecord.load(folder))
        except Exception as error:  # whatever MLflow and requests raise
            raise ConfigurationError(
                f"--mlflow {uri}: no MLflow server can be used there ({first_line(error)[:LONGEST]}); start one, or leave --mlflow out",
                code="mlflow.no_server",
            ) from None
        self.sent: dict[int, int] = {}
        """Folds of each trial that the server has."""
        self.ended: set[int] = set()

    def _open(self, record: StudyRecord) -> tuple[str, dict[int, str]]:
        """Returns the parent run of a study, and the runs of its trials by number."""
        client, name = self.client, os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = client.get_experiment_by_name(name)
        self.experiment = found.experiment_id if found else client.create_experiment(name)
        identity = f"{record.name} {record.started}".replace("'", " ")  # a quote would end the filter's text
        parents = client.search_runs([self.experiment], f"tags.`{STUDY}` = '{identity}'")
        if parents:
            parent = parents[0].info.run_id
            client.update_run(parent, status="RUNNING")
        else:
            parent = client.create_run(self.experiment, tags={STUDY: identity}, run_name=record.name).info.run_id
            given = {name: record.options[name] for name in OPTIONS if record.options.get(name) is not None}
            _log(client, parent, params=given | {"git": record.git} | record.versions)
        children = client.search_runs([self.experiment], f"tags.`{PARENT}` = '{parent}'", max_results=50_000)
        return parent, {int(run.data.tags[TRIAL]): run.info.run_id for run in children if TRIAL in run.data.tags}

    def update(self) -> None:
        """Sends what the study has and the server has not."""
        record, classes = StudyRecord.load(self.folder), len(Cohort.load(self.folder).classes)
        for trial in read_trials(self.folder, record.name):
            if trial.config and trial.number not in self.ended:
                self._update_trial(trial, record.metric, classes)

    def _update_trial(self, trial: TrialRecord, metric: str, classes: int) -> None:
        client, name = self.client, metric.replace("/", "_")
        if trial.number not in self.children:
            tags = {PARENT: self.parent, TRIAL: str(trial.number)}
            run = client.create_run(self.experiment, tags=tags, run_name=f"trial {trial.number}")
            self.children[trial.number] = run.info.run_id
            _log(client, run.info.run_id, params=trial.config)
        run_id = self.children[trial.number]
        if trial.number not in self.sent:
            self.sent[trial.number] = len(client.get_metric_history(run_id, f"fold_{name}"))
        for fold, key in enumerate(trial.folds[self.sent[trial.number] :], start=self.sent[trial.number]):
            predictions = FoldResult.load(fold_folder(self.folder, key)).predictions
            values = {f"fold_{name}": score(predictions, metric, classes), "fold_log_loss": log_loss(predictions)}
            _log(client, run_id, metrics=values, step=fold)
            self.sent[trial.number] = fold + 1
        if (status := STATUS.get(trial.state)) is None:
            return
        if trial.value is not None and trial.scored:
            _log(client, run_id, metrics={name: trial.value, "log_loss": trial.log_loss or 0.0, **trial.costs})
        if trial.problem:
            client.set_tag(run_id, "stridefold.problem", trial.problem)
        client.set_terminated(run_id, status)
        self.ended.add(trial.number)

    def finish(self, status: str) -> None:
        """Sends the rest: the chosen configuration's scores, the page with pseudonyms, the models."""
        self.update()
        if status == "FINISHED":
            page = write_report(self.folder, share=True, pdf=False)
            _log(self.client, self.parent, metrics=_scores(read_json(page.with_name("results.json"))))
            for name in ("report.html", "results.json", "model_card.md"):
                self.client.log_artifact(self.parent, str(page.with_name(name)))
            for path in sorted((self.folder / "best").glob("*")):
                if path.suffix in (".json", ".safetensors"):  # predict.txt has the study's path
                    self.client.log_artifact(self.parent, str(path), "model")
        self.client.set_terminated(self.parent, status)


def _scores(results: Mapping[str, Any]) -> dict[str, float]:
    """Returns the scores that results.json leads with: of held-out subjects, and of nested cross-validation."""
    chosen, nested = results["chosen"], results["nested"]
    levels = chosen["levels"] if chosen else []
    found = {f"{level['level']}_{s['metric']}": s["value"] for level in levels for s in level["scores"]}
    if nested is not None and nested["estimate"] is not None:
        found["nested_estimate"] = nested["estimate"]["value"]
    return found


def _log(
    client: "MlflowClient",
    run: str,
    *,
    params: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    step: int = 0,
) -> None:
    import time

    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    values = [Metric(name, value, now, step) for name, value in (metrics or {}).items() if value is not None]
    if values:
        client.log_batch(run, metrics=values)
    given = [Param(name, str(value)) for name, value in (params or {}).items()]
    for first in range(0, len(given), MOST_PARAMETERS):
        client.log_batch(run, params=given[first : first + MOST_PARAMETERS])
