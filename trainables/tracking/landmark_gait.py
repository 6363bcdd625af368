"""Gait parameters of a walker from landmarks of the body. Numbers only.

Steps are counted and timed as in a silhouette, from how far the ankles are apart. The rest needs a view from the side, in which
joints turn within the picture. Which leg is the left one is not used: from the side the legs are confused too often.
Letters: F frames at 30 frames/s, P landmarks, N frames of all passes.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, median_filter

from trainables.tracking.gait import LEG, RATE, SMOOTHED, Measured, measure
from trainables.tracking.landmarks import Landmarks
from trainables.tracking.pose_tracker import ANKLES, HIPS, SHOULDERS, boxes_of
from trainables.tracking.silhouette import Silhouette

Floats = NDArray[np.float64]

WRISTS, KNEES, HEELS, TOES = [15, 16], [25, 26], [29, 30], [31, 32]
"""Left and right."""
LANDMARK_KEYS = (
    "video_ankle_spread",
    "video_knee_range",
    "video_hip_range",
    "video_arm_swing",
    "video_trunk_lean",
)
"""Leg lengths, degrees, degrees, leg lengths, degrees."""
FROM_THE_SIDE = 0.12
"""Of the height: the median distance between the shoulders across the picture; above it the walker is not seen from the side."""
RANGE = (0.05, 0.95)
"""Quantiles between which a range lies."""


def measure_landmarks(found: Landmarks, passes: list[tuple[int, int]], *, moves: bool) -> Measured:
    """Returns the gait parameters of a video: those of `measure`, and LANDMARK_KEYS.

    Args:
        moves: Whether the camera moves, so that the way walked cannot be had.
    """
    boxes = boxes_of(found.points, found.width, found.height)
    tall = _smoothed_height(boxes)
    ankles = found.points[:, ANKLES, 0]
    trunk = np.zeros(len(boxes)) if moves else found.points[:, [*SHOULDERS, *HIPS], 0].mean(axis=1)
    there = ~np.isnan(boxes[:, 0])
    silhouette = Silhouette(
        spread=np.abs(ankles[:, 0] - ankles[:, 1]), trunk=np.where(there, trunk, np.nan), height=tall
    )
    steps = measure(silhouette, passes)
    used = np.concatenate([np.arange(first, last) for first, last in passes] or [np.empty(0, dtype=int)]).astype(int)
    used = used[there[used]]
    if len(used) < RATE:
        reason = "landmarks are found for less than a second"
        return replace(steps, missing=steps.missing | dict.fromkeys(LANDMARK_KEYS, reason))
    points = gaussian_filter1d(found.points[used], SMOOTHED, axis=0)  # [N, P, 3]
    high = tall[used]
    width = np.abs(points[:, SHOULDERS[0], 0] - points[:, SHOULDERS[1], 0])
    if np.median(width / high) > FROM_THE_SIDE:
        reason = "the walker is not seen from the side"
        return replace(steps, missing=steps.missing | dict.fromkeys(LANDMARK_KEYS, reason))
    values, quality = _from_the_side(points, high)
    return replace(steps, values=steps.values | values, quality=steps.quality | quality)


def _from_the_side(points: Floats, tall: Floats) -> tuple[dict[str, float], dict[str, float]]:
    """Returns the parameters of landmarks [N, P, 3], and of each how probable it is that its landmarks can be seen."""
    at, seen = points[..., :2], points[..., 2].mean(axis=0)
    leg = LEG * tall
    ahead = np.sign(np.median(at[:, TOES, 0] - at[:, HEELS, 0]))
    up = at[:, SHOULDERS].mean(axis=1) - at[:, HIPS].mean(axis=1)  # [N, 2]
    thighs, shanks = at[:, KNEES] - at[:, HIPS], at[:, ANKLES] - at[:, KNEES]  # [N, 2, 2]
    flexion = np.unwrap(_angle(thighs) - _angle(shanks), axis=0)
    swing = (at[:, WRISTS, 0] - at[:, SHOULDERS, 0]) / leg[:, None]
    apart = np.abs(at[:, ANKLES[0], 0] - at[:, ANKLES[1], 0]) / leg
    parts = {
        "video_ankle_spread": (float(np.quantile(apart, RANGE[1])), ANKLES),
        "video_knee_range": (np.degrees(_range(flexion)), [*HIPS, *KNEES, *ANKLES]),
        "video_hip_range": (np.degrees(_range(np.unwrap(_angle(thighs), axis=0))), [*HIPS, *KNEES]),
        "video_arm_swing": (_range(swing), [*SHOULDERS, *WRISTS]),
        "video_trunk_lean": (float(np.degrees(np.arctan2(ahead * up[:, 0], -up[:, 1])).mean()), [*SHOULDERS, *HIPS]),
    }
    values = {key: float(value) for key, (value, _) in parts.items()}
    return values, {key: float(seen[marks].mean()) for key, (_, marks) in parts.items()}


def _angle(lines: Floats) -> Floats:
    """Returns the angle of lines [..., 2] from straight down, in radians."""
    return np.asarray(np.arctan2(lines[..., 0], lines[..., 1]))


def _range(values: Floats) -> float:
    """Returns the mean over both sides of how far values [N, 2] go."""
    low, high = np.quantile(values, RANGE, axis=0)
    return float((high - low).mean())


def _smoothed_height(boxes: Floats) -> Floats:
    """Returns the height of boxes [F, 4] without what the legs' swing does to it; NaN where nobody is."""
    tall = boxes[:, 3] - boxes[:, 1]
    there = ~np.isnan(tall)
    if there.any():
        tall[there] = median_filter(tall[there], size=2 * RATE + 1, mode="nearest")
    return np.asarray(tall)
