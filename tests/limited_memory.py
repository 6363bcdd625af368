"""Trains a fold of the tiny cohort under a limit of memory; run by test_fold.

    python -m tests.limited_memory COHORT FOLDER LIMIT

LIMIT is in bytes of address space beyond what the process has before training; 0 is none, and prints what was taken.
"""

import resource
import sys
from pathlib import Path

import torch

from tests.tiny_cohort import CONFIG, read_cohort
from trainables.errors import StridefoldError
from trainables.training.fold import train_fold

LARGE = CONFIG.with_values(
    {"video.frames": 24, "video.stride": 1, "video.n_global": 8, "optimizer.batch_size": 192, "optimizer.epochs": 1}
)
"""Steps whose activations are many times what else a process takes."""


def memory(field: str) -> int:
    """Returns a field of this process's /proc status in bytes: VmSize now, or VmPeak."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(field))
    return int(line.split()[1]) * 1024


def main(cohort: Path, folder: Path, limit: int) -> int:
    """Returns 3 where the memory was short for the first time, 1 where it was too short."""
    torch.set_num_threads(1)
    tiny = read_cohort(cohort)
    before = memory("VmSize")
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (before + limit, before + limit))
    try:
        result = train_fold(LARGE, tiny.job(folder))
    except StridefoldError as error:
        print(error)
        return 3 if type(error).__name__ == "MemoryShortError" else 1
    print(memory("VmPeak") - before, *result.notes, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
