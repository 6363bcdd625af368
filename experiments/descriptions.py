"""Measures what class descriptions are worth: the reader's skill, where queries look, and what controls say.

    python -m experiments.descriptions
    python -m experiments.descriptions --seed 21        another simulated cohort
    python -m experiments.descriptions --set walkers/cohort.csv impaired step_length step_time
    python -m experiments.descriptions --run 0 1      two folds now; the same command with others goes on

Every fold is trained once and decoded with five seeds of the decoder. Finished pieces are kept in --work and read by the
next call; the tables are of all pieces there are. Nothing is chosen by these numbers. Needs no Ray.
"""

import argparse
import dataclasses
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from platform.options import SCALED_TO_SMALL
from platform.splits import make_splits

import numpy as np
import torch

from trainables.cohort.manifest import read_manifest
from trainables.config import TrainConfig
from trainables.data.cache import ingest_cohort
from trainables.data.cache_folder import user_cache
from trainables.inference.class_descriptions import describe_task
from trainables.knowledge.parameters import load_parameters
from trainables.knowledge.tasks import load_task
from trainables.model.backbone import load_backbone
from trainables.simulation.cohort import VERSION, simulate_cohort
from trainables.study.descriptions import CONTROLS, ClassDescription, FoldDescriptions
from trainables.study.files import digest
from trainables.study.formats import build, read_record, write_record
from trainables.study.records import Cohort, Fold
from trainables.study.training_version import TRAINING_VERSION
from trainables.training.distributed import Workers
from trainables.training.fold import prepare, train_fold
from trainables.training.frozen import FrozenFeatures
from trainables.training.job import FoldJob


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One fold, decoded with one seed."""

    fold: int
    seed: int
    seconds: float
    """Of the description alone, the reader's training included."""
    found: FoldDescriptions


def main() -> int:
    """Measures what is asked for and not there yet, then prints the tables of all pieces."""
    options = _parser().parse_args()
    torch.set_num_threads(1)
    cohort, frozen, frames = _opened(options)
    config = TrainConfig().with_values(SCALED_TO_SMALL if options.backbone == "small" else {})
    if options.steps:
        config = config.with_values({"optimizer.steps": options.steps})
    folds = make_splits(cohort, folds=options.folds, seed=0).folds
    work = options.work / digest([cohort.sha256(), config.flat(), options.folds, TRAINING_VERSION])[:12]
    for fold in folds:
        if options.run and fold.index not in options.run:
            continue
        for seed in range(options.seeds):
            path = work / f"fold-{fold.index}-seed-{seed}.json"
            if not path.exists():
                piece = measure(cohort, frozen, frames, config, fold, seed, work / f"fold-{fold.index}")
                write_record(path, dataclasses.asdict(piece))
                print(f"fold {fold.index}, seed {seed}: {piece.seconds:.1f} s", file=sys.stderr, flush=True)
    pieces = [build(Piece, read_record(path), path) for path in sorted(work.glob("fold-*-seed-*.json"))]
    for line in (*summary(pieces), "", *class_table(pieces), "", *skill_table(pieces)):
        print(line)
    return 0


def measure(
    cohort: Cohort, frozen: FrozenFeatures, frames: Path, config: TrainConfig, fold: Fold, seed: int, folder: Path
) -> Piece:
    """Returns a fold's descriptions by one decoder seed; the fold is trained where its folder has no result."""
    job = FoldJob(cohort=cohort, fold=fold, frozen=frozen, cache=frames, folder=folder, key=folder.name)
    train_fold(config, job)
    started = time.perf_counter()
    task = prepare(config, job, Workers(), torch.device("cpu"))
    found = describe_task(task, job, seed).descriptions
    return Piece(fold=fold.index, seed=seed, seconds=time.perf_counter() - started, found=found)


def summary(pieces: list[Piece]) -> Iterator[str]:
    """Yields the lines that docs/decisions/0019 quotes: skill, named share, attention, separation, lead parameters."""
    yield f"{len(pieces)} descriptions of {len({p.fold for p in pieces})} folds and {len({p.seed for p in pieces})} decoder seeds"
    yield "| figure | value |"
    yield "|---|---|"
    skills = [s for p in pieces for s in p.found.held_out]
    by_parameter = {
        name: np.mean([s.skill for s in skills if s.parameter == name]) for name in {s.parameter for s in skills}
    }
    if skills:
        yield f"| median skill over parameters, held-out subjects | {np.median(list(by_parameter.values())):.2f} |"
        yield f"| parameters with a held-out skill above 0 | {sum(v > 0 for v in by_parameter.values())} of {len(by_parameter)} |"
        yield f"| a record's parameters named, held-out subjects | {np.mean([s.named for s in skills]):.3f} |"
    mixed = [s.mixed for p in pieces for s in p.found.training if s.mixed is not None]
    if mixed:
        yield f"| median skill on mixes of held-out training subjects | {np.median(mixed):.2f} |"
    told = [c for p in pieces for c in p.found.classes if c.attention is not None]
    yield f"| classes described | {len(told)} of {sum(len(p.found.classes) for p in pieces)} |"
    if told:
        own, chance = (np.array([getattr(c.attention, name) for c in told]) for name in ("own", "chance"))
        yield f"| weight on the own class (chance) | {own.mean():.2f} ({chance.mean():.2f}), {own.min():.2f} to {own.max():.2f} |"
        effective = [c.attention.effective for c in told if c.attention]
        yield f"| effective number of subjects | {np.mean(effective):.1f}, {min(effective):.1f} at least |"
        yield f"| separation: own less other ranges | {_mean_of(c.separation for c in told)} |"
        for name in CONTROLS:
            yield f"| separation of {name} | {_mean_of(k.separation for c in told for k in c.controls if k.name == name)} |"
    yield f"| steps of the language model | {_mean_of((p.found.steps for p in pieces), 0)} |"
    yield f"| seconds a description | {_mean_of((p.seconds for p in pieces), 1)} |"


