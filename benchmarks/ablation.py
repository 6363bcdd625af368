"""Prints an ablation on a cohort: balanced accuracy and macro F1 of each variant, pooled over folds, per seed and with spread.

    python benchmarks/ablation.py COHORT --label diagnosis --parameter step_width_m --parameter trunk_lean_degree
    python benchmarks/ablation.py COHORT --label diagnosis --variant "no numbers:numeracy.enabled=false" --variant "as it is:"

Every variant is scored on the same subject-wise folds, at the last epoch; nothing is chosen by a held-out subject. A
baseline without randomness has the same score for all seeds but for the folds, which follow the seed. Needs no Ray.
"""

import argparse
import itertools
import tempfile
from multiprocessing import get_context
from pathlib import Path
from platform.arguments import parse_setting
from platform.options import SearchOptions
from platform.splits import make_splits

import numpy as np
import polars as pl
import torch

from trainables.cohort.manifest import read_manifest
from trainables.config import TrainConfig
from trainables.data.cache import ingest_cohort
from trainables.data.cache_folder import open_frames
from trainables.knowledge.parameters import load_parameters
from trainables.knowledge.tasks import Task
from trainables.model.backbone import load_backbone
from trainables.study.metrics import score
from trainables.study.records import Cohort
from trainables.training.fold import train_fold
from trainables.training.frozen import FrozenFeatures
from trainables.training.job import FoldJob

VARIANTS: dict[str, dict[str, object]] = {
    "full": {},
    "no knowledge": {"text.knowledge": False},
    "no numeracy": {"numeracy.enabled": False},
    "vita_clip": {"model": "vita_clip"},
    "parameters": {"model": "parameters"},
    "linear_probe": {"model": "linear_probe"},
}
METRICS = ("balanced_accuracy", "macro_f1")


def main() -> None:
    """Measures every variant and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path, help="manifest")
    parser.add_argument("--label", required=True, help="label column")
    parser.add_argument("--parameter", action="append", default=[], help="numeric column that no parameter file knows")
    parser.add_argument("--folds", type=int, default=3, help="subject-wise folds (default 3)")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of folds and training (default 3)")
    parser.add_argument("--epochs", type=int, default=4, help="epochs (default 4)")
    parser.add_argument(
        "--variant", action="append", default=[], help="NAME:SETTING=VALUE,... in place of the built-in ones"
    )
    parser.add_argument("--processes", type=int, default=2, help="variants side by side (default 2)")
    options = parser.parse_args()
    variants = dict(_variant(text) for text in options.variant) or VARIANTS
    jobs = [(options, variants[name], seed) for name in variants for seed in range(options.seeds)]
    cohort, _ = read(options)
    print(f"{cohort.name}: {len(cohort.videos)} videos of {len(cohort.subjects())} subjects, {len(cohort.classes)} classes, "
          f"{options.folds} folds, {options.seeds} seeds, {options.epochs} epochs; chance {1 / len(cohort.classes):.3f}")  # fmt: skip
    with get_context("spawn").Pool(options.processes) as pool:
        results = dict(zip(itertools.product(variants, range(options.seeds)), pool.starmap(measure, jobs), strict=True))
    print("| variant | " + " | ".join(f"{m.replace('_', ' ')} (each seed)" for m in METRICS) + " |\n|---|---|---|")
    for variant in variants:
        cells = []
        for metric in METRICS:
            values = np.array([results[variant, seed][metric] for seed in range(options.seeds)])
            spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
            cells.append(f"{values.mean():.3f}{spread} ({', '.join(f'{v:.2f}' for v in values)})")
        print(f"| {variant} | {' | '.join(cells)} |")


def _variant(text: str) -> tuple[str, dict[str, object]]:
    name, _, settings = text.partition(":")
    return name, dict(parse_setting(part) for part in settings.split(",") if part)


def read(options: argparse.Namespace) -> tuple[Cohort, Task]:
    """Returns the cohort with its frames in the user's cache; a class may have fewer subjects than there are folds."""
    cohort, task = read_manifest(options.cohort, task=None, label=options.label, parameters=load_parameters(),
                                 folds=2, named=tuple(options.parameter))  # fmt: skip
    size = load_backbone("small").image_size
    return ingest_cohort(cohort, size=size, folder=open_frames("")), task


def measure(options: argparse.Namespace, settings: dict[str, object], seed: int) -> dict[str, float]:
    """Returns the subject-level scores of some settings and one seed, pooled over the folds."""
    torch.set_num_threads(1)
    cohort, task = read(options)
    frozen = FrozenFeatures(load_backbone("small"), task, [p.name for p in cohort.parameters])
    reference: TrainConfig = SearchOptions(seed=seed, epochs=options.epochs).reference()
    predictions = []
    with tempfile.TemporaryDirectory() as folder:
        for fold in make_splits(cohort, folds=options.folds, seed=seed).folds:
            job = FoldJob(cohort=cohort, fold=fold, frozen=frozen, cache=open_frames(""),
                          folder=Path(folder) / str(fold.index), key="")  # fmt: skip
            predictions.append(train_fold(reference.with_values(settings), job).predictions)
    pooled = pl.concat(predictions)
    return {metric: score(pooled, f"subject/{metric}", len(cohort.classes)) for metric in METRICS}


if __name__ == "__main__":
    main()
