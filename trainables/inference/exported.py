"""A model to give away: a folder that predicts like its study and holds nothing of the people it was trained on.

MODEL/
  model.json          what it is, its configuration, its folds' class features and words, scaling, scores (ModelRecord)
  task.toml           the classes, and what medicine says of each
  parameters.toml     the gait parameters that it was taught with
  weights/fold-0/     model.safetensors and its hash; training-N/ where a fold was trained with several seeds
  SHA256SUMS          of the files above
  README.md           the model card; LICENSE-NOTE.md

Reading one runs no code of it: JSON, TOML and safetensors are data.
"""

import dataclasses
from collections.abc import Container
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from trainables.config import TrainConfig
from trainables.errors import StridefoldError
from trainables.inference.checksums import NAME as CHECKSUMS
from trainables.inference.checksums import check_files, write_checksums
from trainables.inference.ensemble import Ensemble, open_ensemble
from trainables.inference.likeness import Likeness
from trainables.knowledge.parameters import load_parameters
from trainables.knowledge.tasks import load_task, task_from_dict
from trainables.knowledge.toml_files import parameters_toml, task_toml
from trainables.model.scaling import Scaler
from trainables.study.descriptions import Attention, ClassDescription, FoldDescriptions
from trainables.study.files import write_text
from trainables.study.formats import build, read_record, write_record
from trainables.study.leaderboard import TrialRecord
from trainables.study.prediction_sets import PredictionSets
from trainables.study.records import PREDICTIONS, Cohort, DecodedClass, Fold, FoldResult, Splits, StudyRecord, trainings
from trainables.study.tracker import TrackerVersion
from trainables.study.vocabulary import UNTRACKED
from trainables.training.checkpoint import load_weights, save_weights
from trainables.training.fold import WEIGHTS
from trainables.training.job import parameter_values

MODEL = "model.json"
FEWEST_MEASURED = 5
"""Measured subjects below which a parameter's scale is not given away, nor its value in the words of a class: what is known of few
is nearly a value of one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterScale:
    """How a fold put one gait parameter on its scale: v = (value - centre) / unit_per_v."""

    key: str
    centre: float
    """Two digits, in the parameter's unit. Both are rounded, because the largest deviation is one person's."""
    unit_per_v: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedFold:
    """What is given away of one fold beside its weights."""

    class_similarity: tuple[tuple[float, ...], ...] | None = None
    """Cosines of the class features, [C, C], by which a changed text side is found."""
    trainings: tuple[tuple[tuple[float, ...], ...], ...] = ()
    """The same of each training seed, where there are several."""
    decoded: tuple[DecodedClass, ...] = ()
    """The class in words, with two digits of each number and without the quantiles of the training videos."""
    scaling: tuple[ParameterScale, ...] = ()
    descriptions: FoldDescriptions | None = None
    """Which classes have words that hold, and where their queries look; no value and no control."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """How well the model did on subjects of its own cohort whom it had not seen."""

    kind: str
    """'nested', or 'selection' where the search chose by the same subjects."""
    metric: str
    """As 'subject/macro_f1'."""
    value: float
    low: float
    high: float
    """95 % interval over subjects."""
    chance: float


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """Everything of a model that is neither weights nor knowledge."""

    name: str
    metric: str
    simulated: bool
    subjects: int
    """In the cohort that it was trained on."""
    trial: int
    score: float | None
    config: dict[str, Any]
    whole: bool
    """Whether one model was trained on every subject; else the folds' mean predicts."""
    folds: tuple[ExportedFold, ...]
    backbone: dict[str, Any]
    """name (hub id, 'small', or '' where it has none), sha256, and its sizes."""
    knowledge_encoder: str
    """'clip', a hub id, or '' where it was a local folder."""
    tracker: str = UNTRACKED
    """What looked for the walkers of its training videos, and looks for those of new ones."""
    tracking: TrackerVersion | None = None
    """Its version and weights."""
    training_version: int
    code: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    estimate: Estimate | None = None
    likeness: Likeness | None = None
    """Where the training videos lie; None where their features were not at hand."""
    sets: PredictionSets | None = None
    """Prediction sets of all folds together, with probabilities of two digits."""
    calibration: dict[str, float] | None = None
    """expected_error, brier and log_loss of held-out videos, as the study's page has them."""


