"""Which windows each optimiser step sees: passes over all of them, or draws that balance classes, subjects and videos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from trainables.data.augment import Augmentation, draw_augmentation
from trainables.data.windows import jittered_windows, largest_shift
from trainables.settings import AugmentConfig, OptimizerConfig

if TYPE_CHECKING:
    from trainables.data.dataset import WindowDataset

T = TypeVar("T")
JITTER_STEP = 5
"""Frames between two starts that jitter can draw."""


class Window(NamedTuple):
    """One window of a pass."""

    row: int
    """Of the pass in the data set; a video is one pass where the walker comes by once."""
    start: int
    """First frame in the pass."""
    shift: int = 0
    """Frames by which its T frames are moved inside it."""
    augmentation: Augmentation | None = None


def windows_of(data: WindowDataset) -> list[Window]:
    """Returns the windows of a data set in its order."""
    return [Window(row, window - data.first_frames[row]) for row, window in data.windows.select("row", "window").rows()]


def steps_per_epoch(config: OptimizerConfig, windows: int) -> int:
    """Returns the optimiser steps of an epoch: a part of the budget, or a pass over the windows."""
    return -(-int(config.steps) // config.epochs) if config.steps else -(-windows // config.batch_size)


class Draws:
    """Draws the windows of one epoch's steps from a training set."""

    def __init__(self, data: WindowDataset, config: OptimizerConfig, augment: AugmentConfig | None = None):
        self.data, self.config = data, config
        self.augment = augment if augment is not None and augment.any else None
        self.fixed = windows_of(data)
        self.shift = largest_shift(data.settings) if config.jitter else 0
        used = data.windows["row"].unique().to_list()
        self.starts: dict[int, Sequence[int]] = {
            row: jittered_windows(data.frames[row], data.settings, JITTER_STEP)
            if config.jitter
            else [w.start for w in self.fixed if w.row == row]
            for row in used
        }
        self.tree: dict[int, dict[str, list[int]]] = {}
        """Class, subject, rows of the subject's videos with this class."""
        for row, subject, label in data.windows.select("row", "subject", "label").unique(maintain_order=True).rows():
            self.tree.setdefault(label, {}).setdefault(subject, []).append(row)

    def epoch(self, generator: np.random.Generator) -> list[list[Window]]:
        """Returns the windows of each step of an epoch; all workers draw the same and take their shares."""
        size = self.config.batch_size
        if not self.config.steps:
            order = generator.permutation(len(self.fixed))
            drawn = [
                self._balanced(generator) if self.config.balance else self._moved(self.fixed[i], generator)
                for i in order
            ]
        else:
            count = size * steps_per_epoch(self.config, len(self.fixed))
            draw = self._balanced if self.config.balance else self._any
            drawn = [draw(generator) for _ in range(count)]
        return [drawn[i : i + size] for i in range(0, len(drawn), size)]

    def _balanced(self, generator: np.random.Generator) -> Window:
        """Returns a window of a class, a subject and a video that are each drawn evenly."""
        subjects = self.tree[_one_of(sorted(self.tree), generator)]
        return self._of_video(_one_of(subjects[_one_of(sorted(subjects), generator)], generator), generator)

    def _any(self, generator: np.random.Generator) -> Window:
        return self._moved(_one_of(self.fixed, generator), generator)

    def _moved(self, window: Window, generator: np.random.Generator) -> Window:
        """Returns a window itself, or with jitter another of its video."""
        return self._of_video(window.row, generator) if self.config.jitter else self._augmented(window, generator)

    def _of_video(self, row: int, generator: np.random.Generator) -> Window:
        start = _one_of(self.starts[row], generator)
        shift = int(generator.integers(-self.shift, self.shift + 1)) if self.shift else 0
        return self._augmented(Window(row, start, shift), generator)

    def _augmented(self, window: Window, generator: np.random.Generator) -> Window:
        if self.augment is None:
            return window
        return window._replace(augmentation=draw_augmentation(self.augment, generator))


def _one_of(items: Sequence[T], generator: np.random.Generator) -> T:
    return items[int(generator.integers(len(items)))]
