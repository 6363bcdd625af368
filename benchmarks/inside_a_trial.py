"""Prints what a trial of the embedded default spends beside its steps: frozen texts, waiting for windows, scoring.

    python benchmarks/inside_a_trial.py

The embedded cohort and backbone, one fold of three, no Ray. Its frames are taken from the cache, or decoded into it.
"""

import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from platform.console import Console
from platform.options import SCALED_TO_SMALL, SearchOptions
from platform.pipeline import gather_cohort
from platform.session import frame_cache
from platform.study import open_study

import numpy as np
import torch
from transformers import CLIPModel

from benchmarks.figures import Figure, as_a_worker, figure, in_turns, memory, parser, show, timed
from trainables.config import TrainConfig
from trainables.data.cache import ingest_cohort
from trainables.data.dataset import WindowDataset
from trainables.model.backbone import SMALL, load_backbone
from trainables.ray_loop import open_jobs
from trainables.training.distributed import Workers
from trainables.training.draws import Window, windows_of
from trainables.training.fold import fit_memory, prepare, train_fold
from trainables.training.job import FoldJob, load, load_ahead
from trainables.training.scoring import EVALUATION_BATCH
from trainables.training.step import GaitTask
from trainables.training.window_motion import WindowMotion

PARTS = 5
"""Folds that one pass would pack."""
BATCHES = 20
"""Of the epoch whose waiting is timed."""
TRIALS = 24
"""Whose memory is watched."""
STEPS = 10
"""Of each of them."""


def main() -> None:
    """Measures and prints the figures."""
    as_a_worker()
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    torch.set_num_threads(1)  # as one of the default's workers
    with tempfile.TemporaryDirectory() as folder:
        cache, study = embedded(Path(folder))
        show(figures(study, cache, given.rounds))


def embedded(folder: Path) -> tuple[Path, Path]:
    """Returns the frame cache and a new study of the embedded default."""
    options = SearchOptions(study=str(folder / "study"), folds=3)
    cohort, task = gather_cohort(options, Console(plain=True))
    backbone, cache = load_backbone(options.backbone), frame_cache(options)
    cohort = ingest_cohort(cohort, size=backbone.image_size, folder=cache)
    return cache, open_study(folder / "study", options, cohort, task, backbone.about()).folder


def figures(study: Path, cache: Path, rounds: int) -> Iterator[Figure]:
    """Yields the figures."""
    first = TrainConfig().with_values(SCALED_TO_SMALL)
    second = first.with_values({"text.n_ctx": 16})
    yield frozen_texts(study, cache, first, second)
    job = open_jobs(study, cache, ["next"], "cpu")[0]
    task = prepare(first, job, Workers(), torch.device("cpu"))
    data = job.training(first)
    task.begin(data, job.cache, job.frozen.backbone, job.fold.index)
    windows = windows_of(data)[: first.optimizer.batch_size]
    batch = load(data, windows)

    def step() -> float:
        return timed(lambda: task.backward(batch, len(windows), np.random.default_rng(0)))

    step()
    yield figure(f"waiting for the windows of {BATCHES} batches, which a thread reads during the step before",
                 [waiting(task, data, BATCHES, len(windows)) for _ in range(rounds)], unit="s",
                 beside="those steps", aim="0.03")  # fmt: skip
    yield padded_texts(job, rounds)
    yield memory_of_trials(study, cache, first)
    large = load(data, windows_of(data)[: PARTS * len(windows)])
    yield figure(f"the frozen layers for {PARTS} folds in one pass: a batch of {PARTS} x {len(windows)}, which packing cannot beat",
                 in_turns(lambda: timed(lambda: task.backward(large, PARTS * len(windows), np.random.default_rng(0))),
                          lambda: sum(step() for _ in range(PARTS)), rounds), unit="s",
                 beside=f"{PARTS} batches of {len(windows)}", aim="well under 1, to pay")  # fmt: skip
    task.end()
    yield scoring(task, job, rounds)


