"""Gait parameters on one scale, and which of them may stand together. Everything is fitted on training subjects.

Letters: N videos, P parameters, G parameters of a record, S subsets.
"""

import itertools
from dataclasses import dataclass

import numpy as np

BINS = 201
"""Values of a scaled parameter: steps of clip/100 from -clip to clip; also the decoder's number tokens."""


@dataclass(frozen=True, kw_only=True)
class Scaler:
    """Centres on healthy training subjects, divides by the training deviation, and stretches to [-clip, clip]."""

    centre: np.ndarray
    """[P], in each parameter's unit; NaN where a parameter is not usable."""
    unit_per_v: np.ndarray
    """[P]: units per 1 of the scaled value, which is std * max|z| / clip."""
    clip: float

    @classmethod
    def fit(cls, values: np.ndarray, subjects: np.ndarray, healthy: np.ndarray, clip: float) -> "Scaler":
        """Returns the scaling of training videos.

        Args:
            values: [N, P] in units, NaN where not measured.
            subjects: [N] subject of each video; a subject with many videos weighs as much as one with few.
            healthy: [N] whether the video counts for the centre; none at all centres on every subject.
            clip: largest scaled magnitude.
        """
        chosen = healthy if healthy.any() else np.ones(len(values), dtype=bool)
        centre = _mean(_subject_means(values[chosen], subjects[chosen]))
        everyone = _mean(_subject_means(values, subjects))
        centre = np.where(np.isnan(centre), everyone, centre)  # measured in no healthy subject
        std = np.sqrt(_mean((values - _mean(values)) ** 2))
        deviation = np.abs(values - centre)
        largest = np.array([_largest(column) for column in deviation.T])
        usable = (np.isfinite(values).sum(0) >= 2) & (std > 1e-9 * np.maximum(1.0, np.abs(centre)))
        # z = (x - centre) / std and w = clip / max|z|, so v = w z = (x - centre) * clip / max|x - centre|
        unit_per_v = np.where(usable, largest / clip, np.nan)
        return cls(centre=np.where(usable, centre, np.nan), unit_per_v=unit_per_v, clip=clip)

    @property
    def usable(self) -> np.ndarray:
        """Returns which parameters vary among the training videos, [P] bool."""
        return np.isfinite(self.unit_per_v)

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Returns scaled values in [-clip, clip], NaN where not measured or not usable, [N, P]."""
        return np.clip((values - self.centre) / self.unit_per_v, -self.clip, self.clip)

    def in_units(self, scaled: float, parameter: int) -> float:
        """Returns a scaled value of one parameter in its unit."""
        return float(self.centre[parameter] + scaled * self.unit_per_v[parameter])


def to_bin(scaled: np.ndarray, clip: float) -> np.ndarray:
    """Returns the nearest of the 201 bins, 0 at -clip and 200 at clip; -1 where the value is NaN."""
    bins = np.rint((np.nan_to_num(scaled) + clip) / (2 * clip) * (BINS - 1)).astype(np.int64)
    return np.where(np.isnan(scaled), -1, np.clip(bins, 0, BINS - 1))


def from_bin(bins: np.ndarray, clip: float) -> np.ndarray:
    """Returns the scaled value in the middle of each bin."""
    return bins / (BINS - 1) * 2 * clip - clip


def correlations(values: np.ndarray) -> np.ndarray:
    """Returns pairwise Pearson correlations over the videos in which both were measured, [P, P]; 0 below 3 videos."""
    parameters = values.shape[1]
    matrix = np.eye(parameters)
    for a, b in itertools.combinations(range(parameters), 2):
        both = np.isfinite(values[:, a]) & np.isfinite(values[:, b])
        x, y = values[both, a], values[both, b]
        if len(x) >= 3 and np.ptp(x) > 0 and np.ptp(y) > 0:
            matrix[a, b] = matrix[b, a] = np.corrcoef(x, y)[0, 1]
    return matrix


def subsets(matrix: np.ndarray, usable: np.ndarray, *, size: int, largest: float, limit: int, seed: int) -> np.ndarray:
    """Returns subsets of parameters with pairwise |r| <= largest, [S, G], sorted.

    Where no subset of the wanted size qualifies, the largest size that has one is taken. Where more than `limit`
    qualify, a random draw by the seed is kept.
    """
    allowed = (np.abs(matrix) <= largest) & usable[:, None] & usable[None, :]
    found: list[tuple[int, ...]] = [(int(p),) for p in np.flatnonzero(usable)]
    for _ in range(size - 1):
        grown = [(*s, p) for s in found for p in range(s[-1] + 1, len(matrix)) if all(allowed[q, p] for q in s)]
        if not grown:
            break
        found = grown
    if len(found) > limit:
        keep = np.random.default_rng(seed).choice(len(found), size=limit, replace=False)
        found = [found[i] for i in sorted(keep)]
    return np.array(found, dtype=np.int64).reshape(len(found), len(found[0]) if found else 0)


def _subject_means(values: np.ndarray, subjects: np.ndarray) -> np.ndarray:
    return np.stack([_mean(values[subjects == s]) for s in np.unique(subjects)])


def _mean(values: np.ndarray) -> np.ndarray:
    """Returns column means that ignore NaN, and NaN for a column without values, without numpy's warning."""
    present = np.isfinite(values)
    count = present.sum(0)
    return np.where(count > 0, np.where(present, values, 0).sum(0) / np.maximum(count, 1), np.nan)


def _largest(column: np.ndarray) -> float:
    present = column[np.isfinite(column)]
    return float(present.max()) if len(present) else np.nan
