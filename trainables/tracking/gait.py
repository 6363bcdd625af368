"""Gait parameters of a walker seen from the side, from the silhouette. Numbers only.

The legs are furthest apart once in every step, so steps can be counted and timed. Which leg is the left one cannot be told
from a silhouette: there is nothing here of one side, or of a difference between the sides. Letters: F frames at 30 frames/s.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import correlate, find_peaks
from scipy.stats import linregress

from trainables.tracking.silhouette import Silhouette

Floats = NDArray[np.float64]

RATE = 30
LEG = 0.53
"""Leg length to body height (Winter, Biomechanics and Motor Control of Human Movement, fig. 4.1)."""
STEP_SECONDS = (0.3, 1.6)
"""Duration of a step: 200 to 37 steps/min."""
LONGEST_SURE = 0.9
"""Seconds of a step beyond which it may be a stride, where the walker does not go across the picture: seen obliquely, the two steps
of a stride differ more than two strides do."""
OPPOSITE = -0.5
"""Autocorrelation half a period later, above which a long period is a stride: halfway through a step, however slow, the legs are together
(-0.9 to -0.7 from the side), while halfway through a stride they are mostly apart again (docs/decisions/0018-measured-from-video.md)."""
WALK_RATIO = 0.015
"""Step length to cadence, in leg lengths per step/min, above which a stride was taken for a step: people keep about 0.007 at all speeds,
patients with short steps less (Sekiya and Nagasaki, Gait and Posture 7, 1998: 0.006 to 0.007 m), and one step for two gives four times as much."""
FEWEST_STEPS = 4
REGULAR = 0.5
"""Autocorrelation of the legs' spread one step later, from which there are steps; 4 s of noise reach it once in twenty times."""
SMOOTHED = 1.5
"""Frames: standard deviation of the Gaussian that takes the noise of single frames away."""
DRIFT = 25.0
"""Frames: standard deviation of the Gaussian that follows slow changes, as of the distance to the camera."""
PROMINENT = 0.5
"""Of the spread's standard deviation: how far a maximum stands out of what is around it."""
SIDEWAYS = 0.5
"""Heights that a walker has to come across the picture within a pass; less is walking towards the camera, or on the spot."""

LEAST_VARIED = 6
"""Intervals from which their standard deviation is computed."""

VARIABILITY = "video_step_time_sd_s"
KEYS = ("video_cadence", "video_step_time", "video_step_length", "video_walking_speed", VARIABILITY)
"""As in knowledge/video_parameters.toml, but for the variability, which agrees too little with the truth to be offered there."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The gait parameters of one video."""

    values: dict[str, float] = field(default_factory=dict)
    """By key; what could not be measured is not in it."""
    quality: dict[str, float] = field(default_factory=dict)
    """From 0 to 1, by key: how regular the steps are, or how straight the course is; the lesser of both for step length."""
    steps: int = 0
    """That were counted."""
    missing: dict[str, str] = field(default_factory=dict)
    """Why a parameter could not be measured, by key."""


def measure(silhouette: Silhouette, passes: list[tuple[int, int]]) -> Measured:
    """Returns the gait parameters of a video: cadence in steps/min, step time in s, lengths in leg lengths.

    A video's passes are taken together: intervals are pooled, speeds are averaged by the passes' durations.
    """
    values: dict[str, float] = {}
    quality: dict[str, float] = {}
    missing: dict[str, str] = {}
    stepping = [found for span in passes if (found := _steps(silhouette.spread[slice(*span)])) is not None]
    intervals = np.concatenate([found.intervals for found in stepping]) if stepping else np.empty(0)
    steps = sum(found.steps for found in stepping)
    speed = _speed(silhouette, passes)
    repeats = _what_repeats(stepping, speed[0] if speed else None)
    if repeats == "strides" and speed is None:
        # the legs open twice in a stride, at uneven times, so the stride is timed as a whole
        intervals, steps = np.array([found.period for found in stepping]), 2 * steps
    if repeats == "either":
        longest = max(found.period for found in stepping)
        reason = (
            f"what repeats after {longest:.1f} s may be a step or a stride, which cannot be told apart where the walker does not go "
            "across the picture"
        )
        missing |= dict.fromkeys(("video_cadence", "video_step_time", VARIABILITY), reason)
    elif steps >= FEWEST_STEPS:
        step_time = float(intervals.mean())
        step_time /= 2 if repeats == "strides" else 1
        values |= {"video_cadence": 60 / step_time, "video_step_time": step_time}
        regular = float(np.average([f.regularity for f in stepping], weights=[f.steps for f in stepping]))
        quality |= dict.fromkeys(values, regular)
        if repeats == "strides":
            missing[VARIABILITY] = "only strides could be timed: the two steps of a stride look different"
        elif (varied := _deviation(stepping)) is None:
            missing[VARIABILITY] = f"{len(intervals)} intervals could be timed, {LEAST_VARIED} are needed"
        else:
            values[VARIABILITY], quality[VARIABILITY] = varied, regular
    else:
        reason = f"{steps} steps could be counted, {FEWEST_STEPS} are needed"
        missing |= dict.fromkeys(("video_cadence", "video_step_time", "video_step_length", VARIABILITY), reason)
    if speed is None:
        reason = "the walker does not go across the picture"
        missing |= dict.fromkeys(("video_step_length", "video_walking_speed"), reason)
    else:
        values["video_walking_speed"], quality["video_walking_speed"] = speed
        if "video_cadence" in values:
            values["video_step_length"] = values["video_walking_speed"] * values["video_step_time"]
            quality["video_step_length"] = min(quality["video_walking_speed"], quality["video_cadence"])
    return Measured(values=values, quality=quality, steps=steps, missing=missing)


