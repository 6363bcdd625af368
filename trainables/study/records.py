"""What a study leaves on disk, and the one owner of its file formats. No torch and no Ray here.

studies/NAME/
  study.json         options, cohort, versions, git state, times (StudyRecord)
  plan.json          what the study set out to do, written once before it trained (trainables.study.plan)
  cohort.parquet     one row per video; cohort.json: classes, parameters, label
  splits.json        subject-wise folds and their hash (Splits)
  ledger.parquet     who and which file was on which side of which fold, checked when results are read
  study.db           the Optuna study: every trial, its configuration and the keys of its folds
  folds/KEY/         one configuration on one fold: result.json, predictions.parquet, shuffled.parquet (the control of
                     order in time), model.safetensors; training-N/ where it was trained with several seeds;
                     progress.json while it trains (trainables.study.progress)
  tensorboard/       trial-N/fold-K: the training curves as TensorBoard events
  best/              the chosen configuration for use; outer/, permutations/: studies inside the study
  results.json       what the report says, in numbers
  report.html        the page
"""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import polars as pl

from trainables.errors import LeakageError, StridefoldError
from trainables.study.descriptions import FoldDescriptions
from trainables.study.files import digest, read_parquet, write_parquet
from trainables.study.formats import build, read_record, write_record
from trainables.study.tracker import TrackerVersion
from trainables.study.training_version import TRAINING_VERSION

PREDICTIONS = pl.Schema([("fold", pl.Int64()), ("subject", pl.String()), ("video", pl.String()), ("window", pl.Int64()),
                         ("true", pl.Int64()), ("probabilities", pl.List(pl.Float64()))])  # fmt: skip
