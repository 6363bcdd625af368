"""Prints what stopping trials between folds saves and costs, on a simulated search whose truth is known.

    python benchmarks/pruning.py                           random search, 200 seeds
    python benchmarks/pruning.py --sampler tpe --seeds 50

A trial has two settings. One has an optimum inside its range. The other is how long to train: longer makes the model
surer, and a little worse; it is there to be hard on a rule that looks at probabilities only.

A subject's margin is the configuration's quality plus the subject's ease, the fold's ease
(fold 0 is easy), the luck of this training and noise; the sigmoid of sharpness times margin is the probability of the
true class, and a margin above 0 is a right decision. The metric is macro F1 over subjects, the truth the expected
accuracy on such subjects. Luck and noise belong to the seed and the trial's number: every rule sees the same ones.

Rules: `platform.pruning` at several p; its test on probabilities without its condition on the metric; and the median
rule on the running mean of folds, its stopped trials reported as PRUNED, or as complete with that mean, as Ray Tune's
OptunaSearch tells them.
"""

import argparse
import math
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from platform.pruning import PairedPruner

import numpy as np
import optuna
from optuna.trial import TrialState

from trainables.study.leaderboard import TrialRecord, best

TRIALS = 20
SUBJECT, LUCK, NOISE = 1.2, 0.2, 0.5
"""Standard deviations of a margin: between subjects, between trainings of one fold, and what is left."""
EASY = 1.0
"""Margin that fold 0 has over the others."""


@dataclass(frozen=True)
class Cohort:
    """Simulated subjects; arrays are [S] but for `ease_of_fold` [K]."""

    seed: int
    fold: np.ndarray
    true: np.ndarray
    """Class 0 or 1, both in every fold."""
    ease: np.ndarray
    ease_of_fold: np.ndarray

    @classmethod
    def draw(cls, seed: int, folds: int, subjects: int) -> "Cohort":
        order = np.arange(subjects)
        ease_of_fold = np.where(np.arange(folds) == 0, EASY, 0.0)
        ease = np.random.default_rng(seed).normal(0, SUBJECT, subjects)
        return cls(seed, order % folds, order // folds % 2, ease, ease_of_fold - ease_of_fold.mean())

    def truth(self, quality: float) -> float:
        """Returns the expected accuracy of a configuration over subjects, trainings and folds, 0 to 1."""
        spread = math.hypot(SUBJECT, LUCK, NOISE)
        return float(np.mean([0.5 + 0.5 * math.erf((quality + e) / spread / 2**0.5) for e in self.ease_of_fold]))

    def run(self, number: int, quality: float, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
        """Returns a trial's probability of the true class and whether the decision is right, both [S]."""
        rng = np.random.default_rng([self.seed, number])
        luck = rng.normal(0, LUCK, len(self.ease_of_fold))
        margin = quality + self.ease + (self.ease_of_fold + luck)[self.fold] + rng.normal(0, NOISE, len(self.ease))
        return 1 / (1 + np.exp(-sharpness * margin)), margin > 0


@dataclass(frozen=True)
class Found:
    """What a search ended with."""

    folds: int
    """Folds run."""
    truth: float
    """Expected accuracy of the chosen trial, 0 to 1."""
    whole: bool
    """Whether the chosen trial ran every fold."""


def macro_f1(true: np.ndarray, right: np.ndarray) -> float:
    """Returns macro F1 of two classes; a class neither present nor predicted counts 0, as in `trainables.study.metrics`."""
    predicted = np.where(right, true, 1 - true)
    hits = [np.sum((true == c) & right) for c in (0, 1)]
    return float(np.mean([2 * h / max(1, np.sum(true == c) + np.sum(predicted == c)) for c, h in enumerate(hits)]))


class Paired:
    """`platform.pruning`; with `metric=False` every trial is told to be behind, so that probabilities alone decide."""

    told_complete = False

    def __init__(self, p: float, metric: bool = True):
        self.pruner, self.metric = PairedPruner(p=p), metric

    def stop(self, trial: optuna.Trial, cohort: Cohort, folds: int, probability: np.ndarray, right: np.ndarray) -> bool:
        seen = cohort.fold < folds
        scores = {f"P{s:02}": probability[s] for s in np.flatnonzero(seen)}
        value = macro_f1(cohort.true[seen], right[seen]) if self.metric else -trial.number
        self.pruner.report(trial, folds, scores, value)
        return self.pruner.should_prune(trial, len(cohort.ease_of_fold))


class Median:
    """Optuna's median rule on the mean of the folds' macro F1 so far."""

    def __init__(self, told_complete: bool):
        self.told_complete = told_complete

    def stop(self, trial: optuna.Trial, cohort: Cohort, folds: int, probability: np.ndarray, right: np.ndarray) -> bool:
        trial.report(running_mean(cohort, folds, right), folds - 1)
        return folds < len(cohort.ease_of_fold) and trial.should_prune()


def running_mean(cohort: Cohort, folds: int, right: np.ndarray) -> float:
    """Returns the mean of macro F1 of each of the first folds."""
    each = [cohort.fold == k for k in range(folds)]
    return float(np.mean([macro_f1(cohort.true[fold], right[fold]) for fold in each]))


def search(rule: Paired | Median, cohort: Cohort, sampler: optuna.samplers.BaseSampler) -> Found:
    """Runs a search under one rule, and returns its cost and the truth of what the leaderboard chooses."""
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=optuna.pruners.MedianPruner())
    total, truths, counts, records = len(cohort.ease_of_fold), [], [], []
    for number in range(TRIALS):
        trial = study.ask()
        quality, sharpness = configuration(trial)
        probability, right = cohort.run(number, quality, sharpness)
        truths.append(cohort.truth(quality))
        folds = next((k for k in range(1, total + 1) if rule.stop(trial, cohort, k, probability, right)), total)
        counts.append(folds)
        value, loss = macro_f1(cohort.true, right), -float(np.log(np.maximum(probability, 1e-12)).mean())
        if folds < total and not rule.told_complete:
            study.tell(trial, state=TrialState.PRUNED)
            records.append(TrialRecord(number=number, state="PRUNED", folds=("",) * folds))
            continue
        if folds < total:
            value = running_mean(cohort, folds, right)
        trial.set_user_attr("log_loss", loss)
        study.tell(trial, value)
        records.append(TrialRecord(number=number, state="COMPLETE", value=value, log_loss=loss, folds=("",) * total))
    chosen = best(tuple(records), total)
    assert chosen is not None  # the first trial is always complete
    return Found(sum(counts), truths[chosen.number], counts[chosen.number] == total)


def configuration(trial: optuna.Trial) -> tuple[float, float]:
    """Returns quality (mean margin, 1 at the best) and sharpness (0.5 to 2) of the trial's two settings."""
    rate, length = trial.suggest_float("rate", 0, 1), trial.suggest_float("length", 0, 1)
    return 1.0 - 2.0 * (rate - 0.6) ** 2 - 0.6 * length**2, 2.0 ** (2 * length - 1)


RULES: dict[str, Callable[[], Paired | Median]] = {
    "no pruning (p = 0)": lambda: Paired(0),
    "paired, p = 0.05": lambda: Paired(0.05),
    "paired, p = 0.1": lambda: Paired(0.1),
    "paired, p = 0.2": lambda: Paired(0.2),
    "p = 0.1, probabilities alone": lambda: Paired(0.1, metric=False),
    "median of running means": lambda: Median(told_complete=False),
    "the same, reported as complete": lambda: Median(told_complete=True),
}


def make_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """Returns 'random' or 'tpe', the latter as the search uses it."""
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=6)


