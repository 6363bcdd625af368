"""Prints what racing trials side by side over folds saves and costs, on the simulated search of benchmarks/pruning.py.

    python benchmarks/racing.py                    200 seeds

The same trials, cohorts and truths as there, drawn at random. A race needs its trials at once, so no sampler can learn from one
for the next. Rules, all on the subjects that every trial in the race has scored:
- halving: after each fold a share of the trials goes on, those with the best macro F1, then the lowest log loss; two at least.
- race: after each fold a trial leaves that is behind the leader in macro F1 and by a paired t-test on the subjects' probabilities
  of the true class, as irace tests over instances.
- intensification, as in SMAC: one trial after the other; a challenger leaves as soon as it is behind the incumbent in macro F1.
- a cheaper first fidelity: all trials train fold 0 with a quarter of the steps, which costs a quarter of a fold; half of them go on
  and are halved. How well a short training foretells a long one is assumed, not measured: SHORT is the standard deviation
  of what it adds to a trial's margin.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from scipy.stats import ttest_rel

from benchmarks.pruning import TRIALS, Cohort, Paired, configuration, macro_f1, make_sampler, search

SHORT = (0.2, 0.5)
"""Assumed, in the units of a margin: between subjects it is 1.2, between trainings of one fold 0.2."""
QUARTER = 0.25
FINALISTS = 2
"""Trials that every rule of halving runs to the last fold, at least."""
ROW = "| {design} | {rule} | {run:.0%} ({saved:.0%}) | {same} of {seeds} | {regret:.2f} | {more:+.2f} +- {error:.2f} |"


@dataclass(frozen=True)
class Trials:
    """What every trial of one search would come to if it ran all folds."""

    cohort: Cohort
    probability: np.ndarray
    """Of the true class, [trials, S]."""
    right: np.ndarray
    truth: np.ndarray
    """Expected accuracy, [trials]."""

    @classmethod
    def draw(cls, cohort: Cohort) -> "Trials":
        study = optuna.create_study(sampler=make_sampler("random", cohort.seed))
        drawn = []
        for _ in range(TRIALS):
            trial = study.ask()
            drawn.append(configuration(trial))
            study.tell(trial, 0.0)
        ran = [cohort.run(number, *about) for number, about in enumerate(drawn)]
        truth = np.array([cohort.truth(quality) for quality, _ in drawn])
        return cls(cohort, np.stack([p for p, _ in ran]), np.stack([r for _, r in ran]), truth)

    @property
    def folds(self) -> int:
        """Returns the number of folds."""
        return len(self.cohort.ease_of_fold)

    def ranked(self, trials: Sequence[int], folds: int, shift: np.ndarray | None = None) -> list[int]:
        """Returns trials from the best to the worst after their first folds, as the leaderboard ranks.

        Args:
            shift: what is added to each trial's log odds, [trials]; None adds nothing.
        """
        seen = self.cohort.fold < folds
        odds = np.log(self.probability[:, seen]) - np.log1p(-self.probability[:, seen])
        odds = odds if shift is None else odds + shift[:, None]
        loss = np.logaddexp(0, -odds).mean(1)
        f1 = [macro_f1(self.cohort.true[seen], odds[t] > 0) for t in range(len(odds))]
        return sorted(trials, key=lambda t: (-f1[t], loss[t], t))


Ended = tuple[float, int]
"""Folds that were run, and the chosen trial."""


def everything(trials: Trials) -> Ended:
    """Runs every fold of every trial."""
    return TRIALS * trials.folds, trials.ranked(range(TRIALS), trials.folds)[0]


def halving(trials: Trials, keep: float, start: Sequence[int] = range(TRIALS), cost: float = 0.0) -> Ended:
    """Lets a share of the trials go on after each fold."""
    alive = list(start)
    for fold in range(1, trials.folds + 1):
        cost += len(alive)
        alive = trials.ranked(alive, fold)
        if fold < trials.folds:
            alive = alive[: max(FINALISTS, round(keep * len(alive)))]
    return cost, alive[0]


def race(trials: Trials, p: float, first: int = 1) -> Ended:
    """Drops trials that are behind the leader by a paired test, from fold `first` on."""
    alive, cost = list(range(TRIALS)), 0
    for fold in range(1, trials.folds + 1):
        cost += len(alive)
        leader, *others = alive = trials.ranked(alive, fold)
        if not first <= fold < trials.folds:
            continue
        seen = trials.cohort.fold < fold
        best = macro_f1(trials.cohort.true[seen], trials.right[leader, seen])
        worse = [
            t
            for t in others
            if macro_f1(trials.cohort.true[seen], trials.right[t, seen]) < best
            and ttest_rel(trials.probability[t, seen], trials.probability[leader, seen], alternative="less").pvalue < p
        ]
        alive = [t for t in alive if t not in worse]
    return cost, alive[0]


def intensification(trials: Trials, first: int) -> Ended:
    """Lets a challenger go on only while it is not behind the incumbent, judged from fold `first` on."""
    incumbent, cost = 0, trials.folds
    for challenger in range(1, TRIALS):
        for fold in range(1, trials.folds + 1):
            cost += 1
            if fold >= first and trials.ranked([incumbent, challenger], fold)[0] == incumbent:
                break
        else:
            incumbent = challenger
    return cost, incumbent


def short_first(trials: Trials, spread: float) -> Ended:
    """Screens all trials by a short training of fold 0, and halves what is left."""
    shift = np.random.default_rng([trials.cohort.seed, 1]).normal(0, spread, TRIALS)
    start = trials.ranked(range(TRIALS), 1, shift)[: TRIALS // 2]
    return halving(trials, 0.5, start, QUARTER * TRIALS)


RULES: dict[str, Callable[[Trials], Ended]] = {
    "every fold": everything,
    "halving, a half goes on": lambda t: halving(t, 1 / 2),
    "halving, two thirds go on": lambda t: halving(t, 2 / 3),
    "halving, four fifths go on": lambda t: halving(t, 4 / 5),
    "race, t-test, p = .1": lambda t: race(t, 0.1),
    "race, t-test, p = .1, from the second fold": lambda t: race(t, 0.1, first=2),
    "race, t-test, p = .3": lambda t: race(t, 0.3),
    "intensification": lambda t: intensification(t, 1),
    "intensification, from the second fold": lambda t: intensification(t, 2),
} | {
    f"a quarter of the steps first (spread {spread}), then halving": lambda t, spread=spread: short_first(t, spread)  # type: ignore[misc]
    for spread in SHORT
}


def rows(folds: int, subjects: int, seeds: int) -> list[str]:
    """Returns the table's rows of one design; `+-` is the standard error of the difference over seeds."""
    drawn = [Trials.draw(Cohort.draw(seed, folds, subjects)) for seed in range(seeds)]
    ends = {name: [rule(trials) for trials in drawn] for name, rule in RULES.items()}
    found = {
        name: (sum(cost for cost, _ in each), np.array([t.truth[c] for t, (_, c) in zip(drawn, each, strict=True)]))
        for name, each in ends.items()
    }
    paired = [search(Paired(0.1), t.cohort, make_sampler("random", t.cohort.seed)) for t in drawn]
    found["paired pruning, p = .1 (today)"] = sum(f.folds for f in paired), np.array([f.truth for f in paired])
    optimum, whole = drawn[0].cohort.truth(1.0), found["every fold"][1]
    return [
        ROW.format(
            design=f"{folds} x {subjects}",
            rule=name,
            run=(run := cost / (seeds * TRIALS * folds)),
            saved=1 - run,
            same=np.sum(truth == whole),
            seeds=seeds,
            regret=100 * (optimum - truth.mean()),
            more=100 * (whole - truth).mean(),
            error=100 * (whole - truth).std(ddof=1) / seeds**0.5,
        )
        for name, (cost, truth) in found.items()
    ]


def main(arguments: list[str] | None = None) -> int:
    """Prints one Markdown table."""
    parser = argparse.ArgumentParser(description="Prints what racing trials side by side over folds saves and costs.")
    parser.add_argument("--seeds", type=int, default=200, help="simulated searches per row, at least 2 (200)")
    given = parser.parse_args(arguments)
    if given.seeds < 2:
        parser.error(f"--seeds {given.seeds}, but a standard error needs at least 2")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print("| folds x subjects | rule | folds run (saved) | same choice | regret | more than with every fold |")
    print("|---|---|---|---|---|---|")
    for folds, subjects in ((5, 30), (3, 24)):
        for line in rows(folds, subjects, given.seeds):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
