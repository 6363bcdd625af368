"""Reads videos frame by frame, at 30 frames/s, and says in one sentence why one cannot be read.

decord reads; PyAV decides. decord is silently wrong on some files (trimmed, MPEG transport streams, rotated), so it gets
MP4 and QuickTime only, and its frame count and sampled frames are checked against PyAV, which reads all other files
itself. Pixels are taken as square.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import av.container
import av.error
import av.video.stream
import numpy as np

from trainables.errors import StridefoldError

RATE = 30
"""Frames per second that everything after this file sees."""
LONGEST_GAP = 2.0
"""Seconds without a frame beyond which timestamps are taken as broken."""
LATEST_START = 2.0
"""Seconds that a stream cut in mid-picture may need until its first frame can be decoded."""
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,asf,flv,ogg,mxf,dv,h264,hevc,mpegvideo,m4v"
"""What is opened; a playlist, which may name other files, is not among them."""
SAMPLES = 8
"""Key frames that are compared; the first frames are compared too."""
FIRST = 5
TOLERANCE = 8
"""Largest difference of a colour value between the readers; the same picture differs by 0, measured."""

Timed = tuple[float, Callable[[], np.ndarray]]
"""A frame's time in seconds, and what makes its picture, uint8 [H, W, 3]."""


class VideoError(StridefoldError):
    """A video that cannot be used; `problem` is the sentence without the file's name."""

    def __init__(self, path: Path, problem: str):
        self.path = path
        self.problem = problem
        super().__init__(f"{path} {problem}")

    def __reduce__(self) -> tuple[type, tuple[Path, str]]:  # it crosses from one process to another
        return type(self), (self.path, self.problem)


class ReaderDisagrees(Exception):
    """decord and PyAV see different frames: read the video again, from its start, with PyAV."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Index:
    """When each frame is shown."""

    container: str
    """FFmpeg's name of the format, 'mov,mp4,...' for the files of telephones and most cameras."""
    pts: np.ndarray | None
    """In the stream's time base, sorted; None where the file has no timestamps."""
    seconds: np.ndarray
    keys: tuple[int, ...]
    """Indices of key frames."""
    spacing: float
    """Mean seconds between frames."""


def probe(path: Path, *, fps: float | None = None) -> VideoInfo:
    """Returns frame count, rate and upright size, from all packets and the first decoded frame.

    Args:
        fps: Replaces the file's own timestamps: its frames are then 1 / fps seconds apart.

    Raises:
        VideoError: The file is empty, cut off, no video, or its first frame cannot be decoded.
    """
    index = _index(path, fps)
    image = next(iter(_pyav_frames(path, index, fps)))[1]()
    return VideoInfo(
        frames=len(index.seconds), fps=1 / float(index.spacing), width=image.shape[1], height=image.shape[0]
    )


def decode(path: Path, *, fps: float | None = None, reader: Literal["decord", "pyav"] = "pyav") -> Iterator[np.ndarray]:
    """Yields the upright frames at 30 frames/s, uint8 [H, W, 3], each the nearest in time, the earlier one in a tie.

    Args:
        fps: As in `probe`.
        reader: 'decord' is checked against PyAV while it reads.

    Raises:
        VideoError: The video cannot be read to its end.
        ReaderDisagrees: decord is absent, or sees other frames than PyAV; what was yielded so far is void.
    """
    index = _index(path, fps)
    frames = _decord_frames(path, index, fps) if reader == "decord" else _pyav_frames(path, index, fps)
    return _resample(frames, index.spacing)


def _resample(frames: Iterable[Timed], spacing: float) -> Iterator[np.ndarray]:
    start, held_at, held, count = 0.0, 0.0, None, 0
    for at, picture in frames:
        if held is None:
            start = at
        else:
            while count / RATE <= (held_at + at) / 2 - start + 1e-6:
                yield held()
                count += 1
        held_at, held = at, picture
    if held is None:
        return
    for _ in range(count, max(round((held_at - start + spacing) * RATE), 1)):
        yield held()


@contextmanager
def _opened(path: Path) -> Iterator[tuple[av.container.InputContainer, av.video.stream.VideoStream]]:
    try:
        if path.stat().st_size == 0:
            raise VideoError(path, "is empty (0 bytes); copy it again")
        with av.open(
            str(path.absolute()), options={"format_whitelist": CONTAINERS}, metadata_errors="replace"
        ) as container:
            if not container.streams.video:
                raise VideoError(path, "holds no video stream, only sound or text")
            yield container, container.streams.video[0]
    except av.error.InvalidDataError:
        raise VideoError(path, "cannot be read as a video; export it again, as MP4 with H.264") from None
    except (OSError, av.error.FFmpegError) as error:
        raise VideoError(path, f"cannot be opened ({(error.strerror or str(error)).lower()})") from None


