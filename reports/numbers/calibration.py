"""How far the probabilities of held-out predictions can be believed: a reliability diagram, and the scores beside it.

Letters: N units of one level, C classes. The confidence of a unit is the probability of the class that it is given.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import norm

from trainables.study.metrics import at_level, log_loss

Array = np.ndarray[Any, np.dtype[Any]]
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
    where bins are small."""
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
    bins = tuple(_bin(units, members) for members in _split(_confidence(units)))
    return Calibration(
        level=level,
        units=len(units),
        bins=bins,
        expected_error=sum(b.units * abs(b.right - b.confidence) for b in bins) / len(units),
        brier=float(((probabilities - truth) ** 2).sum(1).mean()),
        log_loss=log_loss(predictions, level),
    )


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
    sizes = np.unique(subjects, return_counts=True)[1]
    n = float(sizes.sum() ** 2 / (sizes**2).sum())
    z2 = float(norm.ppf(0.975)) ** 2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * share * (1 - share) / n + (z2 / (2 * n)) ** 2) / (1 + z2 / n)
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))  # the ends round past 0 and 1


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
