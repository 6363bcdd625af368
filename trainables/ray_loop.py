"""What runs on the cluster: a trial, its Train workers, and single tasks. The only file of trainables that knows Ray."""

import functools
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import ray
import ray.train
import torch
from ray import tune
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer, get_device
from ray.tune.integration.ray_train import TuneReportCallback

from trainables.config import TrainConfig
from trainables.errors import MemoryShortError, StridefoldError
from trainables.knowledge.tasks import task_from_dict
from trainables.study.files import fold_folder
from trainables.study.records import Cohort, Splits, StudyRecord

if TYPE_CHECKING:
    from trainables.inference.timing import Times
    from trainables.training.distributed import Workers
    from trainables.training.frozen import FrozenFeatures
    from trainables.training.job import FoldJob

# The trainers are imported where they run: a group's driver and Ray's own processes unpickle functions of this file too,
# and would each spend seconds on importing transformers.

NODE_FAILURES = 3
"""Lost workers or nodes that a trial survives; each costs the epoch that was running."""


class Stopped(Exception):
    """The search wants no more of this trial."""


def run_trial(trial: dict[str, Any]) -> None:
    """Trains one configuration over its folds and reports after each; what Tune runs.

    One worker is this process itself, which Tune gives one trial after another: Ray Train would start another, and load the
    backbone again, for each (docs/decisions/0012). Several are a group of Train workers.

    Args:
        trial: number, study (folder), cache (folder), config (flat), keys (one per fold), workers, cpus, gpus and memory (per
            worker; bytes, of which 0 asks for none), stop (a file: once it exists, the workers end at their epoch's end. Were
            Tune to end them, Train could keep their placement group forever, and the next trial would wait for it).
    """
    if trial["workers"] == 1:
        from trainables.training.distributed import Workers

        _train_folds(trial, Workers(), start_process(trial["cpus"], trial["gpus"]), tune.report)
        return
    try:
        _worker_group(trial).fit()
    except Exception as error:
        tune.report(_told(error))


def _worker_group(trial: dict[str, Any]) -> TorchTrainer:
    gpu = trial["gpus"] > 0
    resources = {"CPU": trial["cpus"], **({"GPU": trial["gpus"]} if gpu else {})}
    if trial.get("memory"):
        resources["memory"] = trial["memory"]
    return TorchTrainer(
        train_in_group,
        train_loop_config=trial,
        torch_config=TorchConfig(backend="nccl" if trial["gpus"] >= 1 else "gloo"),
        scaling_config=ScalingConfig(num_workers=trial["workers"], use_gpu=gpu, resources_per_worker=resources),
        run_config=RunConfig(
            name=tune.get_context().get_trial_id(),
            storage_path=str(Path(trial["study"]).absolute() / "ray"),
            callbacks=[TuneReportCallback()],
            failure_config=FailureConfig(max_failures=NODE_FAILURES, controller_failure_limit=NODE_FAILURES),
        ),
    )


def train_in_group(trial: dict[str, Any]) -> None:
    """Trains a trial's folds together with the other workers of its group; runs in every Train worker."""
    from trainables.training.distributed import Workers

    start_process(trial["cpus"], trial["gpus"])
    context = ray.train.get_context()
    workers = Workers(rank=context.get_world_rank(), count=context.get_world_size())
    device = str(get_device()) if trial["gpus"] else "cpu"
    _train_folds(trial, workers, device, ray.train.report)


def _train_folds(
    trial: dict[str, Any], workers: "Workers", device: str, report: Callable[[dict[str, Any]], None]
) -> None:
    from trainables.training.fold import train_fold

    def go_on(*_: Any) -> None:
        if any(workers.gather([Path(trial["stop"]).exists()])):  # the same answer on every worker
            raise Stopped

    config = TrainConfig.from_flat(trial["config"])
    try:
        jobs = open_jobs(Path(trial["study"]), Path(trial["cache"]), trial["keys"], device)
    except StridefoldError as error:
        report(_told(error))
        return
    for done, job in enumerate(jobs, start=1):
        try:
            go_on()
            events = tensorboard(trial["study"], f"trial-{trial['number']}", job.fold.index)
            train_fold(config, job, workers=workers, device=device, on_epoch=go_on, events=events)
        except Stopped:
            return
        except Exception as error:
            if _worth_a_restart(error, workers.count):
                raise  # Ray starts the workers again, at the last whole epoch
            report(_told(error))
            return
        report({"folds": done})


