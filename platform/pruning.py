"""Stops a trial between two folds when the subjects scored so far say that it is worse than the best.

Folds differ in difficulty and are few: a mean over some of them cannot stand beside a mean over all, and a test over
five folds hardly reaches p = .05. Subjects are more, and every trial scores the same ones in the same order. So a
trial is compared with the best complete trial subject by subject, by Wilcoxon's signed-rank test on the probability of
the true class, and is stopped only if it is also behind in the study's metric on these same subjects. Without that
condition the surer of two models that decide alike would win, and a model trained for too long is surer and worse;
what that costs, and that a median rule does about as well where its stopped trials are reported as PRUNED, `python
benchmarks/pruning.py` shows.

The p value orders evidence and is not an error rate: a trial is looked at after every fold, and the subjects of one fold
share one training.

Scores are kept as attributes of the trial, not as Optuna's intermediate values, which WilcoxonPruner needs. Of a trial
reported as PRUNED Optuna keeps the intermediate value of the largest step as its value, and TPE orders pruned trials by
that step and value: with subjects as steps, by one subject. That pruner also asks whether the best trial's mean over
all subjects is above the trial's mean over some, so that after an easy first fold it stops nothing. Here a stopped
trial has no value. TPE then puts it behind every complete trial, and GP and importances leave it out.

Source: Wilcoxon, Individual comparisons by ranking methods, Biometrics Bulletin 1 (1945), for the test;
optuna.pruners.WilcoxonPruner for its use against the best trial.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import optuna
import polars as pl
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import wilcoxon

from trainables.errors import ConfigurationError
from trainables.study.metrics import at_level

SCORES = "subject_scores"
"""Attribute of a trial: probability of the true class by subject."""
VALUES = "running_values"
"""Attribute of a trial: the study's metric over the first folds, by how many folds they are."""
DECIMALS = 4
"""Of a probability. What two machines compute differently in the last digits is then no difference."""
EXACT_TEST_MAX_SUBJECTS = 50
"""Subjects up to which the test's distribution is exact, as scipy has it; above, a normal one."""
MIN_COMPLETE_ONE_IN = 10
"""One complete trial in ten: TPE learns what is good from the best tenth of complete and pruned trials."""