def class_table(pieces: list[Piece]) -> Iterator[str]:
    """Yields for each class its attention, separation, and in how many seeds each fold has the same lead parameter."""
    yield "| class | own weight (chance) | separation | inside own / other ranges | lead parameter by fold (seeds) |"
    yield "|---" * 5 + "|"
    for label in [c.label for c in pieces[0].found.classes] if pieces else []:
        found = [(p.fold, c) for p in pieces if (c := p.found.of(label)) is not None and c.attention is not None]
        if not found:
            yield f"| {label} | not described | | | |"
            continue
        own = [c.attention.own for _, c in found if c.attention]
        chance = [c.attention.chance for _, c in found if c.attention]
        leads = "; ".join(_lead([c for f, c in found if f == fold]) for fold in sorted({f for f, _ in found}))
        yield (
            f"| {label} | {np.mean(own):.2f} ({np.mean(chance):.2f}) | {_mean_of(c.separation for _, c in found)} | "
            f"{_mean_of(c.inside for _, c in found)} / {_mean_of(c.others for _, c in found)} | {leads} |"
        )


def skill_table(pieces: list[Piece]) -> Iterator[str]:
    """Yields the skill of each parameter on held-out subjects, in units."""
    yield "| parameter | error | median's error | unit | skill | named |"
    yield "|---" * 6 + "|"
    skills = [s for p in pieces for s in p.found.held_out]
    for name in dict.fromkeys(s.parameter for s in skills):
        rows = [s for s in skills if s.parameter == name]
        error, median, skill = (np.mean([getattr(s, f) for s in rows]) for f in ("error", "median_error", "skill"))
        named = np.mean([s.named for s in rows if s.named is not None])
        yield f"| {name} | {error:.3g} | {median:.3g} | {rows[0].unit} | {skill:.2f} | {named:.2f} |"


def _lead(classes: list[ClassDescription]) -> str:
    """Returns the parameter that leads most often, with its direction and its number of seeds."""
    leads = Counter(
        f"{'higher' if d[0].departure > 0 else 'lower'} {d[0].parameter}" if (d := c.differences()) else "none"
        for c in classes
    )
    name, count = leads.most_common(1)[0]
    return f"{name} ({count} of {len(classes)})"


def _mean_of(values: Iterator[float] | Iterator[int], digits: int = 2) -> str:
    found = list(values)
    return f"{np.mean(found):.{digits}f}" if found else "-"


def _opened(options: argparse.Namespace) -> tuple[Cohort, FrozenFeatures, Path]:
    if options.set:
        path, label, *named = options.set
        manifest, task = Path(path), None
    else:
        name = f"simulated-{options.subjects}-subjects-seed-{options.seed}-version-{VERSION}"
        manifest = simulate_cohort(options.cache / name, subjects=options.subjects, seed=options.seed)
        task = load_task(options.task)
        label, named = task.label, []
    cohort, task = read_manifest(
        manifest, task=task, label=label, parameters=load_parameters(), folds=2, named=tuple(named)
    )
    backbone, frames = load_backbone(options.backbone), options.cache / "frames"
    cohort = ingest_cohort(cohort, size=backbone.image_size, folder=frames)
    return cohort, FrozenFeatures(backbone, task, [p.name for p in cohort.parameters]), frames


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.descriptions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--set", nargs="+", metavar="WORD", help="COHORT LABEL [gait parameters, as --parameter ...]")
    parser.add_argument("--subjects", type=int, default=24, help="of the simulated cohort (default: 24)")
    parser.add_argument("--seed", type=int, default=0, help="of the simulated cohort (default: 0)")
    parser.add_argument("--task", default="diagnosis", help="of the simulated cohort (default: diagnosis)")
    parser.add_argument("--folds", type=int, default=4, help="subject-wise folds (default: 4)")
    parser.add_argument(
        "--run", nargs="*", type=int, default=[], metavar="FOLD", help="folds of this call (default: all)"
    )
    parser.add_argument("--seeds", type=int, default=5, help="seeds of the decoder (default: 5)")
    parser.add_argument("--steps", type=int, default=0, help="optimiser steps of a fold (default: as for the backbone)")
    parser.add_argument("--backbone", default="small", help="small, a folder or a hub id (default: small)")
    parser.add_argument("--cache", type=Path, default=user_cache(), help="folder of decoded frames and cohorts")
    parser.add_argument(
        "--work",
        type=Path,
        default=user_cache() / "descriptions",
        help="folder of finished pieces, read by the next call",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
