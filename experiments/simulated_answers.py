"""Asks of the page's further numbers what they are worth, on simulated answers whose truth is known; `experiments.inference` prints it.

A cohort's subjects have two videos each and an answer of a fixed model for each video: logits with a habit of the
subject, noise of the video, and a signal for the true class. What an interval should hold is the same number on POPULATION
people. No model is trained, so intervals that allow for shared training are expected to hold the truth more often.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from reports.numbers.comparisons import compare
from reports.numbers.decision_curve import THRESHOLDS, net_benefit
from reports.numbers.discrimination import operating_points, rankings, weighted_auroc, weighted_average_precision
from reports.numbers.learning import LearningCurve, LearningScore
from reports.numbers.own_videos import own_videos
from reports.numbers.prediction_sets import cross_fitted
from reports.numbers.raters import MODEL_FIRST, RATERS, kappas, raters
from reports.numbers.statistics import confusion, level_scores
from reports.numbers.subgroups import gap_test
from trainables.study.metrics import at_level
from trainables.study.prediction_sets import set_rule
from trainables.study.records import SECOND_RATING, Cohort

Array = np.ndarray[Any, np.dtype[Any]]
CLASSES, VIDEOS, FOLDS = 3, 2, 3
LABELS = ("a", "b", "c")
POPULATION = 4000
SIGNAL = 1.5
"""What the true class's logit has more than the others', in standard deviations of a subject's habit."""
COVERAGE = 0.9
AGREES = 0.7
"""Chance that the second rater gives the label; else one of all classes is drawn."""
HELD, LEVEL, SAID = "92-97 %", "at most 6 %", "not tested"
Found = dict[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Labels [S], probabilities of each video [S, videos, C], and a second rating [S]."""

    true: Array
    shares: Array
    second: Array

    @classmethod
    def drawn(cls, rng: np.random.Generator, subjects: int, signal: float) -> "Answers":
        """Returns subjects of classes in turn, with answers of one fixed model."""
        true = np.arange(subjects) % CLASSES
        logits = signal * np.eye(CLASSES)[true] + rng.normal(size=(subjects, CLASSES))
        powers = np.exp(logits[:, None] + 0.6 * rng.normal(size=(subjects, VIDEOS, CLASSES)))
        second = np.where(rng.random(subjects) < AGREES, true, rng.integers(0, CLASSES, subjects))
        return cls(true=true, shares=powers / powers.sum(-1, keepdims=True), second=second)

    def predictions(self) -> pl.DataFrame:
        """Returns them as FoldResult.predictions, each fold with as many of each class as can be."""
        place = np.repeat(np.arange(len(self.true)), VIDEOS)
        video = np.tile(np.arange(VIDEOS), len(self.true))
        return pl.DataFrame(
            {
                "fold": place // CLASSES % FOLDS,
                "subject": [f"P{i:04}" for i in place],
                "video": [f"P{i:04}/{v}" for i, v in zip(place, video, strict=True)],
                "window": np.zeros(len(place), dtype=np.int64),
                "true": self.true[place],
                "probabilities": self.shares.reshape(-1, CLASSES).tolist(),
            }
        )

    def cohort(self) -> Cohort:
        """Returns the cohort that they are of."""
        videos = self.predictions().select("subject", "video", label="true")
        videos = videos.with_columns(pl.Series(SECOND_RATING, np.repeat(self.second, VIDEOS)))
        return Cohort(name="answers", simulated=True, label="label", classes=LABELS, parameters=(), videos=videos)

    def whole(self) -> Array:
        """Returns the probabilities of each subject [S, C]."""
        return np.asarray(self.shares.mean(1))


def one_cohort(
    rng: np.random.Generator, subjects: int, signal: float, people: Answers
) -> Iterator[tuple[str, str, float]]:
    """Yields (what, what it should be, whether it holds or its share) of one cohort; the truth is that of `people`."""
    answers = Answers.drawn(rng, subjects, signal)
    predictions, cohort = answers.predictions(), answers.cohort()
    yield from _rankings(predictions, people)
    yield from _operating_points(predictions, people)
    yield from _sets(predictions, cohort, people)
    yield from _agreements(predictions, cohort, people)
    own = own_videos(predictions)
    assert own is not None
    alike = float((people.shares.argmax(-1)[:, 0] == people.shares.argmax(-1)[:, 1]).mean())
    yield "coverage: agreement of a subject's own videos", HELD, own.low <= alike <= own.high
    places = rng.permutation(subjects) % 2
    named = pl.DataFrame({"subject": [f"P{i:04}" for i in range(subjects)], "group": places})
    parts = {str(g): predictions.join(named.filter(group=g), on="subject", how="semi") for g in (0, 1)}
    yield "type I: gap between subgroups", LEVEL, gap_test(parts, CLASSES, within=False)[1] <= 0.05
    right = float(np.mean([(people.whole().argmax(1) == people.true)[people.true == c].mean() for c in range(CLASSES)]))
    score = level_scores(parts["0"], "subject", CLASSES, ("balanced_accuracy",)).scores[0]
    yield "coverage: balanced accuracy of a subgroup", HELD, score.low <= right <= score.high
    yield "type I: learning curve read as rising, risen or falling", LEVEL, _curve(rng, answers, signal) != "undecided"
    limits = np.array(THRESHOLDS)
    is_it, share = answers.true == 0, answers.whole()[:, 0]
    most = np.maximum(net_benefit(is_it, np.ones(len(is_it)), limits), 0)
    yield (
        "decision curve above both at some threshold",
        SAID,
        bool((net_benefit(is_it, share, limits) > most + 1e-12).any()),
    )


def _rankings(predictions: pl.DataFrame, people: Answers) -> Iterator[tuple[str, str, float]]:
    whole, ones = people.whole(), np.ones((1, len(people.true)))
    found = {r.label: r for r in rankings(predictions, LABELS, "subject")}
    for name, function, attribute in (
        ("AUROC", weighted_auroc, "auroc_interval"),
        ("average precision", weighted_average_precision, "average_precision_interval"),
    ):
        truths = [float(function(whole[:, c], people.true == c, ones)[0]) for c in range(CLASSES)]
        for label, truth in (("a", truths[0]), ("mean", float(np.mean(truths)))):
            low, high = getattr(found[label], attribute)
            yield (
                f"coverage: {name}, {'mean of the classes' if label == 'mean' else 'one class'}",
                HELD,
                low <= truth <= high,
            )


def _operating_points(predictions: pl.DataFrame, people: Answers) -> Iterator[tuple[str, str, float]]:
    folds = [predictions.filter(fold=f) for f in range(FOLDS)]
    others = [predictions.filter(pl.col("fold") != f) for f in range(FOLDS)]
    point = operating_points(folds, others, LABELS, "subject")[0]
    is_it, share = people.true == 0, people.whole()[:, 0]
    above = np.stack([share >= t for t in point.thresholds])
    for name, truth, span in (
        ("sensitivity", above[:, is_it].mean(), point.sensitivity_interval),
        ("specificity", 1 - above[:, ~is_it].mean(), point.specificity_interval),
    ):
        yield (
            f"coverage: {name} at the threshold of other folds",
            HELD,
            span is not None and span[0] <= truth <= span[1],
        )


def _sets(predictions: pl.DataFrame, cohort: Cohort, people: Answers) -> Iterator[tuple[str, str, float]]:
    units = at_level(predictions, "subject")
    rule = set_rule(units, "subject", CLASSES, COVERAGE, by_class=False)
    assert rule is not None
    held = rule.members(people.whole())[np.arange(len(people.true)), people.true]
    yield "share of new people whose prediction set holds their class", "90 % or a little more", float(held.mean())
    low, high = cross_fitted(predictions, "subject", cohort, COVERAGE, by_class=False).held_interval
    yield "coverage: share of people whose set holds the class", HELD, low <= float(held.mean()) <= high


def _agreements(predictions: pl.DataFrame, cohort: Cohort, people: Answers) -> Iterator[tuple[str, str, float]]:
    found = raters(predictions, cohort, ordinal=False)
    assert found is not None
    answer = people.whole().argmax(1)
    truths = {
        RATERS: float(kappas(confusion(people.true, people.second, CLASSES), weighted=False)),
        MODEL_FIRST: float(kappas(confusion(people.true, answer, CLASSES), weighted=False)),
    }
    for one in found.agreements[:2]:
        yield f"coverage: kappa of {one.between}", HELD, one.low <= truths[one.between] <= one.high
    gap = truths[MODEL_FIRST] - truths[RATERS]
    yield "coverage: kappa of the model less that of the raters", HELD, found.gap_low <= gap <= found.gap_high


def _curve(rng: np.random.Generator, answers: Answers, signal: float) -> str:
    """Returns how a learning curve is read where fewer training subjects gave answers that are as good."""
    scored = {str(share): Answers.drawn(rng, len(answers.true), signal).predictions() for share in (40, 60, 80)}
    whole = answers.predictions()
    gains = {c.other: c for c in compare(whole, scored, "subject/macro_f1", CLASSES)}
    score = level_scores(whole, "subject", CLASSES, ("macro_f1",)).scores[0]
    points = [LearningScore(share=s, subjects=s, score=score, gain=gains.get(str(s))) for s in (40, 60, 80, 100)]
    return LearningCurve(metric="macro_f1", level="subject", points=tuple(points), problems=(), steps=0).reading


def answers_table(cohorts: int, subjects: tuple[int, ...]) -> str:
    """Returns the Markdown table of what holds in how many of `cohorts` cohorts, with and without signal."""
    table: dict[str, list[str]] = {}
    cells = [(n, signal) for n in subjects for signal in (0.0, SIGNAL)]
    for n, signal in cells:
        people = Answers.drawn(np.random.default_rng(99), POPULATION, signal)
        found: Found = defaultdict(list)
        for seed in range(cohorts):
            for what, wanted, holds in one_cohort(np.random.default_rng([seed, n]), n, signal, people):
                table.setdefault(what, [wanted])
                found[what].append(float(holds))
        for what, values in found.items():
            table[what].append(f"{100 * np.mean(values):.1f}")
    heads = " | ".join(f"{n}, {'signal' if signal else 'no signal'}" for n, signal in cells)
    lines = [f"| simulated answers | wanted | {heads} |", f"|{'---|' * (2 + len(cells))}"]
    return "\n".join(lines + [f"| {what} | {' | '.join(row)} |" for what, row in table.items()])
