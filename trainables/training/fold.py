"""Trains one configuration on one fold and scores its held-out subjects. Pure torch; Ray is not needed."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainables.config import TrainConfig
from trainables.errors import MemoryShortError, StridefoldError
from trainables.knowledge.controls import with_knowledge
from trainables.knowledge.tasks import Task
from trainables.model.backbone import Backbone, FrozenText, TextEncoder
from trainables.model.gait_clip import build
from trainables.model.motion import MotionBasis
from trainables.model.numeracy import NumericMemory
from trainables.model.published_prompts import load_prompts
from trainables.model.text_prompts import ClassPrompts
from trainables.study.files import write_text
from trainables.study.records import FoldResult
from trainables.training.baselines import score_baseline
from trainables.training.checkpoint import MEMORY, load_checkpoint, remove_checkpoints, save_checkpoint, save_weights
from trainables.training.distributed import Workers
from trainables.training.draws import Draws, steps_per_epoch
from trainables.training.events import EventFile
from trainables.training.job import FoldJob, healthy_class, load_ahead, mirrored_values, parameter_values
from trainables.training.monitor import Monitor
from trainables.training.optimizer import clip_gradients, make_optimizer
from trainables.training.scoring import class_similarity, score
from trainables.training.seeds import configurations, link_weights, mean_result
from trainables.training.step import GaitTask

WEIGHTS = "model.safetensors"

OnEpoch = Callable[[dict[str, float]], None]


def train_fold(
    config: TrainConfig,
    job: FoldJob,
    *,
    workers: Workers | None = None,
    device: str = "cpu",
    on_epoch: OnEpoch | None = None,
    events: Path | None = None,
) -> FoldResult:
    """Returns the finished result of one fold, which is also in its folder; a finished fold is read, not trained again.

    An interrupted fold goes on after its last whole epoch. One that ran out of memory goes on with micro-batches of half
    the size, which its result notes.

    Args:
        events: folder of the fold's TensorBoard events; None writes none.

    Raises:
        MemoryShortError: Out of memory for the first time. Call again, best in a new process: this one's memory is in pieces.
        StridefoldError: A gradient is not finite, or micro-batches of half the size do not fit the memory either.
    """
    workers = workers or Workers()
    if (job.folder / "result.json").exists():
        result = FoldResult.load(job.folder)
        if workers.leads and events is not None and result.curve:
            EventFile(events, result.curve).close()
        return result
    if config.trainings > 1:
        return _train_seeds(config, job, workers, device, on_epoch, events)
    if not config.kind.network:
        result = score_baseline(config, job)
        if workers.leads:
            result.save(job.folder)
        return result
    again, smaller = (job.folder / MEMORY).exists(), halved(config)
    monitor = Monitor(job.folder, workers, events)
    try:
        return _train_and_save(
            config, smaller if again and smaller else config, job, workers, device, on_epoch, monitor
        )
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        problem = f"fold {job.fold.index} ran out of memory ({str(error).splitlines()[0]})"
    finally:
        monitor.close()
    if again or smaller is None:
        raise StridefoldError(
            f"{problem}; lower optimizer.batch_size, or raise optimizer.accumulation", code="memory.training"
        )
    write_text(job.folder / MEMORY, problem + "\n")
    raise MemoryShortError(f"{problem}; the next attempt takes micro-batches of half the size", code="memory.training")


def _train_seeds(
    config: TrainConfig, job: FoldJob, workers: Workers, device: str, on_epoch: OnEpoch | None, events: Path | None
) -> FoldResult:
    """Trains a fold once for each seed, each in a folder of its own, and saves the mean; finished trainings are read."""
    results = []
    for number, once in enumerate(configurations(config)):
        part = replace(job, folder=job.folder / f"training-{number}")
        curves = events / f"training-{number}" if events is not None else None
        results.append(train_fold(once, part, workers=workers, device=device, on_epoch=on_epoch, events=curves))
    result = mean_result(config, results)
    if workers.leads:
        link_weights(job.folder / "training-0" / WEIGHTS, job.folder / WEIGHTS)
        result.save(job.folder)
    return result


def _train_and_save(
    asked: TrainConfig,
    config: TrainConfig,
    job: FoldJob,
    workers: Workers,
    device: str,
    on_epoch: OnEpoch | None,
    monitor: Monitor,
) -> FoldResult:
    """Trains, scores and saves a fold with `config`, which computes what `asked` computes."""
    started = time.perf_counter()
    used = config.effective()
    task = prepare(used, job, workers, torch.device(device))
    history = train(task, job, on_epoch, monitor)
    predictions, shuffled = score(task, job, monitor)
    result = FoldResult(
        key=job.key,
        fold=job.fold.index,
        config=asked.flat(),
        predictions=predictions,
        shuffled=shuffled,
        history=tuple(history),
        curve=tuple(monitor.curve),
        seconds=time.perf_counter() - started,
        class_similarity=class_similarity(task.model),
        trained_parameters=sum(p.numel() for _, p in task.model.trained()),
        notes=tuple(_notes(used, asked, task, job)),
    )
    if workers.leads:
        about = {"key": job.key, "backbone": job.frozen.backbone.sha256}
        save_weights(job.folder / WEIGHTS, task.model.trained_state(), about)
        result.save(job.folder)
        remove_checkpoints(job.folder)
    return result


def out_of_memory(error: BaseException) -> bool:
    """Returns whether an error says that the GPU's or the machine's memory was too small."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def halved(config: TrainConfig) -> TrainConfig | None:
    """Returns a configuration with the same gradients from micro-batches half as large; None where there is none."""
    optimizer = config.optimizer
    if 2 * optimizer.accumulation > optimizer.batch_size or (config.numeracy.enabled and config.numeracy.video_weight):
        return None
    return config.with_values({"optimizer.accumulation": 2 * optimizer.accumulation})


