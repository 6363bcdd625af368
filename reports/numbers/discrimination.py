"""How well probabilities rank people: AUROC and average precision of each class, and answers at a threshold that other people set.

Letters: U units of one level, S subjects, C classes, B bootstrap draws.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from sklearn.metrics import roc_curve

from reports.numbers.intervals import DRAWS, SHARED_TRAINING, Array, ends, resampled_times
from reports.numbers.statistics import independent_units, wilson
from trainables.study.metrics import at_level

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """How well one probability ranks those who have something above those who have not."""

    label: str
    """A class against the rest, 'mean', or of ordered classes 'at least CLASS'."""
    prevalence: float
    """Share of the units that have it, 0-1: the average precision of no skill."""
    auroc: float
    """Probability that one who has it is ranked above one who has not; 0.5 is no skill."""
    auroc_interval: Interval
    """95 %, subjects resampled as for a score; as that of the average precision."""
    average_precision: float
    average_precision_interval: Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatingPoint:
    """A class against the rest at a threshold of its probability that other subjects have set."""

    label: str
    thresholds: tuple[float, ...]
    """Of each fold, with the largest sensitivity + specificity on the subjects that set it."""
    sensitivity: float | None
    sensitivity_interval: Interval | None
    """Wilson 95 %, all answers for one subject taken as one observation; as those of the others."""
    specificity: float | None
    specificity_interval: Interval | None
    ppv: float | None
    """Share of those above the threshold who are of the class, at this cohort's prevalence."""
    ppv_interval: Interval | None
    npv: float | None
    npv_interval: Interval | None


def rankings(
    predictions: pl.DataFrame, labels: tuple[str, ...], unit: str, *, ordinal: bool = False
) -> tuple[Ranking, ...]:
    """Returns the ranking of each class against the rest, their mean, and of ordered classes that of each cut.

    Args:
        predictions: One row per held-out window, as FoldResult.predictions.
        labels: Class names.
        unit: 'subject', or 'video' where labels are per video.
        ordinal: Whether the classes have an order.
    """
    units = at_level(predictions, unit)
    shares, true = np.array(units["probabilities"].to_list()), units["true"].to_numpy()
    targets = [(label, shares[:, c], true == c) for c, label in enumerate(labels)]
    if ordinal and len(labels) > 2:
        cuts = range(1, len(labels))
        targets += [(f"at least {labels[c]}", shares[:, c:].sum(1), true >= c) for c in cuts]
    place = np.unique(units["subject"].to_numpy(), return_inverse=True)[1]
    found: list[Ranking] = []
    drawn: list[tuple[list[float], Array]] = []
    for number, (label, scores, positive) in enumerate(targets):
        if positive.all() or not positive.any():
            continue
        whole = np.ones((1, len(positive)))
        values = [float(f(scores, positive, whole)[0]) for f in (weighted_auroc, weighted_average_precision)]
        draws = _resampled(scores, positive, place)
        drawn += [(values, draws)] if number < len(labels) else []
        found.append(_ranking(label, float(positive.mean()), values, draws, int(place.max()) + 1))
    if len(labels) > 2 and len(drawn) == len(labels):
        values = np.mean([v for v, _ in drawn], axis=0).tolist()
        draws = np.mean([d for _, d in drawn], axis=0)
        mean = _ranking("mean", 1 / len(labels), values, draws, int(place.max()) + 1)
        found.insert(len(labels), mean)
    return tuple(found)


def _ranking(label: str, prevalence: float, values: list[float], draws: Array, subjects: int) -> Ranking:
    spans = [ends(d[np.isfinite(d)], subjects) for d in draws]
    auroc, precision = ((min(low, v), max(high, v)) for (low, high), v in zip(spans, values, strict=True))
    return Ranking(
        label=label,
        prevalence=prevalence,
        auroc=float(values[0]),
        auroc_interval=auroc,
        average_precision=float(values[1]),
        average_precision_interval=precision,
    )


