"""A study's trained folds on new videos: each fold scores every window, and the folds' mean is the ensemble. No Ray.

Letters: N windows, U units (windows, videos or subjects), F folds, C classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional

from trainables.config import TrainConfig
from trainables.data.dataset import WindowDataset
from trainables.data.windows import heldout_windows
from trainables.errors import CohortError, ConfigurationError, StridefoldError
from trainables.knowledge.tasks import task_from_dict
from trainables.model.backbone import Backbone, load_backbone
from trainables.model.gait_clip import GaitCLIP, build
from trainables.model_kinds import KINDS
from trainables.study.leaderboard import TrialRecord, chosen, read_trials
from trainables.study.passes import spans_of
from trainables.study.prediction_sets import PredictionSets
from trainables.study.records import Cohort, FoldResult, Splits, StudyRecord, trainings
from trainables.training.checkpoint import load_weights
from trainables.training.draws import windows_of
from trainables.training.fold import WEIGHTS
from trainables.training.frozen import FrozenFeatures
from trainables.training.job import load
from trainables.training.precision import products
from trainables.training.scoring import EVALUATION_BATCH, class_similarity
from trainables.training.seeds import configurations
from trainables.training.window_motion import WindowMotion

SAME_FEATURES = 1e-3
"""Largest difference of two class features' cosine, in training and now, that another processor explains."""


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """The chosen configuration of a study, and those of its folds that are to score."""

    folder: Path
    record: StudyRecord
    cohort: Cohort
    splits: Splits
    trial: TrialRecord
    folds: tuple[int, ...]
    sets: PredictionSets | None = None
    """Prediction sets of all folds together; None where none were computed, and of one fold alone."""

    @property
    def refitted(self) -> bool:
        """Whether its one fold was trained on every subject."""
        return self.folds == (0,) and not self.splits.folds[0].test

    @property
    def config(self) -> TrainConfig:
        """Returns the configuration that the folds were trained with."""
        return TrainConfig.from_flat(self.trial.config).effective()

    def result(self, fold: int) -> FoldResult:
        """Returns what a fold left.

        Raises:
            StridefoldError: It is missing or damaged.
        """
        folder = self.fold_folder(fold)
        try:
            return FoldResult.load(folder)
        except (OSError, StridefoldError, pl.exceptions.PolarsError, KeyError, TypeError):
            raise StridefoldError(
                f"fold {fold} of trial {self.trial.number} is not whole in {folder}; copy the study again, or run its search again",
                code="study.fold_incomplete",
            ) from None

    @property
    def subjects(self) -> int:
        """Returns how many subjects the cohort has."""
        return len(self.cohort.subjects())

    def training_result(self, fold: int, folder: Path) -> FoldResult:
        """Returns what one of a fold's trainings left, where it was trained with several seeds.

        Args:
            folder: Of the training.
        """
        return FoldResult.load(folder)

    def fold_folder(self, fold: int) -> Path:
        """Returns the folder of a fold's result."""
        return self.folder / "folds" / self.trial.folds[fold]


def open_ensemble(study: Path, fold: int | None = None) -> Ensemble:
    """Returns the chosen configuration of a study with all its folds, or with one.

    Raises:
        StridefoldError: No study, no complete trial, no such fold, or a baseline without weights was chosen.
    """
    try:
        record, cohort, splits = StudyRecord.load(study), Cohort.load(study), Splits.load(study / "splits.json")
    except (OSError, pl.exceptions.PolarsError, KeyError, TypeError) as error:
        raise StridefoldError(
            f"{study} is not a whole study folder ({error}); copy it again", code="study.incomplete"
        ) from None
    count = len(splits.folds)
    if fold is not None and not 0 <= fold < count:
        raise StridefoldError(
            f"fold {fold} asked for, but the study has {count} folds (0-{count - 1})", code="fold.range"
        )
    trial = chosen(read_trials(study, record.name), count, record.options)
    if trial is None:
        raise StridefoldError(
            f"{study} has no trial yet that is complete on all {count} folds; finish its search first",
            code="study.no_complete_trial",
        )
    if not KINDS[trial.config["model"]].network:
        raise StridefoldError(
            f"the chosen trial {trial.number} is the baseline {trial.config['model']!r}, which keeps no weights; "
            "predict from a study whose chosen trial is a video CLIP",
            code="predict.baseline_chosen",
        )
    stored = PredictionSets.load(study) if fold is None else None
    sets = stored and stored.of_model(trial.number, record.options.get("refit", "folds"))
    if fold is None and record.options.get("refit") == "all":
        return replace(_refitted(study, record, cohort, trial), sets=sets)
    folds = tuple(range(count)) if fold is None else (fold,)
    return Ensemble(folder=study, record=record, cohort=cohort, splits=splits, trial=trial, folds=folds, sets=sets)


