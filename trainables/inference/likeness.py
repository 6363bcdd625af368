"""How unlike the training videos a new video is: the distance of its frozen features from theirs.

Letters: N videos, S subjects, D joint width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.model.backbone import Backbone
from trainables.study.records import Cohort
from trainables.training.frozen_video import frozen_name, frozen_video

FEWEST_SUBJECTS = 8
"""Below which the spread of the training videos is not known well enough to call another one unlike them."""
STEPS = 20
"""Parts into which the training distances are divided by their quantiles."""
FAR = 0.95
"""Share of the training videos that must be nearer for a new one to be called unlike them."""

Floats = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True, slots=True)
class Likeness:
    """Where the training videos lie: means over subjects, and no video's own features."""

    mean: tuple[float, ...]
    """[D], of the subjects' mean features."""
    spread: tuple[float, ...]
    """[D], their standard deviation."""
    quantiles: tuple[float, ...]
    """[STEPS + 1], of the distances of training videos from the other subjects; the largest is left out for the next one."""
    window: int
    """Frames of a window, under which features are kept beside the frame cache."""

    def distance(self, feature: Floats) -> float:
        """Returns how many standard deviations a feature [D] is away, as the root of the mean square over D."""
        return _distance(feature, np.array(self.mean), np.array(self.spread))

    def nearer(self, distance: float) -> float:
        """Returns the share of the training videos that are nearer, 0-1, from the quantiles."""
        return float(np.interp(distance, self.quantiles, np.linspace(0, 1, len(self.quantiles))))

    def unlike(self, distance: float) -> bool:
        """Returns whether a video is further away than FAR of the training videos."""
        return self.nearer(distance) > FAR


def fit_likeness(features: Floats, subjects: Sequence[str], window: int) -> Likeness | None:
    """Returns where some training videos lie; None for too few subjects.

    Distances are of each video from all other subjects, as a new person's would be.

    Args:
        features: One row per video, [N, D].
        subjects: Of each video.
        window: As of Likeness.
    """
    names = list(dict.fromkeys(subjects))
    if len(names) < FEWEST_SUBJECTS:
        return None
    owner = np.array([names.index(subject) for subject in subjects])
    means = np.stack([features[owner == i].mean(0) for i in range(len(names))])  # [S, D]
    distances = []
    for i in range(len(names)):
        others = np.delete(means, i, axis=0)
        distances += [_distance(f, others.mean(0), others.std(0, ddof=1)) for f in features[owner == i]]
    quantiles = np.quantile(distances, np.linspace(0, 1, STEPS + 1))
    return Likeness(
        mean=tuple(_rounded(means.mean(0))),
        spread=tuple(_rounded(means.std(0, ddof=1))),
        quantiles=tuple(_rounded(quantiles, digits=2)),  # the first, the last and some others are of one video each
        window=window,
    )


def _distance(feature: Floats, mean: Floats, spread: Floats) -> float:
    usable = spread > 1e-6 * np.maximum(1.0, np.abs(mean))
    return float(np.sqrt((((feature - mean)[usable] / spread[usable]) ** 2).mean())) if usable.any() else 0.0


def _rounded(values: Floats, digits: int = 4) -> list[float]:
    """Returns numbers with a few digits: with more than four means, one training video's features could be solved for."""
    return [float(f"{value:.{digits}g}") for value in values]


def training_likeness(backbone: Backbone, cohort: Cohort, cache: Path, window: int) -> Likeness | None:
    """Returns where a study's training videos lie, of those whose features lie beside the frame cache; None for too few."""
    rows = cohort.videos.select("subject", "cached").rows()
    there = [(s, name) for s, name in rows if name and (cache / frozen_name(backbone, name, window)).exists()]
    if not there:
        return None
    features = np.stack([video_feature(backbone, cache, name, window) for _, name in there])
    return fit_likeness(features, [subject for subject, _ in there], window)


def video_feature(backbone: Backbone, cache: Path, name: str, window: int) -> Floats:
    """Returns the mean frozen feature of a cached video, [D]."""
    found: Floats = frozen_video(backbone, cache, name, window).features.float().mean(0).numpy().astype(np.float64)
    return found
