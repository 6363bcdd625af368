"""One of two gloo workers that train a fold of the tiny cohort together; run by test_fold."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist

from tests.tiny_cohort import CONFIG, read_cohort
from trainables.errors import StridefoldError
from trainables.training.distributed import Workers
from trainables.training.fold import prepare, train, train_fold


def main(cohort: Path, folder: Path, rank: int) -> None:
    """Trains the fold, keeps this worker's predictions, then finds out what one worker's NaN does to both."""
    dist.init_process_group("gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=2)
    workers = Workers(rank=rank, count=2)
    tiny = read_cohort(cohort)
    result = train_fold(CONFIG, tiny.job(folder / "fold"), workers=workers)
    result.predictions.write_parquet(folder / f"rank{rank}.parquet")
    task = prepare(CONFIG, tiny.job(folder / "nan-fold"), workers, torch.device("cpu"))
    if rank == 1:
        with torch.no_grad():
            task.model.log_scale.fill_(float("nan"))
    try:
        train(task, tiny.job(folder / "nan-fold"), None)
    except StridefoldError as error:
        if rank == 0:  # the healthy one
            (folder / "nan").write_text(str(error).partition(" (")[0])
    dist.destroy_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
