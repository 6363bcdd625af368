"""Asks of the report's own numbers: do the intervals hold the truth, do the tests keep their level, does 'above chance' mean it?

    python -m experiments.inference                          300 studies a cell, about five minutes on one core
    python -m experiments.inference --studies 50 --subjects 24
    python -m experiments.inference --only answers           the further numbers, on simulated answers

A study is a synthetic cohort (three classes, two videos a subject, features with a subject's own deviation), searched
by nested cross-validation of 3 x 3 of the project's own folds; what is trained is a discriminant analysis with chosen
features and shrinkage, so that thousands of searches take minutes. Everything that is counted is computed by the functions
that make the page. Without signal the features know nothing of the class.

The truth of a nested score is what the same procedure reaches on average on people who were never in a cohort: the
score of the mean confusion matrix of all studies' outer models on 1500 of them.
"""

import argparse
import dataclasses
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from platform.permuted_labels import exchanged
from platform.splits import make_splits
from typing import Any

import numpy as np
import polars as pl

from experiments.simulated_answers import answers_table
from reports.numbers.comparisons import Comparison, compare, paired_difference
from reports.numbers.null import above_chance, permutation_null
from reports.numbers.statistics import Score, confusion, level_scores, metric_values, subject_matrices
from trainables.study.metrics import at_level
from trainables.study.records import Cohort, Splits

Array = np.ndarray[Any, np.dtype[Any]]
CLASSES, FEATURES, VIDEOS = 3, 8, 2
OUTER, INNER = 3, 3
SIGNAL = 1.5
"""How far a class's mean lies from the others', in standard deviations between subjects."""
SETTINGS = tuple((kept, shrinkage) for kept in (2, 4, 8) for shrinkage in (0.1, 0.5, 0.9))[:8]
METRICS = ("macro_f1", "balanced_accuracy", "accuracy")
METRIC = "subject/macro_f1"
PERMUTATIONS = 19
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
    inner: pl.DataFrame
    """The held-out predictions of each choice's inner folds."""
    new_people: Array
    """Mean confusion matrix [C, C] of the outer models on people of no cohort."""


def nested(people: People, cohort: Cohort, seed: int, settings: tuple[tuple[int, float], ...], new: People) -> Nested:
    """Returns nested cross-validation: the search without each outer fold, and its ensemble on those subjects."""
    outer = make_splits(cohort, folds=OUTER, seed=seed)
    whole, alone, inner = [], [], []
    counts = np.zeros((CLASSES, CLASSES))
    for fold in outer.folds:
        part = dataclasses.replace(cohort, videos=cohort.videos.filter(pl.col("subject").is_in(list(fold.train))))
        best = search(people, make_splits(part, folds=INNER, seed=seed), settings)
        test = np.array([int(s[1:]) for s in fold.test])
        shares = np.stack([m.probabilities(people.features[test]) for m in best.models])
        whole.append(predictions(people, test, shares.mean(0), fold.index))
        alone += [predictions(people, test, s, fold.index).with_columns(model=pl.lit(i)) for i, s in enumerate(shares)]
        inner.append(at_level(best.predictions, "subject"))
        fresh = np.mean([m.probabilities(new.features) for m in best.models], 0).mean(1).argmax(1)
        counts += confusion(new.labels, fresh, CLASSES) / OUTER
    return Nested(predictions=pl.concat(whole), alone=pl.concat(alone), inner=pl.concat(inner), new_people=counts)


Counts = dict[str, list[Any]]


