"""The command line of `python -m platform.search`, as frozen options."""

import argparse
import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.config import TrainConfig
from trainables.errors import ConfigurationError
from trainables.metrics import parse_metric

SCALED_TO_SMALL: dict[str, Any] = {
    "optimizer.lr": 1e-2,
    "optimizer.epochs": 3,
    "text.context_init": "words",
    "numeracy.temperature": 20.0,
    "decoder.width": 128,
    "decoder.layers": 2,
    "decoder.steps": 150,
    "decoder.batch_size": 32,
    "decoder.lr": 3e-3,
}
"""Settings that start elsewhere with the embedded backbone, which is a hundredth of a ViT-B/16 and gets a tenth of the
steps (docs/decisions/0006)."""

CONTINUES = (
    "trials",
    "permutations",
    "address",
    "workers",
    "cpus_per_worker",
    "gpus_per_worker",
    "plain",
    "cache",
    "studies",
)
"""Options that may change when a study is continued; the others decide what was computed."""


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What a search was asked to do. Each field is an option of the same name."""

    cohort: str | None = None
    subjects: int = 24
    label: str | None = None
    task: str | None = None
    parameters: str | None = None
    column: dict[str, str] = dataclasses.field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    label_per_video: bool = False
    study: str | None = None
    studies: str = "studies"
    space: str = "smoke"
    trials: int = 8
    folds: int = 3
    metric: str = "subject/macro_f1"
    sampler: str = "tpe"
    epochs: int | None = None
    frames: int | None = None
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    backbone: str = "small"
    knowledge_encoder: str = "clip"
    seed: int = 0
    permutations: int = 0
    workers: int = 1
    cpus_per_worker: int = 1
    gpus_per_worker: float = 0.0
    address: str = "local"
    cache: str = ""
    plain: bool = False

    def __post_init__(self) -> None:
        for name in ("subjects", "trials", "workers", "cpus_per_worker"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"--{name.replace('_', '-')} is {getattr(self, name)}, but must be at least 1")
        if self.folds < 2:
            raise ConfigurationError(
                f"--folds is {self.folds}, but must be at least 2: some subjects train, the others are scored"
            )
        if self.permutations < 0 or self.gpus_per_worker < 0:
            raise ConfigurationError("--permutations and --gpus-per-worker must be at least 0")

    def reference(self) -> TrainConfig:
        """Returns the configuration that the search starts from.

        Raises:
            ConfigurationError: A setting does not exist or its value is not allowed.
        """
        values = dict(SCALED_TO_SMALL) if self.backbone == "small" else {}
        values["seed"] = self.seed
        if self.epochs is not None:
            values["optimizer.epochs"] = self.epochs
        if self.frames is not None:
            values["video.frames"] = self.frames
        return TrainConfig().with_values(values | self.settings)

    def study_folder(self) -> Path:
        """Returns the folder of the study: studies/NAME, or the path that was given."""
        if self.study and ("/" in self.study or os.sep in self.study):
            return Path(self.study)
        return Path(self.studies) / self.study_name()

    def study_name(self) -> str:
        """Returns the study's name; without --study one made from cohort and label."""
        if self.study:
            return Path(self.study).name
        what = self.label or (Path(self.task).stem if self.task else "diagnosis")
        return f"{Path(self.cohort).stem}-{what}" if self.cohort else f"simulated-{what}"

    def cache_folder(self) -> Path:
        """Returns where decoded frames and the simulated cohort are kept."""
        return Path(self.cache) if self.cache else user_cache()

    def identity(self) -> dict[str, Any]:
        """Returns the options that may not change within a study."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in CONTINUES}


def user_cache() -> Path:
    """Returns this user's cache folder for stridefold."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stridefold"


def parse_search(arguments: list[str] | None = None) -> SearchOptions:
    """Returns the options of a command line; --help and a wrong line end the program as argparse does."""
    given = vars(_parser().parse_args(arguments))
    given["metric"] = "/".join(parse_metric(given["metric"]))
    given["settings"] = dict(parse_setting(text) for text in given["settings"])
    given["column"] = dict(_column(text) for text in given["column"])
    given["ignore"] = tuple(given["ignore"])
    return SearchOptions(**given)


