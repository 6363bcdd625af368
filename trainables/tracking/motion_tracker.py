"""The tracker `motion`: finds the walker before a fixed camera by what moves. No weights, no graphics card.

Where it cannot tell a walker from the rest, it says so: the whole picture is used, or the video is a problem that the user
has to solve.
"""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trainables.tracking.camera import held_still, sway
from trainables.tracking.figures import Figure, follow, over_a_stride
from trainables.tracking.foreground import SmallVideo, masks

WALKS = 0.5
"""Of its height: what travels less than this is not walking through the picture."""
GROWS = 1.3
"""Who walks towards the camera becomes taller by this factor at least."""
SMALLEST = 48
"""Pixels of the video: a lower figure shows no legs."""
SHORTEST = 20
"""Frames in which a walker is to be seen at least: a window's shortest tail."""
RIVAL_HEIGHT, RIVAL_FRAMES = 0.5, 30
"""Of the walker's height, and frames at the same time: who is as tall for as long is a second person."""
GAIN = 1.5
"""How much smaller than the picture's longer side the square must be; else little is won and the picture stays whole."""
IN_PLACE_MARGIN = 1.4
"""The square's side to the longer side of all that moves; head and trunk of somebody on a treadmill hardly do."""
LEAST_PICTURE = round(GAIN * SMALLEST)
"""Pixels: a picture whose shorter side is less has no room for a walker who is tall enough and does not fill it."""
SQUARE = 1.05
"""Ratio of the picture's sides up to which it is a square; cameras record none, so somebody has cut around the walker."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a tracker found in a video."""

    boxes: NDArray[np.float64] | None = None
    """[F, 4] in pixels of the video, NaN where nobody is; None where the whole picture is to be used."""
    in_place: bool = False
    """Whether the walker stays in one place, as on a treadmill: the boxes are all the same."""
    note: str = ""
    """Why the whole picture is used, as 'the camera moves'."""
    problem: str = ""
    """Why the video cannot be used, as a sentence without the file's name."""


def find_walker(video: SmallVideo) -> Found:
    """Returns the walker's boxes in a video, or why there are none."""
    if note := why_whole(video.width, video.height):
        return Found(note=note)
    swayed = sway(video.frames)
    if swayed is None:
        return Found(note="the camera moves")
    video = replace(video, frames=held_still(video.frames, swayed))
    walkers = [f for f in follow(masks(video.frames)) if f.travel >= WALKS and len(f.frames) >= SHORTEST]
    found = _across(video, walkers) if walkers else _in_place(video)
    if found.boxes is None:
        return found
    height = float(np.nanmedian(found.boxes[:, 3] - found.boxes[:, 1]))
    if height < SMALLEST:
        return Found(problem=f"shows a walker {height:.0f} pixels tall, but {SMALLEST} are needed; {NEXT}")
    return replace(found, boxes=found.boxes + np.tile(swayed, 2) * video.scale)


NEXT = "give the walker's box in the manifest, cut the video, leave its row out, or use whole pictures (--track none)"


def is_square(width: int, height: int) -> bool:
    """Returns whether a picture is a square, as somebody makes who cuts around a walker."""
    return max(width, height) <= SQUARE * min(width, height)


def why_whole(width: int, height: int) -> str:
    """Returns why nobody needs to be looked for in a picture of this size; nothing where somebody does."""
    if is_square(width, height):
        return "the picture is a square, as cut around a walker"
    if min(width, height) < LEAST_PICTURE:
        return f"the picture has {width} x {height} pixels, too few to cut a walker out"
    return ""


def _across(video: SmallVideo, walkers: list[Figure]) -> Found:
    """Returns the boxes of somebody who walks across the picture, once or several times."""
    walker = max(walkers, key=lambda f: f.area)
    if rivals := _rivals(walker, walkers):
        return Found(problem=f"shows {_people(walker, rivals)} people who walk at the same time; {NEXT}")
    return Found(boxes=_boxes(video, _same_person(walker, walkers)))


def _in_place(video: SmallVideo) -> Found:
    """Returns the boxes of somebody on a treadmill, all the same, or on the way towards the camera or away from it."""
    figures = follow(over_a_stride(masks(video.frames)))
    walker = max(figures, key=lambda f: f.area, default=None)
    if walker is None or len(walker.frames) < SHORTEST:
        return Found(problem=f"shows nobody who walks: nothing as large as a person moves in it; {NEXT}")
    boxes = _boxes(video, _same_person(walker, figures))
    if walker.growth < GROWS:
        low, high = np.nanquantile(boxes, (0.05, 0.95), axis=0)
        boxes[:] = (*low[:2], *high[2:])
        return Found(boxes=boxes, in_place=True)
    return Found(boxes=boxes)


def box_in_square(video: SmallVideo) -> NDArray[np.float64] | None:
    """Returns one box [4] around all that moves in a picture that was cut around a walker; None where nothing as large does."""
    figures = follow(over_a_stride(masks(video.frames)))
    walker = max(figures, key=lambda f: f.area, default=None)
    if walker is None or len(walker.frames) < SHORTEST:
        return None
    low, high = np.quantile(np.array(walker.boxes), (0.05, 0.95), axis=0)
    return np.asarray([*low[:2], *high[2:]]) * video.scale


def _boxes(video: SmallVideo, figures: list[Figure]) -> NDArray[np.float64]:
    boxes = np.full((len(video.frames), 4), np.nan)
    for figure in figures:
        boxes[figure.frames] = np.array(figure.boxes) * video.scale
    return boxes


def fills_picture(side: int, width: int, height: int) -> bool:
    """Returns whether a square around the walker is hardly smaller than the square around the picture."""
    return max(width, height) < GAIN * side


def _rivals(walker: Figure, walkers: list[Figure]) -> list[Figure]:
    """Returns the others who are as tall and are seen at the same time for a second or more."""
    own = set(walker.frames)
    return [
        f
        for f in walkers
        if f is not walker
        and f.height >= RIVAL_HEIGHT * walker.height
        and len(own.intersection(f.frames)) >= RIVAL_FRAMES
    ]


def _people(walker: Figure, rivals: list[Figure]) -> int:
    """Returns how many are seen at once at most; one person may be several figures, one after another."""
    counts = Counter(frame for f in (walker, *rivals) for frame in f.frames)
    return max(counts.values())


def _same_person(walker: Figure, walkers: list[Figure]) -> list[Figure]:
    """Returns the walker's figures: whoever leaves the picture and comes back is a new figure each time."""
    chosen = [walker]
    for figure in sorted(walkers, key=lambda f: -f.area):
        alike = RIVAL_HEIGHT <= figure.height / walker.height <= 1 / RIVAL_HEIGHT
        if alike and not any(set(figure.frames).intersection(c.frames) for c in chosen):
            chosen.append(figure)
    return chosen