def subject_scores(predictions: pl.DataFrame) -> dict[str, float]:
    """Returns each subject's probability of its true class, 0 to 1; of several labels' probabilities the mean.

    Args:
        predictions: one row per held-out window, as in `trainables.study.metrics.at_level`, of any number of folds.
    """
    units = at_level(predictions, "subject").with_columns(score=pl.col("probabilities").list.get(pl.col("true")))
    means = units.group_by("subject").agg(pl.col("score").mean()).sort("subject")
    return dict(zip(means["subject"], means["score"], strict=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class Shortfall:
    """How far a trial is behind the best complete one, on the subjects of its folds so far."""

    best: int
    """Number of the trial it was compared with."""
    folds: int
    """Folds that both were scored on."""
    subjects: int
    difference: float
    """Mean over subjects of the probability of the true class, minus the best trial's; below 0."""
    value: float
    """The study's metric minus the best trial's; below 0."""
    p: float
    """One-sided, of Wilcoxon's signed-rank test; at least 1 / 2**subjects."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedPruner:
    """Says which trials to stop between folds; the folds and their order are the same for every trial.

    The state is in the study, so that a search that goes on in another process decides the same. Off for a study of two
    objectives, where no one trial is the best, and for one that minimizes: every metric here is better when higher.

    Raises:
        ConfigurationError: p is outside 0 to 0.5.
    """

    p: float = 0.1
    """A trial is stopped below this p value: 0 stops none, a larger one stops more and sooner."""

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 0.5:
            raise ConfigurationError(
                f"trials are to be pruned at p = {self.p}, but it must be 0 (off) to 0.5; 0.1 is usual",
                code="option.prune.range",
            )

    def report(self, trial: optuna.Trial, folds: int, scores: Mapping[str, float], value: float) -> None:
        """Notes a trial's first folds. What was noted before stays: a trial that is continued may report again.

        Args:
            folds: how many folds are done, from 1.
            scores: of their subjects, as `subject_scores` gives them; those of earlier folds may be left out.
            value: the study's metric over all subjects of these folds; higher is better.
        """
        rounded = {subject: round(float(score), DECIMALS) for subject, score in scores.items()}
        trial.set_user_attr(SCORES, rounded | trial.user_attrs.get(SCORES, {}))
        trial.set_user_attr(VALUES, {str(folds): float(value)} | trial.user_attrs.get(VALUES, {}))

    def should_prune(self, trial: optuna.Trial, folds: int) -> bool:
        """Returns whether to stop a trial now; tell it as PRUNED then, without a value.

        Never after the last of `folds` folds, and never while fewer than a tenth of the trials are complete. With
        fewer, TPE would fill its good trials up with pruned ones, whose order means nothing.
        """
        done = _folds_done(trial.user_attrs)
        if self.p == 0 or not 0 < done < folds or not _enough_complete(trial.study):
            return False
        found = self.compare(trial)
        return found is not None and found.p < self.p

    def compare(self, trial: optuna.Trial) -> Shortfall | None:
        """Returns how far a trial is behind; None where it is not, in metric or mean, or there is nothing to compare.

        The best trial is the leaderboard's, of those that reported: highest value, then lowest log loss, then lowest
        number. A score or value that is not finite shows no shortfall; such a trial fails by its own value.
        """
        mine = trial.user_attrs
        scores, folds = mine.get(SCORES, {}), _folds_done(mine)
        best = _best(trial.study, scores, folds)
        if best is None:
            return None
        theirs = best.user_attrs
        differences = np.array([scores[s] - theirs[SCORES][s] for s in sorted(scores)]).round(DECIMALS)
        value = mine[VALUES][str(folds)] - theirs[VALUES][str(folds)]
        if not (value < 0 and differences.mean() < 0):
            return None
        return Shortfall(
            best=best.number,
            folds=folds,
            subjects=len(differences),
            difference=float(differences.mean()),
            value=value,
            p=_p_worse(differences),
        )


def _p_worse(differences: np.ndarray) -> float:
    """Returns the one-sided p value of paired differences [subjects], not all 0, against a median of 0 or above.

    Subjects without a difference say nothing about its sign and are left out, as Wilcoxon did.
    """
    unequal = differences[differences != 0]
    # scipy's own choice permutes signs where two differences are alike: 1.8 s at 13 subjects, for nearly the same p.
    method = "exact" if len(unequal) <= EXACT_TEST_MAX_SUBJECTS else "asymptotic"
    return float(wilcoxon(unequal, alternative="less", method=method).pvalue)


def _folds_done(attributes: Mapping[str, Mapping[str, float]]) -> int:
    return max(map(int, attributes.get(VALUES, {})), default=0)


def _enough_complete(study: optuna.Study) -> bool:
    """Returns whether a tenth of the trials stays complete even if all that run now are stopped."""
    states = [t.state for t in study.get_trials(deepcopy=False)]
    complete = states.count(TrialState.COMPLETE)
    others = states.count(TrialState.PRUNED) + states.count(TrialState.RUNNING)
    return MIN_COMPLETE_ONE_IN * complete >= complete + others


def _best(study: optuna.Study, scores: Mapping[str, float], folds: int) -> FrozenTrial | None:
    """Returns the best complete trial with a score of each of these subjects and a value after so many folds."""
    if not scores or study.directions != [StudyDirection.MAXIMIZE]:
        return None
    whole = [
        t
        for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if scores.keys() <= t.user_attrs.get(SCORES, {}).keys() and str(folds) in t.user_attrs.get(VALUES, {})
    ]
    return min(whole, key=_rank, default=None)


def _rank(trial: FrozenTrial) -> tuple[float, float, int]:
    assert trial.value is not None  # it is complete
    return -trial.value, trial.user_attrs.get("log_loss", math.inf), trial.number
