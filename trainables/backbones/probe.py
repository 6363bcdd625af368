"""Linear probe of a backbone: what the mean frame feature of a video tells about its subject, over subject-wise folds."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import CLIPModel

from trainables.backbones.clips import decoded, to_backbone
from trainables.data.simulate import simulate_cohort
from trainables.knowledge.parameters import load_parameters

EVERY = 5
"""Frames between two that are looked at."""
PIXEL_MEAN, PIXEL_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""CLIP's own, so that every backbone takes the same input."""


def probe(folder: Path, *, seeds: tuple[int, ...]) -> Iterator[str]:
    """Yields a line per cohort and label: balanced accuracy per subject of a linear probe, beside two references.

    The references on the same folds: the 29 measured parameters in place of the features, and an untrained backbone.
    """
    model = CLIPModel.from_pretrained(folder).eval()
    torch.manual_seed(0)
    untrained = CLIPModel(model.config).eval()
    for seed in seeds:
        with tempfile.TemporaryDirectory() as place:
            manifest = simulate_cohort(Path(place) / "cohort", seed=seed)
            rows = pl.read_csv(manifest)
            inputs = {
                "backbone": np.stack([video_feature(model, manifest.parent / v) for v in rows["video"]]),
                "untrained backbone": np.stack([video_feature(untrained, manifest.parent / v) for v in rows["video"]]),
                "29 parameters": rows.select(p.key for p in load_parameters()).to_numpy().astype(float),
            }
        for label in ("diagnosis", "updrs_gait"):
            scores = {name: subject_accuracy(x, rows, label) for name, x in inputs.items()}
            told = ", ".join(f"{name} {score:.2f}" for name, score in scores.items())
            classes = rows[label].n_unique()
            yield f"cohort seed {seed}, {label}: balanced accuracy per subject: {told}, chance {1 / classes:.2f}"


@torch.no_grad()
def video_feature(model: CLIPModel, path: Path) -> NDArray[np.float32]:
    """Returns the mean feature [D] of a square video's frames."""
    frames = decoded(str(path))[::EVERY]
    pixels = torch.from_numpy(to_backbone(frames, model.config.vision_config.image_size)).float() / 255
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (PIXEL_MEAN, PIXEL_STD))
    features = model.visual_projection(model.vision_model(pixel_values=(pixels - mean) / std).pooler_output)
    return features.mean(dim=0).numpy()


def subject_accuracy(x: NDArray[np.floating], rows: pl.DataFrame, label: str, folds: int = 4) -> float:
    """Returns the balanced accuracy of logistic regression, a subject's videos' probabilities averaged.

    x [videos, features]; `rows` has the columns subject and `label`.
    """
    y, subjects = rows[label].cast(pl.String).to_numpy(), rows["subject"].to_numpy()
    classes = np.unique(y)
    probability = np.zeros((len(y), len(classes)))
    for train, test in StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(x, y, subjects):
        unmeasured = SimpleImputer(keep_empty_features=True)
        model = make_pipeline(unmeasured, StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)).fit(
            x[train], y[train]
        )
        probability[np.ix_(test, np.searchsorted(classes, model.classes_))] = model.predict_proba(x[test])
    names = np.unique(subjects)
    said = [classes[probability[subjects == name].mean(axis=0).argmax()] for name in names]
    true = [y[subjects == name][0] for name in names]
    return float(balanced_accuracy_score(true, said))
