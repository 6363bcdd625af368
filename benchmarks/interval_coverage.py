"""Prints how often the report's 95 % intervals hold the true score, on simulated cohorts whose truth is known.

    python benchmarks/interval_coverage.py                  the report's interval, and Wilson's over dependent units
    python benchmarks/interval_coverage.py --intervals      other intervals from the same resamples
    python benchmarks/interval_coverage.py --icc 0.2 --skills 0.7 --subjects 40 --cohorts 2000

Letters: C classes, S subjects, U units of a subject, N cohorts, B bootstrap draws, R ratios of which a metric is the mean.

A subject has one class, drawn from `SHARES`, and probabilities of answers of his own, p ~ Dirichlet(a q), where q [C] is
what his class is answered on average and a = (1 - icc) / icc. Every video's answer is drawn from p. So q is the expected
answer, and the intra-subject correlation, that of right/wrong (1/0) between two videos of one subject, is exactly icc:
within a class right/wrong is beta-binomial, and q gives every class the same chance to be right. Two windows of one video
share one draw with probability `COPIED` each, so that they are more alike than two of different videos. At subject level
there is one answer per subject, which is independent of all others.

Without skill q is 1 / C for every class; with skill K the right answer has K and the wrong ones share the rest. The truth
is the metric of the population's confusion matrix, SHARES times q.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from reports.numbers.statistics import DRAWS, NOMINAL, bootstrap, metric_values, wilson

Array = np.ndarray[Any, np.dtype[Any]]
SHARES = np.array([0.5, 0.3, 0.2])
"""Of the classes in the population."""
SUBJECTS = (15, 24, 60, 120)
SKILLS = (0.0, 0.6, 0.85)
"""Share of right answers; 0 stands for a model without skill."""
VIDEOS, WINDOWS = (2, 6), (1, 5)
"""Fewest and most of a subject, and of a video; every number between is as likely."""
COPIED = 0.8
LEVELS = ("subject", "video", "window")
WANTED = (0.92, 0.97)


def answers_of(skill: float) -> Array:
    """Returns the expected answers [C, C] of each class, rows sum to 1; skill 0 is a model without any."""
    classes = len(SHARES)
    right = skill or 1 / classes
    return np.where(np.eye(classes) == 1, right, (1 - right) / (classes - 1))


def simulate(rng: np.random.Generator, cohorts: int, subjects: int, level: str, expected: Array, icc: float) -> Array:
    """Returns one confusion matrix per subject of each cohort, [N, S, C, C].

    Args:
        rng: Draws everything.
        cohorts: N.
        subjects: S.
        level: What is counted: 'subject', 'video' or 'window'.
        expected: As `answers_of` returns.
        icc: Intra-subject correlation, above 0 and below 1.
    """
    classes, shape = len(SHARES), (cohorts, subjects)
    true = rng.choice(classes, shape, p=SHARES)
    weights = rng.standard_gamma(expected[true] * (1 - icc) / icc)  # [N, S, C]
    limits = np.cumsum(weights / weights.sum(-1, keepdims=True), -1)[..., None, :-1]  # [N, S, 1, C - 1]
    videos = 1 if level == "subject" else VIDEOS[1]
    answers = _draw(rng, limits, (*shape, videos))  # [N, S, videos]
    number = np.ones(shape, int) if level == "subject" else rng.integers(VIDEOS[0], VIDEOS[1] + 1, shape)
    counted = np.arange(videos) < number[..., None]
    if level == "window":
        fresh = _draw(rng, limits, (*shape, videos * WINDOWS[1]))
        copied = rng.random(fresh.shape) < COPIED
        windows = rng.integers(WINDOWS[0], WINDOWS[1] + 1, (*shape, videos))
        exists = (np.arange(WINDOWS[1]) < windows[..., None]) & counted[..., None]
        answers = np.where(copied, np.repeat(answers, WINDOWS[1], -1), fresh)
        counted = exists.reshape(answers.shape)
    found = (counted[..., None] & (answers[..., None] == np.arange(classes))).sum(-2)  # [N, S, C]
    rows = true[..., None] == np.arange(classes)
    return rows[..., None] * found[..., None, :]


def _draw(rng: np.random.Generator, limits: Array, shape: tuple[int, ...]) -> Array:
    """Returns answers [N, S, U] by the limits [N, S, 1, C - 1] of the subjects' cumulative probabilities."""
    drawn: Array = (rng.random(shape)[..., None] > limits).sum(-1)
    return drawn


