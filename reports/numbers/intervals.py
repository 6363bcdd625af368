"""How subjects are resampled for an interval, so that none is without width and none forgets what folds share.

Letters: C classes, S subjects, B bootstrap draws.
"""

import math
from typing import Any

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

Array = np.ndarray[Any, np.dtype[Any]]
DRAWS = 2000
SHARED_TRAINING = 1.4
"""How many times the variance of a cross-validated score is that of as many independent answers: the folds' models share
training subjects, so one unlucky cohort spoils them all. Measured: docs/decisions/0020."""


def ends(draws: Array, subjects: int) -> tuple[float, float]:
    """Returns the expanded percentiles of bootstrap draws [B] that stand for 95 %.

    The 2.5 and 97.5 % percentiles are too narrow for few subjects; these lie further out by Student's t and by
    sqrt(S / (S - 1)). Source: Hesterberg, The American Statistician 69 (2015), 371-386; docs/decisions/0010 for coverages.
    """
    outer = np.array([0.0, 1.0])
    if subjects > 1:
        low = norm.cdf(student.ppf(0.025, subjects - 1) * math.sqrt(subjects / (subjects - 1)))
        outer = np.array([low, 1 - low])
    low, high = np.quantile(draws, outer)
    return float(low), float(high)


def pseudo_subjects(matrices: Array) -> tuple[Array, Array]:
    """Returns two imagined subjects, one answered right and one wrong, of the cohort's own mixture of classes: [C, C] each.

    They are as heavy as a mean subject. With them a resample can draw an error that nobody made, so that an interval
    has a width where all answers are right. Source: Agresti and Coull 1998, The American Statistician 52:119; for
    differences Bonett and Price 2012, Journal of Educational and Behavioral Statistics 37:479.
    """
    classes = matrices.shape[-1]
    weights = matrices.sum((0, 2)) / max(len(matrices), 1)  # [C], units of a mean subject
    wrong = (1 - np.eye(classes)) / max(classes - 1, 1)
    return np.diag(weights), weights[:, None] * wrong


def resampled_times(subjects: int, rng: np.random.Generator, draws: int, drawn: int | None = None) -> Array:
    """Returns how often each of S subjects is in each resample of `drawn` (default: S) subjects, [B, S]."""
    return rng.multinomial(subjects if drawn is None else drawn, np.full(subjects, 1 / subjects), draws)


def resampled_counts(
    matrices: Array, rng: np.random.Generator, draws: int = DRAWS, shared_training: float = SHARED_TRAINING
) -> Array:
    """Returns confusion matrices [B, C, C] of resampled cohorts, from which a cross-validated score's interval is read.

    Two imagined subjects are added, and fewer subjects are drawn than there are, by `shared_training`.

    Args:
        matrices: One confusion matrix per subject [S, C, C].
        rng: Draws the subjects.
        draws: B.
        shared_training: Factor of the variance; 1 for a finished model on people of no fold.
    """
    whole = np.concatenate([matrices.astype(float), np.stack(pseudo_subjects(matrices))])
    drawn = max(1, round(len(whole) / shared_training))
    return np.tensordot(resampled_times(len(whole), rng, draws, drawn), whole, axes=1)


def shifted_to_agree(low: float, high: float, difference: float, p_value: float) -> tuple[float, float]:
    """Returns an interval of a difference that holds 0 exactly where its test's p is above .05.

    Interval and test are made in two ways, and near the border they can differ. The end that is nearer to 0 is moved: onto
    0 where the test does not reject, to the first number beyond 0 where it does.
    """
    if p_value > 0.05:
        return min(low, 0.0), max(high, 0.0)
    beyond = float(np.nextafter(0, math.copysign(1, difference)))
    return (max(low, beyond), high) if difference > 0 else (low, min(high, beyond))