def check_prompts(config: TrainConfig, backbone: Backbone, task: Task) -> None:
    """Raises the ConfigurationError that training would raise where a class's prompt does not fit the text encoder."""
    given = with_knowledge(task, config.text.knowledge_source, config.seed)
    ClassPrompts(given, config.text, FrozenText(backbone, TextEncoder(backbone.clip)), None)


def prepare(config: TrainConfig, job: FoldJob, workers: Workers, device: torch.device) -> GaitTask:
    """Returns an untrained model with the numerical memory of the fold's training subjects."""
    memory = fit_memory(config, job)
    notions = job.frozen.notions(config.text, config.seed)
    if memory is None and config.numeracy.enabled:
        config = config.with_values({"numeracy.enabled": False})
    model = build(job.frozen.backbone, job.frozen.task, config, notions, seed=config.seed).to(device)
    if config.video.prompts_from:
        load_prompts(model.video_encoder, config.video.prompts_from, config.video.prompts_sha256)
    return GaitTask(model, config, memory, ordinal=job.frozen.task.ordinal, workers=workers, device=device)


def fit_memory(config: TrainConfig, job: FoldJob) -> NumericMemory | None:
    """Returns the numerical memory of the fold's training subjects; None where there are no numbers or they are off."""
    if not config.numeracy.enabled or not job.cohort.parameters:
        return None
    videos = job.cohort.of_subjects(job.fold.train)
    values = parameter_values(job.cohort, videos)
    memory = NumericMemory.fit(
        values,
        videos["subject"].to_numpy(),
        videos["label"].to_numpy(),
        healthy=healthy_class(job.frozen),
        classes=len(job.cohort.classes),
        config=config.numeracy,
        encoder=job.frozen.numbers(config.numeracy.encoding, config.numeracy.clip),
        seed=config.seed,
        mirrored=mirrored_values(job.cohort, values) if config.augment.mirror else None,
    )
    return memory if memory.size else None


