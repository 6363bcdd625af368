"""The options of a search that say which cohort it has, and what its table's columns are."""

from dataclasses import dataclass
from platform.declared import option

from trainables.errors import ConfigurationError
from trainables.study.vocabulary import TRACKERS

POSE_WEIGHTS = "the landmark model's weights, for --track pose; kept next to the frame cache, so needed once"


def parse_column(text: str) -> tuple[str, str]:
    """Returns ('subject', 'patient_id') of 'subject=patient_id'."""
    ours, equals, theirs = text.partition("=")
    if not equals:
        raise ConfigurationError(
            f"--column {text} is not OURS=YOURS, as in --column subject=patient_id", code="option.column.syntax"
        )
    return ours, theirs


def names(text: str) -> tuple[str, ...]:
    """Returns ('age', 'sex') of 'age,sex', and nothing of 'none'."""
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    return () if found == ("none",) else found


@dataclass(frozen=True, kw_only=True)
class CohortOptions:
    """Which cohort a search has."""

    cohort: str | None = option(
        group="cohort", path=True, metavar="FILE", help="manifest (.csv or .parquet); none: a simulated cohort is made"
    )
    subjects: int = option(24, group="cohort", help="subjects of the simulated cohort")
    label: str | None = option(group="cohort", help="label column; none: the task's, or diagnosis")
    task: str | None = option(
        group="cohort",
        path=True,
        help="diagnosis, diagnosis5, updrs, or a task file (.toml); none: the one that fits the label",
    )
    parameters: str | None = option(
        group="cohort", path=True, metavar="FILE", help="parameter file (.toml); none: the 29 walkway parameters"
    )
    column: dict[str, str] = option(
        {},
        group="cohort",
        metavar="OURS=YOURS",
        help="name of a column in your manifest, as subject=patient_id; repeat for more",
    )
    parameter: tuple[str, ...] = option(
        (),
        group="cohort",
        metavar="COLUMN",
        help="numeric column that is a gait parameter though the parameter file does not know it; repeat for more",
    )
    ignore: tuple[str, ...] = option(
        (),
        group="cohort",
        metavar="COLUMN",
        help="column that is not used though the parameter file knows it; repeat for more",
    )
    attribute: tuple[str, ...] = option(
        (),
        group="cohort",
        read=names,
        metavar="A,B",
        help="columns that describe subjects, as age,sex,site: the model does not see them; results are shown by subgroup",
    )
    second_rating: str | None = option(
        group="cohort",
        metavar="COLUMN",
        when_continued="recorded",
        help="column of a second rater's classes, in the values of the label: the page shows how far the raters agree, and the "
        "model with each",
    )
    follow_links: bool = option(
        False,
        group="cohort",
        when_continued="free",
        help="a video may be a symbolic link to any file that you may read, as DVC, git-annex and mounted drives need it; "
        "else links may not lead out of the manifest's folder",
    )
    label_per_video: bool = option(False, group="cohort", help="a subject's videos may carry different labels")
    track: str = option(
        "motion",
        group="cohort",
        choices=TRACKERS,
        help="follow the walker through the picture and leave out frames without a whole walker; motion finds what moves "
        "before a fixed camera, pose finds a body's landmarks (extra pose; see docs/cohort.md), none takes the whole picture; boxes in the manifest are used in any case",
    )
    pose_weights: str = option(
        "",
        group="cohort",
        path=True,
        when_continued="free",
        metavar="FOLDER",
        help=POSE_WEIGHTS,
    )
    allow_duplicate: tuple[str, ...] = option(
        (),
        group="cohort",
        metavar="VIDEO=OTHER",
        when_continued="recorded",
        help="two videos of different subjects that may look alike, which else is an error; repeat for more pairs",
    )
