"""Prints how many recordings PyAV and decord read as ffmpeg shows them, and what a frame costs.

    python benchmarks/readers.py                    # made recordings, of the kinds that cameras, editors and copies leave
    python benchmarks/readers.py cohort/videos/*.mp4

PyAV as ingest asks it. decord as anyone would ask it: every frame in order, unchecked, in a process of its own, because it may crash.
A recording is read rightly where the number of frames is ffmpeg's and no colour value differs by more than 12. Seconds are
of the processor, one thread each. Needs the program ffmpeg.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure, as_a_worker, figure, in_turns, parser, show
from tests.ffmpeg import NEAR, frames_of_ffmpeg
from tests.field_coded import write_fields
from tests.recordings import copied, edited, grown, joined, packed_avi, turned, with_cover, with_sound
from tests.videos import write_video
from trainables.recordings.decord_reader import ReaderDisagrees, images
from trainables.recordings.pyav_reader import pyav_frames
from trainables.recordings.timeline import read_timeline

B_FRAMES = {"g": "12", "bf": "3"}


def main() -> int:
    """Measures and prints the figures."""
    as_a_worker()
    options = parser(__doc__)
    options.add_argument("videos", nargs="*", type=Path)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    if shutil.which("ffmpeg") is None:
        print("the program ffmpeg is not installed; on Debian or Ubuntu: apt-get install ffmpeg", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        videos = given.videos or list(recordings(Path(folder)))
        show(figures(videos, given.rounds if given.videos else 0))
    return 0


def figures(videos: Sequence[Path], rounds: int) -> Iterator[Figure]:
    """Yields how many videos are read rightly and, with rounds, what a frame costs."""
    right = [(float(sum(same(by_pyav, v) for v in videos)), float(sum(same(by_decord, v) for v in videos)))]
    yield figure(f"recordings of {len(videos)} read as ffmpeg shows them", right, unit="files", beside="decord alone")
    if rounds:
        costs = in_turns(lambda: cost(by_pyav, videos), lambda: cost(decord_here, videos), rounds)
        yield figure("processor time of a frame by PyAV", costs, unit="ms", beside="decord alone")


def by_pyav(video: Path) -> Iterator[np.ndarray]:
    """Yields the frames as ingest reads them, at their own rate."""
    return (picture() for _, picture in pyav_frames(video, read_timeline(video, None)))


def by_decord(video: Path) -> Iterator[np.ndarray]:
    """Yields decord's frames from a process of its own."""
    return images(video)


def decord_here(video: Path) -> Iterator[np.ndarray]:
    """Yields decord's frames in this process, where its time counts."""
    import decord  # not before av, which would then find decord's older codecs

    decord.logging.set_level(decord.logging.QUIET)
    reader = decord.VideoReader(str(video), num_threads=1)
    return (reader.next().asnumpy() for _ in range(len(reader)))


def same(read: Callable[[Path], Iterator[np.ndarray]], video: Path) -> bool:
    """Returns whether a reader gives ffmpeg's frames."""
    try:
        ours = list(read(video))
        theirs = frames_of_ffmpeg(video, *ours[0].shape[:2])
    except (ReaderDisagrees, ValueError, IndexError):
        return False
    alike = (a.shape == b.shape and np.abs(a.astype(int) - b).max() <= NEAR for a, b in zip(ours, theirs, strict=False))
    return len(ours) == len(theirs) and all(alike)


def cost(read: Callable[[Path], Iterator[np.ndarray]], videos: Sequence[Path]) -> float:
    """Returns the processor's milliseconds of a frame."""
    started = time.process_time()
    count = sum(1 for video in videos for _ in read(video))
    return 1e3 * (time.process_time() - started) / count


def recordings(folder: Path) -> Iterator[Path]:
    """Yields a recording of each kind."""
    plain = write_video(folder / "plain.mp4", options=B_FRAMES)
    yield plain
    for name, codec in (("a.mov", "prores_ks"), ("a.avi", "mpeg4"), ("b.avi", "mjpeg"), ("a.webm", "libvpx-vp9"), ("b.webm", "libvpx"),
                        ("a.mpg", "mpeg2video"), ("a.flv", "flv"), ("a.wmv", "wmv2"), ("a.gif", "gif"), ("a.ivf", "libvpx"),
                        ("av1.mp4", "libsvtav1"), ("hevc.mp4", "libx265")):  # fmt: skip
        yield write_video(folder / name, codec=codec)
    for name in ("a.mkv", "a.nut", "a.ts", "a.m2ts", "b.flv"):
        yield copied(plain, folder / name)
    for name in ("c.avi", "a.vob"):
        yield write_video(folder / name, options=B_FRAMES)
    for name, pix_fmt in (
        ("full.mp4", "yuvj420p"),
        ("ten.mp4", "yuv420p10le"),
        ("422.mp4", "yuv422p"),
        ("grey.mp4", "gray"),
    ):
        yield write_video(folder / name, pix_fmt=pix_fmt)
    signs = [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)] + [(0, b, c, 0) for b in (1, -1) for c in (1, -1)]
    for number, matrix in enumerate(signs):
        yield turned(plain, folder / f"turned{number}.mp4", matrix)
    lists: list[list[tuple[float, float | None]]] = [
        [(1.0, 0.5)],
        [(0.5, None), (1.5, 0.3)],
        [(0.5, 0.4), (0.5, 1.3)],
        [(0.5, 0.5), (0.5, 0.5)],
    ]
    for number, edits in enumerate(lists):
        yield edited(plain, folder / f"edited{number}.mp4", edits)
    yield packed_avi(folder / "packed.avi")
    yield joined(folder / "joined.ts", folder / "a.ts", folder / "a.ts")
    yield joined(folder / "joined.mpg", folder / "a.mpg", folder / "a.mpg")
    yield with_cover(plain, folder / "cover.mp4", first=True)
    yield with_sound(folder / "sound.mkv", films=((64, 48), (128, 96)))
    yield write_fields(folder / "fields.ts")
    yield grown(folder / "grown.mp4", [(64, 48), (128, 96)])
    yield write_video(folder / "uneven.mkv", times=[i / 30 + 0.5 * (i > 30) for i in range(60)])


if __name__ == "__main__":
    sys.exit(main())
