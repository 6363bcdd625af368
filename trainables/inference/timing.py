"""Times what a search consists of on a few real videos: what one step takes here says how long all of them take."""

import dataclasses
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from trainables.config import TrainConfig
from trainables.data.cache import ingest_cohort
from trainables.inference.class_descriptions import train_decoder
from trainables.study.records import Cohort, Fold
from trainables.training.distributed import Workers
from trainables.training.draws import Draws, windows_of
from trainables.training.fold import prepare, train_epoch
from trainables.training.frozen import FrozenFeatures
from trainables.training.job import FoldJob, load
from trainables.training.monitor import Monitor
from trainables.training.optimizer import make_optimizer
from trainables.training.scoring import EVALUATION_BATCH
from trainables.training.step import GaitTask
from trainables.training.window_motion import WindowMotion

STEPS = 2
"""Optimiser steps that are timed, after as many that warm up."""
DECODER_STEPS = 3


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """Seconds that parts of a fold take on one worker."""

    decode: float
    """For a frame at 30 frames/s, from its video into the frame cache."""
    frozen: float
    """For a frame, by the tower without prompts; 0 where nothing needs it."""
    prepare: float
    """For a fold before its first step."""
    step: float
    """For an optimiser step."""
    window: float
    """For a held-out window, scored as filmed and in random order."""
    decoder_step: float
    """For a step of the language model that decodes classes into words; 0 where there are no numbers."""
    trained_parameters: int
    peak_memory: int
    """Bytes of the machine's memory that the process has held at most."""


def time_training(
    config: TrainConfig, cohort: Cohort, fold: Fold, frozen: FrozenFeatures, *, device: str, reader: str = "pyav"
) -> Times:
    """Returns what the parts of a fold's training take, by running a few of them; nothing is kept.

    Args:
        cohort: need not be in the frame cache; one video of each class is decoded into a folder of its own.
        fold: whose training subjects' numbers are read.

    Raises:
        CohortError: One of these videos cannot be read.
    """
    config = config.effective().with_values({"optimizer.steps": STEPS, "optimizer.epochs": 1})
    few = _few_videos(cohort)
    with tempfile.TemporaryDirectory(prefix="stridefold-") as scratch:
        cache = Path(scratch)
        decode, ingested = _seconds(
            lambda: ingest_cohort(few, size=frozen.backbone.image_size, folder=cache, reader=reader)
        )
        frames = int(ingested.videos["frames"].sum())
        whole = FoldJob(cohort=cohort, fold=fold, frozen=frozen, cache=cache, folder=cache, key="timing")
        everyone = Fold(index=fold.index, train=tuple(ingested.subjects()["subject"]), test=())
        job = dataclasses.replace(whole, cohort=ingested, fold=everyone)
        built, task = _seconds(lambda: prepare(config, whole, Workers(), torch.device(device)))
        read, _ = _seconds(lambda: _read_motion(task, job))
        begun, _ = _seconds(lambda: task.begin(job.training(task.config), cache, frozen.backbone, fold.index))
        step = _step_seconds(task, job)
        window = _window_seconds(task, job)
    return Times(
        decode=decode / frames,
        frozen=read / frames,
        prepare=built + begun,
        step=step,
        window=window,
        decoder_step=_decoder_seconds(task, whole),
        trained_parameters=sum(p.numel() for _, p in task.model.trained()),
        peak_memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def _few_videos(cohort: Cohort) -> Cohort:
    """Returns the cohort with the first video of each class alone."""
    return dataclasses.replace(cohort, videos=cohort.videos.unique("label", keep="first", maintain_order=True))


def _read_motion(task: GaitTask, job: FoldJob) -> None:
    """Lets the frozen tower read the videos, where the configuration needs that."""
    if task.config.motion.readout != "off" or task.config.optimizer.video_anchor:
        WindowMotion(job.frozen.backbone, job.cache, job.training(task.config))


def _step_seconds(task: GaitTask, job: FoldJob) -> float:
    config = task.config
    draws = Draws(job.training(config), config.optimizer, config.augment)
    optimizer, schedule = make_optimizer(task.model, config.optimizer, 2 * STEPS)
    monitor = Monitor(None, task.workers)
    monitor.begin(2, STEPS, config.numeracy.weight, done=0, curve=[])
    train_epoch(task, job, draws, 0, optimizer, schedule, monitor)
    _finish(task.device)

    def steps() -> None:
        train_epoch(task, job, draws, 1, optimizer, schedule, monitor)
        _finish(task.device)

    seconds, _ = _seconds(steps)
    return seconds / STEPS


def _window_seconds(task: GaitTask, job: FoldJob) -> float:
    task.model.eval()
    data = job.training(task.config)
    windows = windows_of(data)[:EVALUATION_BATCH]
    readout = task.config.motion.readout
    motion = WindowMotion(job.frozen.backbone, job.cache, data).read(readout, windows) if readout != "off" else None
    task.end()
    with torch.inference_mode():
        classes = task.model.class_features()
    seconds, _ = _seconds(lambda: task.probabilities(load(data, windows).frames, classes, motion))
    return 2 * seconds / len(windows)


def _decoder_seconds(task: GaitTask, job: FoldJob) -> float:
    if task.memory is None or not task.config.decoder.enabled:
        return 0.0
    memory, config = task.memory, task.config.with_values({"decoder.steps": DECODER_STEPS})
    seconds, _ = _seconds(lambda: train_decoder(config, job, memory, task.device))
    return seconds / DECODER_STEPS


def _seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    found = run()
    return time.perf_counter() - started, found


def _finish(device: torch.device) -> None:
    """Waits for what a GPU still computes."""
    if device.type == "cuda":
        torch.cuda.synchronize()
