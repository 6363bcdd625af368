"""When each frame of a video file is shown, from a pass over its packets.

A decoder gives frames in the order in which they are shown. Containers do not always agree: AVI numbers its packets in
the order of decoding, the clock of two transport streams put together starts again in the middle, and some files give
times to some packets only. So the times are made continuous and sorted here, and the k-th frame is shown at the k-th time.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.container
import av.error
import av.video.stream
import numpy as np

from trainables.recordings.containers import VideoError, numbered_frames, opened, read_packets, shows
from trainables.recordings.file_parts import check_parts

RATE = 30
"""Frames per second that everything after decoding sees; a video of one frame is taken to have it."""
LONGEST_GAP = 2.0
"""Seconds without a frame beyond which timestamps are taken as broken."""
LEAST = 0.9
"""Part of the stated duration that must be there; writers round it up."""
STATED_FOR_ALL = frozenset({"matroska", "flv", "asf"})
"""Containers that state one duration for all their streams, if any."""
CLOCKED = frozenset({"mpegts", "mpeg"})
"""Containers whose times are those of a running clock, which starts again where two recordings were put together."""
HALF_TURN = 2**32
"""Ticks of half a turn of that clock: a longer step forward is one back."""
STEP_BACK = 0.1
"""Seconds that the clock must step back at least: some writers are a frame out."""
NEARLY = 0.25
"""Seconds by which guessed times may be out."""
REORDERED = 16
"""Frames that a decoder may hold back, at most, to show others before them; the same in all codecs."""
RAW = frozenset({"h264", "hevc", "mpegvideo", "m4v"})
"""Streams without a container: FFmpeg assumes 25 frames/s where they do not state a rate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """When each frame is shown."""

    container: str
    """FFmpeg's name of the format, 'mov,mp4,...' for the files of telephones and most cameras."""
    seconds: np.ndarray
    """Of each frame, sorted."""
    ranks: np.ndarray | None
    """Place in `seconds` of each packet, in the file's order; None where the frames are only counted."""
    pts: np.ndarray | None
    """The file's own times in the stream's time base, sorted; None where it does not have all of them."""
    keys: tuple[int, ...]
    """Indices of key frames."""
    spacing: float
    """Mean seconds between frames."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Packets:
    """What a file's packets say, in its order; times in ticks, NaN where there are none."""

    container: str
    pts: np.ndarray
    dts: np.ndarray
    ends: np.ndarray
    key: np.ndarray
    corrupt: tuple[int, ...]
    """How many packets came before each of those from which something is missing."""
    tick: float
    """Seconds."""
    rate: Fraction | None
    stated: float
    """Seconds that the stream should last, or the file; 0 where that is not said."""
    others_end: float
    """Seconds at which the last packet of the other streams ends, where the duration is stated for all of them."""


def read_timeline(path: Path, fps: float | None) -> Timeline:
    """Returns when each frame is shown.

    Args:
        fps: Replaces the file's own times: its frames are then 1 / fps seconds apart.

    Raises:
        VideoError: The file is cut off, holds no frames, does not say when they are shown, or shows none for seconds.
    """
    packets = _read(path)
    shift = _shift(path, packets)
    _check_file(path, len(packets.pts))
    ticks = _ticks(packets, shift)
    ranks = None if ticks is None or fps else np.argsort(np.argsort(ticks, kind="stable"), kind="stable")
    if ticks is None:
        ticks = _filled(path, packets, _shown(path, packets.pts + shift), fps)
    ticks = np.sort(ticks)
    rate = Fraction(fps) if fps else packets.rate
    seconds = np.arange(len(ticks)) / fps if fps else ticks * packets.tick
    if rate:
        seconds = _evenly(seconds, float(rate))
    length = seconds[-1] - seconds[0]
    spacing = length / (len(seconds) - 1) if length else 1 / float(rate or RATE)
    if not fps:
        _check_times(path, seconds, spacing, packets)
    return Timeline(
        container=packets.container,
        seconds=seconds,
        ranks=ranks,
        pts=None if np.isnan(packets.pts).any() else np.sort(packets.pts).astype(np.int64),
        keys=tuple(np.flatnonzero(packets.key[np.argsort(packets.pts, kind="stable")]).tolist()),
        spacing=spacing,
    )


def _read(path: Path) -> _Packets:
    with opened(path) as (container, stream):
        names = frozenset(container.format.name.split(","))
        for_all = bool(names & STATED_FOR_ALL)
        shown: list[tuple[float, float, float, bool]] = []
        corrupt, others_end = [], 0.0
        for packet in read_packets(container, None if for_all else stream):
            start = packet.dts if packet.pts is None else packet.pts
            end = np.nan if start is None else start + (packet.duration or 0)
            if packet.stream_index != stream.index:
                others_end = max(others_end, float(end * (packet.time_base or 0)) if start is not None else 0.0)
                continue
            if packet.is_corrupt:
                corrupt.append(len(shown))
            if shows(packet):
                shown.append((_number(packet.pts), _number(packet.dts), end, packet.is_keyframe))
        if not shown:
            if corrupt or check_parts(path).missing:
                raise VideoError(
                    path, "is cut off before its first frame; copy or export it again", code="video.cut_off"
                )
            raise VideoError(path, "holds no frames; copy or export it again", code="video.times")
        pts, dts, ends, key = (np.array(column) for column in zip(*shown, strict=True))
        stated = 0.0 if names & CLOCKED else float((stream.duration or 0) * (stream.time_base or 0))
        return _Packets(
            container=container.format.name,
            pts=pts,
            dts=dts,
            ends=ends,
            key=key,
            corrupt=tuple(corrupt),
            tick=float(stream.time_base or 0),
            rate=_rate(stream, names),
            stated=(container.duration or 0) / av.time_base if for_all else stated,
            others_end=others_end,
        )


