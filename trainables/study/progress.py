"""How far a fold in training is: a small file in the fold's folder, which the terminal reads. No torch and no Ray here."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from trainables.study.files import write_json

FILE = "progress.json"
PREPARING, TRAINING, SCORING = "preparing", "training", "scoring"
"""What a fold does: read videos through the frozen tower where that was not done yet, take steps, answer held-out windows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldProgress:
    """What a fold is doing, and how far it is; folds/KEY/progress.json while it runs."""

    phase: str
    """PREPARING, TRAINING or SCORING."""
    done: int = 0
    total: int = 0
    """Videos, optimiser steps or windows of the phase; 0 where it is not known."""
    loss: float | None = None
    """Mean over the last steps."""
    seconds_left: float | None = None
    """Until the last step."""

    @property
    def share(self) -> float:
        """Returns how much of the fold's training is done, 0-1."""
        if self.phase == TRAINING and self.total:
            return self.done / self.total
        return 1.0 if self.phase == SCORING else 0.0

    def save(self, folder: Path) -> None:
        """Writes the file without waiting for the disk: it is for the eye, and training goes on."""
        write_json(folder / FILE, dataclasses.asdict(self), durable=False)

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Returns the progress of a fold in training; None where it is not training, or the file cannot be read now."""
        try:
            return cls(**json.loads((folder / FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):  # what cannot be shown must not end a search
            return None


def forget(folder: Path) -> None:
    """Removes a fold's progress, as when it has ended."""
    (folder / FILE).unlink(missing_ok=True)


def forget_all(study: Path) -> None:
    """Removes the progress that a killed search left behind in a study's folder."""
    for path in study.glob(f"folds/*/{FILE}"):
        path.unlink(missing_ok=True)