def one_study(seed: int, subjects: int, signal: float, new: People, null: bool) -> Counts:
    """Returns what the page says of one study, by what it is."""
    rng = np.random.default_rng([seed, subjects, int(100 * signal)])
    people = draw_people(rng, subjects, signal)
    cohort = people.cohort()
    said: Counts = defaultdict(list)
    study = nested(people, cohort, seed, SETTINGS, new)
    scores = level_scores(study.predictions, "subject", CLASSES, METRICS).scores
    for found in scores:
        said[f"interval {found.metric}"].append(found)
    said["new people"].append(study.new_people)
    said["nested"].append(above_chance(scores[0], None, scores[0], len(SETTINGS)))
    said["optimism"].append(_optimism(study))
    plain = nested(people, cohort, seed, SETTINGS[4:5], new)
    said["optimism without a search"].append(_optimism(plain))

    own = search(people, make_splits(cohort, folds=INNER, seed=seed), SETTINGS)
    selected = level_scores(own.predictions, "subject", CLASSES, METRICS[:1]).scores[0]
    said["selected"].append(above_chance(None, None, selected, len(SETTINGS)))
    said["selected, interval alone"].append(selected.low > selected.chance)
    if null:
        values = tuple(_permuted(people, cohort, seed, n) for n in range(PERMUTATIONS))
        tested = permutation_null(own.score, values, {"trials": len(SETTINGS)})
        assert tested is not None
        said["null p"].append(tested.p_value)
        said["null"].append(above_chance(None, tested, selected, len(SETTINGS)))
    for name, comparison in _comparisons(people, cohort, seed, rng, study):
        said[name].append(comparison)
    return said


def _permuted(people: People, cohort: Cohort, seed: int, number: int) -> float:
    changed = exchanged(cohort, 1_000_003 * (number + 1) + seed, by_fold=False)
    folds = make_splits(changed, folds=INNER, seed=seed)
    return search(people.relabelled(changed), folds, SETTINGS).score


def _optimism(study: Nested) -> tuple[float, float, float]:
    """Returns optimism with its interval, as reports.numbers.nested computes it from a study folder."""
    parts = [
        at_level(p.drop("model"), "subject") for _, p in study.alone.group_by("fold", "model", maintain_order=True)
    ]
    inner, alone = (subject_matrices(units, CLASSES) for units in (study.inner, pl.concat(parts)))
    return paired_difference(inner / inner.sum() * len(inner), alone / alone.sum() * len(inner), "macro_f1")


def _comparisons(
    people: People, cohort: Cohort, seed: int, rng: np.random.Generator, study: Nested
) -> Iterator[tuple[str, Comparison]]:
    """Yields pairs without a difference: two methods that are equally good, and two fixed sets of equally good answers.

    The methods see features of their own, drawn alike, so neither is better in the population; each is trained here. The
    fixed answers are right for every subject with the same chance, whoever gives them.
    """
    twin = dataclasses.replace(people, features=people.features[:, ::-1] + 0.6 * rng.normal(size=people.features.shape))
    other = dataclasses.replace(people, features=people.features + 0.6 * rng.normal(size=people.features.shape))
    folds = make_splits(cohort, folds=OUTER, seed=seed, repeats=5)
    ours, theirs = (search(p, folds, SETTINGS[4:5]).predictions for p in (twin, other))
    yield "methods", compare(ours, {"other": theirs}, METRIC, CLASSES)[0]
    once = folds.folds[:OUTER]
    short = Splits(method="once", folds=once)
    ours, theirs = (search(p, short, SETTINGS[4:5]).predictions for p in (twin, other))
    yield "methods, folds once", compare(ours, {"other": theirs}, METRIC, CLASSES)[0]
    fixed = [_fixed_answers(people, rng, study.predictions) for _ in range(2)]
    yield "trained models", compare(fixed[0], {"other": fixed[1]}, METRIC, CLASSES)[0]


def _fixed_answers(people: People, rng: np.random.Generator, like: pl.DataFrame) -> pl.DataFrame:
    """Returns answers on the folds of `like` that are right with chance 0.6 for each subject."""
    right = rng.random(len(people.labels)) < 0.6
    shift = np.where(right, 0, rng.integers(1, CLASSES, len(right)))
    answers = (people.labels + shift) % CLASSES
    places = np.array([int(s[1:]) for s in like["subject"]])
    shares = 0.1 + 0.7 * np.eye(CLASSES)[answers[places]]
    return like.with_columns(probabilities=pl.Series(shares.tolist()))


