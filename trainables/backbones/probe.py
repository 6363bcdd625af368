"""Yardsticks of a backbone: what its frozen features tell about walkers, zero-shot and by linear probes."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import CLIPModel

from trainables.backbones.clips import decoded, to_backbone
from trainables.backbones.zero_shot import subject_score, zero_shot_scores
from trainables.knowledge.parameters import load_parameters
from trainables.knowledge.tasks import load_task
from trainables.model.backbone import PIXEL_MEAN, PIXEL_STD, load_backbone
from trainables.simulation.cohort import simulate_cohort
from trainables.simulation.walker import Floats

LAGS = (4, 8, 12, 16, 20, 24, 28, 32)
"""Frames between which a rhythm is looked for, at 30 frames/s."""
FRAMES_AT_ONCE = 64
FOLD_SEEDS = range(4)
"""Splits over which a probe is averaged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoFeatures:
    """Frozen features of one video."""

    mean: NDArray[np.float32]
    """Mean feature of its frames, [D]."""
    rhythm: NDArray[np.float32]
    """Autocorrelation of each channel of the frames' features at LAGS, [D * lags]."""
    order: NDArray[np.float32]
    """First cosine coefficient over time of all tokens after the first layer, [tokens * W]: a walk backwards has its negative."""


def simulated_yardsticks(folder: Path, *, seeds: tuple[int, ...], subjects: int = 24) -> Iterator[str]:
    """Yields a line per simulated cohort and label: balanced accuracy per subject, zero-shot and of linear probes.

    The linear probes' references on the same folds: the 29 measured parameters in place of the features, and an
    untrained backbone.
    """
    backbone = load_backbone(str(folder))
    torch.manual_seed(0)
    untrained = CLIPModel(backbone.clip.config).eval()
    for seed in seeds:
        with tempfile.TemporaryDirectory() as place:
            manifest = simulate_cohort(Path(place) / "cohort", subjects=subjects, seed=seed)
            rows = pl.read_csv(manifest)
            paths = [manifest.parent / video for video in rows["video"]]
            seen = np.stack([video_features(backbone.clip, path).mean for path in paths])
            inputs = {
                "linear probe": seen,
                "untrained backbone": np.stack([video_features(untrained, path).mean for path in paths]),
                "29 parameters": rows.select(p.key for p in load_parameters()).to_numpy().astype(float),
            }
        for name in ("diagnosis", "updrs"):
            task = load_task(name)
            scores = {f"zero-shot, {k}": v for k, v in zero_shot_scores(backbone, task, seen, rows).items()}
            scores |= {k: probe_score(x, rows, task.label, folds=4) for k, x in inputs.items()}
            yield _line(f"cohort seed {seed}, {task.label}", scores, rows[task.label].n_unique())


def cohort_yardsticks(folder: Path, cohort: Path, label: str) -> Iterator[str]:
    """Yields a line on a cohort of square videos: linear probes of mean, rhythm and order of frozen features."""
    backbone, rows = load_backbone(str(folder)), pl.read_csv(cohort)
    features = [video_features(backbone.clip, cohort.parent / video) for video in rows["video"]]
    inputs = {kind: np.stack([getattr(f, kind) for f in features]) for kind in ("mean", "rhythm", "order")}
    scores = {f"probe of the {kind}": probe_score(x, rows, label) for kind, x in inputs.items()}
    yield _line(f"{cohort.parent.name}, {label}", scores, rows[label].n_unique())


def _line(what: str, scores: dict[str, float], classes: int) -> str:
    told = ", ".join(f"{name} {score:.2f}" for name, score in scores.items())
    return f"{what}: balanced accuracy per subject: {told}, chance {1 / classes:.2f}"


@torch.no_grad()
def video_features(model: CLIPModel, path: Path) -> VideoFeatures:
    """Returns the features of a square video."""
    frames = decoded(str(path))
    pixels = torch.from_numpy(to_backbone(frames, model.config.vision_config.image_size)).float() / 255
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (PIXEL_MEAN, PIXEL_STD))
    classes, tokens = [], []
    for part in ((pixels - mean) / std).split(FRAMES_AT_ONCE):
        seen = model.vision_model(pixel_values=part, output_hidden_states=True)
        classes.append(model.visual_projection(seen.pooler_output))
        tokens.append(seen.hidden_states[1].flatten(1))
    each, first = torch.cat(classes).numpy(), torch.cat(tokens).numpy()
    return VideoFeatures(mean=each.mean(axis=0), rhythm=_autocorrelation(each), order=_first_cosine(first))


def _autocorrelation(course: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the autocorrelation of a course [F, D] at LAGS, lags after one another, [D * lags]."""
    course = course - course.mean(axis=0)
    spread = course.var(axis=0) + 1e-6
    return np.concatenate([(course[:-lag] * course[lag:]).mean(axis=0) / spread for lag in LAGS])


def _first_cosine(course: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the first cosine coefficient over time of a course [F, D], [D]."""
    phase = np.pi * (np.arange(len(course)) + 0.5) / len(course)
    return np.asarray(np.cos(phase) @ course / len(course), dtype=np.float32)


def probe_score(x: NDArray[np.floating], rows: pl.DataFrame, label: str, folds: int = 5) -> float:
    """Returns the balanced accuracy per subject of logistic regression over subject-wise folds, averaged over splits.

    x [videos, features]; `rows` has the columns subject and `label`.
    """
    y, subjects = rows[label].cast(pl.String).to_numpy(), rows["subject"].to_numpy()
    classes = np.unique(y)
    scores = []
    for seed in FOLD_SEEDS:
        probability: Floats = np.zeros((len(y), len(classes)))
        for train, test in StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(x, y, subjects):
            unmeasured = SimpleImputer(keep_empty_features=True)
            fit = LogisticRegression(C=0.1, max_iter=2000, class_weight="balanced")
            model = make_pipeline(unmeasured, StandardScaler(), fit).fit(x[train], y[train])
            probability[np.ix_(test, np.searchsorted(classes, model.classes_))] = model.predict_proba(x[test])
        scores.append(subject_score(probability, rows, label, list(classes)))
    return float(np.mean(scores))
