"""Estimates a video's own gait parameters from its motion statistics, by ridge regression on a fold's training videos.

Letters: N videos, S statistics, P parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from trainables.config import TrainConfig
from trainables.data.dataset import WindowDataset
from trainables.inference.ensemble import Ensemble
from trainables.model.backbone import Backbone
from trainables.study.descriptions import ParameterSkill
from trainables.study.files import write_atomic
from trainables.study.records import Cohort
from trainables.training.draws import windows_of
from trainables.training.frozen import FrozenFeatures
from trainables.training.job import FoldJob, parameter_values
from trainables.training.window_motion import WindowMotion

FILE = "video_parameters.safetensors"
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Ridge penalties for standardised statistics whose kernel is divided by S; one serves all parameters."""
PARTS = 4
LEAST_VIDEOS = 8
"""Measured training videos, of at least PARTS subjects, below which a parameter is not estimated."""


@dataclass(frozen=True, kw_only=True)
class VideoHead:
    """Linear read-outs of every parameter, in its unit."""

    center: Tensor
    """[S] mean of the training videos' statistics."""
    scale: Tensor
    """[S] their deviation."""
    weight: Tensor
    """[S, P]; zeros where a parameter is not estimated."""
    bias: Tensor
    """[P]; NaN where a parameter is not estimated."""

    def read(self, statistics: Tensor) -> np.ndarray:
        """Returns the estimates of videos' mean statistics [N, S] in units, [N, P]."""
        standard = (statistics.double() - self.center.double()) / self.scale.double()
        return (standard @ self.weight.double() + self.bias.double()).numpy()

    def save(self, folder: Path) -> None:
        """Writes the fold's file."""
        tensors = {name: value.float().contiguous() for name, value in vars(self).items()}
        write_atomic(folder / FILE, lambda file: file.write(save(tensors)))

    @classmethod
    def load(cls, folder: Path) -> "VideoHead | None":
        """Reads what `save` wrote; None where a fold has none, or its file is damaged."""
        try:
            return cls(**load_file(folder / FILE))
        except (OSError, SafetensorError, TypeError):
            return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """One parameter of a video as its features suggest; nothing was measured."""

    parameter: str
    unit: str
    value: float
    """Mean over the folds that estimate it."""
    error: float
    """Mean absolute error on training subjects held out of the fit, in the unit."""
    folds: int


def has_statistics(config: TrainConfig) -> bool:
    """Returns whether training with a configuration reads motion statistics, so that they are there already."""
    return config.motion.readout != "off" or bool(config.optimizer.video_anchor)


def fit_videos(config: TrainConfig, job: FoldJob, seed: int) -> tuple[VideoHead, tuple[ParameterSkill, ...]] | None:
    """Returns a head of the fold's training videos and its skill on parts of their subjects held out of the same fit.

    None where the configuration reads no motion, or no parameter is measured in enough videos.
    """
    if not has_statistics(config):
        return None
    videos, statistics = video_statistics(
        job.cohort.of_subjects(job.fold.train), job.frozen.backbone, job.cache, config
    )
    values, parts = parameter_values(job.cohort, videos), _parts(videos, seed)
    measured = np.isfinite(values)
    chosen = [
        p
        for p in range(values.shape[1])
        if measured[:, p].sum() >= LEAST_VIDEOS and len(videos["subject"].filter(measured[:, p]).unique()) >= PARTS
    ]
    if not chosen:
        return None
    center, scale = statistics.mean(0), statistics.std(0).clamp(min=1e-6)
    inputs = (statistics - center) / scale
    gram = inputs @ inputs.T / inputs.shape[1]
    errors = list(zip(*(_held_out_errors(gram, values[:, p], parts) for p in chosen), strict=True))  # by penalty
    best = int(np.argmax([np.median([1 - error / median for error, median in row]) for row in errors]))
    weight, bias = torch.zeros(inputs.shape[1], values.shape[1], dtype=torch.float64), np.full(values.shape[1], np.nan)
    for p in chosen:
        weight[:, p], bias[p] = _ridge(inputs[measured[:, p]], values[measured[:, p], p], PENALTIES[best])
    skills = tuple(
        ParameterSkill(
            parameter=job.cohort.parameters[p].name,
            unit=job.cohort.parameters[p].unit,
            error=error,
            median_error=median,
            skill=1 - error / median,
        )
        for p, (error, median) in zip(chosen, errors[best], strict=True)
    )
    return VideoHead(center=center, scale=scale, weight=weight, bias=torch.from_numpy(bias)), skills