"""Columns of held-out predictions, one row per window; window is its first frame."""
SECOND_RATING = "second rating"
"""The cohort's column of a second rater's class indices, where there is one; training and baselines do not see it."""
CODE_CHANGED = (
    "the source text of the trainers was changed while this study was under way; the version of what they compute ({version}) "
    "was not, so all folds count as computed alike"
)
"""Of a study on which more than one source text has worked; said in the terminal and on the page."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One numeric gait parameter of a manifest."""

    key: str
    """Column of the manifest."""
    name: str
    """Name in words, as it stands in prompts and reports."""
    unit: str
    """Unit of the values in the cohort's table; '' where the user gave none."""
    leg_scaled: bool = False
    """Divided by the subject's leg length."""
    side: Literal["left", "right", "both", "difference"] = "both"
    """Body side that it describes."""
    mirror: str | None = None
    """Key of the same parameter on the other side."""
    source: Literal["instrument", "video"] = "instrument"
    """What it was measured with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attribute:
    """Something known of subjects or videos that the model does not see, such as age, sex or site."""

    name: str
    """As the manifest calls it."""
    kind: Literal["number", "category"]

    @property
    def column(self) -> str:
        """Returns the cohort's column that holds it; a parameter of the same name has another."""
        return f"attribute {self.name}"


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """A checked cohort: one row per video that has a label.

    `videos` has the columns subject (text), video (text, as the manifest gives it), path (absolute), sha256,
    label (class index from 0), frames (at 30 frames/s after ingest), cached (name of the file in the frame cache), and one
    float column per parameter, null where it was not measured; and a column 'attribute NAME' per attribute, of numbers or text.
    After ingest also passes (list of [first, past the last] frames that windows are taken from, null for all), followed (how
    the walker was: 'followed', 'in place', 'own boxes', 'whole picture' or 'not followed') and follow_note (why the whole
    picture is used).
    """

    name: str
    """Shown on the report; the manifest's file name."""
    simulated: bool
    """True for the embedded cohort, and then said wherever the cohort appears."""
    label: str
    """Label column of the manifest."""
    classes: tuple[str, ...]
    """Class names in words, in the order of the class indices."""
    parameters: tuple[Parameter, ...]
    videos: pl.DataFrame
    excluded: tuple[tuple[str, str], ...] = ()
    """(video, reason) of every row of the manifest that is not used."""
    per_video_labels: bool = False
    """Whether one subject's videos may carry different labels."""
    attributes: tuple[Attribute, ...] = ()
    """What is known of subjects and videos beside their gait; baselines and results by subgroup read it."""

    def sha256(self) -> str:
        """Returns the hash of what training and baselines can see: subjects, files, labels, classes, numbers, attributes, boxes."""
        own = [*(p.key for p in self.parameters), *(a.column for a in self.attributes)]
        cuts = ("box_left", "box_top", "box_right", "box_bottom", "boxes_sha256", "fps")
        own += [key for key in cuts if key in self.videos and self.videos[key].null_count() < len(self.videos)]
        rows = self.videos.select("subject", "video", "sha256", "label", *own).sort("subject", "video").rows()
        return digest([self.label, self.classes, rows])

    def subjects(self) -> pl.DataFrame:
        """Returns one row per subject, sorted: subject, label (of the first video), videos (count)."""
        return self.videos.group_by("subject").agg(pl.col("label").first(), videos=pl.len()).sort("subject")

    def of_subjects(self, subjects: tuple[str, ...]) -> pl.DataFrame:
        """Returns the videos of some subjects, sorted by subject and video."""
        return self.videos.filter(pl.col("subject").is_in(list(subjects))).sort("subject", "video")

    def save(self, folder: Path) -> None:
        """Writes cohort.parquet and cohort.json."""
        write_parquet(folder / "cohort.parquet", self.videos)
        about = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "videos"}
        for name in ("parameters", "attributes"):
            about[name] = [dataclasses.asdict(one) for one in about[name]]
        write_record(folder / "cohort.json", about)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote."""
        path = folder / "cohort.json"
        return build(cls, read_record(path), path, videos=read_parquet(folder / "cohort.parquet"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Fold:
    """The subjects on each side of one fold."""

    index: int
    train: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        if both := sorted(set(self.train) & set(self.test)):
            raise LeakageError(
                f"fold {self.index} has subject {both[0]!r} on both sides; remake the splits",
                code="leakage.subject_on_both_sides",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Splits:
    """Subject-wise folds, made once per study."""

    method: str
    """As 'StratifiedGroupKFold(3), seed 0'."""
    folds: tuple[Fold, ...]
    held_out: int = 1
    """Folds in which each subject is held out: 1, the number of repeats, or 0 where only some folds are run."""

    def sha256(self) -> str:
        return digest(dataclasses.asdict(self))

    def ledger(self, cohort: Cohort) -> pl.DataFrame:
        """Returns one row per fold and video: fold, side ('train' or 'test'), subject, video, sha256 of the file."""
        files = cohort.videos.select("subject", "video", "sha256").sort("subject", "video")
        parts = [
            files.filter(pl.col("subject").is_in(list(subjects))).select(
                pl.lit(fold.index, dtype=pl.Int64).alias("fold"), pl.lit(side).alias("side"), pl.all()
            )
            for fold in self.folds
            for side, subjects in (("train", fold.train), ("test", fold.test))
        ]
        return pl.concat(parts)

    def save(self, path: Path) -> None:
        write_record(path, dataclasses.asdict(self) | {"sha256": self.sha256()})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            LeakageError: The file was changed by hand, or a subject is on both sides of a fold.
        """
        record = read_record(path)
        splits = build(cls, record, path)
        if splits.sha256() != record.get("sha256"):
            raise LeakageError(
                f"{path} does not match its own hash: it was changed after the study began",
                code="leakage.splits_changed",
            )
        return splits


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodedValue:
    """One '<parameter> is <value>' of a decoded class description, beside the class's own training values."""

    parameter: str
    """Name in words."""
    unit: str
    value: float
    """Decoded, in the parameter's unit."""
    median: float
    """Median of the class's training subjects; low and high are their 5 and 95 % quantiles. None is one subject's value."""
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodedClass:
    """What one class's learned text feature says in words, from one fold."""

    label: str
    sentence: str
    values: tuple[DecodedValue, ...]


