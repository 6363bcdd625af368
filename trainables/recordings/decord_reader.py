"""Reads a video's frames with decord, in a process of its own, checked against PyAV.

decord is silently wrong on some files (trimmed, MPEG transport streams, turned, mirrored), and its FFmpeg is of 2018. So it
gets MP4 and QuickTime only, its frame count and sampled frames must be PyAV's, and where it crashes nothing else does.
"""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import av.error
import numpy as np

from trainables.recordings import decord_process
from trainables.recordings.containers import opened
from trainables.recordings.pictures import Pictures
from trainables.recordings.pyav_reader import Timed, pyav_frames
from trainables.recordings.timeline import Timeline

SAMPLES = 8
"""Key frames that are compared; the first frames are compared too."""
FIRST = 5
TOLERANCE = 8
"""Largest difference of a colour value between the readers; the same picture differs by 0, measured."""


class ReaderDisagrees(Exception):
    """decord and PyAV see different frames: read the video again, from its start, with PyAV."""


def has_decord() -> bool:
    """Returns whether decord is installed; it has no wheel on some machines."""
    return importlib.util.find_spec("decord") is not None


def decord_frames(path: Path, timeline: Timeline) -> Iterator[Timed]:
    """Yields the frames in the order in which they are shown.

    Raises:
        ReaderDisagrees: decord is not installed, failed, crashed, or sees other frames than PyAV.
    """
    if not has_decord():
        raise ReaderDisagrees("decord is not installed")
    expected = _samples(path, timeline)
    for number, image in enumerate(images(path, len(timeline.seconds))):
        if number in expected and not _same(image, expected.pop(number)):
            raise ReaderDisagrees(f"frame {number} differs")
        yield float(timeline.seconds[number]), lambda image=image: image  # type: ignore[misc]


def images(path: Path, expected: int | None = None) -> Iterator[np.ndarray]:
    """Yields decord's own frames, uint8 [H, W, 3 or 4], from a process of its own, unchecked but for their number.

    Raises:
        ReaderDisagrees: decord failed, crashed, or has another number of frames than expected.
    """
    command = [sys.executable, "-P", decord_process.__file__, str(path.absolute())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            [count] = _read(process.stdout, np.empty(1, dtype=np.int32))
            if expected is not None and count != expected:
                raise ReaderDisagrees(f"decord counts {count} frames, PyAV {expected}")
            for _ in range(count):
                shape = _read(process.stdout, np.empty(3, dtype=np.int32))
                yield _read(process.stdout, np.empty(shape, dtype=np.uint8))
        finally:
            process.kill()


def _read(output: IO[bytes], array: np.ndarray) -> np.ndarray:
    """Returns the array, filled."""
    if output.readinto(array.data.cast("B")) < array.nbytes:  # type: ignore[attr-defined]
        raise ReaderDisagrees("decord failed, or its process crashed")
    return array


def _same(image: np.ndarray, expected: np.ndarray) -> bool:
    return image.shape == expected.shape and int(np.abs(image.astype(np.int16) - expected).max()) <= TOLERANCE


def _samples(path: Path, timeline: Timeline) -> dict[int, np.ndarray]:
    """Returns {frame index: picture} of the first frames and of key frames spread over the video, through PyAV."""
    if timeline.pts is None or "mp4" not in timeline.container.split(","):
        raise ReaderDisagrees("decord is trusted with MP4 and QuickTime only")  # elsewhere it hides damage, measured
    first = pyav_frames(path, timeline)
    samples = {i: picture() for i, (_, picture) in zip(range(FIRST), first, strict=False)}
    keys = timeline.keys
    chosen = {keys[i] for i in np.linspace(0, len(keys) - 1, SAMPLES).astype(int)} if keys else set()
    pictures = Pictures(path)
    with opened(path) as (container, stream):
        for number in sorted(chosen - samples.keys()):
            try:
                container.seek(int(timeline.pts[number]), stream=stream)
                packet = next(container.demux(stream))
                # Drained, because the decoder keeps a frame back for those that are shown before it.
                frame = next(iter([*packet.decode(), *stream.codec_context.decode(None)]), None)
            except av.error.FFmpegError:
                frame = None
            if frame is None or frame.pts != timeline.pts[number]:
                raise ReaderDisagrees(f"PyAV cannot find key frame {number} by its time")
            samples[number] = pictures(frame)()
    return samples
