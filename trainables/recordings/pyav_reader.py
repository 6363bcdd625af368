"""Reads a video's frames with PyAV, each with the time at which it is shown."""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from trainables.recordings.containers import VideoError, numbered_frames
from trainables.recordings.pictures import Pictures
from trainables.recordings.timeline import LONGEST_GAP, REORDERED, Timeline

Picture = Callable[[], np.ndarray]
"""Makes a frame's picture, uint8 [H, W, 3]."""
Timed = tuple[float, Picture]
"""A frame's time in seconds, and its picture."""


def pyav_frames(path: Path, timeline: Timeline) -> Iterator[Timed]:
    """Yields the frames in the order in which they are shown.

    Raises:
        VideoError: A frame, or all of more than `LONGEST_GAP` seconds, cannot be decoded.
    """
    pictures, seconds = Pictures(path), timeline.seconds
    if timeline.ranks is None:
        frames = numbered_frames(path, np.arange(len(seconds)))
        ordered: Iterable[tuple[int, Picture]] = enumerate(pictures(frame) for _, frame in frames)
    else:
        frames = numbered_frames(path, timeline.ranks)
        ordered = _in_order(path, ((number, pictures(frame)) for number, frame in frames))
    longest = max(LONGEST_GAP, 2 * timeline.spacing)
    shown = float(seconds[0])
    for number, picture in ordered:
        at = float(seconds[min(number, len(seconds) - 1)])
        if at - shown > longest:
            raise _undecodable(path, shown - seconds[0], at - seconds[0])
        yield at, picture
        shown = at
    if timeline.ranks is not None and seconds[-1] - shown > longest:
        raise _undecodable(path, shown - seconds[0], seconds[-1] - seconds[0])


def _in_order(path: Path, frames: Iterable[tuple[int, Picture]]) -> Iterator[tuple[int, Picture]]:
    """Yields the pictures as they come, with their numbers sorted as far as a decoder may hold frames back.

    A picture waits only while a number below its own may come yet. That is so where the container has the order of
    decoding (AVI), and at a frame that cannot be decoded, or shows nothing new.
    """
    numbers: list[int] = []
    pictures: deque[Picture] = deque()
    due = 0
    for number, picture in frames:
        if number < due - 1:
            raise VideoError(
                path,
                f"has times that do not fit the order of its frames, first at frame {number}; export it again, or add a "
                "column fps to the manifest",
                code="video.times",
            )
        heapq.heappush(numbers, number)
        pictures.append(picture)
        while numbers and (numbers[0] <= due or len(numbers) > REORDERED):
            due = numbers[0] + 1
            yield heapq.heappop(numbers), pictures.popleft()
    while numbers:
        yield heapq.heappop(numbers), pictures.popleft()


def _undecodable(path: Path, start: float, end: float) -> VideoError:
    return VideoError(
        path, f"is damaged: seconds {start:.1f} to {end:.1f} cannot be decoded; export it again", code="video.damaged"
    )
