"""A walker's boxes over time: which frames show the walker whole and walking, and the square that follows. Numbers only.

Letters: F frames at 30 frames/s. Boxes are left, top, right, bottom in pixels of the video, NaN where nobody was seen.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

Floats = NDArray[np.float64]
Passes = tuple[tuple[int, int], ...]
"""(first, past the last) of each stretch of frames from which windows are taken."""
State = Literal["walking", "absent", "cut off", "standing", "turning"]
STATES: tuple[State, ...] = ("walking", "absent", "cut off", "standing", "turning")

BRIDGED = 15
"""Frames without a box that are filled in between two with one."""
EDGE = 3.5
"""Small pixels, LONGER_SIDE of foreground.py to the picture's longer side, within which a box touches the edge."""
FRAMED = 0.8
"""An edge that the walker touches in this share of the frames is how the video was framed, and cuts nobody off."""
SHORTENED = 0.7
"""Of the height around a frame: below it a part of the walker is hidden."""
AROUND = 61
"""Frames that the height around a frame is taken from."""
SECOND = 30
SMOOTHED = 31
"""Frames over which a course is smoothed: about a stride, within which the box's middle swings with the legs."""
STILL = 0.1
"""Of a walker's own speed: slower is standing before the first step or after the last, or turning."""
SHORTEST = 15
"""Frames of a stretch that shows a step; a shorter one is left out."""
TURN = 0.75
"""Heights that a walker goes back after a turn; less is sway."""
MARGIN = 1.15
"""The square's side to the walker's longer side."""
TALLEST = 0.95
"""Quantile of the boxes' sides that the square holds."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What becomes of each frame."""

    boxes: Floats
    """[F, 4], gaps filled and jumps smoothed; NaN where nobody is."""
    states: tuple[State, ...]
    passes: Passes
    crops: NDArray[np.int64]
    """[F, 4] squares of one size around the walker; between passes they go from one to the next."""


def course_of(boxes: Floats, width: int, height: int, edge: float) -> Course:
    """Returns the course of a walker who goes through the picture.

    Args:
        boxes: [F, 4]; at least one of them is not NaN.
        width, height: of the video, in pixels.
        edge: pixels within which a box touches the picture's edge.
    """
    smooth = steadied(boxes)
    whole = _whole(smooth, width, height, edge)
    states = np.full(len(boxes), "walking", dtype="<U8")
    states[~whole] = "cut off"
    states[np.isnan(smooth[:, 0])] = "absent"
    progress = _progress(smooth, whole)
    turns: list[int] = []
    if progress is not None:
        speed = np.abs(np.gradient(progress))
        usual = float(np.quantile(speed[whole], 0.75))
        slow = speed < STILL * usual
        for first, last in _standing(slow & whole, whole):
            states[first:last] = "standing"
        turns = [t for t in _turns(progress) if whole[t]]
        for turn in turns:
            first, last = _stretch(slow & whole, turn)
            states[first:last] = "turning"
    for first, last in _runs(states == "walking"):
        if last - first < SHORTEST:
            states[first:last] = "cut off"
    passes = passes_of(states == "walking", turns)
    return Course(
        boxes=smooth,
        states=tuple(states.tolist()),
        passes=passes,
        crops=_crops(smooth, passes, width, height),
    )


def steadied(boxes: Floats) -> Floats:
    """Returns boxes [F, 4] with short gaps filled and single frames that jump put right; its ends stay where they are."""
    smooth = boxes.copy()
    for first, last in _runs(np.isnan(boxes[:, 0])):
        if first and last < len(boxes) and last - first <= BRIDGED:
            share = (np.arange(first, last) - first + 1)[:, None] / (last - first + 1)
            smooth[first:last] = boxes[first - 1] * (1 - share) + boxes[last] * share
    for first, last in _runs(~np.isnan(smooth[:, 0])):
        part = smooth[first:last]
        for side, frames in enumerate((5, 9, 5, 9)):  # legs swing to the sides within a few frames, heads do not
            part[:, side] = median_filter(part[:, side], size=frames, mode="nearest")
    return smooth


def passes_of(usable: NDArray[np.bool_], turns: list[int]) -> Passes:
    """Returns the stretches of usable frames, each cut in two at every turn within it."""
    passes: list[tuple[int, int]] = []
    for first, last in _runs(usable):
        cuts = [first, *(t for t in sorted(turns) if first < t < last), last]
        passes += pairwise(cuts)
    return tuple(passes)