@dataclass(frozen=True, kw_only=True)
class ExportedModel(Ensemble):
    """A model that was given away, in place of the study that it is of."""

    model: ModelRecord

    @property
    def refitted(self) -> bool:
        return self.model.whole

    @property
    def subjects(self) -> int:
        return self.model.subjects

    def result(self, fold: int) -> FoldResult:
        found = self.model.folds[fold]
        return dataclasses.replace(
            _result(self, fold, found.class_similarity, found.decoded), descriptions=found.descriptions
        )

    def training_result(self, fold: int, folder: Path) -> FoldResult:
        number = int(folder.name.rpartition("-")[2])
        return _result(self, fold, self.model.folds[fold].trainings[number], ())

    def fold_folder(self, fold: int) -> Path:
        return self.folder / "weights" / f"fold-{fold}"


def open_model(folder: Path, fold: int | None = None) -> Ensemble:
    """Returns a study's chosen configuration, or a model that was given away, with all its folds or with one.

    Raises:
        StridefoldError: It is neither, a file of it is missing or has changed, or there is no such fold.
    """
    if folder.is_file() and folder.suffix == ".zip":
        raise StridefoldError(f"{folder} is a packed model; unpack it, and give the folder", code="model.packed")
    if not any((folder / name).exists() for name in (MODEL, CHECKSUMS)):
        return open_ensemble(folder, fold)
    check_files(folder)
    model = build(ModelRecord, read_record(folder / MODEL), folder / MODEL)
    count = len(model.folds)
    if fold is not None and not 0 <= fold < count:
        raise StridefoldError(
            f"fold {fold} asked for, but the model has {count} folds (0-{count - 1})", code="fold.range"
        )
    task = load_task(str(folder / "task.toml"))
    parameters = tuple(p.recorded() for p in load_parameters(folder / "parameters.toml"))
    columns = dict.fromkeys(("subject", "video", "path", "sha256"), pl.String()) | dict.fromkeys(
        ("label", "frames"), pl.Int64()
    )
    cohort = Cohort(
        name=model.name,
        simulated=model.simulated,
        label=task.label,
        classes=tuple(c.name for c in task.classes),
        parameters=parameters,
        videos=pl.DataFrame(schema=columns),
    )
    return ExportedModel(
        folder=folder,
        model=model,
        record=_study_record(model, dataclasses.asdict(task)),
        cohort=cohort,
        splits=Splits(method="not given away", folds=tuple(Fold(index=i, train=(), test=()) for i in range(count))),
        trial=TrialRecord(
            number=model.trial,
            state="COMPLETE",
            value=model.score,
            config=model.config,
            folds=tuple(f"fold-{i}" for i in range(count)),
        ),
        folds=tuple(range(count)) if fold is None else (fold,),
        sets=model.sets if fold is None else None,
    )


def write_model(folder: Path, ensemble: Ensemble, model: ModelRecord) -> None:
    """Writes model.json, the task, the parameters, the weights and their checksums into a folder.

    The weights' metadata names the fold by its number: the key in the study is a hash of its subjects.
    """
    write_record(folder / MODEL, dataclasses.asdict(model))
    write_text(folder / "task.toml", task_toml(task_from_dict(ensemble.record.task)))
    write_text(folder / "parameters.toml", parameters_toml(ensemble.cohort.parameters))
    about = {"backbone": ensemble.record.backbone["sha256"]}
    for number, fold in enumerate(ensemble.folds):
        source, place = ensemble.fold_folder(fold), folder / "weights" / f"fold-{number}"
        for path in [source / WEIGHTS, *(part / WEIGHTS for part in trainings(source))]:
            save_weights(place / path.relative_to(source), load_weights(path), about | {"key": f"fold-{number}"})
    write_checksums(folder)


def exported_folds(ensemble: Ensemble) -> tuple[ExportedFold, ...]:
    """Returns what is given away of each fold beside its weights."""
    return tuple(_exported_fold(ensemble, fold) for fold in ensemble.folds)


def _exported_fold(ensemble: Ensemble, fold: int) -> ExportedFold:
    result = ensemble.result(fold)
    parts = (FoldResult.load(part) for part in trainings(ensemble.fold_folder(fold)))
    train = ensemble.cohort.of_subjects(ensemble.splits.folds[fold].train)
    words = [given for d in result.decoded if (given := given_words(d, ensemble.cohort, train)) is not None]
    return ExportedFold(
        class_similarity=result.class_similarity,
        trainings=tuple(part.class_similarity or () for part in parts),
        decoded=tuple(words),
        scaling=scaling(ensemble, fold),
        descriptions=result.descriptions and _without_values(result.descriptions, {d.label for d in words}),
    )