def parse_setting(text: str) -> tuple[str, Any]:
    """Returns ('optimizer.lr', 0.001) of 'optimizer.lr=0.001'; what is no JSON is text."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigurationError(f"--set {text} is no NAME=VALUE, as in --set optimizer.lr=0.001")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _column(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not equals:
        raise ConfigurationError(f"--column {text} is no OURS=YOURS, as in --column subject=patient_id")
    return ours, theirs


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, but not those that say nothing."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        silent = action.default is None or action.default is False or action.default in ("", [])
        return action.help if silent else super()._get_help_string(action)


def _parser() -> argparse.ArgumentParser:
    """Returns the parser; every option says its default."""
    default = SearchOptions()
    parser = argparse.ArgumentParser(
        prog="python -m platform.search",
        formatter_class=_Help,
        description="Searches configurations of the knowledge-augmented video CLIP over subject-wise folds of a cohort,\n"
        "decodes what each class has learned, and writes a report. The same command continues a study that was stopped.",
    )
    cohort = parser.add_argument_group("cohort")
    cohort.add_argument(
        "--cohort", metavar="FILE", help="manifest (.csv or .parquet); none: a simulated cohort is made"
    )
    cohort.add_argument("--subjects", type=int, default=default.subjects, help="subjects of the simulated cohort")
    cohort.add_argument("--label", help="label column; none: the task's, or diagnosis")
    cohort.add_argument(
        "--task", help="diagnosis, diagnosis5, updrs, or a task file (.toml); none: the one that fits the label"
    )
    cohort.add_argument("--parameters", metavar="FILE", help="parameter file (.toml); none: the 29 walkway parameters")
    cohort.add_argument(
        "--column",
        metavar="OURS=YOURS",
        action="append",
        default=[],
        help="name of a column in your manifest, as subject=patient_id; repeat for more",
    )
    cohort.add_argument(
        "--ignore",
        metavar="COLUMN",
        action="append",
        default=[],
        help="numeric column that is no gait parameter; repeat for more",
    )
    cohort.add_argument("--label-per-video", action="store_true", help="a subject's videos may carry different labels")
    study = parser.add_argument_group("study")
    study.add_argument("--study", help="name of the study, or its folder; none: made from cohort and label")
    study.add_argument("--studies", default=default.studies, help="folder of all studies")
    study.add_argument("--seed", type=int, default=default.seed, help="seed of splits, sampler and training")
    search = parser.add_argument_group("search")
    search.add_argument("--space", default=default.space, help="smoke, prompts, numeracy, full, or my_space.py:suggest")
    search.add_argument(
        "--trials", type=int, default=default.trials, help="configurations in all, the reference among them"
    )
    search.add_argument("--folds", type=int, default=default.folds, help="subject-wise folds of each trial")
    search.add_argument(
        "--metric",
        default=default.metric,
        help="macro_f1, balanced_accuracy, accuracy or quadratic_kappa, at subject/, video/ or window/ level",
    )
    search.add_argument("--sampler", choices=("tpe", "random", "gp"), default=default.sampler, help="how Optuna draws")
    search.add_argument(
        "--permutations",
        type=int,
        default=default.permutations,
        help="times the whole search is run again on permuted subject labels, as a control",
    )
    training = parser.add_argument_group("training")
    training.add_argument(
        "--epochs", type=int, help="passes over the training windows; none: 3 with the small backbone, else 5"
    )
    training.add_argument("--frames", type=int, help="frames taken from a window; none: 8")
    training.add_argument(
        "--backbone", default=default.backbone, help="small (embedded), or a CLIP's Hugging Face folder or hub id"
    )
    training.add_argument(
        "--knowledge-encoder",
        default=default.knowledge_encoder,
        help="clip, or a Hugging Face encoder's folder or hub id",
    )
    training.add_argument(
        "--set",
        dest="settings",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="any setting of trainables/config.py, as optimizer.lr=0.001; repeat for more",
    )
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "--address",
        default=default.address,
        help="local, auto (the cluster that this machine belongs to), or a Ray address",
    )
    machine.add_argument(
        "--workers", type=int, default=default.workers, help="Ray Train workers of one trial; they share each batch"
    )
    machine.add_argument("--cpus-per-worker", type=int, default=default.cpus_per_worker, help="CPUs of a worker")
    machine.add_argument(
        "--gpus-per-worker", type=float, default=default.gpus_per_worker, help="GPUs of a worker; a fraction shares one"
    )
    machine.add_argument("--cache", default=default.cache, help="folder of decoded frames; none: ~/.cache/stridefold")
    machine.add_argument("--plain", action="store_true", help="plain lines, also on a terminal")
    return parser