def video_statistics(
    videos: pl.DataFrame, backbone: Backbone, cache: Path, config: TrainConfig
) -> tuple[pl.DataFrame, Tensor]:
    """Returns the videos that have a window, and the mean statistics of the windows of each, [N, S] in float64."""
    data = WindowDataset(videos, cache, config.video, training=False)
    motion, windows = WindowMotion(backbone, cache, data), windows_of(data)
    rows = sorted({w.row for w in windows})
    means = [motion.statistics([w for w in windows if w.row == row]).double().mean(0) for row in rows]
    return videos[rows], torch.stack(means)


def estimates(
    cohort: Cohort, heads: Sequence[tuple[VideoHead, Sequence[ParameterSkill]]], statistics: Tensor
) -> list[tuple[Estimate, ...]]:
    """Returns for each video [N, S] the parameters that a fold's head estimates better than the median, best skill first."""
    read = [(head.read(statistics), {s.parameter: s for s in skills if s.skill > 0}) for head, skills in heads]
    found: list[tuple[Estimate, ...]] = []
    for video in range(len(statistics)):
        rows = []
        for p, about in enumerate(cohort.parameters):
            own = [(values[video, p], skills[about.name]) for values, skills in read if about.name in skills]
            if own:
                value, error, skill = (
                    float(np.mean(part))
                    for part in ([v for v, _ in own], [s.error for _, s in own], [s.skill for _, s in own])
                )
                rows.append(
                    (skill, Estimate(parameter=about.name, unit=about.unit, value=value, error=error, folds=len(own)))
                )
        found.append(tuple(e for _, e in sorted(rows, key=lambda row: -row[0])))
    return found


def estimate_videos(
    ensemble: Ensemble, videos: pl.DataFrame, frozen: FrozenFeatures, cache: Path
) -> dict[str, tuple[Estimate, ...]]:
    """Returns the estimates of each video by its name; empty where no fold estimates anything.

    Args:
        videos: as of an ingested cohort, each long enough for a window.
    """
    heads = []
    for fold in ensemble.folds:
        found, head = ensemble.result(fold).descriptions, VideoHead.load(ensemble.fold_folder(fold))
        if found is not None and head is not None and any(s.skill > 0 for s in found.video):
            heads.append((head, found.video))
    if not heads:
        return {}
    kept, statistics = video_statistics(videos, frozen.backbone, cache, ensemble.config)
    return dict(zip(kept["video"].to_list(), estimates(ensemble.cohort, heads, statistics), strict=True))


def _held_out_errors(gram: Tensor, values: np.ndarray, parts: np.ndarray) -> list[tuple[float, float]]:
    """Returns for each of PENALTIES the mean absolute errors of `_ridge` and of the median, each part held out once.

    Args:
        gram: Products of the videos' inputs over the number of statistics, [N, N]; all that the regression needs of them.
        values: [N], NaN where not measured.
    """
    measured, off, median_off = np.isfinite(values), [], []
    penalties = torch.tensor(PENALTIES, dtype=gram.dtype)[:, None, None]
    for part in np.unique(parts):
        fitted, held = (np.flatnonzero(measured & side) for side in (parts != part, parts == part))
        if not len(held) or len(fitted) < 2:
            continue
        inner, across = gram[fitted][:, fitted], gram[held][:, fitted]
        means = inner.mean(0)
        kernel = inner - means - means[:, None] + means.mean()  # as of inputs less their mean over the fitted videos
        across = across - across.mean(1, keepdim=True) - means + means.mean()
        wanted = torch.from_numpy(values[fitted] - values[fitted].mean())
        ridge = torch.linalg.solve(kernel + penalties * torch.eye(len(fitted), dtype=gram.dtype), wanted[:, None])
        said = (across @ ridge)[..., 0].numpy() + values[fitted].mean()  # [penalties, held]
        off.append(np.abs(said - values[held]))
        median_off.append(np.abs(np.median(values[fitted]) - values[held]))
    median = max(float(np.concatenate(median_off).mean()), 1e-12)
    return [(float(error), median) for error in np.concatenate(off, axis=1).mean(1)]


def _ridge(inputs: Tensor, values: np.ndarray, penalty: float) -> tuple[Tensor, float]:
    """Returns weights [S] and a bias, solved among the videos, of which there are fewer than statistics."""
    center, mean = inputs.mean(0), float(values.mean())
    centred = inputs - center
    kernel = centred @ centred.T / inputs.shape[1] + penalty * torch.eye(len(inputs), dtype=inputs.dtype)
    weight = centred.T @ torch.linalg.solve(kernel, torch.from_numpy(values - mean)) / inputs.shape[1]
    return weight, mean - float(center @ weight)


def _parts(videos: pl.DataFrame, seed: int) -> np.ndarray:
    """Returns a part for each video, [N]; all videos of a subject are in one."""
    names = videos["subject"].unique().sort().to_list()
    order = np.random.default_rng([seed, 11]).permutation(len(names))
    part = {names[place]: number % min(PARTS, len(names)) for number, place in enumerate(order)}
    return np.array([part[name] for name in videos["subject"].to_list()])