def _index(path: Path, fps: float | None) -> _Index:
    with _opened(path) as (container, stream):
        shown: list[tuple[int | None, bool]] = []
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise VideoError(path, f"is cut off after {len(shown)} frames; copy or export it again")
            if packet.size and not packet.is_discard:
                shown.append((packet.pts, packet.is_keyframe))
        if not shown:
            raise VideoError(path, "holds no frames; export it again")
        rate = fps or stream.average_rate or stream.guessed_rate
        stated = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
        if all(pts is not None for pts, _ in shown):
            shown.sort()
            pts = np.array([pts for pts, _ in shown])
            seconds = pts * float(stream.time_base or 0)
        elif rate:
            pts, seconds = None, np.arange(len(shown)) / float(rate)
        else:
            raise VideoError(path, "does not say its frame rate; add a column fps to the manifest, or export it again")
    seconds = np.arange(len(shown)) / fps if fps else seconds
    length = seconds[-1] - seconds[0]
    spacing = length / (len(seconds) - 1) if length else 1 / float(rate or RATE)
    if not fps:
        _check_times(path, seconds, spacing, stated)
    return _Index(
        container=container.format.name,
        pts=pts,
        seconds=seconds,
        keys=tuple(i for i, (_, key) in enumerate(shown) if key),
        spacing=spacing,
    )


def _check_times(path: Path, seconds: np.ndarray, spacing: float, stated: float) -> None:
    covered = seconds[-1] - seconds[0] + spacing
    if covered < 0.9 * stated - spacing:
        raise VideoError(path, f"is cut off after {covered:.1f} of {stated:.1f} seconds; copy or export it again")
    gaps = np.diff(seconds)
    if len(gaps) and gaps.max() > LONGEST_GAP:
        raise VideoError(
            path,
            f"shows nothing for {gaps.max():.1f} seconds after frame {int(gaps.argmax())} (at most {LONGEST_GAP:g}); "
            "export it again with a constant frame rate, or add a column fps to the manifest",
        )


def _pyav_frames(path: Path, index: _Index, fps: float | None) -> Iterator[Timed]:
    count = 0
    with _opened(path) as (container, stream):
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                if count:
                    raise VideoError(
                        path, f"is damaged: frame {count} of {len(index.seconds)} cannot be decoded; export it again"
                    ) from None
                continue
            for frame in frames:
                at = _seconds(frame, count, index, fps)
                if count == 0 and at - index.seconds[0] > LATEST_START:
                    raise VideoError(path, f"is damaged: its first {at:.1f} seconds cannot be decoded; export it again")
                yield at, _picture(frame)
                count += 1
    if not count:
        raise VideoError(path, "is damaged: none of its frames can be decoded; export it again")


def _seconds(frame: av.VideoFrame, count: int, index: _Index, fps: float | None) -> float:
    if fps or index.pts is None or frame.pts is None or frame.time_base is None:
        return float(index.seconds[min(count, len(index.seconds) - 1)])
    return float(frame.pts * frame.time_base)


def _picture(frame: av.VideoFrame) -> Callable[[], np.ndarray]:
    return lambda: np.rot90(frame.to_ndarray(format="rgb24"), k=round(frame.rotation / 90) % 4)


def _decord_frames(path: Path, index: _Index, fps: float | None) -> Iterator[Timed]:
    try:
        import decord  # has no wheel on some machines
    except ImportError:
        raise ReaderDisagrees("decord is not installed") from None
    decord.logging.set_level(decord.logging.QUIET)
    expected = _samples(path, index, fps)
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        if len(reader) != len(index.seconds):
            raise ReaderDisagrees(f"decord counts {len(reader)} frames, PyAV {len(index.seconds)}")
        for number, at in enumerate(index.seconds):
            image = reader.next().asnumpy()
            if number in expected and not _same(image, expected.pop(number)):
                raise ReaderDisagrees(f"frame {number} differs")
            yield float(at), lambda image=image: image  # type: ignore[misc]
    except (RuntimeError, StopIteration, decord.DECORDError) as error:
        raise ReaderDisagrees(f"decord failed: {error}") from None


def _same(image: np.ndarray, expected: np.ndarray) -> bool:
    return image.shape == expected.shape and int(np.abs(image.astype(np.int16) - expected).max()) <= TOLERANCE


def _samples(path: Path, index: _Index, fps: float | None) -> dict[int, np.ndarray]:
    """Returns {frame index: picture} of the first frames and of key frames spread over the video, through PyAV."""
    if index.pts is None or "mp4" not in index.container.split(","):
        raise ReaderDisagrees("decord is trusted with MP4 and QuickTime only")  # elsewhere it hides damage, measured
    first = _pyav_frames(path, index, fps)
    samples = {i: picture() for i, (_, picture) in zip(range(FIRST), first, strict=False)}
    chosen = {index.keys[i] for i in np.linspace(0, len(index.keys) - 1, SAMPLES).astype(int)} if index.keys else set()
    with _opened(path) as (container, stream):
        for number in sorted(chosen - samples.keys()):
            try:
                container.seek(int(index.pts[number]), stream=stream)
                packet = next(container.demux(stream))
                # Drained, because the decoder keeps a frame back for those that are shown before it.
                frame = next(iter([*packet.decode(), *stream.codec_context.decode(None)]), None)
            except av.error.FFmpegError:
                frame = None
            if frame is None or frame.pts != index.pts[number]:
                raise ReaderDisagrees(f"PyAV cannot find key frame {number} by its time")
            samples[number] = _picture(frame)()
    return samples