def _whole(boxes: Floats, width: int, height: int, edge: float) -> NDArray[np.bool_]:
    """Returns which frames show the whole walker, [F]: not over the picture's edge, and no part hidden.

    The upper edge is left out: a head that is cut off takes no step away.
    """
    there = ~np.isnan(boxes[:, 0])
    tall = boxes[:, 3] - boxes[:, 1]
    usual = np.full(len(boxes), np.nan)
    at = np.flatnonzero(there)
    usual[at] = median_filter(tall[at], size=AROUND, mode="nearest")
    whole = there & (np.nan_to_num(tall) >= SHORTENED * np.nan_to_num(usual))
    for touches in (boxes[:, 0] <= edge, boxes[:, 2] >= width - edge, boxes[:, 3] >= height - edge):
        if touches[there].mean() < FRAMED:
            whole &= ~touches
    return np.asarray(whole)


def _progress(boxes: Floats, whole: NDArray[np.bool_]) -> Floats | None:
    """Returns how far the walker has come, in heights, [F]; None where nobody is whole for long enough to tell.

    Across the picture it is the middle's place; towards the camera and away from it, where the middle hardly moves, the
    logarithm of the height, which grows with the way in the same way.
    """
    if whole.sum() < SECOND:
        return None
    at = np.flatnonzero(whole)
    tall = boxes[at, 3] - boxes[at, 1]
    across = (boxes[at, 0] + boxes[at, 2]) / 2 / np.median(tall)
    towards = 3 * np.log(tall)
    low, high = np.quantile(across, (0.05, 0.95))
    way = across if high - low >= 1 or np.ptp(across) >= np.ptp(towards) else towards
    filled = np.interp(np.arange(len(boxes)), at, way)
    return _smooth(filled)


def _smooth(values: Floats) -> Floats:
    """Returns values [F] smoothed over a stride by a parabola, which neither lags nor flattens the ends."""
    window = min(SMOOTHED, len(values) - (len(values) + 1) % 2)
    if window < 5:
        return np.full(len(values), values.mean())
    from scipy.signal import savgol_filter  # here: it takes half a second, in every process that opens the frame cache

    return np.asarray(savgol_filter(values, window, 2, mode="interp"))


def _standing(slow: NDArray[np.bool_], whole: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Returns the stretches of a second or more in which the walker has not begun to walk, or has arrived.

    Who stands still in between may be freezing, and stays.
    """
    runs = [(first, last) for first, last in _runs(slow) if last - first >= SECOND]
    seen = np.flatnonzero(whole)
    return [(first, last) for first, last in runs if first <= seen[0] + 2 or last >= seen[-1] - 1]


def _turns(progress: Floats) -> list[int]:
    """Returns the frames at which the walker turns around: the extremes between which there are TURN heights or more."""
    turns: list[int] = []
    low = high = 0
    rising: bool | None = None
    for i, value in enumerate(progress):
        low = i if value < progress[low] else low
        high = i if value > progress[high] else high
        if rising is not False and progress[high] - value >= TURN:
            turns += [high] if rising or progress[high] - progress[0] >= TURN else []
            rising, low = False, i
        elif rising is not True and value - progress[low] >= TURN:
            turns += [low] if rising is False or progress[0] - progress[low] >= TURN else []
            rising, high = True, i
    return turns


def _stretch(slow: NDArray[np.bool_], at: int) -> tuple[int, int]:
    """Returns (first, past the last) of the slow frames around one."""
    first = last = at
    while first > 0 and slow[first - 1]:
        first -= 1
    while last < len(slow) and slow[last]:
        last += 1
    return first, last


def _crops(boxes: Floats, passes: Passes, width: int, height: int) -> NDArray[np.int64]:
    """Returns the squares [F, 4] that follow the walker: of one size, centred across the picture, inside it from top to bottom."""
    used = np.zeros(len(boxes), dtype=bool)
    for first, last in passes:
        used[first:last] = True
    if not used.any():
        used = ~np.isnan(boxes[:, 0])
    tall, wide = boxes[used, 3] - boxes[used, 1], boxes[used, 2] - boxes[used, 0]
    side = round(MARGIN * max(np.quantile(tall, TALLEST), np.quantile(wide, TALLEST)))
    middles = np.full((len(boxes), 2), np.nan)
    for first, last in passes or _runs(used):
        part = boxes[first:last]
        middles[first:last, 0] = _smooth((part[:, 0] + part[:, 2]) / 2)
        upright = median_filter((part[:, 1] + part[:, 3]) / 2, size=AROUND, mode="nearest")
        middles[first:last, 1] = _smooth(upright)
    known = np.flatnonzero(~np.isnan(middles[:, 0]))
    corners = np.empty((len(boxes), 2), dtype=np.int64)
    for axis in (0, 1):
        middle = np.interp(np.arange(len(boxes)), known, middles[known, axis])
        corners[:, axis] = np.round(middle - side / 2)
    corners[:, 1] = corners[:, 1].clip(min(0, height - side), max(0, height - side))
    return np.concatenate([corners, corners + side], axis=1)


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Returns (first, past the last) of every run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]
