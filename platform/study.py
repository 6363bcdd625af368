"""The study folder: opened, locked, and continued only by the command that began it."""

import dataclasses
import fcntl
import importlib.metadata
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from platform.options import SearchOptions
from platform.splits import check_ledger, make_splits, only_fold, splits_of_column
from platform.study_log import now, of_session, plan_of
from typing import Any

import trainables
from trainables.config import TrainConfig
from trainables.errors import StridefoldError
from trainables.knowledge.tasks import Task
from trainables.study.files import digest, write_parquet
from trainables.study.records import Cohort, Fold, Splits, StudyRecord
from trainables.study.training_version import TRAINING_VERSION, source_hash
from trainables.study.vocabulary import TRACK_VERSION, UNTRACKED, tracker_of
from trainables.tracking.readiness import require_same_tracker, version_of

PACKAGES = ("stridefold", "torch", "transformers", "ray", "optuna", "polars", "scikit-learn", "numpy")


@dataclass(frozen=True, kw_only=True)
class Study:
    """An open study folder."""

    folder: Path
    record: StudyRecord
    cohort: Cohort
    splits: Splits

    def fold_key(self, config: TrainConfig, fold: Fold) -> str:
        """Returns the name of the result of one configuration on one fold: a hash of all that decides it."""
        return digest(
            [config.flat(), fold.index, fold.train, fold.test, self.cohort.sha256(), self.record.backbone["sha256"],
             self.record.task, self.record.options["knowledge_encoder"], self.record.training_version,
             *self._tracking()]
        )[:20]  # fmt: skip

    def _tracking(self) -> list[Any]:
        """Returns what decides which part of a video is seen; nothing where that is all of it, as before there was a tracker."""
        tracker = tracker_of(self.record.options)
        if tracker == UNTRACKED and "boxes" not in self.cohort.videos:
            return []
        return [tracker, TRACK_VERSION, *version_of(tracker).weights.values()]

    def keys(self, config: TrainConfig) -> list[str]:
        """Returns the key of every fold of a configuration."""
        return [self.fold_key(config, fold) for fold in self.splits.folds]

    def noted(self, **changes: Any) -> "Study":
        """Returns the study with a changed record, which is written."""
        study = dataclasses.replace(self, record=dataclasses.replace(self.record, **changes))
        study.record.save(study.folder)
        return study

    def finished_folds(self) -> set[str]:
        """Returns the keys of the folds whose results are whole."""
        return {path.parent.name for path in self.folder.glob("folds/*/result.json")}


def open_study(folder: Path, options: SearchOptions, cohort: Cohort, task: Task, backbone: dict[str, Any]) -> Study:
    """Returns the study of a folder: a new one, or the one that the same options began.

    Raises:
        StridefoldError: The folder holds a study with other options or data, or of another version of training.
        LeakageError: A subject or a file is on both sides of a fold.
    """
    identity, code = options.identity(), source_hash()
    asked = options.recorded()
    if (folder / "study.json").exists():
        record, splits = StudyRecord.load(folder), Splits.load(folder / "splits.json")
        require_same(folder, record, identity, cohort, task, backbone)
        codes = record.code if code in record.code else (*record.code, code)
        longer = any(record.options.get(name) != asked[name] for name in ("trials", "permutation_trials"))
        record = dataclasses.replace(
            record,
            options=record.options | identity | asked,
            finished=None,
            code=codes,
            permutations=() if longer else record.permutations,  # the null of another search is none of this one
        )
    else:
        splits = splits_for(cohort, options)
        record = StudyRecord(
            name=folder.name,
            options=identity | asked,
            task=dataclasses.asdict(task),
            metric=options.metric,
            cohort_sha256=cohort.sha256(),
            splits_sha256=splits.sha256(),
            backbone=backbone,
            versions=versions(),
            git=git_state(),
            started=now(),
            code=(code,),
            tracking=version_of(options.track),
        )
        plan_of(options, record).save(folder)
    record = dataclasses.replace(record, sessions=(*record.sessions, {"started": now(), **of_session(options)}))
    return saved(Study(folder=folder, record=record, cohort=cohort, splits=splits))


def splits_for(cohort: Cohort, options: SearchOptions) -> Splits:
    """Returns the folds that the options ask for.

    Raises:
        ConfigurationError: The cohort has too few subjects for them.
    """
    if options.fold_column and cohort.videos["fold"].n_unique() > 1:
        splits = splits_of_column(cohort)
    else:
        folds = options.folds or len(cohort.subjects())
        splits = make_splits(cohort, folds=folds, seed=options.seed_of_splits, repeats=options.repeats)
    return splits if options.fold is None else only_fold(splits, options.fold)


def saved(study: Study) -> Study:
    """Returns a study whose folder holds everything that opens it; its record is written last."""
    check_ledger(study.cohort, study.splits)
    study.cohort.save(study.folder)
    study.splits.save(study.folder / "splits.json")
    write_parquet(study.folder / "ledger.parquet", study.splits.ledger(study.cohort))
    study.record.save(study.folder)
    return study


def require_same(folder: Path, record: StudyRecord, identity: dict[str, Any], cohort: Cohort, task: Task,
                  backbone: dict[str, Any]) -> None:  # fmt: skip
    """Checks that a study in a folder goes on with these options and data.

    Raises:
        StridefoldError: Says what has changed.
    """
    if (version := record.training_version) != TRAINING_VERSION:
        raise StridefoldError(
            f"{folder} was computed by version {version} of the trainers, and this is version {TRAINING_VERSION}, which computes "
            f"other results; begin another study with --study NAME, or continue it with stridefold {_stridefold(record)}",
            code="study.other_training_version",
        )
    now = json.loads(json.dumps(identity))
    # An option that came later than the study had its default then; but before there was a tracker nobody was followed.
    began = json.loads(json.dumps(SearchOptions().identity())) | {"track": UNTRACKED} | record.options
    changed = sorted(name for name in now if now[name] != began[name])
    if changed:
        name = changed[0]
        raise StridefoldError(
            f"{folder} was begun with --{name.replace('_', '-')} {began[name]}, but now it is {now[name]}; "
            "give the same options to continue it, or begin another with --study NAME",
            code="study.option_changed",
        )
    require_same_tracker(record)
    began_with = (record.cohort_sha256, record.backbone["sha256"], record.task)
    given = (cohort.sha256(), backbone["sha256"], json.loads(json.dumps(dataclasses.asdict(task))))
    differs = [before != today for before, today in zip(began_with, given, strict=True)]
    for what in compress(("cohort", "backbone", "task file"), differs):
        raise StridefoldError(
            f"the {what} has changed since {folder} was begun; begin another study with --study NAME",
            code="study.data_changed",
        )


def _stridefold(record: StudyRecord) -> str:
    """Returns the version of the software that began a study, and its commit where that is known."""
    return record.versions.get("stridefold", "of its time") + (f" (commit {record.git})" if record.git else "")


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Holds a study folder for this process.

    Raises:
        StridefoldError: Another search holds it; says which.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "study.lock").open("a+")
    except OSError as error:
        raise StridefoldError(
            f"the study folder {folder} cannot be written ({error.strerror}); choose another with --study",
            code="study.not_writable",
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise StridefoldError(
                f"{folder} is in use by {holder}; wait for it, or choose another --study", code="study.in_use"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that decide results."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": sys.version.split()[0], **found}


def git_state() -> str:
    """Returns the commit of the checkout that runs, with '+changes' where it differs; '' outside a checkout."""
    root = Path(trainables.__file__).parents[1]

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=20, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return ""
