"""Asks of the page's other intervals what they hold for cross-validated predictions; `experiments.inference` prints it.

Studies are those of experiments.simulated_studies. What an interval should hold is the same number on people of no
cohort, for the models of the study's own folds, averaged over all studies: what the procedure reaches on average. Bins of
the calibration and thresholds differ from study to study, so their intervals are also asked of the study's own.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from platform.splits import make_splits
from typing import Any

import numpy as np
import polars as pl

from experiments.simulated_studies import (
    CLASSES,
    INNER,
    NEW_PEOPLE,
    SETTINGS,
    SIGNAL,
    Discriminant,
    Found,
    People,
    draw_people,
    search,
)
from reports.numbers.calibration import calibration, share_interval
from reports.numbers.discrimination import operating_points, rankings, weighted_auroc, weighted_average_precision
from reports.numbers.statistics import class_scores, confusion, level_scores, metric_values, subject_matrices
from trainables.study.metrics import at_level
from trainables.study.records import Cohort

METRICS = ("macro_f1", "accuracy", "balanced_accuracy", "quadratic_kappa", "mean_absolute_error")
BIN = "share right in a bin of the calibration"
HELD, OPTIMISTIC = "92-97 %", "less: it was chosen by it"
MOVES = "not its question"
Span = tuple[float, float] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """An interval of one study, and what its models reach on new people."""

    what: str
    wanted: str
    span: Span
    truth: float
    own: bool = False
    """Whether it should hold what this study's models reach, not what the procedure reaches on average."""


class Reached:
    """What one model or several together reach on people of no cohort."""

    def __init__(self, models: tuple[Discriminant, ...], new: People):
        videos = np.mean([m.probabilities(new.features) for m in models], axis=0)  # [S, videos, C]
        self.true, self.whole = new.labels, videos.mean(1)
        self.counts = confusion(new.labels, self.whole.argmax(1), CLASSES)
        self.video_counts = confusion(np.repeat(new.labels, videos.shape[1]), videos.argmax(-1).ravel(), CLASSES)
        self.videos = videos

    def of_class(self, label: int) -> dict[str, float]:
        """Returns recall, precision, F1, AUROC and average precision of one class."""
        hits, true, named = self.counts[label, label], self.counts[label].sum(), self.counts[:, label].sum()
        is_it, ones = self.true == label, np.ones((1, len(self.true)))
        return {
            "recall (Wilson)": hits / true,
            "precision (Wilson)": hits / max(named, 1),
            "F1": 2 * hits / (true + named),
            "AUROC": float(weighted_auroc(self.whole[:, label], is_it, ones)[0]),
            "average precision": float(weighted_average_precision(self.whole[:, label], is_it, ones)[0]),
        }


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))


def one_study(seed: int, subjects: int, signal: float, new: People) -> Iterator[Row]:
    """Yields the intervals of one study: of a single configuration, and the score of the best of several."""
    rng = np.random.default_rng([seed, subjects, int(100 * signal), 7])
    people = draw_people(rng, subjects, signal)
    cohort = people.cohort()
    folds = make_splits(cohort, folds=INNER, seed=seed)
    own = search(people, folds, SETTINGS[4:5])
    reached = [Reached((model,), new) for model in own.models]
    yield from _scores(own, reached)
    yield from _first_class(own, cohort, reached)
    yield from _operating(own, cohort, reached)
    yield from _middle_bin(own, new, reached)
    yield from _selection(own, reached, "of one configuration", HELD)
    best = search(people, folds, SETTINGS)
    yield from _selection(best, [Reached((model,), new) for model in best.models], "of the best of 8", OPTIMISTIC)


def _scores(own: Found, reached: list[Reached]) -> Iterator[Row]:
    for level, metrics in (("subject", METRICS[1:]), ("video", METRICS[:1])):
        for score in level_scores(own.predictions, level, CLASSES, metrics).scores:
            counts = [r.counts if level == "subject" else r.video_counts for r in reached]
            yield Row(
                what=f"{score.metric.replace('_', ' ')} per {level}",
                wanted=HELD,
                span=(score.low, score.high),
                truth=_mean(metric_values(c, score.metric) for c in counts),
            )


def _first_class(own: Found, cohort: Cohort, reached: list[Reached]) -> Iterator[Row]:
    matrices = subject_matrices(at_level(own.predictions, "subject"), CLASSES)
    found, ranked = class_scores(matrices, cohort.classes)[0], rankings(own.predictions, cohort.classes, "subject")[0]
    truths = [r.of_class(0) for r in reached]
    spans = {
        "recall (Wilson)": found.recall_interval,
        "precision (Wilson)": found.precision_interval,
        "F1": found.f1_interval,
        "AUROC": ranked.auroc_interval,
        "average precision": ranked.average_precision_interval,
    }
    for name, span in spans.items():
        yield Row(what=f"{name} of a class", wanted=HELD, span=span, truth=_mean(t[name] for t in truths))


