"""Asks of the page's other intervals what they hold for cross-validated predictions; `experiments.inference` prints it.

Studies are those of experiments.simulated_studies. What an interval should hold is the same number on people of no
cohort, for the models of the study's own folds, averaged over all studies: what the procedure reaches on average.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from platform.splits import make_splits
from typing import Any

import numpy as np

from experiments.simulated_studies import (
    CLASSES,
    INNER,
    NEW_PEOPLE,
    SETTINGS,
    SIGNAL,
    Discriminant,
    Found,
    Nested,
    People,
    draw_people,
    nested,
    search,
)
from reports.numbers.calibration import calibration, share_interval
from reports.numbers.detail import Detail, detail
from reports.numbers.discrimination import operating_points, weighted_auroc, weighted_average_precision
from reports.numbers.statistics import confusion, level_scores, metric_values
from trainables.study.metrics import at_level
from trainables.study.records import Cohort

METRICS = ("macro_f1", "accuracy", "balanced_accuracy", "quadratic_kappa", "mean_absolute_error")
BIN = "share right in a bin of the calibration"
HELD, OPTIMISTIC = "92-97 %", "less: it was chosen by it"
Span = tuple[float, float] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """An interval of one study, and what its models reach on new people."""

    what: str
    wanted: str
    span: Span
    truth: float


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
            "recall": hits / true,
            "precision": hits / max(named, 1),
            "F1": 2 * hits / (true + named),
            "AUROC": float(weighted_auroc(self.whole[:, label], is_it, ones)[0]),
            "average precision": float(weighted_average_precision(self.whole[:, label], is_it, ones)[0]),
        }


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))


def one_study(seed: int, subjects: int, signal: float, new: People) -> Iterator[Row]:
    """Yields the intervals of one study."""
    rng = np.random.default_rng([seed, subjects, int(100 * signal), 7])
    people = draw_people(rng, subjects, signal)
    cohort = people.cohort()
    study = nested(people, cohort, seed, SETTINGS, new)
    reached = [Reached(models, new) for models in study.ensembles]
    said = detail(study.predictions, cohort, METRICS)
    yield from _scores(said, reached)
    yield from _first_class(said, reached)
    yield from _operating(study, cohort, reached)
    for name, settings, wanted in (
        ("of one configuration", SETTINGS[4:5], HELD),
        ("of the best of 8", SETTINGS, OPTIMISTIC),
    ):
        own = search(people, make_splits(cohort, folds=INNER, seed=seed), settings)
        yield from _selection(own, new, name, wanted)


def _scores(said: Detail, reached: list[Reached]) -> Iterator[Row]:
    for level in said.levels[:2]:
        for score in level.scores if level.level == "subject" else level.scores[:1]:
            counts = [r.counts if level.level == "subject" else r.video_counts for r in reached]
            if score.metric in METRICS[3:] or level.level == "video":
                yield Row(
                    what=f"nested {score.metric.replace('_', ' ')} per {level.level}",
                    wanted=HELD,
                    span=(score.low, score.high),
                    truth=_mean(metric_values(c, score.metric) for c in counts),
                )


def _first_class(said: Detail, reached: list[Reached]) -> Iterator[Row]:
    found, ranked = said.classes[0], said.rankings[0]
    truths = [r.of_class(0) for r in reached]
    spans = {
        "recall": found.recall_interval,
        "precision": found.precision_interval,
        "F1": found.f1_interval,
        "AUROC": ranked.auroc_interval,
        "average precision": ranked.average_precision_interval,
    }
    for name, span in spans.items():
        yield Row(what=f"nested {name} of a class", wanted=HELD, span=span, truth=_mean(t[name] for t in truths))


def _operating(study: Nested, cohort: Cohort, reached: list[Reached]) -> Iterator[Row]:
    folds = study.predictions["fold"].unique().sort().to_list()
    scored = [study.predictions.filter(fold=fold) for fold in folds]
    point = operating_points(scored, list(study.inner), cohort.classes, "subject")[0]
    tables = [
        confusion((r.true != 0).astype(int), (r.whole[:, 0] < at).astype(int), 2)
        for r, at in zip(reached, point.thresholds, strict=True)
    ]
    for name, span, along in (
        ("sensitivity", point.sensitivity_interval, 1),
        ("specificity", point.specificity_interval, 1),
        ("PPV", point.ppv_interval, 0),
        ("NPV", point.npv_interval, 0),
    ):
        place = 0 if name in ("sensitivity", "PPV") else 1
        truth = _mean(t[place, place] / max(t.sum(along)[place], 1) for t in tables)
        yield Row(what=f"nested {name} of a class", wanted=HELD, span=span, truth=truth)


def _selection(own: Found, new: People, name: str, wanted: str) -> Iterator[Row]:
    units = at_level(own.predictions, "subject")
    reached = [Reached((model,), new) for model in own.models]
    score = level_scores(own.predictions, "subject", CLASSES, METRICS[:1]).scores[0]
    truth = _mean(metric_values(r.counts, "macro_f1") for r in reached)
    yield Row(what=f"selection score {name}", wanted=wanted, span=(score.low, score.high), truth=truth)
    span = share_interval(float((units["true"] == units["predicted"]).mean()), units["subject"].to_list())  # type: ignore[arg-type]
    right = _mean(metric_values(r.counts, "accuracy") for r in reached)
    yield Row(what=f"share answered right {name} (Wilson)", wanted=wanted, span=span, truth=right)
    if wanted == HELD:
        yield from _middle_bin(own, new, reached)


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
        yield Row(what=BIN, wanted=HELD, span=(part.right_low, part.right_high), truth=held)


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
    own = rows[0].what == BIN
    spans = [(row.span, row.truth if own else mean) for row in rows if row.span is not None]
    if not spans:
        return "–"
    return f"{100 * _mean(low <= truth <= high for (low, high), truth in spans):.1f}"
