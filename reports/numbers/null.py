"""The same search on permuted labels, and when a study may say that it found more than chance."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.numbers.statistics import Score

LEVEL = 0.05
FOR_QUANTILE = 20
"""Permutations from which a 95 % quantile is read: of fewer it would be the largest or beyond it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Null:
    """The chosen score vs. the same search on permuted labels."""

    permutations: int
    observed: float
    mean: float
    high: float | None
    """95 % quantile of the permuted searches' best scores; None of fewer than FOR_QUANTILE."""
    p_value: float | None
    """(1 + permuted searches at least as good) / (1 + permutations); None where the searches were shorter than the study's."""
    smallest_p: float
    """1 / (1 + permutations): p can be no smaller."""
    trials: int | None
    """Configurations of each permuted search; None where that was not noted."""
    searched: int | None
    """Configurations of the study's own search."""

    @property
    def decides(self) -> bool:
        """Returns whether there are a p and enough permutations for it to be .05 or less."""
        return self.p_value is not None and self.smallest_p <= LEVEL


def permutation_null(observed: float, permuted: tuple[float, ...], options: Mapping[str, Any]) -> Null | None:
    """Returns the permutation test of the whole search, or None where none was run.

    The best of fewer trials is lower, so searches shorter than the study's own give no p: at a nominal 5 % it would
    reject in 21 to 35 % of studies of noise.

    Args:
        observed: The chosen configuration's score.
        permuted: The best score of each permuted search.
        options: StudyRecord.options.
    """
    finite = [v for v in permuted if math.isfinite(v)]
    if not finite:
        return None
    searched = options.get("trials")
    trials = options.get("permutation_trials") or searched
    fair = searched is None or trials is None or trials >= searched
    at_least = sum(v >= observed - 1e-12 for v in finite)
    return Null(
        permutations=len(finite),
        observed=observed,
        mean=float(np.mean(finite)),
        high=float(np.quantile(finite, 0.95)) if len(finite) >= FOR_QUANTILE else None,
        p_value=(1 + at_least) / (1 + len(finite)) if fair else None,
        smallest_p=1 / (1 + len(finite)),
        trials=trials,
        searched=searched,
    )


def above_chance(estimate: Score | None, null: Null | None, selected: Score, compared: int) -> bool | None:
    """Returns whether a study shows more than chance; None where nothing in it can decide that.

    The nested estimate's interval decides where there is one, else the null. The interval of the best of several
    configurations decides nothing: of 8 without any skill its lower end is above chance in 7 % of studies, of 50 in 38 %.
    Of one configuration, which was not chosen, its own interval decides.

    Args:
        estimate: The nested estimate, None where there is none.
        null: The search on permuted labels, None where there is none.
        selected: The chosen configuration's score on the folds of the search.
        compared: Configurations that were compared there, those stopped early among them.
    """
    if estimate is not None:
        return estimate.low > estimate.chance
    if null is not None and null.p_value is not None and null.decides:
        return null.p_value <= LEVEL
    return selected.low > selected.chance if compared <= 1 else None