def rows(folds: int, subjects: int, seeds: int, sampler: str) -> list[str]:
    """Returns the table's rows of one design; `+-` is the standard error of the difference over seeds."""
    cohorts = [Cohort.draw(seed, folds, subjects) for seed in range(seeds)]
    found = {name: [search(rule(), c, make_sampler(sampler, c.seed)) for c in cohorts] for name, rule in RULES.items()}
    optimum = cohorts[0].truth(1.0)
    off = np.array([f.truth for f in found["no pruning (p = 0)"]])
    lines = []
    for name, ends in found.items():
        truth = np.array([f.truth for f in ends])
        run = sum(f.folds for f in ends) / (seeds * TRIALS * folds)
        error = 100 * (off - truth).std(ddof=1) / seeds**0.5
        lines.append(
            f"| {folds} x {subjects} | {name} | {run:.0%} ({1 - run:.0%}) | {np.sum(truth == off)} of {seeds} | "
            f"{sum(not f.whole for f in ends)} | {100 * (optimum - truth.mean()):.2f} | "
            f"{100 * (off - truth).mean():+.2f} +- {error:.2f} |"
        )
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Prints one Markdown table."""
    parser = argparse.ArgumentParser(description="Prints what stopping trials between folds saves and costs.")
    parser.add_argument("--seeds", type=int, default=200, help="simulated searches per row, at least 2 (200)")
    parser.add_argument("--sampler", choices=("random", "tpe"), default="random", help="what proposes trials (random)")
    given = parser.parse_args(arguments)
    if given.seeds < 2:
        parser.error(f"--seeds {given.seeds}, but a standard error needs at least 2")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    print(f"{TRIALS} trials of a {given.sampler} search, {given.seeds} seeds; regret in points of expected accuracy.\n")
    print(
        "| folds x subjects | rule | folds run (saved) | same choice | unfinished chosen | regret | more than without |"
    )
    print("|---|---|---|---|---|---|---|")
    for folds, subjects in ((5, 30), (3, 24)):
        for line in rows(folds, subjects, given.seeds, given.sampler):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