def _refitted(study: Path, record: StudyRecord, cohort: Cohort, trial: TrialRecord) -> Ensemble:
    """Returns the chosen configuration trained again on every subject."""
    folder = study / "best" / "refit"
    keys = [
        p.parent.name for p in folder.glob("folds/*/result.json") if FoldResult.load(p.parent).config == trial.config
    ]
    if len(keys) != 1:
        raise StridefoldError(
            f"{study} has no model that was trained on every subject; run its search to the end first",
            code="refit.missing",
        )
    splits = Splits.load(folder / "splits.json")
    whole = replace(trial, folds=(keys[0],))
    return Ensemble(folder=folder, record=record, cohort=cohort, splits=splits, trial=whole, folds=(0,))


def load_frozen(ensemble: Ensemble, device: str, backbone: str = "", knowledge_encoder: str = "") -> FrozenFeatures:
    """Returns the study's frozen encoders on a device.

    Args:
        backbone: where the study's backbone lies now; '' is where it lay in training. knowledge_encoder likewise.

    Raises:
        StridefoldError: The backbone is not the one that the study was trained on.
    """
    record = ensemble.record
    backbone = backbone or record.backbone["name"]
    if not backbone:
        raise StridefoldError(
            f"the model needs the CLIP backbone with sha256 {record.backbone['sha256']}, of which no hub id is known; give its "
            "folder with --backbone",
            code="model.backbone_needed",
        )
    knowledge_encoder = knowledge_encoder or record.options.get("knowledge_encoder", "clip")
    if not knowledge_encoder:
        raise StridefoldError(
            "the model read its clinical descriptions with a knowledge encoder of which no hub id is known; give its folder "
            "with --knowledge-encoder",
            code="model.encoder_unknown",
        )
    try:
        loaded = load_backbone(backbone)
    except ConfigurationError as error:
        raise StridefoldError(f"the study's backbone cannot be loaded: {error}", code="backbone.unusable") from None
    _require_backbone("the study", record.backbone["sha256"], loaded)
    return FrozenFeatures(
        loaded,
        task_from_dict(record.task),
        [p.name for p in ensemble.cohort.parameters],
        knowledge_encoder,
        device,
    )


def score_videos(
    ensemble: Ensemble,
    videos: pl.DataFrame,
    frozen: FrozenFeatures,
    *,
    cache: Path,
    device: str,
    on_fold: Callable[[int], None] | None = None,
) -> pl.DataFrame:
    """Returns one row per fold and window: fold, subject, video, window, probabilities and similarity (lists of C).

    Args:
        videos: as of an ingested cohort: subject (may be null), video, label (null), frames, cached.
        on_fold: called with each fold's index when it has scored.

    Raises:
        CohortError: Lists the videos that are too short for a window.
        StridefoldError: A fold's weights are missing, damaged, or not of this backbone.
    """
    video = ensemble.config.video
    longest = [max(last - first for first, last in some) for some in spans_of(videos)]
    if short := [i for i, frames in enumerate(longest) if not heldout_windows(frames, video)]:
        shown = [(videos["video"][i], longest[i]) for i in short]
        problems = [f"{name} has {frames} frames at 30 frames/s; {video.min_tail} at least" for name, frames in shown]
        raise CohortError("the list of videos", problems, code="videos.problems")
    data = WindowDataset(videos, cache, video, training=False)
    motion = WindowMotion(frozen.backbone, cache, data) if ensemble.config.motion.readout != "off" else None
    parts = []
    for fold in ensemble.folds:
        parts.append(_score(load_fold(ensemble, fold, frozen, device), data, fold, motion))
        if on_fold is not None:
            on_fold(fold)
    return pl.concat(parts)


class FoldModel:
    """One fold's trained models, one for each seed, with their class features read once."""

    def __init__(self, models: Sequence[GaitCLIP], device: torch.device, precision: str):
        self.models, self.device, self.products = [m.eval() for m in models], device, products(precision, device)
        with torch.inference_mode():
            self.classes = [model.class_features() for model in self.models]

    @property
    def readout(self) -> str:
        """Returns what the models read of motion, as `motion.readout`."""
        return self.models[0].motion.readout

    @torch.inference_mode()
    def read(self, frames: Tensor, motion: Tensor | None) -> tuple[Tensor, Tensor]:
        """Returns the class probabilities of uint8 windows and their cosines with the class features, both [N, C].

        Args:
            motion: what the read-out reads of the windows; None where it is off.
        """
        pixels = frames.to(self.device, non_blocking=True)
        motion = None if motion is None else motion.to(self.device)
        answers, cosines = [], []
        for model, classes in zip(self.models, self.classes, strict=True):
            with self.products:
                video = model.encode(pixels).video.float()
            probabilities = model.logits(video, classes, motion).softmax(-1).float().cpu().double()
            answers.append(probabilities / probabilities.sum(1, keepdim=True))
            cosines.append((functional.normalize(video, dim=-1) @ classes.T).cpu().double())
        return torch.stack(answers).mean(0), torch.stack(cosines).mean(0)


