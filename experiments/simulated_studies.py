"""Studies of known truth: synthetic people, a small model, and its search and nested cross-validation on the project's folds."""

import dataclasses
from dataclasses import dataclass
from platform.splits import make_splits
from typing import Any

import numpy as np
import polars as pl

from reports.numbers.statistics import confusion, metric_values
from trainables.study.records import Cohort, Splits

Array = np.ndarray[Any, np.dtype[Any]]
CLASSES, FEATURES, VIDEOS = 3, 8, 2
OUTER, INNER = 3, 3
SIGNAL = 1.5
"""How far a class's mean lies from the others', in standard deviations between subjects."""
SETTINGS = tuple((kept, shrinkage) for kept in (2, 4, 8) for shrinkage in (0.1, 0.5, 0.9))[:8]
NEW_PEOPLE = 1500


@dataclass(frozen=True, kw_only=True)
class People:
    """Subjects of one cohort: labels [S] and features [S, videos, D]."""

    labels: Array
    features: Array

    def cohort(self) -> Cohort:
        """Returns them as the project's cohort; a video is named by its subject and number."""
        rows = [
            (f"P{i:04}", f"P{i:04}/{v}", f"{i}.{v}", int(label))
            for i, label in enumerate(self.labels)
            for v in range(VIDEOS)
        ]
        return Cohort(
            name="synthetic",
            simulated=True,
            label="label",
            classes=("a", "b", "c"),
            parameters=(),
            videos=pl.DataFrame(rows, schema=["subject", "video", "sha256", "label"], orient="row"),
        )

    def relabelled(self, cohort: Cohort) -> "People":
        """Returns them with the labels that the cohort gives them."""
        labels = cohort.subjects()["label"].to_numpy()
        return dataclasses.replace(self, labels=labels)


def draw_people(rng: np.random.Generator, subjects: int, signal: float) -> People:
    """Returns subjects of classes in turn; each class has one feature of its own that is raised by `signal`."""
    labels = np.arange(subjects) % CLASSES
    own = rng.normal(size=(subjects, FEATURES)) + signal * np.eye(CLASSES, FEATURES)[labels]
    return People(labels=labels, features=own[:, None] + 0.6 * rng.normal(size=(subjects, VIDEOS, FEATURES)))


class Discriminant:
    """A linear discriminant analysis on the features that differ most between classes, its covariance shrunken."""

    def __init__(self, people: People, chosen: Array, setting: tuple[int, float]):
        kept, shrinkage = setting
        x = people.features[chosen].reshape(-1, FEATURES)
        y = np.repeat(people.labels[chosen], VIDEOS)
        means = np.stack([x[y == c].mean(0) for c in range(CLASSES)])
        within = x - means[y]
        covariance = within.T @ within / max(len(x) - CLASSES, 1)
        covariance = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / FEATURES * np.eye(FEATURES)
        self.kept = np.argsort(-means.var(0) / np.diag(covariance))[:kept]
        self.means = means[:, self.kept]
        self.precision = np.linalg.inv(covariance[np.ix_(self.kept, self.kept)])

    def probabilities(self, features: Array) -> Array:
        """Returns the class probabilities [..., C] of features [..., D]."""
        apart = features[..., None, self.kept] - self.means
        logits = -0.5 * np.einsum("...i,ij,...j->...", apart, self.precision, apart)
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return np.asarray(powers / powers.sum(-1, keepdims=True))


def predictions(people: People, places: Array, shares: Array, fold: int) -> pl.DataFrame:
    """Returns shares [n, videos, C] of the subjects at some places as FoldResult.predictions."""
    video = np.tile(np.arange(VIDEOS), len(places))
    place = np.repeat(places, VIDEOS)
    return pl.DataFrame(
        {
            "fold": np.full(len(place), fold),
            "subject": [f"P{i:04}" for i in place],
            "video": [f"P{i:04}/{v}" for i, v in zip(place, video, strict=True)],
            "window": np.zeros(len(place), dtype=np.int64),
            "true": people.labels[place],
            "probabilities": shares.reshape(-1, CLASSES).tolist(),
        }
    )


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search over some settings came to on the folds of its cohort."""

    score: float
    predictions: pl.DataFrame
    models: tuple[Discriminant, ...]


def search(people: People, splits: Splits, settings: tuple[tuple[int, float], ...]) -> Found:
    """Returns the best setting's cross-validation."""
    sides = [tuple(np.array([int(s[1:]) for s in side]) for side in (f.train, f.test)) for f in splits.folds]
    tried = [tuple(Discriminant(people, train, setting) for train, _ in sides) for setting in settings]
    value, models = max(((_score(people, sides, m), m) for m in tried), key=lambda found: found[0])
    parts = [
        predictions(people, test, model.probabilities(people.features[test]), index)
        for index, (model, (_, test)) in enumerate(zip(models, sides, strict=True))
    ]
    return Found(score=value, predictions=pl.concat(parts), models=models)


def _score(people: People, sides: list[tuple[Array, ...]], models: tuple[Discriminant, ...]) -> float:
    """Returns the macro F1 per subject of all folds together: as `score`, without a table."""
    counts = np.zeros((CLASSES, CLASSES), dtype=int)
    for model, (_, test) in zip(models, sides, strict=True):
        answers = model.probabilities(people.features[test]).mean(1).argmax(1)
        counts += confusion(people.labels[test], answers, CLASSES)
    return float(metric_values(counts, "macro_f1"))


@dataclass(frozen=True, kw_only=True)
class Nested:
    """The outer folds of one study."""

    predictions: pl.DataFrame
    alone: pl.DataFrame
    """The same of each inner model alone, with the column model."""
    inner: tuple[pl.DataFrame, ...]
    """Of each outer fold the held-out predictions of its choice's inner folds."""
    new_people: Array
    """Mean confusion matrix [C, C] of the outer models on people of no cohort."""
    ensembles: tuple[tuple["Discriminant", ...], ...]
    """Of each outer fold the models of its choice, which answer together."""


def nested(people: People, cohort: Cohort, seed: int, settings: tuple[tuple[int, float], ...], new: People) -> Nested:
    """Returns nested cross-validation: the search without each outer fold, and its ensemble on those subjects."""
    outer = make_splits(cohort, folds=OUTER, seed=seed)
    whole, alone, inner, ensembles = [], [], [], []
    counts = np.zeros((CLASSES, CLASSES))
    for fold in outer.folds:
        part = dataclasses.replace(cohort, videos=cohort.videos.filter(pl.col("subject").is_in(list(fold.train))))
        best = search(people, make_splits(part, folds=INNER, seed=seed), settings)
        test = np.array([int(s[1:]) for s in fold.test])
        shares = np.stack([m.probabilities(people.features[test]) for m in best.models])
        whole.append(predictions(people, test, shares.mean(0), fold.index))
        alone += [predictions(people, test, s, fold.index).with_columns(model=pl.lit(i)) for i, s in enumerate(shares)]
        inner.append(best.predictions)
        ensembles.append(best.models)
        fresh = np.mean([m.probabilities(new.features) for m in best.models], 0).mean(1).argmax(1)
        counts += confusion(new.labels, fresh, CLASSES) / OUTER
    return Nested(
        predictions=pl.concat(whole),
        alone=pl.concat(alone),
        inner=tuple(inner),
        new_people=counts,
        ensembles=tuple(ensembles),
    )
