"""Prints frames per second of a video's way into the frame cache, beside ffmpeg's own decoding and scaling.

    python benchmarks/ingest.py --frame 512        # simulated walkers, 12 s of 512 px in H.264, scaled to 224
    python benchmarks/ingest.py cohort/videos/*.mp4

Both sides with one process of one thread, and with one for each core. Ours also reads each file before, for its times, and writes the
frames to a disk; ffmpeg drops them. Our processes have started when the clock does. Needs the program ffmpeg.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.figures import Figure, as_a_worker, figure, in_turns, parser, show
from trainables.data.cache import CachedVideo, in_processes
from trainables.recordings.decode import probe
from trainables.simulation.cohort import simulate_cohort

SIZE = 224


def main() -> int:
    """Measures and prints the figures."""
    as_a_worker()
    options = parser(__doc__)
    options.add_argument("videos", nargs="*", type=Path)
    options.add_argument("--frame", type=int, default=512, help="side of the simulated videos in pixels (default 512)")
    options.add_argument("--times", type=int, default=2, help="each side reads every video so often (default 2)")
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    if shutil.which("ffmpeg") is None:
        print("the program ffmpeg is not installed; on Debian or Ubuntu: apt-get install ffmpeg", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        videos = given.videos
        if not videos:
            simulate_cohort(Path(folder) / "cohort", subjects=6, seconds=12.0, size=given.frame)
            videos = sorted((Path(folder) / "cohort" / "videos").glob("*.mp4"))
        show(figures(list(videos) * given.times, Path(folder), given.rounds))
    return 0


def figures(videos: Sequence[Path], folder: Path, rounds: int) -> Iterator[Figure]:
    """Yields the figure of one core and of all."""
    about = probe(videos[0])
    frames = sum(probe(video).frames for video in videos)
    what = f"decoding {about.width} x {about.height} into squares of {SIZE}"
    cores = os.cpu_count() or 1
    for workers in (1, cores):

        def ours(workers: int = workers) -> float:
            with tempfile.TemporaryDirectory(dir=folder) as cache:
                jobs = [
                    {"path": v, "sha256": str(i), "box": None, "size": SIZE, "folder": Path(cache)}
                    for i, v in enumerate(videos)
                ]
                results = in_processes(jobs, workers=workers)
                next(results)  # the processes have started
                started = time.perf_counter()
                read = 0
                for _, result in results:
                    assert isinstance(result, CachedVideo), result
                    read += result.frames
                return read / (time.perf_counter() - started)

        def theirs(workers: int = workers) -> float:
            with ThreadPoolExecutor(workers) as pool:
                started = time.perf_counter()
                list(pool.map(ffmpeg, videos))
                return frames / (time.perf_counter() - started)

        yield figure(f"{what}, {workers} core{'s' if workers > 1 else ''}", in_turns(ours, theirs, rounds), unit="frames/s",
                     beside="ffmpeg -vf scale -f null", aim="0.8")  # fmt: skip


def ffmpeg(video: Path) -> None:
    """Decodes and scales a video with one thread, and drops it."""
    scale = f"scale={SIZE}:{SIZE}:force_original_aspect_ratio=decrease:flags=bicubic,format=rgb24"
    before = ["ffmpeg", "-v", "error", "-threads", "1", "-i"]
    after = ["-filter_threads", "1", "-vf", scale, "-f", "null", "-"]
    subprocess.run([*before, str(video), *after], check=True)


if __name__ == "__main__":
    sys.exit(main())