def load_fold(ensemble: Ensemble, fold: int, frozen: FrozenFeatures, device: str) -> FoldModel:
    """Returns a fold's trained model, of every seed; the training cohort's videos and numbers are not needed.

    Raises:
        StridefoldError: The weights are missing, damaged or of another backbone, or the model's class features are not
            those of the training.
    """
    folder = ensemble.fold_folder(fold)
    configs = configurations(ensemble.config)
    folders = trainings(folder) if len(configs) > 1 else [folder]
    if len(folders) != len(configs):
        raise StridefoldError(
            f"{folder} has {len(folders)} trainings, expected {len(configs)}; copy the study again",
            code="model.folds",
        )
    models = [
        _load_model(ensemble, fold, config, place, frozen, device)
        for config, place in zip(configs, folders, strict=True)
    ]
    return FoldModel(models, torch.device(device), ensemble.config.optimizer.precision)


def _load_model(
    ensemble: Ensemble, fold: int, config: TrainConfig, folder: Path, frozen: FrozenFeatures, device: str
) -> GaitCLIP:
    path, key = folder / WEIGHTS, ensemble.trial.folds[fold]
    weights = load_weights(path)
    with safe_open(path, "pt") as file:
        about = file.metadata() or {}
    if about.get("key") != key:
        raise StridefoldError(
            f"{path} holds the weights of another fold ({about.get('key')}); copy the study again",
            code="model.fold",
        )
    _require_backbone(f"fold {fold}", about.get("backbone", ""), frozen.backbone)
    if config.numeracy.enabled and not any(name.startswith("numeric.") for name in weights):
        config = config.with_values({"numeracy.enabled": False})  # its training subjects had no numeric records
    notions = frozen.notions(config.text, config.seed)
    model = build(frozen.backbone, frozen.task, config, notions, seed=config.seed).to(device)
    try:
        model.load_trained(weights)
    except (KeyError, RuntimeError):
        raise StridefoldError(
            f"{path} does not fit the configuration of trial {ensemble.trial.number}", code="model.does_not_fit"
        ) from None
    recorded = ensemble.result(fold) if folder == ensemble.fold_folder(fold) else ensemble.training_result(fold, folder)
    _require_same_features(recorded, fold, model)
    return model


def _require_backbone(what: str, sha256: str, backbone: Backbone) -> None:
    if sha256 != backbone.sha256:
        raise StridefoldError(
            f"{what} was trained on another backbone ({sha256[:12]}) than {backbone.name} ({backbone.sha256[:12]}); "
            "give the one it was trained on with --backbone",
            code="model.other_backbone",
        )


def _require_same_features(result: FoldResult, fold: int, model: GaitCLIP) -> None:
    """Raises where a changed text side, as another knowledge encoder, would change the scores silently."""
    recorded = result.class_similarity
    off = 0.0 if recorded is None else float(np.abs(np.array(recorded) - np.array(class_similarity(model))).max())
    if not off <= SAME_FEATURES:
        raise StridefoldError(
            f"fold {fold} no longer computes what it computed in training: the cosines of its class features are off by "
            f"{off:.2g} (at most {SAME_FEATURES:g}); is --knowledge-encoder the one of the training, and this the same version?",
            code="model.computes_otherwise",
        )


def _score(model: FoldModel, data: WindowDataset, fold: int, motion: WindowMotion | None) -> pl.DataFrame:
    probabilities, similarity = [], []
    windows = windows_of(data)
    for start in range(0, len(data), EVALUATION_BATCH):
        chosen = windows[start : start + EVALUATION_BATCH]
        frames = load(data, chosen).frames
        try:
            read = model.read(frames, motion.read(model.readout, chosen) if motion else None)
        except torch.OutOfMemoryError:
            raise StridefoldError(
                f"the GPU's memory does not hold {len(frames)} windows; use --device cpu", code="memory.gpu"
            ) from None
        probabilities += read[0].tolist()
        similarity += read[1].tolist()
    lists = pl.List(pl.Float64)
    return data.windows.select(
        pl.lit(fold, dtype=pl.Int64).alias("fold"),
        "subject",
        "video",
        "window",
        probabilities=pl.Series(probabilities, dtype=lists),
        similarity=pl.Series(similarity, dtype=lists),
    )
