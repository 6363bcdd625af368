"""What the exact test of two configurations could show with so many subjects: its power and the smallest p that it can reach.

Everything is about the share of subjects that are answered right, for which the permutation test of reports.numbers.comparisons is
the exact McNemar test: only subjects that one of the two alone has right count, and each favours either with chance 1/2.
"""

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom

from reports.numbers.intervals import Array

POWER = 0.8
"""Share of studies that are to find a true difference."""


def exact_power(subjects: int, discordant: float, difference: float, level: float) -> float:
    """Returns how often the exact two-sided test rejects.

    Args:
        subjects: S.
        discordant: Probability, 0-1, that one of the two alone has a subject right.
        difference: True difference of the shares answered right; at most `discordant`.
        level: The test rejects where its p is at most this.
    """
    differing = np.arange(subjects + 1)
    favoured = (1 + difference / discordant) / 2 if discordant > 0 else 0.5
    rejects = _least_wins(differing, level)  # at least so many of the differing subjects favour one of the two
    tails = binom.sf(rejects - 1, differing, favoured) + binom.sf(rejects - 1, differing, 1 - favoured)
    return float((binom.pmf(differing, subjects, discordant) * tails).sum())


def _least_wins(differing: Array, level: float) -> Array:
    """Returns the fewest of D differing subjects on one side with which p <= level; D + 1 where none is enough."""
    wins = np.minimum(binom.isf(level / 2, differing, 0.5) + 1, differing + 1).astype(int)
    wins = np.where(2 * binom.sf(wins - 1, differing, 0.5) <= level, wins, wins + 1)  # isf rounds at equality
    fewer = 2 * binom.sf(wins - 2, differing, 0.5) <= level
    return np.minimum(np.where(fewer, wins - 1, wins), differing + 1)


def detectable_difference(subjects: int, differing: int, level: float) -> float | None:
    """Returns the smallest true difference of shares that the exact test finds with 80 % power; None where there is none.

    The share of subjects on whom the two differ is taken as observed, or as the difference itself where that is larger.

    Args:
        subjects: S.
        differing: Subjects that one of the two alone has right.
        level: Of the first step of Holm's correction: .05 divided by the number of comparisons.
    """
    seen = differing / subjects

    def missing(difference: float) -> float:
        return exact_power(subjects, max(seen, difference), difference, level) - POWER

    if missing(1.0) < 0:
        return None
    return float(brentq(missing, 0.0, 1.0, xtol=1e-4)) if missing(0.0) < 0 else 0.0


def least_difference(subjects: int, level: float) -> float | None:
    """Returns the observed difference of shares below which p cannot reach the level, whatever the answers; None where none can.

    p is smallest where all subjects on whom the two differ favour one of them: 2 / 2**D for D of them.
    """
    needed = next((d for d in range(1, subjects + 1) if 2.0 ** (1 - d) <= level), None)
    return None if needed is None else needed / subjects
