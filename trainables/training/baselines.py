"""What a simpler method makes of the same fold: the numbers alone, frozen video features alone, or a shortcut."""

import time
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from trainables.config import TrainConfig
from trainables.data.dataset import WindowDataset
from trainables.errors import ConfigurationError
from trainables.model.backbone import PIXEL_MEAN, PIXEL_STD
from trainables.study.records import FoldResult
from trainables.training.draws import windows_of
from trainables.training.job import FoldJob, load, parameter_values
from trainables.training.shortcuts import shortcut_features
from trainables.training.tuning import UNTUNED, logistic_regression, tuned_inverse_penalty

BATCH = 16


def score_baseline(config: TrainConfig, job: FoldJob) -> FoldResult:
    """Returns the held-out predictions of a baseline; everything in it is fitted on the training subjects.

    'parameters' is a logistic regression on the numeric columns of a video (median imputation, scaling), one prediction
    a video. 'linear_probe' is one on the mean frame feature of the frozen backbone, one prediction a window. The shortcuts are
    the same on what `shortcut_features` returns, one prediction a video. A tuned kind is its plain one with the penalty chosen
    inside the fold (`tuned_inverse_penalty`), which a note of the result says.
    """
    started = time.perf_counter()
    model = config.kind.tunes or config.model
    read = _linear_probe(config, job) if model == "linear_probe" else _of_videos(model, job)
    inverse_penalty = UNTUNED
    notes: tuple[str, ...] = ()
    if config.kind.tunes:
        inverse_penalty = tuned_inverse_penalty(read.known, read.labels, read.subjects)
        notes = (f"baseline {config.model}: C = {inverse_penalty:g}, chosen on the training subjects of the fold",)
    predictions, weights = _fit_and_predict(job, read, inverse_penalty)
    return FoldResult(
        key=job.key,
        fold=job.fold.index,
        config=config.flat(),
        predictions=predictions,
        history=(),
        seconds=time.perf_counter() - started,
        trained_parameters=weights,
        notes=notes,
    )


@dataclass(frozen=True, kw_only=True)
class _Read:
    """What a baseline knows of the two sides of a fold."""

    known: np.ndarray
    """[N, P] of the training rows, which are videos or windows."""
    labels: np.ndarray
    """[N]"""
    subjects: np.ndarray
    """[N]"""
    asked: np.ndarray
    """[M, P] of the held-out rows."""
    rows: pl.DataFrame
    """subject, video, window and true of the held-out rows."""


def _of_videos(model: str, job: FoldJob) -> _Read:
    """Returns what a baseline reads that knows some numbers of each video."""
    if model == "parameters" and not job.cohort.parameters:
        raise ConfigurationError(
            "the baseline 'parameters' needs numeric columns, but the cohort has none",
            code="baseline.no_numeric_columns",
        )
    train, test = (job.cohort.of_subjects(side) for side in (job.fold.train, job.fold.test))
    known, asked = (
        parameter_values(job.cohort, side) if model == "parameters" else shortcut_features(model, job, side)
        for side in (train, test)
    )
    rows = test.select("subject", "video", pl.lit(0).alias("window"), pl.col("label").alias("true"))
    return _Read(
        known=known, labels=train["label"].to_numpy(), subjects=train["subject"].to_numpy(), asked=asked, rows=rows
    )


def _linear_probe(config: TrainConfig, job: FoldJob) -> _Read:
    train, test = job.training(config), job.held_out(config)
    rows = test.windows.select("subject", "video", "window", pl.col("label").alias("true"))
    return _Read(
        known=_features(job, train),
        labels=train.windows["label"].to_numpy(),
        subjects=train.windows["subject"].to_numpy(),
        asked=_features(job, test),
        rows=rows,
    )


@torch.inference_mode()
def _features(job: FoldJob, data: WindowDataset) -> np.ndarray:
    """Returns the mean frame feature of every window, [N, D]."""
    clip = job.frozen.backbone.clip
    device = clip.visual_projection.weight.device
    mean, std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (PIXEL_MEAN, PIXEL_STD))
    features: list[np.ndarray] = []
    windows = windows_of(data)
    for start in range(0, len(data), BATCH):
        frames = load(data, windows[start : start + BATCH]).frames.to(device)
        pixels = (frames.flatten(0, 1).float() / 255 - mean) / std
        read = clip.visual_projection(clip.vision_model(pixel_values=pixels).pooler_output)
        features.append(read.unflatten(0, frames.shape[:2]).mean(1).float().cpu().numpy())
    return np.concatenate(features)


def _fit_and_predict(job: FoldJob, read: _Read, inverse_penalty: float) -> tuple[pl.DataFrame, int]:
    """Returns predictions with a column for every class of the cohort, and the number of weights."""
    probabilities, weights = np.zeros((len(read.asked), len(job.cohort.classes))), 0
    if len(present := np.unique(read.labels)) == 1:  # a logistic regression needs two classes; one is always the answer
        probabilities[:, present[0]] = 1.0
    else:
        model = logistic_regression(inverse_penalty).fit(read.known, read.labels)
        probabilities[:, model[-1].classes_] = model.predict_proba(read.asked)
        weights = int(model[-1].coef_.size)
    frame = read.rows.with_columns(
        fold=pl.lit(job.fold.index, dtype=pl.Int64),
        window=pl.col("window").cast(pl.Int64),
        probabilities=pl.Series(probabilities.tolist(), dtype=pl.List(pl.Float64)),
    )
    return frame.select("fold", "subject", "video", "window", "true", "probabilities"), weights