def given_words(decoded: DecodedClass, cohort: Cohort, train: pl.DataFrame) -> DecodedClass | None:
    """Returns the words of a class that are given away, with two digits of each number; None where none are.

    Left out is what fewer than FEWEST_MEASURED of the class's training subjects have a value of.

    Args:
        train: The rows of the cohort that a fold was trained on.
    """
    own = train.filter(pl.col("label") == cohort.classes.index(decoded.label))
    values, subjects = parameter_values(cohort, own), own["subject"].to_numpy()
    enough = {
        p.name
        for i, p in enumerate(cohort.parameters)
        if len(set(subjects[np.isfinite(values[:, i])])) >= FEWEST_MEASURED
    }
    kept = dataclasses.replace(decoded, values=tuple(v for v in decoded.values if v.parameter in enough))
    return DecodedClass(label=decoded.label, sentence=_in_two_digits(kept), values=()) if kept.values else None


def _without_values(found: FoldDescriptions, given: Container[str]) -> FoldDescriptions:
    """Returns which classes have words and where their queries look, without a value or a number of subjects."""

    def refusal(c: ClassDescription) -> str:
        if c.refusal:
            return "its study has no words of it"
        return "" if c.label in given else "too few people of this class were measured for its words to be given away"

    classes = (
        ClassDescription(label=c.label, refusal=refusal(c), attention=_of_nobody(c.attention)) for c in found.classes
    )
    return FoldDescriptions(classes=tuple(classes), training=(), held_out=())


def _of_nobody(found: Attention | None) -> Attention | None:
    """Returns where a class's query looks, with two digits of the weight of the person whom it looks at most."""
    if found is None:
        return None
    return dataclasses.replace(found, effective=_two_digits(found.effective), largest=_two_digits(found.largest))


def scaling(ensemble: Ensemble, fold: int) -> tuple[ParameterScale, ...]:
    """Returns the scale of each parameter that enough training subjects of a fold have, rounded to two digits."""
    config, cohort, task = ensemble.config, ensemble.cohort, task_from_dict(ensemble.record.task)
    if not config.numeracy.enabled or not cohort.parameters:
        return ()
    videos = cohort.of_subjects(ensemble.splits.folds[fold].train)
    subjects, labels = videos["subject"].to_numpy(), videos["label"].to_numpy()
    values = parameter_values(cohort, videos)
    healthy = task.value_index().get(task.healthy) if task.healthy is not None else None
    centred = labels == healthy if healthy is not None else np.ones(len(labels), dtype=bool)
    scaler = Scaler.fit(values, subjects, centred, config.numeracy.clip)
    return tuple(
        ParameterScale(key=p.key, centre=_two_digits(scaler.centre[i]), unit_per_v=_two_digits(scaler.unit_per_v[i]))
        for i, p in enumerate(cohort.parameters)
        if scaler.usable[i] and _measured(values[:, i], subjects, centred) >= FEWEST_MEASURED
    )


def _measured(values: np.ndarray, subjects: np.ndarray, centred: np.ndarray) -> int:
    """Returns how many subjects the centre is the mean of; all that were measured where none of the centred ones was."""
    there = np.isfinite(values)
    return len(set(subjects[there & centred])) or len(set(subjects[there]))


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")


def _in_two_digits(decoded: DecodedClass) -> str:
    """Returns a decoded sentence with two digits of each number: the last bin of a scale is the value of one person."""
    values = ((v.parameter, f"{Decimal(f'{v.value:.1e}'):f}", v.unit) for v in decoded.values)
    return ", ".join(f"{name} is {number}{f' {unit}' if unit else ''}" for name, number, unit in values)


def _result(
    model: ExportedModel, fold: int, similarity: tuple[tuple[float, ...], ...] | None, decoded: tuple[DecodedClass, ...]
) -> FoldResult:
    return FoldResult(
        key=model.trial.folds[fold],
        fold=fold,
        config=model.trial.config,
        predictions=pl.DataFrame(schema=PREDICTIONS),
        history=(),
        seconds=0.0,
        class_similarity=similarity or None,
        decoded=decoded,
    )


def _study_record(model: ModelRecord, task: dict[str, Any]) -> StudyRecord:
    """Returns the record of a study of which nothing but the model is known."""
    return StudyRecord(
        name=model.name,
        options={"knowledge_encoder": model.knowledge_encoder, "track": model.tracker},
        task=task,
        metric=model.metric,
        cohort_sha256="",
        splits_sha256="",
        backbone=model.backbone,
        versions=model.versions,
        git="",
        started="",
        finished="",
        training_version=model.training_version,
        code=model.code,
        tracking=model.tracking,
    )


def given_away(config: TrainConfig) -> dict[str, Any]:
    """Returns a flat configuration without the path of a file on the disk where it was trained."""
    return config.with_values({"video.prompts_from": "", "video.prompts_sha256": ""}).flat()
