"""Asks of the report's own numbers: do the intervals hold the truth, do the tests keep their level, does 'above chance' mean it?

    python -m experiments.inference                          300 studies a cell, about five minutes on one core
    python -m experiments.inference --studies 50 --subjects 24
    python -m experiments.inference --only answers           the further numbers, on simulated answers
    python -m experiments.inference --only trained           the other intervals of cross-validated predictions

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
from platform.permuted_labels import exchanged
from platform.splits import make_splits
from typing import Any

import numpy as np
import polars as pl

from experiments.simulated_answers import answers_table
from experiments.simulated_studies import (
    CLASSES,
    INNER,
    NEW_PEOPLE,
    OUTER,
    SETTINGS,
    SIGNAL,
    Nested,
    People,
    draw_people,
    nested,
    search,
)
from experiments.trained_intervals import trained_table
from reports.numbers.comparisons import Comparison, compare, paired_difference
from reports.numbers.null import above_chance, permutation_null
from reports.numbers.statistics import Score, level_scores, metric_values, subject_matrices
from trainables.study.metrics import at_level
from trainables.study.records import Cohort, Splits

METRICS = ("macro_f1", "balanced_accuracy", "accuracy")
METRIC = "subject/macro_f1"
PERMUTATIONS = 19


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
    chosen = pl.concat([at_level(p, "subject") for p in study.inner])
    inner, alone = (subject_matrices(units, CLASSES) for units in (chosen, pl.concat(parts)))
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
    """Prints three Markdown tables."""
    parser = argparse.ArgumentParser(
        description="Prints coverage, type I error and what the page says, on studies of known truth."
    )
    parser.add_argument("--studies", type=int, default=300, help="synthetic studies per cell (300)")
    parser.add_argument("--subjects", type=int, nargs="+", default=(24, 60), help="of a cohort (24 60)")
    parser.add_argument("--null-every", type=int, default=4, help="permuted searches for one study in this many (4)")
    parser.add_argument(
        "--only", choices=("studies", "answers", "trained"), help="one of the three tables (default: all)"
    )
    given = parser.parse_args(arguments)
    if given.studies < 2 or min(given.subjects) < 12 or given.null_every < 1:
        parser.error("--studies must be at least 2, --subjects at least 12 and --null-every at least 1")
    started = time.monotonic()
    subjects = tuple(given.subjects)
    if given.only in (None, "answers"):
        print(answers_table(given.studies, subjects), end="\n\n")
    if given.only in (None, "trained"):
        print(trained_table(given.studies, subjects), end="\n\n")
    if given.only in (None, "studies"):
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
