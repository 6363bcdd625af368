"""Whether the videos of one subject get the same answer, and how often videos of different people would.

Letters: C classes, G groups (one subject in one fold).
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from reports.numbers.intervals import DRAWS, Array, ends
from trainables.study.metrics import at_level


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnVideos:
    """Agreement of the answers for two videos of one subject, vs. that for two videos of different subjects."""

    subjects: int
    """Subjects with two videos or more."""
    pairs: int
    """Pairs of videos of one subject, answered by the same fold."""
    share: float
    """Of the pairs that get the same answer, averaged over the subjects."""
    low: float
    high: float
    """95 % interval, subjects resampled."""
    chance: float | None
    """Share of pairs of videos of different subjects that get the same answer; None with one subject."""
    chance_in_class: float | None
    """The same of different subjects of one true class; None where no class has two subjects."""


def own_videos(predictions: pl.DataFrame) -> OwnVideos | None:
    """Returns how alike the answers for a subject's own videos are; None where no subject has two.

    Videos of two true classes, which a subject may have with labels per video, are not a pair.

    Args:
        predictions: One row per held-out window, as FoldResult.predictions.
    """
    if predictions.is_empty():
        return None
    videos = at_level(predictions, "video")
    classes = len(predictions["probabilities"][0])
    groups = videos.group_by("subject", "fold", "true", maintain_order=True).agg("predicted")
    answers = np.stack([np.bincount(row, minlength=classes) for row in groups["predicted"].to_list()])  # [G, C]
    sizes = answers.sum(1)
    several = sizes > 1
    if not several.any():
        return None
    names = groups["subject"].to_numpy()
    shares = _pairs(answers[several]) / _pairs(sizes[several, None])
    by_subject = np.array([shares[names[several] == name].mean() for name in np.unique(names[several])])
    low, high = _interval(by_subject)
    return OwnVideos(
        subjects=len(by_subject),
        pairs=int(_pairs(sizes[:, None]).sum()),
        share=(share := float(by_subject.mean())),
        low=min(low, share),
        high=max(high, share),
        chance=_between(answers, names, np.zeros(len(names), dtype=np.int64)),
        chance_in_class=_between(answers, names, groups["true"].to_numpy()),
    )


def _pairs(counts: Array) -> Array:
    """Returns how many pairs with the same answer counts of answers [..., C] make: [...]."""
    pairs: Array = (counts * (counts - 1) // 2).sum(-1)
    return pairs


def _between(answers: Array, names: Array, strata: Array) -> float | None:
    """Returns the share of pairs of different subjects, in one stratum, that get the same answer."""
    same = total = 0
    for stratum in np.unique(strata):
        inside, subjects = answers[strata == stratum], names[strata == stratum]
        own = np.stack([inside[subjects == name].sum(0) for name in np.unique(subjects)])
        same += int(_pairs(own.sum(0)) - _pairs(own).sum())
        total += int(_pairs(own.sum()[None]) - _pairs(own.sum(1)[:, None]).sum())
    return same / total if total else None


def _interval(shares: Array) -> tuple[float, float]:
    """Returns the 95 % interval of a mean over subjects, with one imagined subject of each extreme so that it has a width."""
    rng = np.random.default_rng(0)
    whole = np.append(shares, [0.0, 1.0])
    draws = whole[rng.integers(0, len(whole), (DRAWS, len(whole)))].mean(1)
    low, high = ends(draws, len(shares))
    return max(0.0, low), min(1.0, high)
