"""Scores of held-out predictions, and how windows become videos and subjects. No torch here: reports read them too."""

import math
from collections.abc import Callable

import numpy as np
import polars as pl
from sklearn import metrics as sk

from trainables.study.vocabulary import LEVELS, parse_metric


def _quadratic_kappa(true: np.ndarray, predicted: np.ndarray, classes: int) -> float:
    if len(np.union1d(true, predicted)) < 2:  # scikit-learn divides by zero here; one class only shows no agreement
        return 0.0
    return float(sk.cohen_kappa_score(true, predicted, labels=range(classes), weights="quadratic"))


FUNCTIONS: dict[str, Callable[[np.ndarray, np.ndarray, int], float]] = {
    "macro_f1": lambda t, p, c: float(sk.f1_score(t, p, labels=range(c), average="macro", zero_division=0)),
    "balanced_accuracy": lambda t, p, c: float(
        sk.recall_score(t, p, labels=np.unique(t), average="macro", zero_division=0)
    ),
    "accuracy": lambda t, p, c: float(sk.accuracy_score(t, p)),
    "quadratic_kappa": _quadratic_kappa,
}


def at_level(predictions: pl.DataFrame, level: str) -> pl.DataFrame:
    """Returns one row per unit of a level, with the mean of the probabilities of the rows below it.

    Windows are averaged into videos, videos into subjects, so that a long video does not outweigh a short one. A
    subject whose videos carry different labels counts once for each label.

    Args:
        predictions: one row per held-out window: fold, subject, video, window, true, probabilities (list of C numbers).
        level: 'window', 'video' or 'subject'.

    Returns:
        Frame sorted by its keys with fold, subject, (video, window,) true, probabilities and predicted (class index).
    """
    keys = {
        "window": ["fold", "subject", "true", "video", "window"],
        "video": ["fold", "subject", "true", "video"],
        "subject": ["fold", "subject", "true"],
    }
    frame = predictions
    for step in LEVELS[::-1][: LEVELS[::-1].index(level) + 1]:
        frame = _mean_probabilities(frame, keys[step])
    return frame.with_columns(predicted=pl.col("probabilities").list.arg_max().cast(pl.Int64))


def _mean_probabilities(frame: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    classes = len(frame["probabilities"][0]) if len(frame) else 0
    means = frame.group_by(keys).agg(pl.col("probabilities").list.get(c).mean().alias(f"p{c}") for c in range(classes))
    return means.sort(keys).select(*keys, probabilities=pl.concat_list(f"p{c}" for c in range(classes)))


def score(predictions: pl.DataFrame, metric: str, classes: int) -> float:
    """Returns one metric of held-out windows, as 'macro_f1' or 'video/accuracy'; all folds' units are pooled.

    Balanced accuracy is over the classes that are present. Higher is better for every metric.
    """
    level, name = parse_metric(metric)
    units = at_level(predictions, level)
    return FUNCTIONS[name](units["true"].to_numpy(), units["predicted"].to_numpy(), classes)


def log_loss(predictions: pl.DataFrame, level: str = "subject") -> float:
    """Returns the mean negative log probability of the true class at a level, in nats; breaks ties between scores."""
    units = at_level(predictions, level)
    chosen = [p[t] for p, t in zip(units["probabilities"], units["true"], strict=True)]
    return -sum(math.log(max(p, 1e-12)) for p in chosen) / len(chosen)


def mean_of_folds(scores: pl.DataFrame, videos: pl.DataFrame, fold: int = 0) -> pl.DataFrame:
    """Returns the folds' mean for every window: what an ensemble says, one row per window.

    Args:
        scores: One row per fold and window: subject, video, window, probabilities.
        videos: subject, video and label of each video.
        fold: Under which the answers stand.

    Returns:
        Frame sorted by its keys with fold, subject, video, window, true (null without a label) and probabilities.
    """
    windows = ["subject", "video", "window"]
    classes = range(len(scores["probabilities"][0]))
    means = scores.group_by(windows).agg(pl.col("probabilities").list.get(c).mean().alias(f"p{c}") for c in classes)
    labels = videos.select("subject", "video", true=pl.col("label"))
    return (
        means.join(labels, on=["subject", "video"])
        .sort(windows)
        .select(
            pl.lit(fold, dtype=pl.Int64).alias("fold"),
            *windows,
            "true",
            probabilities=pl.concat_list(f"p{c}" for c in classes),
        )
    )
