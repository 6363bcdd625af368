"""What results.json holds, as records: every field with what it is, from which the file and its JSON Schema are made."""

from dataclasses import dataclass, fields
from typing import Any, TypeVar

from reports.numbers.analysis import Analysis, Results
from reports.numbers.calibration import Calibration
from reports.numbers.comparisons import Comparison
from reports.numbers.controls import LossFall, SeedScores, Shuffled, StudyWarning
from reports.numbers.decision_curve import DecisionCurve
from reports.numbers.descriptions import Words
from reports.numbers.discrimination import OperatingPoint, Ranking
from reports.numbers.embedding_maps import MapPoints
from reports.numbers.learning import LearningCurve
from reports.numbers.ledger import Ledger
from reports.numbers.missing import Missing
from reports.numbers.nested import Nested
from reports.numbers.null import Null
from reports.numbers.own_videos import OwnVideos
from reports.numbers.prediction_sets import StudySets
from reports.numbers.raters import Raters
from reports.numbers.search import SearchStory
from reports.numbers.statistics import ClassScore, FoldScore, Level, Spread
from reports.numbers.subgroups import Subgroups
from reports.numbers.training_curves import Point, curve
from trainables.study.leaderboard import TrialRecord
from trainables.study.plan import StudyPlan
from trainables.study.readable import Readable
from trainables.study.walker_flow import WalkerFlow

RESULTS_SCHEMA = 2
"""Of results.json; docs/results.md says what each of its fields is."""
Record = TypeVar("Record")


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyFacts:
    """The study, its times and its cohort."""

    name: str
    metric: str
    """As level/metric."""
    started: str
    """ISO 8601, UTC."""
    finished: str | None
    """As `started`; null until the search has ended."""
    wall_seconds: float
    """On the clock, all sessions together."""
    cohort_sha256: str
    """Of what training could see of the cohort."""
    training_seconds: float
    """What the complete trials' folds took together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CohortFacts(Ledger):
    """The cohort, and who was tested where."""

    excluded: tuple[tuple[str, str], ...]
    """Each excluded row's video, and the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldCurve:
    """The training of one fold."""

    fold: int
    points: tuple[Point, ...]
    """Step, epoch, losses, learning rate and gradient norms, means over the steps since the point before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NullFacts(Null):
    """The same search on permuted labels."""

    values: tuple[float, ...]
    """Its best score at each permutation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The chosen configuration and what it did; its scores are selection scores."""

    trial: int
    config: dict[str, Any]
    """Every setting by its name."""
    score: float
    """By the study's metric, computed from the predictions."""
    log_loss: float
    """At subject level, in nats."""
    levels: tuple[Level, ...]
    """Scores for subjects, videos and windows."""
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Subjects; row: true class, column: answer."""
    rankings: tuple[Ranking, ...]
    """AUROC and average precision of each class, their mean, and of ordered classes each cut."""
    operating: tuple[OperatingPoint, ...]
    """Each class at a threshold that other folds' subjects set."""
    calibration: Calibration | None
    folds: tuple[FoldScore, ...]
    spreads: tuple[Spread, ...]
    """Mean and standard deviation over the folds."""
    comparisons: tuple[Comparison, ...]
    """With each baseline and with the runner-up."""
    subgroups: tuple[Subgroups, ...]
    """By each attribute, and by the column that gave the folds."""
    readable: tuple[Readable, ...]
    """Whether places of recording can be read from the video features."""
    permutation_null: NullFacts | None
    """Null where no labels were permuted."""
    shuffled: Shuffled | None
    """With the frames of each window in random order; null where that was not scored."""
    by_seed: SeedScores | None
    """Null where each fold was trained once."""
    loss_fall: LossFall | None
    """Null where nothing was trained in steps."""
    curves: tuple[FoldCurve, ...]
    own_videos: OwnVideos | None
    """Null where no subject has two videos."""
    maps: MapPoints | None
    """Of the first fold that has them; null where numeracy is off."""
    class_windows: tuple[int, ...]
    """Held-out windows of each class."""
    mistakes: tuple[dict[str, Any], ...]
    """Wrong videos, the most confident first: subject, video, fold, true and predicted class, the probability of both."""
    wrong_videos: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultsDocument:
    """Every number of a study's report."""

    schema: int
    """A field that goes away or changes its meaning raises it."""
    study: StudyFacts
    classes: tuple[str, ...]
    """Class names in the order of every list and matrix."""
    cohort: CohortFacts
    missing: Missing | None
    """Which gait parameters were not measured; null where the cohort has none."""
    walkers: WalkerFlow | None
    """Null where no walker was looked for."""
    search: SearchStory
    leaderboard: tuple[TrialRecord, ...]
    """Every trial, the best first."""
    words: Words
    nested: Nested | None
    """Null without outer folds."""
    raters: Raters | None
    """Null without a second rating."""
    learning_curve: LearningCurve | None
    """Null where none was asked for."""
    pareto: tuple[int, ...]
    """Trials on the front of score and cost; empty for a search of one objective."""
    warnings: tuple[StudyWarning, ...]
    """Signs that nothing was learned, or nothing of motion."""
    notices: tuple[str, ...]
    """What the page says is missing or does not fit together."""
    beyond_chance: bool | None
    """Whether the study shows more than chance; null where nothing in it decides that."""
    plan: StudyPlan | None
    """What was planned before the first training; null of a study that was begun before there were plans."""
    sessions: tuple[dict[str, Any], ...]
    """Every command that worked on the study."""
    prediction_sets: StudySets | None
    """Null before a configuration is chosen."""
    decision_curve: DecisionCurve | None
    """Null without two classes."""
    chosen: Chosen | None
    """Null until a trial has finished every fold."""


def results_document(analysis: Analysis) -> ResultsDocument:
    """Returns what results.json holds of a study."""
    return _filled(
        ResultsDocument,
        analysis,
        schema=RESULTS_SCHEMA,
        study=_filled(StudyFacts, analysis.study, training_seconds=analysis.training_seconds),
        classes=analysis.cohort.classes,
        cohort=_filled(CohortFacts, analysis.ledger, excluded=analysis.cohort.excluded),
        learning_curve=analysis.learning,
        pareto=tuple(trial.number for trial in analysis.front),
        sessions=analysis.study.sessions,
        prediction_sets=analysis.sets,
        decision_curve=analysis.decisions,
        chosen=None if analysis.results is None else _chosen(analysis.results, analysis.study.permutations),
    )


def _chosen(found: Results, permutations: tuple[float, ...]) -> Chosen:
    return _filled(
        Chosen,
        found,
        trial=found.trial.number,
        config=found.trial.config,
        confusion=tuple(map(tuple, found.counts.tolist())),
        rankings=found.detail.rankings,
        operating=found.detail.operating,
        own_videos=found.detail.own_videos,
        permutation_null=None if found.null is None else _filled(NullFacts, found.null, values=permutations),
        curves=tuple(FoldCurve(fold=r.fold, points=curve(r)) for r in found.folds_done),
        maps=None if found.maps is None else found.maps.rounded(),
        mistakes=tuple(found.mistakes.to_dicts()),
    )


def _filled(cls: type[Record], record: Any, **given: Any) -> Record:
    """Returns a record whose fields are those given and, by their names, those of another."""
    names = [field.name for field in fields(cls) if field.name not in given]  # type: ignore[arg-type]
    return cls(**{name: getattr(record, name) for name in names}, **given)
