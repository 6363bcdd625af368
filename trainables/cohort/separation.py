"""How well one column alone tells the classes apart: a code, a copy of the label or a confounder does it almost perfectly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

NEARLY = 0.95
"""Area under the ROC curve above which a column nearly separates a class from all others."""
FEWEST = 10
"""Subjects of the class, and of all others, below which a perfect order is too often a matter of chance: of 3 and 3 subjects one
column in ten has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Separation:
    """The class that a column tells from all others best."""

    label: str
    auroc: float
    """One class against all others, over subjects; 0.5-1, whichever direction is the better."""
    subjects: int
    """Subjects with a value."""

    @property
    def nearly(self) -> bool:
        """Returns whether the class can be read from the column alone."""
        return self.auroc > NEARLY


def separation(values: Sequence[float | None], subjects: Sequence[str], labels: Sequence[str]) -> Separation | None:
    """Returns the class that a column separates best; None where no class has enough subjects on both sides.

    A subject counts with the mean of its values, once for each of its labels.

    Args:
        values: One per row; None where not measured.
        subjects: The subject of each row.
        labels: The class of each row.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for value, subject, label in zip(values, subjects, labels, strict=True):
        if value is not None:
            found.setdefault((subject, label), []).append(value)
    means = np.array([np.mean(own) for own in found.values()])
    own_label = np.array([label for _, label in found])
    best: Separation | None = None
    for label in dict.fromkeys(own_label.tolist()):
        inside = own_label == label
        if min(inside.sum(), (~inside).sum()) < FEWEST:
            continue
        area = auroc(means[inside], means[~inside])
        area = max(area, 1 - area)
        if best is None or area > best.auroc:
            best = Separation(label=label, auroc=area, subjects=len(means))
    return best


def auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Returns the area under the ROC curve: the share of pairs in which the positive value is higher, ties as one half."""
    higher, tied = positive[:, None] > negative, positive[:, None] == negative
    return float(higher.mean() + tied.mean() / 2)


def best_category(
    cells: Sequence[str | None], subjects: Sequence[str], labels: Sequence[str]
) -> tuple[str, Separation] | None:
    """Returns the category whose presence alone separates a class best, with that separation."""
    found: Mapping[str, Separation | None] = {
        category: separation([None if c is None else float(c == category) for c in cells], subjects, labels)
        for category in dict.fromkeys(c for c in cells if c is not None)
    }
    known = [(category, one) for category, one in found.items() if one is not None]
    return max(known, key=lambda pair: pair[1].auroc, default=None)
