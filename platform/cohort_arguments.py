"""The options of a search that say which cohort it has, and what its table's columns are."""

import argparse
from os.path import expanduser
from platform.options import SearchOptions

from trainables.errors import ConfigurationError
from trainables.study.vocabulary import TRACKERS


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


def add_pose_weights(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Adds --pose-weights."""
    parser.add_argument(
        "--pose-weights",
        type=expanduser,
        default="",
        metavar="FOLDER",
        help="the landmark model's weights, for --track pose; kept next to the frame cache, so needed once",
    )


def add_cohort_options(parser: argparse.ArgumentParser, default: SearchOptions) -> None:
    """Adds a group of options, each of which says its default."""
    group = parser.add_argument_group("cohort")
    group.add_argument(
        "--cohort",
        type=expanduser,
        metavar="FILE",
        help="manifest (.csv or .parquet); none: a simulated cohort is made",
    )
    group.add_argument("--subjects", type=int, default=default.subjects, help="subjects of the simulated cohort")
    group.add_argument("--label", help="label column; none: the task's, or diagnosis")
    group.add_argument(
        "--task",
        type=expanduser,
        help="diagnosis, diagnosis5, updrs, or a task file (.toml); none: the one that fits the label",
    )
    group.add_argument(
        "--parameters", type=expanduser, metavar="FILE", help="parameter file (.toml); none: the 29 walkway parameters"
    )
    _column_options(group)
    group.add_argument(
        "--follow-links",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="a video may be a symbolic link to any file that you may read, as DVC, git-annex and mounted drives need it; "
        "else links may not lead out of the manifest's folder",
    )
    group.add_argument(
        "--label-per-video",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="a subject's videos may carry different labels",
    )
    group.add_argument(
        "--track",
        choices=TRACKERS,
        default=default.track,
        help="follow the walker through the picture and leave out frames without a whole walker; motion finds what moves "
        "before a fixed camera, pose finds a body's landmarks (extra pose; see docs/cohort.md), none takes the whole picture; boxes in the manifest are used in any case",
    )
    add_pose_weights(group)
    group.add_argument(
        "--allow-duplicate",
        metavar="VIDEO=OTHER",
        action="append",
        default=[],
        help="two videos of different subjects that may look alike, which else is an error; repeat for more pairs",
    )


def _column_options(group: argparse._ArgumentGroup) -> None:
    """Adds what the columns of a manifest are taken for."""
    group.add_argument(
        "--column",
        metavar="OURS=YOURS",
        action="append",
        default=[],
        help="name of a column in your manifest, as subject=patient_id; repeat for more",
    )
    group.add_argument(
        "--parameter",
        metavar="COLUMN",
        action="append",
        default=[],
        help="numeric column that is a gait parameter though the parameter file does not know it; repeat for more",
    )
    group.add_argument(
        "--ignore",
        metavar="COLUMN",
        action="append",
        default=[],
        help="column that is not used though the parameter file knows it; repeat for more",
    )
    group.add_argument(
        "--attribute",
        type=names,
        metavar="A,B",
        action="append",
        default=[],
        help="columns that describe subjects, as age,sex,site: the model does not see them; results are shown by subgroup",
    )
    group.add_argument(
        "--second-rating",
        metavar="COLUMN",
        help="column of a second rater's classes, in the values of the label: the page shows how far the raters agree, and the "
        "model with each",
    )
