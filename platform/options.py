"""What a search was asked to do, as frozen options; each is declared once, in the class of its group."""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from platform.cohort_arguments import CohortOptions
from platform.declared import declarations
from platform.declared import home_path as home_path
from platform.evaluation_options import EvaluationOptions
from platform.machine_options import MachineOptions, TrainingOptions
from platform.run_options import RunOptions
from platform.study_options import SamplingOptions, StudyOptions
from typing import Any

from search_spaces import Space, load_space
from trainables.config import TrainConfig
from trainables.errors import ConfigurationError
from trainables.model_kinds import BASELINES
from trainables.study.files import file_sha256
from trainables.study.vocabulary import parse_metric

SCALED_TO_SMALL: dict[str, Any] = {
    "optimizer.steps": 100,
    "text.context_init": "words",
    "numeracy.temperature": 20.0,
    "decoder.width": 64,
    "decoder.layers": 2,
    "decoder.steps": 150,
    "decoder.batch_size": 16,
    "decoder.lr": 3e-3,
}
"""Settings that start elsewhere with the embedded backbone, which is a hundredth of a ViT-B/16 and gets a tenth of the
steps (docs/decisions/0006)."""

DEFAULT_TRIALS = 8


@dataclass(frozen=True, kw_only=True)
class SearchOptions(  # from the last to the first: fields of the last come first
    RunOptions, MachineOptions, TrainingOptions, EvaluationOptions, SamplingOptions, StudyOptions, CohortOptions
):
    """What a search was asked to do. Each field is an option of the same name."""

    def __post_init__(self) -> None:
        self._check_counts()
        self._check_shares()
        self._check_choices()
        self._check_folds()

    def _check_counts(self) -> None:
        for name in (
            "subjects",
            "trials",
            "permutation_trials",
            "repeats",
            "workers",
            "cpus_per_worker",
            "training_seeds",
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigurationError(
                    f"--{name.replace('_', '-')} is {value}, but must be at least 1", code="option.too_small"
                )
        if self.folds == 1 or self.folds < 0:
            raise ConfigurationError(
                f"--folds is {self.folds}, but must be at least 2, or 'subjects': some subjects train, the others are scored",
                code="option.folds.range",
            )
        if self.outer_folds == 1 or self.outer_folds < 0:
            raise ConfigurationError(
                f"--outer-folds is {self.outer_folds}, but must be at least 2, or 0 for none",
                code="option.outer_folds.range",
            )
        if min(self.permutations, self.concurrency, self.gpus_per_worker or 0) < 0:
            raise ConfigurationError(
                "--permutations, --concurrency and --gpus-per-worker must be at least 0", code="option.too_small"
            )

    def _check_shares(self) -> None:
        if not 0 <= self.prune <= 0.5:
            raise ConfigurationError(
                f"--prune is {self.prune}, but must be a p-value from 0 (never) to 0.5; 0.1 is usual",
                code="option.prune.range",
            )
        if not 0.5 <= self.coverage <= 0.99:
            raise ConfigurationError(
                f"--coverage is {self.coverage}, but must be a share of people from 0.5 to 0.99; 0.9 is usual",
                code="option.coverage.range",
            )

    def _check_choices(self) -> None:
        for name, about in declarations(self).items():
            value = getattr(self, name)
            if about.choices and value is not None and value not in about.choices:
                raise ConfigurationError(
                    f"--{name} is {value!r}, but must be one of {', '.join(about.choices)}", code="option.choice"
                )
        if unknown := sorted(set(self.baselines) - set(BASELINES)):
            raise ConfigurationError(
                f"--baselines {unknown[0]} is not known; use none alone, or some of {', '.join(BASELINES)}",
                code="option.baselines.unknown",
            )

    def _check_folds(self) -> None:
        if self.fold is not None and (self.outer_folds or self.repeats > 1):
            raise ConfigurationError(
                "--fold runs one fold alone, so it does not go with --outer-folds or --repeats",
                code="option.fold.conflict",
            )
        if self.fold_column is not None and self.repeats > 1:
            raise ConfigurationError(
                "--fold-column gives one set of folds, so it does not go with --repeats",
                code="option.fold_column.conflict",
            )

    def completed(self, space: Space) -> "SearchOptions":
        """Returns the options with the number of trials, the sampler and the baselines filled in.

        Trials and sampler depend on the space; attributes are a baseline wherever they and any baselines are asked for.
        """
        trials = self.trials or space.cells or DEFAULT_TRIALS
        compares = self.attribute and self.baselines and "attributes" not in self.baselines
        return dataclasses.replace(
            self,
            baselines=(*self.baselines, "attributes") if compares else self.baselines,
            trials=min(trials, space.cells) if space.cells else trials,
            sampler=self.sampler or ("grid" if space.cells else "tpe"),
        )

    def for_task(self, *, ordinal: bool) -> "SearchOptions":
        """Returns the options for classes with or without an order: without one there is no class distance to weigh."""
        if ordinal:
            return self
        return dataclasses.replace(self, settings={"optimizer.ordinal_beta": 0.0} | self.settings)

    def for_labels(self, *, per_video: bool) -> "SearchOptions":
        """Returns the options for labels per subject or per video: with the latter the metric counts videos.

        A subject with videos of several classes has no one answer: a mean over its videos would be one over those of each true
        class, which the model is not told (.506 became .587 so).
        """
        level, name = parse_metric(self.metric)
        return dataclasses.replace(self, metric=f"video/{name}") if per_video and level == "subject" else self

    def reference(self) -> TrainConfig:
        """Returns the configuration that the search starts from.

        Raises:
            ConfigurationError: A setting does not exist or its value is not allowed.
        """
        values = dict(SCALED_TO_SMALL) if self.backbone == "small" else {}
        values |= load_space(self.space).settings | {"seed": self.seed, "trainings": self.training_seeds}
        if self.epochs is not None:
            values |= {"optimizer.epochs": self.epochs, "optimizer.steps": 0}
        if self.frames is not None:
            values["video.frames"] = self.frames
        if self.prompts_from is not None:
            values |= _prompts_of(Path(self.prompts_from))
        return TrainConfig().with_values(values | self.settings)

    @property
    def prune_level(self) -> float:
        """Returns the p-value below which a trial is stopped; 0 stops none.

        With --cost no one trial is the best. With --choose one_se a trial that is behind may still be the one to choose: of
        those within one standard error of the best, the pruner would stop 10 to 60 %.
        """
        return 0.0 if self.cost or self.choose == "one_se" else self.prune

    @property
    def seed_of_splits(self) -> int:
        """Returns the seed that draws the folds."""
        return self.seed if self.split_seed is None else self.split_seed

    @property
    def seed_of_sampler(self) -> int:
        """Returns the seed with which Optuna draws."""
        return self.seed if self.sampler_seed is None else self.sampler_seed

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

    def identity(self) -> dict[str, Any]:
        """Returns the options that may not change within a study."""
        return self._when_continued("same")

    def recorded(self) -> dict[str, Any]:
        """Returns the options that may change when a study is continued, and whose last values its record has."""
        return self._when_continued("recorded")

    def _when_continued(self, what: str) -> dict[str, Any]:
        about = declarations(self)
        return {name: value for name, value in dataclasses.asdict(self).items() if about[name].when_continued == what}


def _prompts_of(path: Path) -> dict[str, str]:
    try:
        return {"video.prompts_from": str(path.absolute()), "video.prompts_sha256": file_sha256(path)}
    except OSError as error:
        raise ConfigurationError(
            f"--prompts-from {path} cannot be read ({error.strerror})", code="prompts.unreadable"
        ) from None


def require_utf8(option: str, path: Path) -> None:
    """Checks that tables and Ray can hold a path.

    Raises:
        ConfigurationError: A part of its name is in another encoding.
    """
    whole = str(path.absolute())
    try:
        whole.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"{option} is in {os.fsencode(whole)!r}, a name that is not UTF-8, which no table can hold; rename the folder",
            code="file.name_not_utf",
        ) from None