def _operating(own: Found, cohort: Cohort, reached: list[Reached]) -> Iterator[Row]:
    folds = own.predictions["fold"].unique().sort().to_list()
    scored = [own.predictions.filter(fold=fold) for fold in folds]
    others = [own.predictions.filter(pl.col("fold") != fold) for fold in folds]
    point = operating_points(scored, others, cohort.classes[:1], "subject")[0]
    tables = [
        confusion((r.true != 0).astype(int), (r.whole[:, 0] < at).astype(int), 2)
        for r, at in zip(reached, point.thresholds, strict=True)
    ]
    for name, span, place, along in (
        ("sensitivity", point.sensitivity_interval, 0, 1),
        ("specificity", point.specificity_interval, 1, 1),
        ("PPV", point.ppv_interval, 0, 0),
        ("NPV", point.npv_interval, 1, 0),
    ):
        truth = _mean(t[place, place] / max(t.sum(along)[place], 1) for t in tables)
        yield Row(what=f"{name} (Wilson), these thresholds", wanted=HELD, span=span, truth=truth, own=True)
        yield Row(what=f"{name} (Wilson), thresholds of other studies", wanted=MOVES, span=span, truth=truth)


def _selection(own: Found, reached: list[Reached], name: str, wanted: str) -> Iterator[Row]:
    units = at_level(own.predictions, "subject")
    score = level_scores(own.predictions, "subject", CLASSES, METRICS[:1]).scores[0]
    truth = _mean(metric_values(r.counts, "macro_f1") for r in reached)
    yield Row(what=f"macro f1 {name}", wanted=wanted, span=(score.low, score.high), truth=truth)
    right = (units["true"] == units["predicted"]).to_numpy()
    span = share_interval(float(right.mean()), units["subject"].to_list())
    share = _mean(metric_values(r.counts, "accuracy") for r in reached)
    yield Row(what=f"share answered right (Wilson) {name}", wanted=wanted, span=span, truth=share)


def _middle_bin(own: Found, new: People, reached: list[Reached]) -> Iterator[Row]:
    """Yields the share right in the middle bin of the calibration; what it should hold is that of these very models."""
    found = calibration(own.predictions)
    if found is None:
        return
    part = found.bins[len(found.bins) // 2]
    shares = np.concatenate([r.videos.reshape(-1, CLASSES) for r in reached])
    true = np.tile(np.repeat(new.labels, reached[0].videos.shape[1]), len(reached))
    inside = (shares.max(1) >= part.low) & (shares.max(1) <= part.high)
    if inside.sum() > 50:
        held = float((shares.argmax(1) == true)[inside].mean())
        yield Row(what=BIN, wanted=HELD, span=(part.right_low, part.right_high), truth=held, own=True)


def trained_table(studies: int, subjects: tuple[int, ...]) -> str:
    """Returns the Markdown table of the share of intervals that hold the truth, with and without signal."""
    table: dict[str, list[str]] = {}
    cells = [(n, signal) for n in subjects for signal in (0.0, SIGNAL)]
    for place, (n, signal) in enumerate(cells):
        new = draw_people(np.random.default_rng(99), NEW_PEOPLE, signal)
        found: dict[str, list[Row]] = defaultdict(list)
        for seed in range(studies):
            for row in one_study(seed, n, signal, new):
                found[row.what].append(row)
        for what, rows in found.items():
            cell = table.setdefault(what, [rows[0].wanted, *["–"] * len(cells)])
            cell[1 + place] = held(rows)
    heads = " | ".join(f"{n}, {'signal' if signal else 'no signal'}" for n, signal in cells)
    lines = [f"| coverage, cross-validated | wanted | {heads} |", f"|{'---|' * (2 + len(cells))}"]
    return "\n".join(lines + [f"| {what} | {' | '.join(row)} |" for what, row in table.items()])


def held(rows: list[Row]) -> str:
    """Returns the share in percent of the intervals that hold the mean truth, or their own where it is of one study's models."""
    mean = _mean(row.truth for row in rows)
    spans = [(row.span, row.truth if row.own else mean) for row in rows if row.span is not None]
    if not spans:
        return "–"
    return f"{100 * _mean(low <= truth <= high for (low, high), truth in spans):.1f}"
