"""What could be scored without looking at the gait: the people's attributes, the file of the recording, one frame of it.

A model that is not better than these may have learned them. Letters: N videos, A columns, D joint width.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
import torch

from trainables.data.cache import open_cached
from trainables.errors import ConfigurationError, StridefoldError
from trainables.model.backbone import PIXEL_MEAN, PIXEL_STD, Backbone
from trainables.recordings.decode import VideoError, probe
from trainables.study.records import Cohort
from trainables.training.frozen_video import frozen_video
from trainables.training.job import FoldJob

EVERY = 10
"""Frames from one whose light is measured to the next."""
BATCH = 64
"""Frames that the frozen tower reads at once."""


def shortcut_features(model: str, job: FoldJob, videos: pl.DataFrame) -> np.ndarray:
    """Returns what a shortcut knows of some videos, [N, A], NaN where it is not known.

    Args:
        model: 'attributes', 'recording' or 'single_frame'.
        job: The fold, for its cohort, cache and backbone.
        videos: Of the cohort, ingested.
    """
    if model == "attributes":
        return attribute_values(job.cohort, videos)
    if model == "recording":
        return np.array(
            [recording_facts(Path(row["path"]), job.cache, row["cached"]) for row in videos.iter_rows(named=True)]
        )
    return _middle_frames(job, videos)


def attribute_values(cohort: Cohort, videos: pl.DataFrame) -> np.ndarray:
    """Returns the attributes of some videos, [N, A]: numbers as they are, and a column of 0 and 1 for each category.

    Raises:
        ConfigurationError: The cohort has no attributes.
    """
    if not cohort.attributes:
        raise ConfigurationError(
            "the baseline 'attributes' needs columns that describe subjects; name some with --attribute",
            code="baseline.no_attributes",
        )
    columns: list[np.ndarray] = []
    for attribute in cohort.attributes:
        if attribute.kind == "number":
            columns.append(videos[attribute.column].cast(pl.Float64).fill_null(float("nan")).to_numpy())
            continue
        cells = videos[attribute.column].to_list()
        for category in sorted(set(cohort.videos[attribute.column].drop_nulls().to_list())):
            columns.append(np.array([float("nan") if cell is None else float(cell == category) for cell in cells]))
    return np.stack(columns, axis=1)


@lru_cache(maxsize=10_000)
def recording_facts(path: Path, cache: Path, cached: str) -> tuple[float, ...]:
    """Returns facts of a recording that need no look at the walker, NaN where the file is out of reach.

    Bytes per second rise with what moves, so a little of the gait is in them (docs/decisions/0021). The facts are: seconds, width,
    height, frames per second, bytes per second, and of the cached pictures the mean of red, green and blue, the contrast within a
    picture, and how much the brightness changes in time.
    """
    frames = open_cached(cache, cached)
    some = np.asarray(frames[::EVERY], dtype=np.float32)  # [F / EVERY, S, S, 3]
    grey = some.mean(-1)
    seconds = len(frames) / 30
    try:
        info, size = probe(path), path.stat().st_size
        facts: tuple[float, ...] = (info.width, info.height, info.fps, size / seconds)
    except (VideoError, OSError):
        facts = (float("nan"),) * 4
    light = (*some.mean((0, 1, 2)), grey.std((1, 2)).mean(), grey.mean((1, 2)).std())
    return (seconds, *map(float, facts), *map(float, light))


@torch.inference_mode()
def _middle_frames(job: FoldJob, videos: pl.DataFrame) -> np.ndarray:
    """Returns the frozen feature of each video's middle frame, [N, D]."""
    clip = job.frozen.backbone.clip
    device = clip.visual_projection.weight.device
    mean, std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (PIXEL_MEAN, PIXEL_STD))
    cached = [open_cached(job.cache, name) for name in videos["cached"]]
    frames = torch.from_numpy(np.stack([video[len(video) // 2] for video in cached])).permute(
        0, 3, 1, 2
    )  # [N, 3, S, S]
    features = []
    for part in frames.split(BATCH):
        pixels = (part.to(device).float() / 255 - mean) / std
        features.append(
            clip.visual_projection(clip.vision_model(pixel_values=pixels).pooler_output).float().cpu().numpy()
        )
    return np.concatenate(features)


def read_in_features(features: np.ndarray, groups: list[str], seed: int, permutations: int = 200) -> dict[str, float]:
    """Returns how well a group, a site say, can be read from the subjects' features, and what chance gives.

    A balanced logistic regression, cross-validated over subjects; its null is the same on groups that were exchanged among them.

    Args:
        features: One row per subject, [N, D].
        groups: Of each subject.
        seed: Draws folds and permutations.

    Returns:
        subjects, groups, balanced_accuracy, null_mean, null_high (its 95 % quantile) and p_value.

    Raises:
        StridefoldError: Fewer than two groups have two subjects.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names, counts = np.unique(groups, return_counts=True)
    kept = np.isin(groups, names[counts >= 2])
    codes = np.searchsorted(names, np.array(groups)[kept])
    if len(set(codes.tolist())) < 2:
        raise StridefoldError(
            "fewer than two groups have two subjects, so nothing can be read of them", code="shortcuts.too_few_groups"
        )
    rows = features[kept]
    folds = StratifiedKFold(min(5, int(np.unique(codes, return_counts=True)[1].min())), shuffle=True, random_state=seed)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=200, class_weight="balanced"))

    def score(of: np.ndarray) -> float:
        return float(balanced_accuracy_score(of, cross_val_predict(model, rows, of, cv=folds)))

    rng = np.random.default_rng(seed)
    observed = score(codes)
    null = np.array([score(rng.permutation(codes)) for _ in range(permutations)])
    return {
        "subjects": float(len(codes)),
        "groups": float(len(set(codes.tolist()))),
        "balanced_accuracy": observed,
        "null_mean": float(null.mean()),
        "null_high": float(np.quantile(null, 0.95)),
        "p_value": float((1 + (null >= observed - 1e-12).sum()) / (1 + permutations)),
    }


def subject_features(backbone: Backbone, cohort: Cohort, cache: Path, window: int) -> np.ndarray:
    """Returns the mean frozen feature of each subject's videos, [N, D], in the order of `Cohort.subjects`.

    Args:
        window: Frames of a window, under which the features are kept beside the frame cache.
    """
    found: dict[str, list[np.ndarray]] = {}
    for subject, cached in cohort.videos.select("subject", "cached").iter_rows():
        found.setdefault(subject, []).append(
            frozen_video(backbone, cache, cached, window).features.float().mean(0).numpy()
        )
    return np.stack([np.mean(found[subject], axis=0) for subject in cohort.subjects()["subject"]])