def measured_icc(rng: np.random.Generator, expected: Array, icc: float) -> float:
    """Returns the correlation of right/wrong in pairs of videos of 200,000 simulated subjects with two."""
    matrices = simulate(rng, 1, 200_000, "video", expected, icc)[0]
    units, right = matrices.sum((1, 2)), np.trace(matrices, axis1=1, axis2=2)
    two = right[units == 2]  # subjects with two videos: 0, 1 or 2 of them right
    share = two.mean() / 2
    return float((np.mean(two == 2) - share**2) / (share * (1 - share)))


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What an interval is made of: one metric of one cohort and of its resamples."""

    subjects: int
    value: float
    error: float
    """Linearised standard error, subjects as the units."""
    draws: Array
    """The metric of each resample, [B]."""
    draw_errors: Array
    """Each resample's own standard error, [B]."""
    without: Array
    """The metric without each subject, [S]."""


def ratios(matrices: Array, metric: str) -> tuple[Array, Array]:
    """Returns numerators and denominators [..., R]; a nominal metric is the mean of their ratios, summed over subjects."""
    hits, true = np.diagonal(matrices, axis1=-2, axis2=-1), matrices.sum(-1)
    if metric == "accuracy":
        return hits.sum(-1, keepdims=True), true.sum(-1, keepdims=True)
    if metric == "balanced_accuracy":
        return hits, true
    return 2 * hits, true + matrices.sum(-2)


def sample(matrices: Array, times: Array, metric: str) -> Sample:
    """Returns a metric's sample of the subjects' matrices [S, C, C], which resample b takes times [B, S] each."""
    subjects = len(matrices)
    whole = np.ones((1, subjects))
    return Sample(
        subjects=subjects,
        value=float(metric_values(matrices.sum(0), metric)),
        error=_errors(matrices, whole, metric).item(),
        draws=metric_values(np.tensordot(times, matrices.astype(float), axes=1), metric),
        draw_errors=_errors(matrices, times, metric),
        without=metric_values(matrices.sum(0) - matrices, metric),
    )


def _errors(matrices: Array, times: Array, metric: str) -> Array:
    """Returns the linearised standard error of a mean of ratios in each resample, [B]."""
    top, bottom = (part.astype(float) for part in ratios(matrices, metric))  # [S, R]
    tops, bottoms = times @ top, times @ bottom  # [B, R]
    present = bottoms > 0
    scale = present / np.maximum(bottoms, 1) / np.maximum(present.sum(-1, keepdims=True), 1)
    influence = scale @ top.T - (scale * tops / np.maximum(bottoms, 1)) @ bottom.T  # [B, S]
    subjects = len(matrices)
    errors: Array = np.sqrt((times * influence**2).sum(-1) * subjects / (subjects - 1))
    return errors


def percentile(s: Sample) -> tuple[float, float]:
    """Returns the plain percentile interval."""
    return _quantiles(s.draws, 0.025, 0.975)


def expanded(s: Sample) -> tuple[float, float]:
    """Returns the report's interval: percentiles further out, by Student's t and by sqrt(S / (S - 1)) (Hesterberg 2015)."""
    return _quantiles(s.draws, _tail(s), 1 - _tail(s))


def basic(s: Sample) -> tuple[float, float]:
    """Returns the percentile interval mirrored at the value."""
    low, high = percentile(s)
    return 2 * s.value - high, 2 * s.value - low


def bca(s: Sample, tail: float = 0.025) -> tuple[float, float]:
    """Returns Efron's bias-corrected and accelerated interval, as scipy.stats.bootstrap; the percentile one if undefined."""
    below = (np.mean(s.draws < s.value) + np.mean(s.draws <= s.value)) / 2
    lean = s.without.mean() - s.without
    spread = (lean**2).sum() ** 1.5
    if not 0 < below < 1 or spread < 1e-12:
        return _quantiles(s.draws, tail, 1 - tail)
    bias, speed = norm.ppf(below), (lean**3).sum() / (6 * spread)
    ends = bias + norm.ppf([tail, 1 - tail])
    low, high = norm.cdf(bias + ends / (1 - speed * ends))
    return _quantiles(s.draws, low, high)


