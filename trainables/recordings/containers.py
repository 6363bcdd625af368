"""Opens a video file, chooses its video stream, and decodes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import av.container
import av.error
import av.video.stream
import numpy as np
from av.stream import Disposition

from trainables.errors import StridefoldError

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,asf,flv,ogg,mxf,dv,h264,hevc,mpegvideo,m4v,"
    "gif,apng,ivf,nut,yuv4mpegpipe"
)
"""What is opened; a playlist, which may name other files, is not among them."""
PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails
"""Streams of covers and chapter pictures, which are not the film."""
DEFAULT = 5_000_000
"""What the mark 'default' is worth in pixels where there are several video streams, as in ffmpeg."""


class VideoError(StridefoldError):
    """A video that cannot be used; `problem` is the sentence without the file's name."""

    def __init__(self, path: Path, problem: str, *, code: str = "video.unreadable"):
        self.path = path
        self.problem = problem
        super().__init__(f"{path} {problem}", code=code)

    def __reduce__(self) -> tuple[type, tuple[Path, str], dict[str, str]]:  # it crosses from one process to another
        return type(self), (self.path, self.problem), {"code": self.code}


@contextmanager
def opened(path: Path) -> Iterator[tuple[av.container.InputContainer, av.video.stream.VideoStream]]:
    """Opens a file for one thread: (container, the video stream that a player shows).

    Raises:
        VideoError: The file is missing, empty, or holds no video; also for errors of reading while it is open.
    """
    try:
        if path.stat().st_size == 0:
            raise VideoError(path, "is empty (0 bytes); copy it again", code="video.empty")
        with av.open(
            str(path.absolute()), options={"format_whitelist": CONTAINERS}, metadata_errors="replace"
        ) as container:
            stream = _film(path, container)
            # Cohorts are decoded by one process for each CPU.
            stream.thread_type, stream.codec_context.thread_count = "NONE", 1
            yield container, stream
    except av.error.InvalidDataError:
        raise VideoError(
            path, "cannot be read as a video; export it again, as MP4 with H.264", code="video.unreadable"
        ) from None
    except av.error.EOFError:
        raise VideoError(
            path, "is cut off before its first frame; copy or export it again", code="video.cut_off"
        ) from None
    except (OSError, av.error.FFmpegError) as error:
        raise VideoError(
            path, f"cannot be opened ({(error.strerror or str(error)).lower()})", code="video.cannot_open"
        ) from None


def _film(path: Path, container: av.container.InputContainer) -> av.video.stream.VideoStream:
    """Returns the stream that ffmpeg would choose: the largest, with an advantage for the default, without covers."""
    if not container.streams.video:
        raise VideoError(path, "holds no video stream, only sound or text", code="video.no_picture")
    films = [stream for stream in container.streams.video if not stream.disposition & PICTURES]
    if not films:
        raise VideoError(path, "holds no video stream, only a cover picture", code="video.no_picture")
    known = [stream for stream in films if stream.codec_context]
    if not known:
        raise VideoError(
            path,
            "holds a video in a format that nothing here can decode; export it as MP4 with H.264",
            code="video.codec",
        )
    return max(known, key=lambda s: s.width * s.height + DEFAULT * bool(s.disposition & Disposition.default))


def read_packets(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream | None = None
) -> Iterator[av.Packet]:
    """Yields the packets of a stream, or of all, and at their end an empty one that makes the decoder give its last frames."""
    try:
        yield from container.demux(stream) if stream else container.demux()
    except IndexError:  # PyAV, after all packets, where a stream appeared that was not there when the file was opened
        return


def shows(packet: av.Packet) -> bool:
    """Returns whether a frame is shown for a packet: it holds something, and no edit list leaves it out."""
    return packet.size > 0 and not packet.is_discard


def numbered_frames(path: Path, numbers: np.ndarray) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yields the frames in the order in which they are shown, each with the number of the packet that it came in.

    Args:
        numbers: One for each packet that shows a frame, in the file's order.

    Raises:
        VideoError: A frame after the first one cannot be decoded, or none can.
    """
    count, number = 0, 0
    with opened(path) as (container, stream):
        left = iter(numbers)
        for packet in read_packets(container, stream):
            if shows(packet):
                packet.pts = number = int(next(left, numbers[-1]))
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                if count:
                    problem = f"is damaged: frame {count} of {len(numbers)} cannot be decoded; export it again"
                    raise VideoError(path, problem, code="video.damaged") from None
                continue
            yield from ((number if frame.pts is None else frame.pts, frame) for frame in frames)
            count += len(frames)
    if not count:
        raise VideoError(path, "is damaged: none of its frames can be decoded; export it again", code="video.damaged")