def _worth_a_restart(error: Exception, workers: int) -> bool:
    """Returns whether new workers could get further: with less memory, or because another worker was lost."""
    if isinstance(error, StridefoldError):
        return isinstance(error, MemoryShortError)
    return workers > 1


def describe(study: str, cache: str, key: str, fold: int, cpus: int, gpus: float) -> None:
    """Decodes one finished fold's class features; a Ray task.

    Args:
        fold: place of the fold among the study's splits.
    """
    from trainables.inference.class_descriptions import describe_fold

    device = start_process(cpus, gpus)
    describe_fold(open_jobs(Path(study), Path(cache), [""] * fold + [key], device)[fold], device)


def train_one(study: str, cache: str, key: str, fold: int, config: dict[str, Any], cpus: int, gpus: float) -> str:
    """Trains one configuration on one fold, or reads the finished result; a Ray task.

    Returns:
        Why it cannot be trained; '' where it was.
    """
    from trainables.training.fold import train_fold

    device = start_process(cpus, gpus)
    job = open_jobs(Path(study), Path(cache), [""] * fold + [key], device)[fold]
    try:
        events = tensorboard(study, config["model"], job.fold.index)
        train_fold(TrainConfig.from_flat(config), job, device=device, events=events)
    except MemoryShortError:
        raise  # the task is tried again
    except StridefoldError as error:
        return str(error)
    return ""


def score_outer(inner: str, cache: str, outer: str, fold: int, cpus: int, gpus: float) -> pl.DataFrame:
    """Returns what each model of an inner study says of an outer fold's test subjects; a Ray task.

    Args:
        inner, outer: study folders.
        fold: place of the fold among the outer study's splits.

    Returns:
        FoldResult.predictions of each model, with its place among the inner folds in the column model.
    """
    from trainables.inference.ensemble import load_frozen, open_ensemble, score_videos

    device = start_process(cpus, gpus)
    ensemble = open_ensemble(Path(inner))
    subjects = Splits.load(Path(outer) / "splits.json").folds[fold].test
    videos = Cohort.load(Path(outer)).of_subjects(subjects)
    scores = score_videos(ensemble, videos, load_frozen(ensemble, device), cache=Path(cache), device=device)
    labels = videos.select("subject", "video", true=pl.col("label"))
    columns = ["subject", "video", "window", "true", "probabilities", "model"]
    return (
        scores.rename({"fold": "model"})
        .join(labels, on=["subject", "video"])
        .sort("model", "subject", "video", "window")
        .select(pl.lit(fold, dtype=pl.Int64).alias("fold"), *columns)
    )


def score_new(
    model: str, cache: str, videos: pl.DataFrame, backbone: str, knowledge_encoder: str, cpus: int, gpus: float
) -> pl.DataFrame:
    """Returns what a study's or a given-away model's folds say of new videos, as `score_videos`; a Ray task.

    Args:
        model: Folder of the study or the model.
        videos: Of an ingested cohort.
        backbone: Where it lies now; '' is where it lay in training. knowledge_encoder likewise.
    """
    from trainables.inference.ensemble import load_frozen, score_videos
    from trainables.inference.exported import open_model

    device = start_process(cpus, gpus)
    ensemble = open_model(Path(model))
    frozen = load_frozen(ensemble, device, backbone, knowledge_encoder)
    return score_videos(ensemble, videos, frozen, cache=Path(cache), device=device)