def frozen_texts(study: Path, cache: Path, first: TrainConfig, second: TrainConfig) -> Figure:
    """Returns the share of a process's second trial that goes into loading the backbone and reading frozen texts."""
    costs = []
    for number, config in enumerate((first, second)):
        started = time.perf_counter()
        jobs = open_jobs(study, cache, [f"{number}-{fold}" for fold in range(3)], "cpu")
        jobs[0].frozen.notions(config.text, config.seed)
        for job in jobs:
            fit_memory(config, job)
        costs.append(time.perf_counter() - started)
    folds = timed(lambda: train_fold(second, jobs[0])) * len(jobs)
    return figure(f"backbone and frozen texts of a process's second trial (the first: {costs[0]:.2g} s)",
                  [(costs[1], folds)], unit="s",
                  beside="the trial's folds", aim="0.02")  # fmt: skip


def waiting(task: GaitTask, data: WindowDataset, count: int, size: int) -> tuple[float, float]:
    """Returns the seconds that training waits for its windows, and those of all its steps."""
    windows = windows_of(data)
    chosen = np.random.default_rng(0).permutation(len(data))[: count * size]
    batches = [[windows[i] for i in batch] for batch in np.split(chosen, count)]
    coming = load_ahead(data, batches, task.device)
    waited, started = 0.0, time.perf_counter()
    for _ in batches:
        asked = time.perf_counter()
        batch = next(coming)
        waited += time.perf_counter() - asked
        task.backward(batch, size, np.random.default_rng(0))
    return waited, time.perf_counter() - started


def memory_of_trials(study: Path, cache: Path, config: TrainConfig) -> Figure:
    """Returns this process's memory after many trials of one fold and epoch, beside that after half of them."""
    sizes = []
    for number in range(TRIALS):
        changed = config.with_values({"optimizer.epochs": 1, "optimizer.steps": STEPS, "seed": number})
        train_fold(changed, open_jobs(study, cache, [f"memory-{number}"], "cpu")[0])
        sizes.append(memory())
    return figure(
        f"memory of a process after {TRIALS} trials",
        [(sizes[-1], sizes[TRIALS // 2 - 1])],
        unit="MiB",
        beside="after half of them",
        aim="1",
    )


def scoring(task: GaitTask, job: FoldJob, rounds: int) -> Figure:
    """Returns the time to score held-out windows in batches across videos, beside one video at a time.

    Args:
        task: whose training has ended.
    """
    data = job.held_out(task.config)
    motion = WindowMotion(job.frozen.backbone, job.cache, data)
    with torch.inference_mode():
        classes = task.model.class_features()
    windows, kind = windows_of(data), task.config.motion.readout

    def score(batches: list[list[Window]]) -> float:
        return timed(lambda: [task.probabilities(load(data, b).frames, classes, motion.read(kind, b)) for b in batches])

    together = [windows[i : i + EVALUATION_BATCH] for i in range(0, len(windows), EVALUATION_BATCH)]
    each = [list(found) for _, found in itertools.groupby(windows, lambda window: window.row)]
    return figure("scoring the held-out windows, batched across videos", in_turns(lambda: score(together), lambda: score(each), rounds),
                  unit="s", beside="video by video")  # fmt: skip


def padded_texts(job: FoldJob, rounds: int) -> Figure:
    """Returns the time to read numerical sentences sorted by length, beside transformers on the padded sentences."""
    clip, backbone = CLIPModel.from_pretrained(SMALL).eval(), job.frozen.backbone
    texts = [f"{name} is {value / 100:.2f}" for name in job.frozen.names for value in range(-90, 90, 20)]
    ids = backbone.tokenizer(texts, padding="max_length", max_length=backbone.context_length, return_tensors="pt")

    def theirs() -> None:
        with torch.inference_mode():
            clip.get_text_features(input_ids=ids.input_ids, attention_mask=ids.attention_mask)

    return figure(f"reading {len(texts)} numerical sentences, none padded to {backbone.context_length} tokens",
                  in_turns(lambda: timed(lambda: job.frozen.text.read(texts)), lambda: timed(theirs), rounds), unit="s",
                  beside="CLIPModel.get_text_features, padded")  # fmt: skip


if __name__ == "__main__":
    main()
