"""Prints what a training window costs from the frame cache and from the video, and what PyAV costs beside decord.

    python benchmarks/frame_cache.py

Simulated walkers in H.264 at two sizes, in one process of one thread. decord is asked as `--reader decord` asks it, in a process of its own
and with its check against PyAV; for a window it is asked alone and in this process. A window begins at a random frame, as in training.
"""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.figures import Figure, as_a_worker, figure, in_turns, parser, show, timed
from trainables.data.cache import ingest, open_cached, square
from trainables.recordings.decode import decode
from trainables.simulation.cohort import simulate_cohort

SIZE = 224
WINDOWS = 10


def main() -> None:
    """Measures and prints the figures."""
    as_a_worker()
    options = parser(__doc__)
    options.add_argument(
        "--frames", type=int, nargs="+", default=(224, 512), help="sides of the videos (default 224 512)"
    )
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    torch.set_num_threads(1)
    for side in given.frames:
        with tempfile.TemporaryDirectory() as folder:
            show(figures(side, Path(folder), given.rounds))


def figures(side: int, folder: Path, rounds: int) -> Iterator[Figure]:
    """Yields the figures of videos of one size."""
    simulate_cohort(folder / "cohort", subjects=3, seconds=12.0, size=side)
    video = min((folder / "cohort" / "videos").glob("*.mp4"))
    cached = ingest(video, sha256="", box=None, size=SIZE, folder=folder)
    rng = np.random.default_rng(0)

    def read(reader: str) -> float:
        return 1e3 * timed(lambda: [None for _ in decode(video, reader=reader)]) / cached.frames

    yield figure(f"a frame of {side} x {side} by PyAV", in_turns(lambda: read("pyav"), lambda: read("decord"), rounds),
                 unit="ms", beside="decord, checked")  # fmt: skip

    def from_cache(length: int) -> float:
        start = int(rng.integers(cached.frames - length))
        return 1e3 * timed(lambda: np.array(open_cached(folder, cached.name)[start : start + length]))

    def from_video(length: int) -> float:
        wanted = np.arange(length) + int(rng.integers(cached.frames - length))

        def window() -> np.ndarray:
            import decord  # not before av, which would then find decord's older codecs

            reader = decord.VideoReader(str(video), num_threads=1)
            return np.stack([square(frame, None, SIZE) for frame in reader.get_batch(wanted).asnumpy()])

        return 1e3 * timed(window)

    for length in (8, 70):
        pairs = in_turns(partial(from_cache, length), partial(from_video, length), WINDOWS)
        yield figure(f"a window of {length} frames of {side} x {side} from the cache", pairs, unit="ms", beside="from the video by decord")  # fmt: skip


if __name__ == "__main__":
    main()
