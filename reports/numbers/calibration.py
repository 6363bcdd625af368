"""How far the probabilities of held-out predictions can be believed: a reliability diagram, and the scores beside it.

Letters: N units of one level, C classes. The confidence of a unit is the probability of the class that it is given.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from reports.numbers.recalibration import brier_skill, calibration_line, drawn_truths
from reports.numbers.statistics import Array, independent_units, wilson
from trainables.study.metrics import at_level, log_loss

MOST_BINS = 10
FEWEST_UNITS = 5
"""Units in a bin; a share of fewer says nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationBin:
    """The units between two confidences."""

    low: float
    """Smallest confidence in the bin, 0-1; high is the largest."""
    high: float
    confidence: float
    """Mean over the units, 0-1."""
    right: float
    """Share of the units whose answer is right, 0-1."""
    right_low: float
    """95 % interval of the share, by `share_interval`."""
    right_high: float
    units: int
    subjects: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """How well the probabilities at one level agree with how often the answers are right."""

    level: str
    units: int
    bins: tuple[CalibrationBin, ...]
    """By confidence, from the least up; every unit is in one of them."""
    expected_error: float
    """Expected calibration error, 0-1: |share right - mean confidence|, averaged over the units. Above 0 by chance alone
    where bins are small: perfect_error is what it would be."""
    perfect_error: float
    """Mean expected calibration error of a perfectly calibrated model with the same probabilities and bins."""
    perfect_low: float
    """2.5 and 97.5 % quantiles of that."""
    perfect_high: float
    slope: float | None
    """Of the calibration line, as `calibration_line`: 1 is perfect; None where it is undefined."""
    intercept: float | None
    """Calibration in the large, in logits: 0 is perfect; None where all answers are right, or none."""
    brier_skill: float | None
    """Share by which the Brier score is better than that of always saying how common each class is."""
    brier: float
    """Mean over units of the sum over classes of (probability - truth)^2: 0 is perfect, 2 the worst."""
    log_loss: float
    """Mean negative log probability of the true class, in nats."""


def calibration(predictions: pl.DataFrame, level: str = "video") -> Calibration | None:
    """Returns the reliability of the answer's probability at a level, or None for fewer than FEWEST_UNITS units.

    Bins hold about equally many units: at most MOST_BINS, at least FEWEST_UNITS units in each, and equal confidences
    always in the same bin. Source: Guo et al. 2017, section 2, with the equal-count bins of Nguyen and O'Connor 2015.

    Args:
        predictions: One row per held-out window, as PREDICTIONS.
        level: 'window', 'video' or 'subject'.
    """
    if predictions.is_empty():
        return None
    units = at_level(predictions, level)
    if len(units) < FEWEST_UNITS:
        return None
    probabilities = np.array(units["probabilities"].to_list())  # [N, C]
    truth = np.eye(probabilities.shape[1])[units["true"].to_numpy()]  # [N, C]
    confidence, right = _confidence(units), (units["true"] == units["predicted"]).to_numpy()
    members = _split(confidence)
    bins = tuple(_bin(units, rows) for rows in members)
    answers = units["predicted"].to_numpy()
    perfect = [_error(confidence, answers == truths, members) for truths in drawn_truths(units)]
    perfect_low, perfect_high = np.quantile(perfect, [0.025, 0.975])
    slope, intercept = calibration_line(confidence, right)
    return Calibration(
        level=level,
        units=len(units),
        bins=bins,
        expected_error=_error(confidence, right, members),
        perfect_error=float(np.mean(perfect)),
        perfect_low=float(perfect_low),
        perfect_high=float(perfect_high),
        slope=slope,
        intercept=intercept,
        brier=float(((probabilities - truth) ** 2).sum(1).mean()),
        brier_skill=brier_skill(probabilities, units["true"].to_numpy()),
        log_loss=log_loss(predictions, level),
    )


def expected_error(predictions: pl.DataFrame, level: str = "video") -> float:
    """Returns the expected calibration error alone."""
    units = at_level(predictions, level)
    confidence = _confidence(units)
    return _error(confidence, (units["true"] == units["predicted"]).to_numpy(), _split(confidence))


def _error(confidence: Array, right: Array, members: list[Array]) -> float:
    return float(sum(abs(right[rows].sum() - confidence[rows].sum()) for rows in members) / len(confidence))


def share_interval(share: float, subjects: list[str]) -> tuple[float, float]:
    """Returns Wilson's 95 % interval of a share of units, as if all units of one subject were right or wrong together.

    Videos of one person are alike, so Wilson's interval over units would be too narrow; a bootstrap of subjects would
    give no width at all to a small bin that is wholly right. This takes n = N^2 / sum of (units of each subject)^2 as the
    number of independent units, which is N with one unit per subject, and wider than needed where videos of one subject
    differ. Source: Kish 1965, Survey Sampling (design effect); Wilson 1927.

    Args:
        share: Of the units that are right, 0-1.
        subjects: The subject of each unit.
    """
    units = independent_units(np.unique(subjects, return_counts=True)[1])
    return wilson(share * units, units)


def _confidence(units: pl.DataFrame) -> Array:
    # Means of the same numbers in another order differ in their last digits; without rounding a tie would not be seen.
    return units["probabilities"].list.max().to_numpy().round(12)


def _split(confidence: Array) -> list[Array]:
    """Returns the rows of each bin, bins and rows by confidence; together they are all N rows."""
    order = np.argsort(confidence, kind="stable")
    between = 1 + np.flatnonzero(np.diff(confidence[order]))  # where a cut parts no two equal confidences
    bins = min(MOST_BINS, len(order) // FEWEST_UNITS)
    cuts = [0]
    for wanted in (i * len(order) // bins for i in range(1, bins)):
        if wanted <= cuts[-1]:
            continue
        fits = between[(between >= max(wanted, cuts[-1] + FEWEST_UNITS)) & (between <= len(order) - FEWEST_UNITS)]
        cuts += fits[:1].tolist()
    return np.split(order, cuts[1:])


def _bin(units: pl.DataFrame, members: Array) -> CalibrationBin:
    rows = units[members.tolist()]
    confidence = _confidence(rows)
    share = float((rows["true"] == rows["predicted"]).to_numpy().mean())
    low, high = share_interval(share, rows["subject"].to_list())
    return CalibrationBin(
        low=float(confidence.min()),
        high=float(confidence.max()),
        confidence=float(confidence.mean()),
        right=share,
        right_low=low,
        right_high=high,
        units=len(rows),
        subjects=rows["subject"].n_unique(),
    )
