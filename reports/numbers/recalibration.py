"""What calibration would be by chance, in two numbers, and after a temperature that other subjects have set.

Letters: N units of one level, C classes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logit

from reports.numbers.intervals import Array
from trainables.study.metrics import at_level, log_loss

DRAWS = 200
"""Cohorts of a perfectly calibrated model that are drawn."""
SMALLEST = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True)
class Recalibration:
    """Nested predictions before and after a temperature that their inner folds have set."""

    temperatures: tuple[float, ...]
    """Of each outer fold; above 1 makes probabilities less sure."""
    error_before: float
    """Expected calibration error per video, 0-1."""
    error_after: float
    loss_before: float
    """Log loss per video, in nats."""
    loss_after: float


def drawn_truths(units: pl.DataFrame, seed: int = 0) -> list[Array]:
    """Returns true classes [N] of units of which every probability is right, drawn DRAWS times.

    A subject's units share one draw, as they share the person; their own probabilities decide what it makes of them.
    """
    limits = np.cumsum(np.array(units["probabilities"].to_list()), axis=1)[:, :-1]
    place = np.unique(units["subject"].to_numpy(), return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    return [(rng.random(place.max() + 1)[place][:, None] > limits).sum(1) for _ in range(DRAWS)]


def calibration_line(confidence: Array, right: Array) -> tuple[float | None, float | None]:
    """Returns (slope, intercept) of right answers against the logit of their probability.

    The slope is that of a logistic regression; the intercept is of one with the slope fixed at 1 (calibration in the
    large). None where they are undefined: all answers right, or all wrong, or the slope without bound. Source: Van
    Calster et al. 2019, BMC Medicine 17:230.
    """
    if right.all() or not right.any():
        return None, None
    x = logit(np.clip(confidence, SMALLEST, 1 - 1e-9))

    def loss(both: Array) -> float:
        z = both[0] + both[1] * x
        return float(np.logaddexp(0, np.where(right, -z, z)).sum())

    fitted = minimize(loss, np.array([0.0, 1.0]), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9})
    shift = minimize_scalar(lambda b: loss(np.array([b, 1.0])), bounds=(-20, 20), method="bounded")
    slope = float(fitted.x[1])
    return (slope if np.ptp(x) > 1e-9 and abs(slope) < 50 else None), float(shift.x)


def brier_skill(probabilities: Array, true: Array) -> float | None:
    """Returns 1 - Brier score / that of always saying how common each class is among these units; None for one class."""
    truth = np.eye(probabilities.shape[1])[true]
    plain = float(((truth.mean(0) - truth) ** 2).sum(1).mean())
    return 1 - float(((probabilities - truth) ** 2).sum(1).mean()) / plain if plain > 0 else None


def temperature(predictions: pl.DataFrame, level: str = "video") -> float:
    """Returns the temperature, 0.05 to 20, with the least log loss at a level."""
    units = at_level(predictions, level)
    logs = np.log(np.clip(np.array(units["probabilities"].to_list()), SMALLEST, 1))
    true = units["true"].to_numpy()

    def loss(log_temperature: float) -> float:
        z = logs / np.exp(log_temperature)
        return float((np.logaddexp.reduce(z, axis=1) - z[np.arange(len(z)), true]).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def tempered(predictions: pl.DataFrame, divisor: float, level: str = "video") -> pl.DataFrame:
    """Returns the units of a level as predictions of one window each, with their probabilities at a temperature."""
    units = at_level(predictions, level)
    logs = np.log(np.clip(np.array(units["probabilities"].to_list()), SMALLEST, 1)) / divisor
    shares = np.exp(logs - np.logaddexp.reduce(logs, axis=1)[:, None])
    columns = ["fold", "subject", "video", "true"]
    return units.select(*columns, window=pl.lit(0)).with_columns(probabilities=pl.Series(shares.tolist()))


def recalibrated(
    outer: list[pl.DataFrame], inner: list[pl.DataFrame], error: Callable[[pl.DataFrame], float]
) -> Recalibration:
    """Returns what temperatures that the inner folds set do to the outer folds' predictions.

    Args:
        outer: the predictions of each outer fold's subjects.
        inner: the held-out predictions of the inner folds of each, in the same order.
        error: returns the expected calibration error of predictions.
    """
    temperatures = tuple(temperature(part) for part in inner)
    before = pl.concat([tempered(part, 1.0) for part in outer])
    after = pl.concat([tempered(part, t) for part, t in zip(outer, temperatures, strict=True)])
    return Recalibration(
        temperatures=temperatures,
        error_before=error(before),
        error_after=error(after),
        loss_before=log_loss(before, "video"),
        loss_after=log_loss(after, "video"),
    )
