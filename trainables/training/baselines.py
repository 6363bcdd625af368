"""What a simpler method makes of the same fold: the numbers alone, frozen video features alone, or a shortcut."""

import time
from typing import Any

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

BATCH = 16


def score_baseline(config: TrainConfig, job: FoldJob) -> FoldResult:
    """Returns the held-out predictions of a baseline; everything in it is fitted on the training subjects.

    'parameters' is a logistic regression on the numeric columns of a video (median imputation, scaling), one prediction
    a video. 'linear_probe' is one on the mean frame feature of the frozen backbone, one prediction a window. The shortcuts are
    the same on what `shortcut_features` returns, one prediction a video.
    """
    started = time.perf_counter()
    predictions, weights = (
        _linear_probe(config, job) if config.model == "linear_probe" else _of_videos(config.model, job)
    )
    return FoldResult(
        key=job.key,
        fold=job.fold.index,
        config=config.flat(),
        predictions=predictions,
        history=(),
        seconds=time.perf_counter() - started,
        trained_parameters=weights,
    )


def _of_videos(model: str, job: FoldJob) -> tuple[pl.DataFrame, int]:
    """Returns the predictions of a baseline that knows some numbers of each video."""
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
    return _fit_and_predict(job, known, train["label"].to_numpy(), asked, rows)


def _linear_probe(config: TrainConfig, job: FoldJob) -> tuple[pl.DataFrame, int]:
    train, test = job.training(config), job.held_out(config)
    rows = test.windows.select("subject", "video", "window", pl.col("label").alias("true"))
    return _fit_and_predict(job, _features(job, train), train.windows["label"].to_numpy(), _features(job, test), rows)


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


def _fit_and_predict(
    job: FoldJob, train: np.ndarray, labels: np.ndarray, test: np.ndarray, rows: pl.DataFrame
) -> tuple[pl.DataFrame, int]:
    """Returns predictions with a column for every class of the cohort, and the number of weights."""
    # Imported where it is used: scikit-learn costs every worker that trains something else 1.5 s at its start.
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probabilities, weights = np.zeros((len(test), len(job.cohort.classes))), 0
    if len(present := np.unique(labels)) == 1:  # a logistic regression needs two classes; one is always the answer
        probabilities[:, present[0]] = 1.0
    else:
        model: Any = make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True),
            StandardScaler(),
            LogisticRegression(max_iter=2000, class_weight="balanced"),
        ).fit(train, labels)
        probabilities[:, model[-1].classes_] = model.predict_proba(test)
        weights = int(model[-1].coef_.size)
    frame = rows.with_columns(
        fold=pl.lit(job.fold.index, dtype=pl.Int64),
        window=pl.col("window").cast(pl.Int64),
        probabilities=pl.Series(probabilities.tolist(), dtype=pl.List(pl.Float64)),
    )
    return frame.select("fold", "subject", "video", "window", "true", "probabilities"), weights
