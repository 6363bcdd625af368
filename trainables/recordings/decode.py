"""Reads videos frame by frame, at 30 frames/s, and says in one sentence why one cannot be read.

PyAV reads. decord can be asked instead, in a process of its own; its frames are checked against PyAV's. Why:
docs/decisions/0014-pyav-reads.md. Pixels are taken as square.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainables.errors import ConfigurationError
from trainables.recordings.containers import VideoError
from trainables.recordings.decord_reader import ReaderDisagrees, decord_frames, has_decord
from trainables.recordings.pyav_reader import Timed, pyav_frames
from trainables.recordings.timeline import RATE
from trainables.recordings.timeline import read_timeline as _index
from trainables.study.vocabulary import READERS

__all__ = ["RATE", "ReaderDisagrees", "VideoError", "VideoInfo", "check_reader", "decode", "probe"]


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoInfo:
    """What a file says about itself, after a pass over its packets and its first frame."""

    frames: int
    """At the file's own rate."""
    fps: float
    """Frames per second, the mean where the rate varies."""
    width: int
    """Pixels of the upright frame."""
    height: int

    @property
    def frames_at_30(self) -> int:
        """Frames after resampling to 30 frames/s."""
        return round(self.frames / self.fps * RATE)


def probe(path: Path, *, fps: float | None = None) -> VideoInfo:
    """Returns frame count, rate and upright size, from all packets and the first decoded frame.

    Args:
        fps: Replaces the file's own timestamps: its frames are then 1 / fps seconds apart.

    Raises:
        VideoError: The file is empty, cut off, no video, or its first frame cannot be decoded.
    """
    timeline = _index(path, fps)
    image = next(iter(pyav_frames(path, timeline)))[1]()
    return VideoInfo(
        frames=len(timeline.seconds), fps=1 / float(timeline.spacing), width=image.shape[1], height=image.shape[0]
    )


def decode(path: Path, *, fps: float | None = None, reader: str = "pyav") -> Iterator[np.ndarray]:
    """Yields the upright frames at 30 frames/s, uint8 [H, W, 3], each the nearest in time, the earlier one in a tie.

    Args:
        fps: As in `probe`.
        reader: pyav or decord, which is checked against PyAV while it reads.

    Raises:
        VideoError: The video cannot be read to its end.
        ReaderDisagrees: decord failed, or sees other frames than PyAV; what was yielded so far is void.
    """
    timeline = _index(path, fps)
    frames = decord_frames(path, timeline) if reader == "decord" else pyav_frames(path, timeline)
    return _resample(frames, timeline.spacing)


def count_frames(path: Path, *, fps: float | None = None) -> int:
    """Returns how many frames `decode` yields, from the packets alone.

    Raises:
        VideoError: The file is empty, cut off, or no video.
    """
    timeline = _index(path, fps)
    return sum(1 for _ in _resample(((at, _nothing) for at in timeline.seconds), timeline.spacing))


def _nothing() -> np.ndarray:
    return np.empty(0, dtype=np.uint8)


def check_reader(reader: str) -> None:
    """Checks that a reader can be used here.

    Raises:
        ConfigurationError: It is not known, or not installed.
    """
    if reader not in READERS:
        raise ConfigurationError(f"--reader {reader} is not known; use {' or '.join(READERS)}", code="option.choice")
    if reader == "decord" and not has_decord():
        raise ConfigurationError(
            "--reader decord, but decord is not installed; pip install 'stridefold[decord]', or leave --reader out",
            code="reader.not_installed",
        )


def _resample(frames: Iterable[Timed], spacing: float) -> Iterator[np.ndarray]:
    start, held_at, held, count, steps = 0.0, 0.0, None, 0, 0
    for at, picture in frames:
        if held is None:
            start = at
        else:
            steps += 1
            while count / RATE <= (held_at + at) / 2 - start + 1e-6:
                yield held()
                count += 1
        held_at, held = at, picture
    if held is None:
        return
    spacing = (held_at - start) / steps if held_at > start else spacing
    for _ in range(count, max(round((held_at - start + spacing) * RATE), 1)):
        yield held()