def rows(studies: list[Counts], signal: float) -> Iterator[tuple[str, float, str]]:
    """Yields (what, share of studies, what it should be) of one cell of the table."""
    all_of: Counts = defaultdict(list)
    for study in studies:
        for name, values in study.items():
            all_of[name] += values
    truth = np.mean(all_of["new people"], 0)
    for metric in METRICS:
        value = float(metric_values(truth, metric))
        scores: list[Score] = all_of[f"interval {metric}"]
        yield (
            f"coverage of the nested {metric.replace('_', ' ')}",
            _mean(s.low <= value <= s.high for s in scores),
            "92-97 %",
        )
    spans = all_of["optimism without a search"]
    yield "coverage of optimism 0, no search", _mean(low <= 0 <= high for _, low, high in spans), "92-97 %"
    for name in ("methods", "methods, folds once"):
        pairs: list[Comparison] = all_of[name]
        tested = [c.folds_p_value for c in pairs if c.folds_p_value is not None]
        yield f"type I, {name}: resampled t-test", _mean(p <= 0.05 for p in tested), "at most 6 %"
        yield f"type I, {name}: swapped answers", _mean(c.p_value <= 0.05 for c in pairs), "not its question"
        yield f"coverage, {name}: interval of the t-test", _mean(c.folds_low is None or c.folds_low <= 0 <= (c.folds_high or 0.0) for c in pairs), "92-97 %"  # fmt: skip
    fixed: list[Comparison] = all_of["trained models"]
    yield "type I, fixed answers: swapped answers", _mean(c.p_value <= 0.05 for c in fixed), "at most 6 %"
    yield "coverage, fixed answers: interval of the difference", _mean(c.low <= 0 <= c.high for c in fixed), "92-97 %"
    wanted = "much" if signal else "at most 6 %"
    if all_of["null p"]:
        yield f"null p <= .05 ({PERMUTATIONS} permutations)", _mean(p <= 0.05 for p in all_of["null p"]), wanted
        yield "'above chance' by the null", _mean(said is True for said in all_of["null"]), wanted
    yield "'above chance' by the nested interval", _mean(said is True for said in all_of["nested"]), wanted
    yield (
        "'above chance' of the best of 8 alone",
        _mean(said is True for said in all_of["selected"]),
        "0 %: not decided",
    )
    yield "(its own interval lies above chance)", _mean(all_of["selected, interval alone"]), "not said"


def _mean(values: Any) -> float:
    found = list(values)
    return float(np.mean(found)) if found else float("nan")


def main(arguments: list[str] | None = None) -> int:
    """Prints two Markdown tables."""
    parser = argparse.ArgumentParser(
        description="Prints coverage, type I error and what the page says, on studies of known truth."
    )
    parser.add_argument("--studies", type=int, default=300, help="synthetic studies per cell (300)")
    parser.add_argument("--subjects", type=int, nargs="+", default=(24, 60), help="of a cohort (24 60)")
    parser.add_argument("--null-every", type=int, default=4, help="permuted searches for one study in this many (4)")
    parser.add_argument("--only", choices=("studies", "answers"), help="one of the two tables (default: both)")
    given = parser.parse_args(arguments)
    if given.studies < 2 or min(given.subjects) < 12 or given.null_every < 1:
        parser.error("--studies must be at least 2, --subjects at least 12 and --null-every at least 1")
    started = time.monotonic()
    if given.only != "studies":
        print(answers_table(given.studies, tuple(given.subjects)), end="\n\n")
    if given.only != "answers":
        _print_studies(given)
    print(f"\n{time.monotonic() - started:.0f} seconds.")
    return 0


def _print_studies(given: argparse.Namespace) -> None:
    """Prints the table of studies in which models are trained."""
    table: dict[str, list[str]] = {}
    cells = [(n, signal) for n in given.subjects for signal in (0.0, SIGNAL)]
    for subjects, signal in cells:
        new = draw_people(np.random.default_rng(99), NEW_PEOPLE, signal)
        found = [one_study(s, subjects, signal, new, s % given.null_every == 0) for s in range(given.studies)]
        for what, share, wanted in rows(found, signal):
            table.setdefault(what, [""]).append(f"{100 * share:.1f}")
            table[what][0] = wanted if not table[what][0] or wanted != "much" else table[what][0]
    noise = 196 * (0.95 * 0.05 / given.studies) ** 0.5
    print(f"{given.studies} studies a cell: at 95 % the noise of counting is +- {noise:.1f}. Shares of studies in %.\n")
    heads = " | ".join(f"{n}, {'signal' if signal else 'no signal'}" for n, signal in cells)
    print(f"| what | wanted | {heads} |\n|{'---|' * (2 + len(cells))}")
    for what, (wanted, *shares) in table.items():
        print(f"| {what} | {wanted} | {' | '.join(shares)} |")


if __name__ == "__main__":
    sys.exit(main())
