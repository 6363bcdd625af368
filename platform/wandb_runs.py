"""`--wandb offline`: writes a study's trials as Weights & Biases runs into its folder; no account is needed, nothing is sent.

One run per trial, in a group of the study's name, each fold a step of it. A run is written when its trial has ended, because
an offline run cannot be opened again; its id follows from the study and the trial, so a search that goes on after a stop
writes no trial twice, and `wandb sync` sends none twice.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from platform.console import Console
from platform.watching import every, reporting_once
from typing import Any

from trainables.errors import ConfigurationError
from trainables.study.files import fold_folder
from trainables.study.leaderboard import TrialRecord, read_trials
from trainables.study.metrics import log_loss, score
from trainables.study.records import Cohort, FoldResult, StudyRecord

PROJECT = "stridefold"
"""Unless WANDB_PROJECT names another."""
BETWEEN = 10.0
"""Seconds between two looks at the study."""
ENDED = ("COMPLETE", "PRUNED", "FAIL")
ENVIRONMENT = {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true", "WANDB_DISABLE_CODE": "true"}
QUIET = {
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "silent": True,
    "host": "unknown",
    "program": "stridefold",
    "program_relpath": "stridefold",
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}
"""Settings of the client: nothing about this machine, its user or its folders is written."""


@contextmanager
def kept_as_runs(how: str | None, folder: Path, console: Console) -> Iterator[None]:
    """Writes the runs of a study while the block runs and at its end; without `how` does nothing.

    A run that cannot be written is reported once, and the search goes on.

    Raises:
        ConfigurationError: The client is not installed.
    """
    if how is None:
        yield
        return
    runs = OfflineRuns(folder)
    update = reporting_once(runs.update, f"--wandb {how}", console.say)
    try:
        with every(BETWEEN, update):
            yield
    finally:
        update()
        runs.close()


class OfflineRuns:
    """The runs of one study in its folder."""

    def __init__(self, folder: Path):
        """Prepares the client.

        Raises:
            ConfigurationError: The client is not installed.
        """
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        try:
            import wandb
        except ImportError:
            raise ConfigurationError(
                "--wandb needs the client of Weights & Biases; pip install 'stridefold[wandb]', or leave --wandb out",
                code="wandb.not_installed",
            ) from None
        self.client: Any = wandb
        self.folder = folder.absolute()

    def update(self) -> None:
        """Writes the trials that have ended and are not written yet."""
        record, classes = StudyRecord.load(self.folder), len(Cohort.load(self.folder).classes)
        for trial in read_trials(self.folder, record.name):
            if trial.state in ENDED and trial.config and not self.written(record, trial.number):
                self._write(record, trial, classes)

    def written(self, record: StudyRecord, trial: int) -> bool:
        """Returns whether a trial's run lies in the study's folder."""
        return any((self.folder / "wandb").glob(f"offline-run-*-{run_id(record, trial)}/*.wandb"))

    def _write(self, record: StudyRecord, trial: TrialRecord, classes: int) -> None:
        name = record.metric.replace("/", "_")
        folds = [FoldResult.load(fold_folder(self.folder, key)).predictions for key in trial.folds]
        run = self.client.init(
            mode="offline",
            dir=str(self.folder),
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            group=record.name,
            name=f"trial {trial.number}",
            id=run_id(record, trial.number),
            config=trial.config,
            tags=[trial.state.lower()],
            settings=self.client.Settings(**QUIET),
        )
        for fold, predictions in enumerate(folds):
            run.log(
                {f"fold_{name}": score(predictions, record.metric, classes), "fold_log_loss": log_loss(predictions)},
                step=fold,
            )
        if trial.value is not None and trial.scored:
            run.summary.update({name: trial.value, "log_loss": trial.log_loss or 0.0, **trial.costs})
        if trial.problem:
            run.summary["problem"] = trial.problem
        run.finish(exit_code=int(trial.state == "FAIL"))

    def close(self) -> None:
        """Ends the client's own process."""
        self.client.teardown()


def run_id(record: StudyRecord, trial: int) -> str:
    """Returns the id of a trial's run: the same whenever it is written, and another one for each study."""
    return hashlib.sha256(f"{record.name} {record.started} {trial}".encode()).hexdigest()[:16]