def read_group(study: str, cache: str, column: str, window: int, cpus: int, gpus: float) -> "dict[str, float] | str":
    """Returns how well a column of the cohort can be read from the subjects' frozen features, or why it cannot; a Ray task.

    Args:
        column: Of the cohort's videos, as 'attribute site'; a subject has the value of its first video.
        window: Frames of a window, under which the features are kept.
    """
    from trainables.training.shortcuts import read_in_features, subject_features

    device = start_process(cpus, gpus)
    record, cohort = StudyRecord.load(Path(study)), Cohort.load(Path(study))
    names = tuple(p.name for p in cohort.parameters)
    about = json.dumps([record.backbone, record.task])
    backbone = _frozen_features(about, names, record.options["knowledge_encoder"], device).backbone
    groups = cohort.videos.sort("video").group_by("subject").agg(pl.col(column).drop_nulls().first()).sort("subject")
    features = subject_features(backbone, cohort, Path(cache), window)
    known = groups[column].is_not_null().to_numpy()
    try:
        return read_in_features(features[known], groups[column].drop_nulls().to_list(), seed=0)
    except StridefoldError as error:
        return str(error)


def time_models(about: dict[str, Any], config: dict[str, Any], cpus: int, gpus: float) -> "Times":
    """Returns what the parts of a fold's training take on this worker; a Ray task that keeps nothing.

    Args:
        about: backbone (name), task (as a dict), knowledge_encoder, cohort, fold and reader.
        config: flat.
    """
    from trainables.inference.timing import time_training
    from trainables.model.backbone import load_backbone
    from trainables.training.frozen import FrozenFeatures

    device = start_process(cpus, gpus)
    cohort, task = about["cohort"], task_from_dict(about["task"])
    names = [parameter.name for parameter in cohort.parameters]
    frozen = FrozenFeatures(load_backbone(about["backbone"]), task, names, about["knowledge_encoder"], device)
    return time_training(
        TrainConfig.from_flat(config), cohort, about["fold"], frozen, device=device, reader=about["reader"]
    )


def tensorboard(study: str, what: str, fold: int) -> Path | None:
    """Returns the folder of a fold's TensorBoard events; None where the study writes none.

    Args:
        what: 'trial-3', or what is trained outside a search, as 'vita_clip'.
    """
    if not StudyRecord.load(Path(study)).options.get("tensorboard", True):
        return None
    return Path(study) / "tensorboard" / what / f"fold-{fold}"


def start_process(cpus: int, gpus: float) -> str:
    """Prepares a process of Ray's for what it is to compute, and returns its device."""
    logging.getLogger("transformers").setLevel(logging.ERROR)  # its progress bars and notices, in the workers' logs
    torch.set_num_threads(max(int(cpus), 1))
    return "cuda" if gpus and torch.cuda.is_available() else "cpu"


def open_jobs(study: Path, cache: Path, keys: list[str], device: str) -> "list[FoldJob]":
    """Returns the jobs of the first len(keys) folds of a study, from what its folder holds."""
    from trainables.training.job import FoldJob

    record, cohort, splits = StudyRecord.load(study), Cohort.load(study), Splits.load(study / "splits.json")
    names = tuple(p.name for p in cohort.parameters)
    frozen = _frozen_features(
        json.dumps([record.backbone, record.task]), names, record.options["knowledge_encoder"], device
    )
    return [
        FoldJob(cohort=cohort, fold=fold, frozen=frozen, cache=cache, folder=fold_folder(study, key), key=key)
        for fold, key in zip(splits.folds, keys, strict=False)
    ]


@functools.lru_cache(maxsize=1)
def _frozen_features(about: str, names: tuple[str, ...], knowledge_encoder: str, device: str) -> "FrozenFeatures":
    """Returns what a study's trials have in common; a process that runs several of them loads and reads it once.

    Args:
        about: the study's backbone, its hash among it, and its task, as JSON.
    """
    from trainables.model.backbone import load_backbone
    from trainables.training.frozen import FrozenFeatures

    backbone, task = json.loads(about)
    return FrozenFeatures(load_backbone(backbone["name"]), task_from_dict(task), list(names), knowledge_encoder, device)


def _told(error: BaseException) -> dict[str, str]:
    """Returns why a trial ended, by whose fault: the machine's, which would end the next trial too, or its own."""
    failures = getattr(error, "worker_failures", None)  # of a Train run
    innermost = next(iter(failures.values())) if failures else error
    machine = isinstance(innermost, OSError) or "No space left" in str(innermost)
    return {"machine" if machine else "problem": _sentence(innermost)}


def _sentence(error: BaseException) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    text = lines[-1].strip() if lines else ""
    return text if isinstance(error, StridefoldError) else f"{type(error).__name__}: {text}"
