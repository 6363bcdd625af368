"""Trains a fold in a process that may hold what micro-batches of half a batch need, and no more; run by test_fold."""

import resource
import sys
from pathlib import Path

import torch

from tests.tiny_cohort import CONFIG, read_cohort
from trainables.training.fold import halved, train_fold

LARGE = CONFIG.with_values(
    {"video.frames": 30, "video.stride": 5, "video.n_global": 64, "optimizer.batch_size": 32, "optimizer.epochs": 1}
)
ROOM = 80 * 2**20
"""Bytes above the peak of half a batch; a whole one needs several times that."""


def main(cohort: Path, folder: Path) -> None:
    """Trains half-batches freely, then whole batches where the address space ends a little above that."""
    tiny, half = read_cohort(cohort), halved(LARGE)
    assert half is not None
    train_fold(half, tiny.job(folder / "free"))
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmPeak"].split()[0]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (peak + ROOM, peak + ROOM))
    train_fold(LARGE, tiny.job(folder / "tight"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
