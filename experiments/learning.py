"""Measures whether the model learns: every row of a table on every cohort, five seeds of folds and training, each value shown.

    python -m experiments.learning --simulated 11 12 13
    python -m experiments.learning --set impaired walkers/cohort.csv impaired --rows untrained default
    python -m experiments.learning --set direction clinic/cohort.csv direction per-video

Words after the label name gait parameters that no parameter file knows; other columns of numbers are not used. A cell is
the balanced accuracy over 5 subject-wise folds, per subject (or per video), at the last step, in percent: the mean over the
seeds, and in brackets each seed's. Nothing is chosen by these numbers. Rows that take no step come first. Needs no Ray;
--processes of one thread each share the work, and finished cells are printed as they come.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from platform.options import SCALED_TO_SMALL
from platform.splits import make_splits
from typing import Any

import polars as pl
import torch

from trainables.cohort.manifest import read_manifest
from trainables.config import PUBLISHED, TrainConfig
from trainables.data.cache import ingest_cohort
from trainables.data.cache_folder import user_cache
from trainables.knowledge.parameters import load_parameters
from trainables.knowledge.tasks import load_task
from trainables.model.backbone import load_backbone
from trainables.simulation.cohort import simulate_cohort
from trainables.study.metrics import score
from trainables.study.records import Cohort
from trainables.training.fold import train_fold
from trainables.training.frozen import FrozenFeatures
from trainables.training.job import FoldJob

NO_PROMPTS = {"video.n_global": 0, "video.local": False, "video.summary": False, "optimizer.video_anchor": 0.0}
ROWS: dict[str, dict[str, Any]] = {
    "untrained": {"model": "untrained"},
    "untrained, names alone": {"model": "untrained", "text.keywords": False, "text.knowledge": False},
    "linear probe": {"model": "linear_probe"},
    "parameters": {"model": "parameters"},
    "frozen motion": {"model": "frozen_motion"},
    "text prompts alone": NO_PROMPTS | {"motion.readout": "off"},
    "published settings": PUBLISHED | {"video.frames": 16},
    "default": {},
    "less the read-out": {"motion.readout": "off"},
    "convolution in its place": {"motion.readout": "convolution"},
    "less the video prompts": NO_PROMPTS,
    "less the numbers": {"numeracy.enabled": False},
    "less the knowledge": {"text.knowledge": False, "text.keywords": False},
    "less the anchors": {"optimizer.text_anchor": 0.0, "optimizer.video_anchor": 0.0},
    "less balanced draws": {"optimizer.balance": False},
    "less jitter": {"optimizer.jitter": False},
    "less rates by group": {"optimizer.attention_lr": 1.0, "optimizer.numeric_lr": 1.0},
    "less warm-up and clipping": {"optimizer.warmup": 0.0, "optimizer.clip_norm": 0.0},
    "less positions in time": {"video.time_positions": False},
    "8 frames": {"video.frames": 8},
    "padded tail": {"video.tail": "pad"},
}
FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class Place:
    """One cohort with one label."""

    name: str
    cohort: str
    label: str
    task: str | None = None
    per_video: bool = False
    named: tuple[str, ...] = ()
    """Columns of numbers that are gait parameters though no parameter file knows them."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One row on one cohort with one seed."""

    place: Place
    row: str
    seed: int
    value: float
    shuffled: float | None
    """The same with the frames of every held-out window in random order."""
    seconds: float


