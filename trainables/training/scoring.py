"""Scores a fold's held-out windows: each class's probability, also with the frames of the window in random order."""

from typing import Any

import numpy as np
import polars as pl
import torch

from trainables.data.dataset import WindowDataset
from trainables.errors import StridefoldError
from trainables.model.gait_clip import GaitCLIP
from trainables.study.records import PREDICTIONS
from trainables.training.draws import windows_of
from trainables.training.frozen_prefix import use_prefix
from trainables.training.job import FoldJob, load_ahead
from trainables.training.monitor import Monitor
from trainables.training.step import GaitTask
from trainables.training.window_motion import WindowMotion

EVALUATION_BATCH = 16


def score(task: GaitTask, job: FoldJob, monitor: Monitor | None = None) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Returns the predictions of the held-out subjects' windows, sorted, and those of the same windows shuffled in time.

    None are there where all subjects were trained on.
    """
    if not job.fold.test:
        return pl.DataFrame(schema=PREDICTIONS), None
    monitor = monitor or Monitor(None, task.workers)
    data = job.held_out(task.config)
    use_prefix(task.model, data, job.cache, job.frozen.backbone)
    readout = task.config.motion.readout
    motion = WindowMotion(job.frozen.backbone, job.cache, data, monitor.preparing) if readout != "off" else None
    task.model.eval()
    with torch.inference_mode():
        classes = task.model.class_features()
    tables: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    everything = windows_of(data)
    mine = task.workers.share(np.arange(len(data)))
    batches = [mine[i : i + EVALUATION_BATCH] for i in range(0, len(mine), EVALUATION_BATCH)]
    read = load_ahead(data, [[everything[i] for i in b] for b in batches], task.device)
    shuffle = np.random.default_rng([task.config.seed, job.fold.index, 5])
    frames, inside = shuffle.permutation(task.config.video.frames), shuffle.permutation(task.config.video.window)
    for windows, batch in zip(batches, monitor.scoring(read, len(batches)), strict=True):
        chosen = [everything[i] for i in windows]
        for table, pixels, order in (
            (tables[0], batch.frames, None),
            (tables[1], batch.frames[:, torch.from_numpy(frames)], inside),
        ):
            features = motion.read(readout, chosen, order=order) if motion else None
            probabilities = task.probabilities(pixels, classes, features).double()
            if not probabilities.isfinite().all():  # the last step's gradient was finite, and its weights are not
                raise StridefoldError(
                    f"fold {job.fold.index}: the trained model's predictions are not finite; "
                    f"a lower learning rate than {task.config.optimizer.lr:g} may help",
                    code="training.not_finite",
                )
            table += _rows(job.fold.index, data, windows, probabilities)
    ours, control = (
        pl.DataFrame(task.workers.gather(rows), schema=PREDICTIONS).sort("subject", "video", "window")
        for rows in tables
    )
    return ours, control


def _rows(fold: int, data: WindowDataset, windows: np.ndarray, probabilities: torch.Tensor) -> list[dict[str, Any]]:
    rows = []
    for index, p in zip(windows, probabilities / probabilities.sum(1, keepdim=True), strict=True):
        window = data.windows.row(int(index), named=True)
        rows.append(
            {
                "fold": fold,
                "subject": window["subject"],
                "video": window["video"],
                "window": window["window"],
                "true": window["label"],
                "probabilities": p.tolist(),
            }
        )
    return rows


def class_similarity(model: GaitCLIP) -> tuple[tuple[float, ...], ...]:
    """Returns the cosines between the learned class features, [C, C]."""
    with torch.inference_mode():
        features = model.class_features().float()
    return tuple(tuple(row) for row in (features @ features.T).cpu().tolist())