def _resampled(scores: Array, positive: Array, place: Array) -> Array:
    """Returns AUROC and average precision of resampled cohorts [2, B].

    Two imagined subjects are added: one is ranked wholly right, one wholly wrong, so that a perfect ranking has an interval.
    """
    subjects, mean_units = int(place.max()) + 1, len(place) / (int(place.max()) + 1)
    share = positive.mean()
    ranks = np.concatenate([scores, [np.inf, -np.inf, -np.inf, np.inf]])
    has = np.concatenate([positive, [True, False, True, False]])
    weights = np.concatenate([np.ones(len(place)), mean_units * np.array([share, 1 - share, share, 1 - share])])
    owner = np.concatenate([place, [subjects, subjects, subjects + 1, subjects + 1]])
    drawn = max(1, round((subjects + 2) / SHARED_TRAINING))
    times = resampled_times(subjects + 2, np.random.default_rng(0), DRAWS // 2, drawn)[:, owner] * weights
    return np.stack([f(ranks, has, times) for f in (weighted_auroc, weighted_average_precision)])


def weighted_auroc(scores: Array, positive: Array, weights: Array) -> Array:
    """Returns the area under the ROC curve for each row of unit weights [B, U]; nan where a side has no weight."""
    above = (scores[:, None] > scores) + 0.5 * (scores[:, None] == scores)
    top = ((weights * positive) @ above * (weights * ~positive)).sum(1)
    pairs = (weights * positive).sum(1) * (weights * ~positive).sum(1)
    return np.divide(top, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


def weighted_average_precision(scores: Array, positive: Array, weights: Array) -> Array:
    """Returns the average precision for each row of unit weights [B, U], equal scores together; nan without positives."""
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    last = np.append(np.flatnonzero(falling[1:] != falling[:-1]), len(order) - 1)  # of each run of equal scores
    hits, named = (np.cumsum(w[:, order], axis=1)[:, last] for w in (weights * positive, weights))
    precision = np.divide(hits, named, out=np.zeros_like(hits), where=named > 0)
    gained = np.diff(hits, axis=1, prepend=0)
    total = hits[:, -1]
    return np.divide((gained * precision).sum(1), total, out=np.full(len(weights), np.nan), where=total > 0)


def operating_points(
    scored: list[pl.DataFrame], setting: list[pl.DataFrame], labels: tuple[str, ...], unit: str
) -> tuple[OperatingPoint, ...]:
    """Returns each class's answers at thresholds that other subjects set.

    Args:
        scored: The predictions of each fold's held-out subjects.
        setting: Held-out predictions of other subjects for each of them: of the inner folds, where there are any.
        labels: Class names.
        unit: As in `rankings`.
    """
    tables, others = ([at_level(p, unit) for p in parts] for parts in (scored, setting))
    return tuple(_point(tables, others, c, label) for c, label in enumerate(labels))


def _point(tables: list[pl.DataFrame], others: list[pl.DataFrame], label: int, name: str) -> OperatingPoint:
    thresholds = tuple(_threshold(t, label) for t in others)
    named = np.concatenate([_shares(t, label) >= at for t, at in zip(tables, thresholds, strict=True)])
    units = pl.concat(tables)
    is_it, subjects = units["true"].to_numpy() == label, units["subject"].to_numpy()
    of_all = [(named, is_it), (~named, ~is_it), (is_it, named), (~is_it, ~named)]
    shares = [_share(hit[among], subjects[among]) for hit, among in of_all]
    values = [(None, None) if s is None else s for s in shares]
    (sensitivity, one), (specificity, two), (ppv, three), (npv, four) = values
    return OperatingPoint(
        label=name,
        thresholds=thresholds,
        sensitivity=sensitivity,
        sensitivity_interval=one,
        specificity=specificity,
        specificity_interval=two,
        ppv=ppv,
        ppv_interval=three,
        npv=npv,
        npv_interval=four,
    )


def _shares(units: pl.DataFrame, label: int) -> Array:
    return units["probabilities"].list.get(label).to_numpy()


def _threshold(units: pl.DataFrame, label: int) -> float:
    """Returns the threshold with the largest sensitivity + specificity, the highest of equal ones; 0.5 without both sides."""
    is_it = units["true"].to_numpy() == label
    if is_it.all() or not is_it.any():
        return 0.5
    false, true, thresholds = roc_curve(is_it, _shares(units, label), drop_intermediate=False)
    best = int((true - false).argmax())
    return float(min(thresholds[best], 1.0))


def _share(hits: Array, subjects: Array) -> tuple[float, Interval] | None:
    if not len(hits):
        return None
    units = independent_units(np.unique(subjects, return_counts=True)[1])
    return float(hits.mean()), wilson(float(hits.mean()) * units, units)
