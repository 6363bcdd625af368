"""The learning curve over subjects: whether more patients would help, by what fewer did.

The configuration was chosen by its score with all training subjects, so the last point is a selection score and the
others are not: the curve leans towards rising at its end.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reports.numbers.comparisons import Comparison, compare
from reports.numbers.statistics import Score, level_scores
from trainables.study.leaderboard import TrialRecord
from trainables.study.learning_records import ALL, LearningRecord, point_predictions
from trainables.study.records import Cohort, Splits, StudyRecord
from trainables.study.vocabulary import parse_metric

LEVEL = 0.05
Reading = Literal["rising", "risen", "falling", "undecided"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LearningScore:
    """The chosen configuration's score with a share of each fold's training subjects."""

    share: int
    """Percent."""
    subjects: float
    """Training subjects, mean over the folds."""
    score: Score
    gain: Comparison | None
    """All training subjects vs. this share, on the same held-out subjects; None for all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LearningCurve:
    """Scores from the smallest share to all training subjects."""

    metric: str
    """Name without the level."""
    level: str
    points: tuple[LearningScore, ...]
    problems: tuple[str, ...]
    """Why a share has no point."""
    steps: int
    """Optimiser steps of every training, however many its subjects; 0 where they grow with the subjects."""

    @property
    def reading(self) -> Reading:
        """Returns whether more subjects would help, by the corrected tests of the methods over the folds.

        'rising': all are better than the largest share; 'risen': only than a smaller one; 'falling': worse than some share;
        'undecided': neither is shown.
        """
        shown = {p.share: p.gain for p in self.points if p.gain is not None and _is_shown(p.gain)}
        better = [share for share, gain in shown.items() if (gain.folds_low or 0.0) > 0]
        if len(better) < len(shown):
            return "falling"
        if not better:
            return "undecided"
        return "rising" if max(better) == self.points[-2].share else "risen"


def _is_shown(gain: Comparison) -> bool:
    """Returns whether the test of the methods finds a difference, corrected, and its own interval leaves 0 out too."""
    adjusted, low, high = gain.folds_adjusted, gain.folds_low, gain.folds_high
    return adjusted is not None and adjusted < LEVEL and low is not None and high is not None and (low > 0 or high < 0)


def learning_curve(
    folder: Path, study: StudyRecord, cohort: Cohort, splits: Splits, trial: TrialRecord | None
) -> LearningCurve | None:
    """Returns the learning curve of the chosen trial; None where there is none, or one of an earlier choice."""
    record = LearningRecord.load(folder)
    if record is None or trial is None or record.trial != trial.number or record.points[-1].keys != trial.folds:
        return None
    level, metric = parse_metric(study.metric)
    classes, folds = len(cohort.classes), tuple(fold.index for fold in splits.folds)
    scored = {point.share: point_predictions(folder, folds, point) for point in record.points}
    others = {str(share): frame for share, frame in scored.items() if share != ALL}
    gains = {c.other: c for c in compare(scored[ALL], others, study.metric, classes)} if others else {}
    points = [
        LearningScore(
            share=point.share,
            subjects=sum(point.subjects) / len(point.subjects),
            score=level_scores(scored[point.share], level, classes, (metric,)).scores[0],
            gain=gains.get(str(point.share)),
        )
        for point in record.points
    ]
    steps = int(trial.config.get("optimizer.steps", 0) or 0)
    return LearningCurve(metric=metric, level=level, points=tuple(points), problems=record.problems, steps=steps)