@dataclass(frozen=True, kw_only=True)
class _Stepping:
    apart: Floats
    """Seconds from one time at which the legs are apart to the next."""
    passing: Floats
    """Seconds from one time at which the legs pass each other to the next."""
    steps: int
    regularity: float
    period: float
    """Seconds after which the spread is alike."""
    halfway: float
    """Autocorrelation of the spread after half of that time."""

    @property
    def intervals(self) -> Floats:
        return np.concatenate([self.apart, self.passing])


def _what_repeats(stepping: list[_Stepping], speed: float | None) -> Literal["steps", "strides", "either"]:
    """Returns what the spread repeats after; `speed` is in leg lengths/s, None where the walker does not go across the picture."""
    if not stepping:
        return "steps"
    if speed is not None:
        seconds = float(np.concatenate([found.intervals for found in stepping]).mean())
        return "strides" if speed * seconds**2 / 60 > WALK_RATIO else "steps"
    long = [found for found in stepping if found.period > LONGEST_SURE]
    if not long:
        return "steps"
    return "strides" if len(long) == len(stepping) and all(found.halfway > OPPOSITE for found in long) else "either"


def _steps(spread: Floats) -> _Stepping | None:
    """Returns the steps of a pass from the legs' spread [F]; None where it does not go up and down regularly."""
    known = ~np.isnan(spread)
    if known.sum() < RATE:
        return None
    at = np.arange(len(spread))
    course = gaussian_filter1d(np.interp(at, at[known], spread[known]), SMOOTHED)
    course -= gaussian_filter1d(course, DRIFT)
    after = _autocorrelation(course)
    period, regularity = _period(after)
    if regularity < REGULAR:
        return None
    events = [_refined(sign * course, period) for sign in (1.0, -1.0)]
    apart, passing = (_between(times, period) for times in events)
    if not len(apart) + len(passing):
        return None
    return _Stepping(
        apart=apart,
        passing=passing,
        steps=len(events[0]),
        regularity=regularity,
        period=float(_vertex(after, np.array(round(period)))) / RATE,
        halfway=float(np.interp(period / 2, at, after)),
    )


def _between(times: Floats, period: float) -> Floats:
    """Returns the seconds between events; a long interval holds a step that was not seen, and is left out."""
    intervals = np.diff(times)
    return intervals[(intervals > 0.5 * period) & (intervals < 1.6 * period)] / RATE


def _deviation(stepping: list[_Stepping]) -> float | None:
    """Returns the standard deviation of the step time in s, pooled over passes and both kinds of events; None for too few."""
    parts = [part for found in stepping for part in (found.apart, found.passing) if len(part) > 1]
    if sum(map(len, parts)) < LEAST_VARIED:
        return None
    squares = sum(float(((part - part.mean()) ** 2).sum()) for part in parts)
    return float(np.sqrt(squares / sum(len(part) - 1 for part in parts)))


def _autocorrelation(course: Floats) -> Floats:
    """Returns the autocorrelation of a course [F] around 0, by lag in frames."""
    frames = len(course)
    after = correlate(course, course, "full")[frames - 1 :] / np.arange(frames, 0, -1)
    return np.asarray(after / max(after[0], 1e-12))


def _period(after: Floats) -> tuple[float, float]:
    """Returns (frames of a step, autocorrelation after that time) from an autocorrelation [F]; regularity 0 where there is none."""
    low, high = (round(seconds * RATE) for seconds in STEP_SECONDS)
    peaks, _ = find_peaks(after[: min(high, len(after) // 2) + 1])
    peaks = peaks[peaks >= low]
    if not len(peaks):
        return 0.0, 0.0
    best = int(peaks[after[peaks].argmax()])
    if after[best] <= 0:
        return 0.0, 0.0
    # After a stride the legs are apart as well, and rather more alike; a step is the first lag that is nearly as good.
    first = next(int(lag) for lag in peaks if after[lag] >= 0.6 * after[best])
    return float(first), float(min(after[first], 1.0))


def _refined(course: Floats, period: float) -> Floats:
    """Returns the times of a course's maxima, in frames, between the frames."""
    peaks, _ = find_peaks(course, distance=max(0.55 * period, 1), prominence=PROMINENT * course.std())
    return _vertex(course, peaks)


def _vertex(course: Floats, peaks: NDArray[np.intp]) -> Floats:
    """Returns where the parabolas through the course at maxima and their neighbours are highest."""
    before, here, after = course[peaks - 1], course[peaks], course[peaks + 1]
    bend = before - 2 * here + after
    return np.asarray(peaks + 0.5 * (before - after) / np.where(bend == 0, 1.0, bend))


def _speed(silhouette: Silhouette, passes: list[tuple[int, int]]) -> tuple[float, float] | None:
    """Returns (speed in leg lengths/s, how straight the course is) over the passes that go across the picture; None without any."""
    found: list[tuple[float, float, int]] = []
    for first, last in passes:
        trunk, height = silhouette.trunk[first:last], silhouette.height[first:last]
        known = np.flatnonzero(~np.isnan(trunk))
        if len(known) < RATE // 2:
            continue
        tall = float(np.median(height[known]))
        line = linregress(known / RATE, trunk[known])
        if abs(line.slope) * len(known) / RATE >= SIDEWAYS * tall:
            found.append((abs(line.slope) / (LEG * tall), line.rvalue**2, len(known)))
    if not found:
        return None
    speeds, straight, frames = zip(*found, strict=True)
    return float(np.average(speeds, weights=frames)), float(np.average(straight, weights=frames))
