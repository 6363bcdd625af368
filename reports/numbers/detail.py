"""Everything that held-out predictions say, of whichever kind they are: of nested cross-validation, or of the search's own folds."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from reports.numbers.calibration import Calibration, calibration
from reports.numbers.discrimination import OperatingPoint, Ranking, operating_points, rankings
from reports.numbers.own_videos import OwnVideos, own_videos
from reports.numbers.recalibration import Recalibration
from reports.numbers.statistics import (
    ORDINAL,
    RARE,
    Array,
    ClassScore,
    Level,
    Score,
    class_scores,
    level_scores,
    mistakes,
    score_interval,
    subject_matrices,
)
from trainables.study.metrics import at_level
from trainables.study.records import Cohort
from trainables.study.vocabulary import LEVELS, parse_metric


@dataclass(frozen=True, kw_only=True)
class Detail:
    """Scores of held-out predictions at every level, class by class, and what their probabilities are worth."""

    predictions: pl.DataFrame
    """One row per held-out window, as FoldResult.predictions."""
    unit: str
    """What leads: subject, or video where one subject's videos may have several labels."""
    held_out: int
    """Times that each subject was held out."""
    levels: tuple[Level, ...]
    """Without subject where videos of one subject may have several labels: averaging them would need the true label."""
    counts: Array
    """Confusion matrix [C, C] of the units."""
    classes: tuple[ClassScore, ...]
    calibration: Calibration | None
    rankings: tuple[Ranking, ...]
    """AUROC and average precision of each class."""
    operating: tuple[OperatingPoint, ...]
    """Each class at a threshold from other subjects: of the inner folds, or of the other folds; empty with one fold."""
    own_videos: OwnVideos | None
    """Agreement between a subject's own videos; None where no subject has two."""
    recalibration: Recalibration | None = None
    """None where no inner folds have set a temperature."""
    mistakes: pl.DataFrame
    wrong_videos: int

    @property
    def right(self) -> int:
        """Returns how many answers for units are right."""
        return int(self.counts.trace())

    @property
    def units(self) -> int:
        """Returns how many answers for units there are."""
        return int(self.counts.sum())

    @property
    def videos(self) -> int:
        """Returns how many answers for videos there are."""
        return self.level("video").units

    @property
    def right_interval(self) -> tuple[float, float]:
        """Returns the 95 % interval of the share answered right: that of accuracy, which allows for shared training.

        Wilson's held the truth in 83 to 95 % of simulated studies (docs/decisions/0020).
        """
        matrices = subject_matrices(at_level(self.predictions, self.unit), len(self.counts))
        low, high = score_interval(matrices, "accuracy", np.random.default_rng(0))
        return min(low, self.right / self.units), max(high, self.right / self.units)

    def level(self, name: str) -> Level:
        """Returns the scores of a level, or of the unit that leads where the level is not shown."""
        return next((level for level in self.levels if level.level == name), self.levels[0])

    def score(self, metric: str) -> Score:
        """Returns a score by the study's metric, as 'subject/macro_f1'."""
        name, kind = parse_metric(metric)
        return next(s for s in self.level(name).scores if s.metric == kind)

    @property
    def rare(self) -> tuple[str, ...]:
        """Returns the classes of too few subjects for an interval of a mean over the classes."""
        return tuple(c.label for c in self.classes if c.subjects < RARE)


def detail(predictions: pl.DataFrame, cohort: Cohort, metrics: tuple[str, ...]) -> Detail:
    """Returns everything that held-out predictions say.

    Args:
        predictions: One row per held-out window, as FoldResult.predictions, all folds together.
        cohort: Of the study, for its classes and whether labels are per video.
        metrics: As in `metric_values`; the first is the study's. With ORDINAL's last the classes have an order: the metric that
            chose may be one for ordered classes where they have none.
    """
    classes, unit = len(cohort.classes), leading_unit(cohort)
    units, videos = (at_level(predictions, level) for level in (unit, "video"))
    matrices = subject_matrices(units, classes)
    folds = predictions.group_by("subject").agg(pl.col("fold").n_unique())["fold"]
    return Detail(
        predictions=predictions,
        unit=unit,
        held_out=int(np.max(folds.to_numpy())),
        levels=tuple(level_scores(predictions, level, classes, metrics) for level in LEVELS[LEVELS.index(unit) :]),
        counts=matrices.sum(0),
        classes=class_scores(matrices, cohort.classes),
        calibration=calibration(predictions),
        rankings=rankings(predictions, cohort.classes, unit, ordinal=ORDINAL[-1] in metrics),
        operating=_operating(predictions, cohort, unit),
        own_videos=own_videos(predictions),
        mistakes=mistakes(predictions),
        wrong_videos=int((videos["true"] != videos["predicted"]).sum()),
    )


def _operating(predictions: pl.DataFrame, cohort: Cohort, unit: str) -> tuple[OperatingPoint, ...]:
    """Returns operating points whose thresholds the subjects of the other folds set; none with one fold."""
    folds = predictions["fold"].unique().sort().to_list()
    if len(folds) < 2:
        return ()
    scored = [predictions.filter(fold=fold) for fold in folds]
    subjects = [part["subject"].unique().to_list() for part in scored]
    others = [predictions.filter(~pl.col("subject").is_in(names)) for names in subjects]
    return operating_points(scored, others, cohort.classes, unit)


def leading_unit(cohort: Cohort) -> str:
    """Returns at which level answers are counted: subject, or video where one subject's videos may have several labels."""
    return "video" if cohort.per_video_labels else "subject"
