"""What a search comes to: how many folds are trained, how long they take, how much disk they need. Numbers only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from platform.options import SearchOptions
from typing import TYPE_CHECKING

from trainables.config import TrainConfig
from trainables.data.windows import heldout_windows, training_windows
from trainables.model_kinds import KINDS
from trainables.study.learning_records import SHARES

if TYPE_CHECKING:
    from trainables.inference.timing import Times

FLOAT = 4
"""Bytes."""
FROZEN_SHARE = 1 / 6
"""Bytes of what the frozen tower says of a video, for each byte of its frames (trainables.training.frozen_video)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """How many folds a search trains."""

    search: int
    """Of the search itself."""
    nested: int
    """Of the searches without an outer fold."""
    permuted: int
    """Of the searches on permuted labels."""
    baselines: Mapping[str, int]
    """Of each baseline, outer folds among them."""
    described: int
    """Folds whose classes are put into words."""
    refits: int
    """Models trained on every subject."""
    learning: int = 0
    """Of the learning curve."""

    @property
    def clips(self) -> int:
        """Trainings of the model itself."""
        return self.search + self.nested + self.permuted + self.refits + self.learning


def workload(options: SearchOptions, folds: int, inner: Sequence[int]) -> Workload:
    """Returns what completed options come to.

    Args:
        folds: of the study. inner: of each outer fold's study.
    """
    trials, refits = options.trials or 1, int(options.refit == "all")
    return Workload(
        search=trials * folds * options.training_seeds,
        nested=sum(trials * count for count in inner) * options.training_seeds,
        permuted=options.permutations * (options.permutation_trials or trials) * folds * options.training_seeds,
        baselines=dict.fromkeys(options.baselines, folds + len(inner)),
        described=folds + sum(inner) + refits,
        refits=refits * options.training_seeds,
        learning=len(SHARES) * folds * options.training_seeds if options.learning_curve else 0,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Fold:
    """What a fold of average size consists of."""

    steps: int
    windows: int
    """Held out."""


def average_fold(config: TrainConfig, frames: Iterable[int], folds: int) -> Fold:
    """Returns the steps and held-out windows of a fold of average size.

    Args:
        frames: of every video, at 30 frames/s. folds: that hold every subject out once.
    """
    lengths, optimizer = list(frames), config.optimizer
    held_out = sum(len(heldout_windows(length, config.video)) for length in lengths)
    if optimizer.steps:
        return Fold(steps=optimizer.steps, windows=-(-held_out // folds))
    windows = sum(len(training_windows(length, config.video)) for length in lengths) * (folds - 1) / folds
    return Fold(steps=optimizer.epochs * -(-int(windows) // optimizer.batch_size), windows=-(-held_out // folds))


def fold_seconds(fold: Fold, times: "Times", *, workers: int = 1, steps: bool = True) -> float:
    """Returns how long a fold trains; several workers share each step at best without a loss."""
    return times.prepare + (fold.steps * times.step * steps + fold.windows * times.window) / workers


def training_seconds(
    work: Workload, fold: Fold, times: Mapping[str, "Times"], config: TrainConfig, *, workers: int, concurrent: int
) -> float:
    """Returns how long all folds take with so many trials side by side.

    Args:
        times: of 'clip', and of each baseline that is trained by steps.
    """
    clip = times["clip"]
    seconds = work.clips * fold_seconds(fold, clip, workers=workers)
    for name, count in work.baselines.items():
        if KINDS[name].network:  # the others are fitted in seconds
            seconds += count * fold_seconds(fold, times.get(name, clip), steps=KINDS[name].trained)
    seconds += work.described * (clip.prepare + config.decoder.steps * clip.decoder_step)
    return seconds / concurrent


def frame_bytes(frames: int, size: int) -> int:
    """Returns the bytes of decoded frames of a side in pixels, with what the frozen tower says of them."""
    return int(frames * size * size * 3 * (1 + FROZEN_SHARE))


def weight_bytes(work: Workload, times: "Times") -> int:
    """Returns the bytes of the weights that a study keeps: those of every fold."""
    baselines = sum(count for name, count in work.baselines.items() if KINDS[name].network)
    return FLOAT * times.trained_parameters * (work.clips + baselines)
