"""The tracker `pose`: the walker's boxes from landmarks of the body. Numbers only.

The camera may move, and what else moves does not matter. Letters: F frames at 30 frames/s, P landmarks.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from trainables.tracking.landmarks import Landmarks
from trainables.tracking.motion_tracker import GROWS, NEXT, SHORTEST, SMALLEST, WALKS, Found

Floats = NDArray[np.float64]

NOSE = 0
SHOULDERS, HIPS, ANKLES = [11, 12], [23, 24], [27, 28]
"""Left and right."""
CROWN = 0.7
"""Of the way from the shoulders up to the nose, which the top of the head is above the nose."""
HIP_HEIGHT = 0.5
"""Of the height, from the toes; the hips are found where a blurred head is not."""
AROUND = (0.04, 0.04, 0.04, 0.01)
"""Of the walker's height: landmarks lie within the body, by so much at the left, top, right and bottom."""
PEOPLE_FRAMES = 45
"""Frames in which two people are seen, three looks, until there are two; a shadow on the wall is taken for one now and then."""
STEPS = 0.02
"""Of the height: standard deviation of the distance between the ankles, below which nobody walks."""
SEEN = 0.8
"""Share of the frames in which somebody who walks in one place is seen."""
STEADY = 31


def find_by_landmarks(found: Landmarks) -> Found:
    """Returns the walker's boxes in a video with landmarks, or why there are none."""
    boxes = boxes_of(found.points, found.width, found.height)
    seen = np.flatnonzero(~np.isnan(boxes[:, 0]))
    if len(seen) < SHORTEST:
        return Found(problem=f"shows nobody who walks: a person is seen in {len(seen)} frames; {NEXT}")
    if (found.people > 1).sum() >= PEOPLE_FRAMES:
        return Found(problem=f"shows {found.people.max()} people of about the same size at the same time; {NEXT}")
    tall = boxes[seen, 3] - boxes[seen, 1]
    height = float(np.median(tall))
    if height < SMALLEST:
        return Found(problem=f"shows a walker {height:.0f} pixels tall, but {SMALLEST} are needed; {NEXT}")
    middles = (boxes[seen, 0] + boxes[seen, 2]) / 2
    low, high = np.quantile(median_filter(middles, size=STEADY, mode="nearest"), (0.1, 0.9))
    short, long = np.quantile(median_filter(tall, size=STEADY, mode="nearest"), (0.1, 0.9))
    if high - low >= WALKS * height or long >= GROWS * short:
        return Found(boxes=boxes)
    ankles = found.points[seen][:, ANKLES, :2]  # [F, 2, 2]
    if np.hypot(*(ankles[:, 0] - ankles[:, 1]).T).std() < STEPS * height:
        return Found(problem=f"shows nobody who walks: the person stands still; {NEXT}")
    if len(seen) < SEEN * len(boxes):
        return Found(boxes=boxes)
    low_side, high_side = np.quantile(boxes[seen], (0.05, 0.95), axis=0)
    boxes[:] = (*low_side[:2], *high_side[2:])
    return Found(boxes=boxes, in_place=True)


def boxes_of(points: Floats, width: int, height: int) -> Floats:
    """Returns the boxes [F, 4] around landmarks [F, P, 3], within the picture; NaN where nobody is."""
    across, down = points[:, :, 0], points[:, :, 1]
    nose = down[:, NOSE]
    bottom = down.max(axis=1)
    crown = np.minimum(
        nose - CROWN * (down[:, SHOULDERS].mean(axis=1) - nose),
        bottom - (bottom - down[:, HIPS].mean(axis=1)) / HIP_HEIGHT,
    )
    boxes = np.stack([across.min(axis=1), np.minimum(crown, down.min(axis=1)), across.max(axis=1), bottom], axis=1)
    tall = boxes[:, 3] - boxes[:, 1]
    boxes += tall[:, None] * np.array(AROUND) * (-1, -1, 1, 1)
    return np.asarray(boxes.clip(0, (width, height, width, height)))