def expanded_bca(s: Sample) -> tuple[float, float]:
    """Returns `bca` at the tails of `expanded`."""
    return bca(s, _tail(s))


def bootstrap_t(s: Sample) -> tuple[float, float]:
    """Returns the studentised interval; resamples without an error of their own are left out."""
    has = s.draw_errors > 1e-9
    if not has.any():
        return s.value, s.value
    low, high = _quantiles((s.draws[has] - s.value) / s.draw_errors[has], 0.025, 0.975)
    return s.value - high * s.error, s.value - low * s.error


def wilson_like(s: Sample) -> tuple[float, float]:
    """Returns Wilson's interval with Student's t for z, of as many independent units as would vary like the resamples.

    value (1 - value) / units is the resamples' variance times S / (S - 1); where all are alike, units is S.
    """
    variance, error2 = s.value * (1 - s.value), s.draws.var() * s.subjects / (s.subjects - 1)
    units = variance / error2 if error2 > 1e-12 and variance > 0 else s.subjects
    z2 = float(student.isf(0.025, s.subjects - 1)) ** 2
    middle, half = s.value + z2 / (2 * units), np.sqrt(z2 * variance / units + z2**2 / (4 * units**2))
    return float((middle - half) / (1 + z2 / units)), float((middle + half) / (1 + z2 / units))


def _tail(s: Sample) -> float:
    return float(norm.cdf(-np.sqrt(s.subjects / (s.subjects - 1)) * student.isf(0.025, s.subjects - 1)))


def _quantiles(values: Array, low: float, high: float) -> tuple[float, float]:
    ends = np.quantile(values, [low, high])
    return float(ends[0]), float(ends[1])


INTERVALS: dict[str, Callable[[Sample], tuple[float, float]]] = {
    "percentile": percentile,
    "expanded percentile (the report's)": expanded,
    "basic": basic,
    "BCa": bca,
    "expanded BCa": expanded_bca,
    "bootstrap-t": bootstrap_t,
    "Wilson, effective units": wilson_like,
}


@dataclass(frozen=True, kw_only=True)
class Design:
    """Cohorts of one kind."""

    skill: float
    subjects: int
    level: str

    def matrices(self, cohorts: int, icc: float) -> Array:
        """Returns N simulated cohorts [N, S, C, C], the same ones whatever is asked of them."""
        rng = np.random.default_rng([self.subjects, LEVELS.index(self.level), int(1000 * self.skill)])
        return simulate(rng, cohorts, self.subjects, self.level, answers_of(self.skill), icc)

    def truth(self, metric: str) -> float:
        """Returns the population's score."""
        return float(metric_values(SHARES[:, None] * answers_of(self.skill), metric))


def coverage(ends: Array, truth: float) -> float:
    """Returns the share of intervals [N, 2] in which the truth lies, but for rounding."""
    return float(np.mean((ends[:, 0] - 1e-9 <= truth) & (truth <= ends[:, 1] + 1e-9)))


def report_row(skill: float, subjects: int, cohorts: int, icc: float) -> Iterator[str]:
    """Returns one row: the coverage of the report's interval for each metric, and of Wilson's over units for accuracy."""
    cells: dict[str, list[float]] = {name: [] for name in (*NOMINAL, "wilson")}
    for level in LEVELS:
        design = Design(skill=skill, subjects=subjects, level=level)
        matrices = design.matrices(cohorts, icc)
        for metric in NOMINAL:  # level_scores begins every interval with default_rng(0) too
            ends = [bootstrap(m, metric, np.random.default_rng(0)) for m in matrices]
            cells[metric].append(coverage(np.array(ends), design.truth(metric)))
        hits, units = np.trace(matrices.sum(1), axis1=1, axis2=2), matrices.sum((1, 2, 3))
        ends = [wilson(int(h), int(n)) for h, n in zip(hits, units, strict=True)]
        cells["wilson"].append(coverage(np.array(ends), design.truth("accuracy")))
    yield f"| {skill or 'none'} | {subjects} | {' | '.join(_levels(shares) for shares in cells.values())} |"


