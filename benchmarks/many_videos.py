"""Prints what a cohort costs as its videos grow many: every stage before training, and reading a training window.

    python benchmarks/many_videos.py --videos 1000 10000

Short noisy videos, four of a subject, really written, hashed, decoded and compared; milliseconds a video, the larger
cohort beside the smaller one. A ratio of 1 is a cost that grows as the videos do.
"""

import functools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from platform.splits import check_ledger, check_near_duplicates, make_splits
from typing import Any

import numpy as np

from benchmarks.figures import Figure, as_a_worker, figure, parser, show
from trainables.cohort.manifest import read_manifest
from trainables.data.cache import in_processes, ingest_cohort
from trainables.data.dataset import WindowDataset
from trainables.knowledge.tasks import load_task
from trainables.settings import VideoConfig
from trainables.simulation.cohort import write_frames

FRAMES, SIDE = 72, 64
OF_A_SUBJECT = 4
WINDOWS = 2000
"""Windows whose reading is timed."""


def main() -> None:
    """Measures and prints the figures."""
    as_a_worker()
    options = parser(__doc__)
    options.add_argument("--videos", type=int, nargs=2, default=(1000, 10_000))
    given = options.parse_args()
    show(figures(*given.videos))


def figures(few: int, many: int) -> Iterator[Figure]:
    """Yields one figure a stage: milliseconds a video of the larger cohort beside the smaller one."""
    small, large = stages(few), stages(many)
    for stage, milliseconds in large.items():
        yield figure(f"{stage}, a cohort of {many} videos", [(milliseconds, small[stage])], unit="ms each",
                     beside=f"a cohort of {few}", aim="1")  # fmt: skip


def stages(count: int) -> dict[str, float]:
    """Returns the milliseconds a video of each stage."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ProcessPoolExecutor() as pool:
            list(pool.map(functools.partial(write_video, folder), range(count), chunksize=50))
        rows = [f"S{i // OF_A_SUBJECT},{i}.mp4,{('healthy', 'DLB', 'AD')[i // OF_A_SUBJECT % 3]}" for i in range(count)]
        (folder / "cohort.csv").write_text("\n".join(["subject,video,diagnosis", *rows]) + "\n")
        seconds: dict[str, float] = {}

        def stage(what: str, call: Callable[[], Any]) -> Any:
            started = time.perf_counter()
            made = call()
            seconds[what] = (time.perf_counter() - started) / count * 1e3
            return made

        task = load_task("diagnosis")
        cohort, _ = stage("checking the manifest", lambda: read_manifest(
            folder / "cohort.csv", task=task, label="diagnosis", parameters=(), folds=5))  # fmt: skip
        run = functools.partial(in_processes, workers=os.cpu_count() or 1)
        cohort = stage(
            "decoding into the cache", lambda: ingest_cohort(cohort, size=SIDE, folder=folder / "cache", run=run)
        )
        stage("finding near-duplicates", lambda: check_near_duplicates(cohort, folder / "cache", ()))
        splits = stage("splitting", lambda: make_splits(cohort, folds=5, seed=0))
        stage("checking the ledger", lambda: check_ledger(cohort, splits))
        videos = cohort.of_subjects(splits.folds[0].train)
        data = stage(
            "listing the windows", lambda: WindowDataset(videos, folder / "cache", VideoConfig(), training=True)
        )
        chosen = np.random.default_rng(0).integers(len(data), size=WINDOWS)
        started = time.perf_counter()
        for index in chosen:
            data[int(index)]
        seconds["reading a window"] = (time.perf_counter() - started) / WINDOWS * 1e3
        return seconds


def write_video(folder: Path, number: int) -> None:
    """Writes a video of blurred noise that no other video resembles."""
    draws = np.random.default_rng(number)
    coarse = draws.integers(0, 256, (FRAMES // 8, SIDE // 8, SIDE // 8, 3), dtype=np.uint8)
    with (folder / f"{number}.mp4").open("wb") as file:
        write_frames(file, coarse.repeat(8, axis=0).repeat(8, axis=1).repeat(8, axis=2), quality=35)


if __name__ == "__main__":
    main()
