"""Figures that move before a fixed camera: boxes in each frame's mask, followed from frame to frame.

Boxes are (left, top, right, bottom) in pixels of a small frame; right and bottom are the first pixels outside.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label, median_filter

from trainables.tracking.foreground import LONGER_SIDE, Mask

Box = tuple[int, int, int, int]

SPECK = 0.001
"""Share of a frame's pixels below which a part is no figure; a person a quarter of the frame high has ten times that."""
SPLINTER = 0.25
"""Share of SPECK from which a part still belongs to a figure above or below it."""
APART = LONGER_SIDE // 80
"""Pixels between two parts side by side that are still one figure, as an arm and the body."""
LOST = 15
"""Frames that a figure may not be seen and still be followed, as behind a chair: half a second."""
ALIKE = 0.5
"""The least ratio of a box's height to that of its figure so far; below it a part of the walker is left, or something else."""
OFTEN = 0.1
"""Share of the frames of a second in which what belongs to a walker moves at least."""
STEP = 0.6
"""Of its height: how far a figure may seem to jump from one frame to the next, as when it comes in at the picture's edge."""


@dataclass
class Figure:
    """Something that was followed through the video."""

    frames: list[int] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    areas: list[int] = field(default_factory=list)
    """Pixels of the mask in each box."""

    def add(self, frame: int, box: Box, area: int) -> None:
        self.frames.append(frame)
        self.boxes.append(box)
        self.areas.append(area)

    @property
    def area(self) -> int:
        """Pixels of the mask over all frames."""
        return sum(self.areas)

    @property
    def height(self) -> float:
        """The median height of its boxes."""
        return float(np.median([bottom - top for _, top, _, bottom in self.boxes]))

    @property
    def travel(self) -> float:
        """How far its middle moves across the picture, in its own heights; a tenth at either end is left out."""
        low, high = np.quantile(_steady([(left + right) / 2 for left, _, right, _ in self.boxes]), (0.1, 0.9))
        return float((high - low) / self.height)

    @property
    def growth(self) -> float:
        """How much taller it becomes: the ratio of its tallest and shortest boxes; a tenth at either end is left out."""
        low, high = np.quantile(_steady([bottom - top for _, top, _, bottom in self.boxes]), (0.1, 0.9))
        return float(high / low)

    def expected(self, frame: int) -> tuple[float, float]:
        """Returns where its middle would be in a frame, after its course over the last frames."""
        (x, y), first = _middle(self.boxes[-1]), max(len(self.boxes) - 6, 0)
        span = self.frames[-1] - self.frames[first]
        if not span:
            return x, y
        x0, y0 = _middle(self.boxes[first])
        ahead = (frame - self.frames[-1]) / span
        return x + (x - x0) * ahead, y + (y - y0) * ahead


def boxes_in(mask: Mask) -> list[tuple[Box, int]]:
    """Returns (box, pixels) of the figures in a mask [h, w], the largest first; parts above each other are one figure."""
    parts, count = label(mask)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    around = [(columns.start, rows.start, columns.stop, rows.stop) for rows, columns in find_objects(parts)]
    largest = np.argsort(-sizes, kind="stable")
    found = [(around[i], int(sizes[i])) for i in largest if sizes[i] >= SPLINTER * SPECK * mask.size]
    return [(box, area) for box, area in _joined(found) if area >= SPECK * mask.size]


def _joined(parts: list[tuple[Box, int]]) -> list[tuple[Box, int]]:
    """Returns the parts, each joined to the larger one that it stands above, below or close beside."""
    joined: list[tuple[Box, int]] = []
    for box, area in parts:
        for i, (other, others) in enumerate(joined):
            shared = min(box[2], other[2]) - max(box[0], other[0])
            gap = max(box[1], other[1]) - min(box[3], other[3])
            if shared > -APART and gap < max(other[3] - other[1], other[2] - other[0]) / 4:
                joined[i] = (_around(box, other), area + others)
                break
        else:
            joined.append((box, area))
    return joined


def follow(masks: Iterable[Mask]) -> list[Figure]:
    """Returns every figure of a video, followed through its masks; a box goes on with the figure expected nearest to it."""
    followed: list[Figure] = []
    for frame, mask in enumerate(masks):
        free = [f for f in followed if frame - f.frames[-1] <= LOST]
        for box, area in boxes_in(mask):
            jumps = [_jump(figure, frame, box) for figure in free]
            if jumps and min(jumps) <= STEP:
                figure = free.pop(int(np.argmin(jumps)))
            else:
                figure = Figure()
                followed.append(figure)
            figure.add(frame, box, area)
    return followed


def over_a_stride(masks: Iterable[Mask]) -> Iterator[Mask]:
    """Yields for each frame what moves within a second around it: all of somebody who walks in one place, limb by limb."""
    window: deque[Mask] = deque()
    counts, pending = np.zeros(1, dtype=np.int16), 0
    for mask in masks:
        window.append(mask)
        counts, pending = counts + mask, pending + 1
        if len(window) > 2 * LOST + 1:
            counts = counts - window.popleft()
        if pending > LOST:
            pending -= 1
            yield counts >= OFTEN * len(window)
    for _ in range(pending):
        yield counts >= OFTEN * len(window)


def _jump(figure: Figure, frame: int, box: Box) -> float:
    """Returns how far a box is from where a figure is expected, in the larger one's heights; inf for another height."""
    tall, usual = box[3] - box[1], float(np.median([b[3] - b[1] for b in figure.boxes[-LOST:]]))
    if min(tall, usual) < ALIKE * max(tall, usual):
        return np.inf
    (x, y), (at_x, at_y) = figure.expected(frame), _middle(box)
    return float(np.hypot(at_x - x, at_y - y) / max(tall, usual))


def _steady(values: list[float]) -> NDArray[np.float64]:
    """Returns values without what comes and goes within a stride, as a part that is seen in some frames alone."""
    return np.asarray(median_filter(np.array(values, dtype=np.float64), size=2 * LOST + 1, mode="nearest"))


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _around(a: Box, b: Box) -> Box:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])