def main() -> int:
    """Measures, prints each cell as it is finished, and then the table."""
    options = _parser().parse_args()
    places = [_place(words) for words in options.set]
    for seed in options.simulated:
        cohort = simulate_cohort(options.cache / f"experiment-simulated-{seed}", seed=seed)
        places += [
            Place(name=f"{task} {seed}", cohort=str(cohort), label=load_task(task).label, task=task)
            for task in options.tasks
        ]
    rows = [row for row in ROWS if not options.rows or row in options.rows]
    frames = options.cache / "frames"
    calls = [(place, row, seed) for row in rows for place in places for seed in range(options.seeds)]
    spawn = multiprocessing.get_context("spawn")
    cells: list[Cell] = []
    with ProcessPoolExecutor(options.processes, spawn, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting = [pool.submit(measure, *call, options.backbone, frames) for call in calls]
        for done in as_completed(waiting):
            cells.append(cell := done.result())
            print(
                f"{cell.place.name} | {cell.row} | seed {cell.seed} | {cell.value:.3f} | shuffled "
                f"{'-' if cell.shuffled is None else f'{cell.shuffled:.3f}'} | {cell.seconds:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    for line in table(cells, rows, places):
        print(line)
    return 0


def table(cells: list[Cell], rows: list[str], places: list[Place]) -> Iterator[str]:
    """Yields the lines of a Markdown table: a row per variant, a column per cohort."""
    yield "| row | " + " | ".join(p.name for p in places) + " |"
    yield "|---" * (1 + len(places)) + "|"
    for row in rows:
        found = [_values([c for c in cells if c.place == p and c.row == row], "value") for p in places]
        yield f"| {row} | " + " | ".join(found) + " |"
        if row in ("default", "frozen motion"):
            found = [_values([c for c in cells if c.place == p and c.row == row], "shuffled") for p in places]
            yield f"| {row}, frames shuffled | " + " | ".join(found) + " |"


def _values(cells: list[Cell], name: str) -> str:
    values = [getattr(c, name) for c in sorted(cells, key=lambda c: c.seed) if getattr(c, name) is not None]
    if not values:
        return "-"
    each = " ".join(f"{100 * v:.0f}" for v in values)
    return f"{100 * sum(values) / len(values):.1f} ({each})"


def measure(place: Place, row: str, seed: int, backbone: str, cache: Path) -> Cell:
    """Returns one cell: a configuration on five folds that the seed draws, trained with the same seed."""
    started = time.perf_counter()
    cohort, frozen = _opened(place, backbone, cache)
    config = TrainConfig().with_values(
        (SCALED_TO_SMALL if backbone == "small" else {}) | ROWS[row] | {"seed": seed, "decoder.enabled": False}
    )
    parts, controls = [], []
    for fold in make_splits(cohort, folds=FOLDS, seed=seed).folds:
        with tempfile.TemporaryDirectory() as folder:
            job = FoldJob(cohort=cohort, fold=fold, frozen=frozen, cache=cache, folder=Path(folder), key="experiment")
            result = train_fold(config, job)
        parts.append(result.predictions)
        if result.shuffled is not None:
            controls.append(result.shuffled)
    metric = f"{'video' if place.per_video else 'subject'}/balanced_accuracy"
    value, shuffled = (
        score(pl.concat(found), metric, len(cohort.classes)) if found else None for found in (parts, controls)
    )
    assert value is not None
    return Cell(place=place, row=row, seed=seed, value=value, shuffled=shuffled, seconds=time.perf_counter() - started)


@lru_cache(maxsize=4)
def _opened(place: Place, backbone: str, cache: Path) -> tuple[Cohort, FrozenFeatures]:
    """Returns an ingested cohort and its frozen features; a process keeps the last few."""
    cohort, task = read_manifest(
        Path(place.cohort),
        task=load_task(place.task) if place.task else None,
        label=place.label,
        parameters=load_parameters(),
        folds=2,
        named=place.named,
        label_per_video=place.per_video,
    )
    loaded = load_backbone(backbone)
    cohort = ingest_cohort(cohort, size=loaded.image_size, folder=cache)
    return cohort, FrozenFeatures(loaded, task, [p.name for p in cohort.parameters])


def _place(words: list[str]) -> Place:
    name, cohort, label, *others = words
    named = tuple(word for word in others if word != "per-video")
    return Place(name=name, cohort=cohort, label=label, per_video="per-video" in others, named=named)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.learning", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="append",
        default=[],
        metavar="WORD",
        help="NAME COHORT LABEL [per-video] [gait parameters, as --parameter ...]; repeat for more cohorts",
    )
    parser.add_argument("--simulated", nargs="*", type=int, default=[], metavar="SEED", help="simulated cohorts")
    parser.add_argument("--tasks", nargs="*", default=["diagnosis", "updrs"], help="tasks on the simulated cohorts")
    parser.add_argument("--rows", nargs="*", default=[], choices=list(ROWS), help="rows of the table (default: all)")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of folds and training (default: 5)")
    parser.add_argument("--backbone", default="small", help="small, a folder or a hub id (default: small)")
    parser.add_argument("--cache", type=Path, default=user_cache(), help="folder of decoded frames and cohorts")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="processes of one thread each")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