def train(
    task: GaitTask, job: FoldJob, on_epoch: OnEpoch | None, monitor: Monitor | None = None
) -> list[dict[str, float]]:
    """Trains all epochs and returns one record per epoch: losses, learning rate, and the gradient norm of each group."""
    monitor = monitor or Monitor(None, task.workers)
    config, data = task.config.optimizer, job.training(task.config)
    task.begin(data, job.cache, job.frozen.backbone, job.fold.index, monitor.preparing)
    history: list[dict[str, float]] = []
    curve: list[dict[str, float]] = []
    if task.config.kind.trained:
        draws = Draws(data, config, task.config.augment)
        per_epoch = steps_per_epoch(config, len(draws.fixed))
        optimizer, schedule = make_optimizer(task.model, config, config.epochs * per_epoch)
        if (state := load_checkpoint(job.folder)) is not None:
            task.model.load_trained(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            schedule.load_state_dict(state["schedule"])
            history, curve = state["history"], state.get("curve", [])
            if state["basis"] is not None:
                task.use_basis(MotionBasis(**state["basis"]), data)
        monitor.begin(config.epochs, per_epoch, task.config.numeracy.weight, done=len(history), curve=curve)
        for epoch in range(len(history), config.epochs):
            started = time.perf_counter()
            losses = train_epoch(task, job, draws, epoch, optimizer, schedule, monitor)
            history.append({"epoch": epoch, **losses, "seconds": time.perf_counter() - started})
            if task.workers.leads and epoch + 1 < config.epochs:
                state = _state(task, optimizer, schedule, history, job.frozen.backbone.sha256)
                save_checkpoint(job.folder, state | {"curve": monitor.curve})
            if on_epoch is not None:
                on_epoch(history[-1])
    task.end()
    return history


def train_epoch(
    task: GaitTask,
    job: FoldJob,
    draws: Draws,
    epoch: int,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    monitor: Monitor,
) -> dict[str, float]:
    """Takes the steps of one epoch and returns the mean losses, the last learning rate and the mean gradient norms."""
    config = task.config.optimizer
    batches = draws.epoch(np.random.default_rng([task.config.seed, job.fold.index, epoch, 0]))
    records = np.random.default_rng([task.config.seed, job.fold.index, epoch, 1])
    task.model.train()
    shares = load_ahead(draws.data, [task.workers.share(windows) for windows in batches], task.device)
    for step, (windows, batch) in enumerate(zip(batches, shares, strict=True)):
        optimizer.zero_grad(set_to_none=True)
        try:
            losses = task.backward(batch, len(windows), records)
        except StridefoldError as error:
            raise StridefoldError(
                f"fold {job.fold.index}, step {epoch * len(batches) + step}: {error}", code="training.step_failed"
            ) from None
        norms = clip_gradients(optimizer, config.clip_norm)
        rate = float(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
        if config.max_scale:
            with torch.no_grad():
                task.model.log_scale.clamp_(max=math.log(config.max_scale))
        monitor.step(losses, norms, rate)
    return monitor.epoch()


def _state(
    task: GaitTask, optimizer: Any, schedule: Any, history: list[dict[str, float]], backbone: str
) -> dict[str, Any]:
    return {
        "model": task.model.trained_state(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "history": history,
        "basis": None if task.basis is None else vars(task.basis),
        "backbone": backbone,
    }


def _notes(used: TrainConfig, asked: TrainConfig, task: GaitTask, job: FoldJob) -> list[str]:
    notes = []
    if (parts := used.optimizer.accumulation) != asked.optimizer.accumulation:
        notes.append(
            f"ran out of memory; trained with each step cut into {parts} micro-batches, which changes no gradient"
        )
    if task.memory is not None:
        return notes + task.memory.notes(job.frozen.names, job.cohort.classes, task.config.numeracy)
    return notes + (["no numeric records: the numeric side is off"] if used.numeracy.enabled else [])