def _number(value: int | None) -> float:
    return np.nan if value is None else float(value)


def _rate(stream: av.video.stream.VideoStream, names: frozenset[str]) -> Fraction | None:
    """Returns the frames per second that a file states, for those that give no times."""
    return stream.codec_context.framerate if names & RAW else stream.average_rate or stream.guessed_rate


def _shift(path: Path, packets: _Packets) -> np.ndarray:
    """Returns the ticks to add to each packet's times, so that a clock that started again runs on.

    Raises:
        VideoError: Something is missing from a packet, and that is not the seam of two recordings.
    """
    shift = np.zeros(len(packets.dts))
    seams: np.ndarray = np.zeros(0, dtype=int)
    timed = np.flatnonzero(~np.isnan(packets.dts))
    if packets.container in CLOCKED and len(timed) > 1:
        steps = np.diff(packets.dts[timed])
        usual = float(np.median(steps))
        back = (steps < -max(STEP_BACK / packets.tick, 1.5 * usual)) | (steps > HALF_TURN)
        shift[timed[1:][back]] = usual - steps[back]
        seams = timed[1:][back | (steps > LONGEST_GAP / packets.tick)]
    for at in packets.corrupt:
        if not ((seams > at) & (seams <= at + 2)).any():  # the last packets before a seam lack their continuation
            raise _incomplete(path, at, len(packets.pts))
    return np.cumsum(shift)


def _check_file(path: Path, frames: int) -> None:
    parts = check_parts(path)
    if parts.missing:
        raise _incomplete(path, frames, frames)
    if parts.recordings > 1:
        raise VideoError(
            path,
            f"is {parts.recordings} recordings in one file; keep them apart, or join them with a video editor",
            code="video.several_recordings",
        )


def _incomplete(path: Path, at: int, frames: int) -> VideoError:
    if at < frames - REORDERED:
        return VideoError(
            path,
            f"is damaged: data is missing at frame {at} of {frames}; copy or export it again",
            code="video.damaged",
        )
    return VideoError(path, f"is cut off after {at} frames; copy or export it again", code="video.cut_off")


def _ticks(packets: _Packets, shift: np.ndarray) -> np.ndarray | None:
    """Returns each packet's time; None where some have none."""
    # AVI has the order of decoding only. FFmpeg adds pts: by the frames' types, or, where it does not know these, by guessing.
    guessed = packets.container == "avi" and bool((np.diff(packets.pts) >= 0).all())
    for times in (packets.dts, packets.pts) if guessed else (packets.pts, packets.dts):
        if not np.isnan(times).any():
            return times + shift
    return None


def _shown(path: Path, pts: np.ndarray) -> np.ndarray:
    """Returns the time of each frame in the order in which they are shown, NaN where its packet has none, by decoding all of them.

    A frame may consist of two packets, one for each of its fields.
    """
    return np.array([pts[number] for number, _ in numbered_frames(path, np.arange(len(pts)))])


def _filled(path: Path, packets: _Packets, shown: np.ndarray, fps: float | None) -> np.ndarray:
    """Returns frames' times with those that are not known put evenly between and beyond those that are."""
    at = np.arange(len(shown))
    known = at[~np.isnan(shown)]
    if not fps and not packets.rate and len(known) < 2:
        raise VideoError(
            path,
            "does not say its frame rate; add a column fps to the manifest, or export it again",
            code="video.no_frame_rate",
        )
    first, last = (known[0], known[-1]) if len(known) else (0, 0)
    step = (shown[last] - shown[first]) / (last - first) if last > first else 1 / (packets.rate or RATE) / packets.tick
    if not len(known):
        return at * step
    before, after = np.minimum(at - first, 0) * step, np.maximum(at - last, 0) * step
    return np.interp(at, known, shown[known]) + before + after


def _evenly(seconds: np.ndarray, rate: float) -> np.ndarray:
    """Returns times of which none is there twice, where they are nearly even.

    FFmpeg rounds at the seams of an edit list, and guesses where a program stream has one time for several small frames.
    """
    even = seconds[0] + np.arange(len(seconds)) / rate
    return even if (np.diff(seconds) == 0).any() and np.abs(seconds - even).max() < NEARLY else seconds


def _check_times(path: Path, seconds: np.ndarray, spacing: float, packets: _Packets) -> None:
    end = max(seconds[-1] + spacing, float(np.nanmax(packets.ends, initial=0.0)) * packets.tick, packets.others_end)
    covered = end - min(seconds[0], 0.0)  # a stated duration may begin before the first frame, at second 0
    if covered < LEAST * packets.stated - spacing:
        raise VideoError(
            path,
            f"is cut off after {covered:.1f} of {packets.stated:.1f} seconds; copy or export it again",
            code="video.cut_off",
        )
    gaps = np.diff(seconds)
    if len(gaps) and gaps.max() > LONGEST_GAP:
        raise VideoError(
            path,
            f"shows nothing for {gaps.max():.1f} seconds after frame {int(gaps.argmax())} (at most {LONGEST_GAP:g}); "
            "export it again with a constant frame rate, or add a column fps to the manifest",
            code="video.gap",
        )