@dataclass(frozen=True, kw_only=True)
class FoldResult:
    """One configuration trained and scored on one fold."""

    key: str
    fold: int
    config: dict[str, Any]
    """The flat configuration."""
    predictions: pl.DataFrame
    """One row per held-out window, as PREDICTIONS."""
    history: tuple[dict[str, float], ...]
    """One record per epoch: epoch, loss and its parts, on training windows."""
    seconds: float
    """Training and scoring, without waiting."""
    curve: tuple[dict[str, float], ...] = ()
    """Points of the training, finer than epochs: step, epoch, loss and its parts, lr, gradient_<group>, as Monitor.curve."""
    shuffled: pl.DataFrame | None = None
    """What the model says of the same windows with their frames in random order, as PREDICTIONS; None where it was not asked."""
    by_seed: pl.DataFrame | None = None
    """The predictions of each training where there are several: PREDICTIONS and the column seed."""
    decoded: tuple[DecodedClass, ...] = ()
    reconstruction: dict[str, float] | None = None
    """The decoder's mean absolute error per parameter name on held-out subjects' records, in units."""
    descriptions: FoldDescriptions | None = None
    """What the decoded words rest on; None where the fold was not described, or by an older version."""
    class_similarity: tuple[tuple[float, ...], ...] | None = None
    """Cosines between the learned class features, [C, C]."""
    trained_parameters: int = 0
    notes: tuple[str, ...] = ()
    """What the reader should know, as 'class mild has no numeric records'."""

    def save(self, folder: Path) -> None:
        """Writes predictions.parquet, then result.json: a fold is finished when result.json is there."""
        write_parquet(folder / "predictions.parquet", self.predictions)
        if self.shuffled is not None:
            write_parquet(folder / "shuffled.parquet", self.shuffled)
        if self.by_seed is not None:
            write_parquet(folder / "by_seed.parquet", self.by_seed)
        self.save_about(folder)

    def save_about(self, folder: Path) -> None:
        """Writes result.json alone, as when a finished fold has been described."""
        apart = ("predictions", "shuffled", "by_seed", "decoded", "descriptions")
        about = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in apart}
        about["decoded"] = [dataclasses.asdict(d) for d in self.decoded]
        about["descriptions"] = self.descriptions and dataclasses.asdict(self.descriptions)
        write_record(folder / "result.json", about)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote."""
        path, control, seeds = (folder / name for name in ("result.json", "shuffled.parquet", "by_seed.parquet"))
        return build(
            cls,
            read_record(path),
            path,
            predictions=read_parquet(folder / "predictions.parquet"),
            shuffled=read_parquet(control) if control.exists() else None,
            by_seed=read_parquet(seeds) if seeds.exists() else None,
        )


def trainings(folder: Path) -> list[Path]:
    """Returns the folders of the single trainings of a fold that was trained with several seeds; none where it was not."""
    return sorted(folder.glob("training-*"), key=lambda path: int(path.name.rpartition("-")[2]))


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """What a study was asked to do, with what, and when."""

    name: str
    options: dict[str, Any]
    """The command's options as given or defaulted."""
    task: dict[str, Any]
    """name, title, ordinal, healthy, and per class its keywords and notions."""
    metric: str
    """As 'subject/macro_f1'."""
    cohort_sha256: str
    splits_sha256: str
    backbone: dict[str, Any]
    """name, sha256, and its sizes."""
    versions: dict[str, str]
    git: str
    """Commit, with '+changes' where the tree differs; '' outside a checkout."""
    started: str
    """ISO 8601, UTC."""
    finished: str | None = None
    """None while the search runs, or after it was stopped."""
    wall_seconds: float = 0.0
    """Of all sessions of the search so far."""
    permutations: tuple[float, ...] = ()
    """The same search's best score for each permutation of the subjects' labels."""
    baselines: dict[str, list[str]] = field(default_factory=dict)
    """Keys of the folds of each baseline, by its name."""
    training_version: int = TRAINING_VERSION
    """Of what training computes; part of the key of every fold."""
    code: tuple[str, ...] = ()
    """Hash of the trainers' source text, of each that has worked on the study; information alone."""
    sessions: tuple[dict[str, Any], ...] = ()
    """One for each command that worked on the study: when, and the options that may change. More trials after a look are seen so."""
    tracking: TrackerVersion | None = None
    """What followed the walkers, with the option 'track'; None in studies of before."""

    def save(self, folder: Path) -> None:
        write_record(folder / "study.json", dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote."""
        return build(cls, read_record(path := folder / "study.json"), path)


def read_ledger(folder: Path) -> pl.DataFrame:
    """Returns the ledger that a study noted before it trained, as Splits.ledger.

    Raises:
        LeakageError: It is missing or damaged, so nothing shows who was held out.
    """
    path = folder / "ledger.parquet"
    try:
        return read_parquet(path)
    except (OSError, StridefoldError):
        raise LeakageError(
            f"{path} is missing or damaged, so nothing shows who was held out; restore it",
            code="leakage.ledger_missing",
        ) from None
