"""What an ensemble's folds say of each window, video and subject, with the nearest description of its class."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from trainables.inference.ensemble import Ensemble
from trainables.study.metrics import at_level
from trainables.study.records import DecodedClass, FoldResult


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """The decoded words of a class, from the fold whose class feature is the nearest to a video's feature."""

    decoded: DecodedClass
    fold: int
    similarity: float
    """Cosine of the video's feature with the class feature, the mean over windows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What the folds say of one window, video or subject."""

    level: str
    """window, video or subject."""
    subject: str | None
    video: str | None
    window: int | None
    """First frame, at 30 frames/s."""
    probabilities: tuple[float, ...]
    """The mean over the folds, [C]."""
    by_fold: tuple[tuple[float, ...], ...]
    """Each fold's own, [F, C]."""
    predicted: int
    """Class index."""
    agreeing: int
    """Folds whose own class is the predicted one."""
    answers: tuple[int, ...] | None
    """Prediction set: indices of the classes that it may well be; None where the model has no sets of this level."""
    description: Description | None
    """None where no fold has words for the predicted class that hold."""


def predictions(ensemble: Ensemble, scores: pl.DataFrame, level: str) -> list[Prediction]:
    """Returns what the folds say of each unit of a level, in the order in which `scores` names them.

    Windows are averaged into videos and videos into subjects, as a study's own scores are; then folds are averaged.
    """
    frame = scores.with_columns(true=pl.lit(None, dtype=pl.Int64))
    units = at_level(frame, level)  # sorted by fold first
    cosines = at_level(frame.with_columns(probabilities="similarity"), level)
    shape = (len(ensemble.folds), -1, len(ensemble.cohort.classes))
    by_fold, similarity = (np.array(f["probabilities"].to_list()).reshape(shape) for f in (units, cosines))  # [F, U, C]
    results = {fold: ensemble.result(fold) for fold in ensemble.folds}
    rows = enumerate(units.head(by_fold.shape[1]).iter_rows(named=True))
    made = [_prediction(ensemble, level, unit, by_fold[:, u], similarity[:, u], results) for u, unit in rows]
    name = "subject" if level == "subject" else "video"
    given = {value: i for i, value in enumerate(scores[name].unique(maintain_order=True))}
    return sorted(made, key=lambda p: (given[getattr(p, name)], p.window or 0))


def _prediction(
    ensemble: Ensemble,
    level: str,
    unit: dict[str, Any],
    by_fold: np.ndarray,
    similarity: np.ndarray,
    results: dict[int, FoldResult],
) -> Prediction:
    """Returns the prediction of one unit, of each fold's probabilities and cosines, both [F, C]."""
    mean = by_fold.mean(0)
    rule = ensemble.sets.rule(level) if ensemble.sets is not None else None
    predicted = int(mean.argmax())
    cosines = dict(zip(ensemble.folds, similarity[:, predicted].tolist(), strict=True))
    return Prediction(
        level=level,
        subject=unit["subject"],
        video=unit.get("video"),
        window=unit.get("window"),
        probabilities=tuple(mean.tolist()),
        by_fold=tuple(map(tuple, by_fold.tolist())),
        predicted=predicted,
        agreeing=int((by_fold.argmax(-1) == predicted).sum()),
        answers=None if rule is None else tuple(np.flatnonzero(rule.members(mean)).tolist()),
        description=nearest_description(results, ensemble.cohort.classes[predicted], cosines),
    )


def nearest_description(
    results: Mapping[int, FoldResult], label: str, similarity: Mapping[int, float]
) -> Description | None:
    """Returns a class's decoded words from the fold with the highest similarity, among the folds whose words hold."""
    found = [
        Description(decoded=decoded, fold=fold, similarity=similarity[fold])
        for fold, result in results.items()
        for decoded in result.decoded
        if decoded.label == label and holds(result, label)
    ]
    return max(found, key=lambda d: d.similarity, default=None)


def holds(result: FoldResult, label: str) -> bool:
    """Returns whether a fold's description of a class may stand beside a prediction."""
    found = result.descriptions.of(label) if result.descriptions is not None else None
    return found is not None and found.holds