def _levels(shares: list[float]) -> str:
    """Returns percentages of the levels; those that are not as wanted are bold."""
    return " / ".join(f"{100 * s:.1f}" if WANTED[0] <= s <= WANTED[1] else f"**{100 * s:.1f}**" for s in shares)


def interval_rows(skill: float, subjects: int, cohorts: int, icc: float) -> Iterator[str]:
    """Returns a row for each interval: its coverage and, in brackets, its mean width at video level for each metric."""
    chosen = np.random.default_rng(0).integers(0, subjects, (DRAWS, subjects))
    times = np.stack([np.bincount(row, minlength=subjects) for row in chosen]).astype(float)  # [B, S]
    shares: dict[tuple[str, str], list[float]] = {(i, m): [] for i in INTERVALS for m in NOMINAL}
    widths = {}
    for level in LEVELS:
        design = Design(skill=skill, subjects=subjects, level=level)
        matrices = design.matrices(cohorts, icc)
        for metric in NOMINAL:
            samples = [sample(m, times, metric) for m in matrices]
            for name, interval in INTERVALS.items():
                ends = np.array([interval(s) for s in samples])
                shares[name, metric].append(coverage(ends, design.truth(metric)))
                if level == "video":
                    widths[name, metric] = float(np.diff(ends).mean())
    for name in INTERVALS:
        cells = (f"{_levels(shares[name, metric])} ({widths[name, metric]:.2f})" for metric in NOMINAL)
        yield f"| {skill or 'none'} | {subjects} | {name} | {' | '.join(cells)} |"


def main(arguments: list[str] | None = None) -> int:
    """Prints one Markdown table."""
    parser = argparse.ArgumentParser(description="Prints how often the report's 95 % intervals hold the true score.")
    parser.add_argument("--cohorts", type=int, default=1000, help="simulated cohorts per cell (1000)")
    parser.add_argument("--subjects", type=int, nargs="+", default=SUBJECTS, help="of a cohort (15 24 60 120)")
    parser.add_argument("--icc", type=float, default=0.5, help="intra-subject correlation of right/wrong (0.5)")
    parser.add_argument("--skills", type=float, nargs="+", default=SKILLS, help="0: none; else share of right answers")
    parser.add_argument("--intervals", action="store_true", help="compare other intervals; prints mean widths too")
    given = parser.parse_args(arguments)
    if not 0 < given.icc < 1:
        parser.error(f"--icc {given.icc}, but it must lie between 0 and 1, for instance 0.5")
    if wrong := [s for s in given.skills if not 0 <= s < 1]:
        parser.error(f"--skills {wrong[0]}, but a share of right answers is at least 0 and below 1, for instance 0.6")
    if given.cohorts < 1 or min(given.subjects) < 2:
        parser.error("--cohorts must be at least 1 and --subjects at least 2")
    started = time.monotonic()
    noise = 1.96 * (0.95 * 0.05 / given.cohorts) ** 0.5
    measured = measured_icc(np.random.default_rng(0), answers_of(given.skills[0]), given.icc)
    print(
        f"Coverage in % of 95 % intervals at subject / video / window level, {given.cohorts} cohorts a cell: the simulation's own noise "
        f"is +- {100 * noise:.1f}.\nCorrelation of right/wrong in a subject: {given.icc}, measured {measured:.2f}. "
        f"Bold: outside of {WANTED[0]:.0%} - {WANTED[1]:.0%}.\n"
    )
    names = [m.replace("_", " ") for m in NOMINAL]
    last = (
        ["interval", *(f"{n} (width)" for n in names)] if given.intervals else [*names, "accuracy, Wilson over units"]
    )
    print(f"| skill | subjects | {' | '.join(last)} |\n|{'---|' * (2 + len(last))}")
    for skill in given.skills:
        for subjects in given.subjects:
            for row in (interval_rows if given.intervals else report_row)(skill, subjects, given.cohorts, given.icc):
                print(row, flush=True)
    print(f"\n{time.monotonic() - started:.0f} seconds.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
