"""Before videos are followed: the tracker that a study's models need, and that its weights are at hand."""

from pathlib import Path

from trainables.errors import ConfigurationError, StridefoldError
from trainables.study.records import StudyRecord
from trainables.study.tracker import TrackerVersion
from trainables.study.vocabulary import TRACK_VERSION, UNTRACKED, tracker_of
from trainables.tracking.landmark_model import WEIGHTS, keep_weights


def version_of(tracker: str) -> TrackerVersion:
    """Returns what a tracker is today: a track of another version or of other weights may be another track."""
    return TrackerVersion(version=TRACK_VERSION, weights=dict(WEIGHTS) if tracker == "pose" else {})


def make_ready(tracker: str, pose_weights: str, frames: Path) -> None:
    """Checks that a tracker can run on this machine, and keeps its weights where the user gave them.

    Args:
        pose_weights: Folder of the landmark model's weights; '' where they were kept before.
        frames: Folder of the frame cache.

    Raises:
        ConfigurationError: The weights are missing or are others, LiteRT is not installed, or the tracker has no weights.
    """
    if tracker == "pose":
        keep_weights(Path(pose_weights) if pose_weights else None, frames)
    elif pose_weights:
        raise ConfigurationError(
            f"--pose-weights {pose_weights} was given, but the tracker is {tracker!r}, which has no weights; leave the option out, "
            "or search with --track pose",
            code="pose.weights_unused",
        )


def follow_as_trained(record: StudyRecord, pose_weights: str, frames: Path) -> None:
    """Checks that new videos can be followed by the tracker of a study's models; arguments as of `make_ready`.

    Raises:
        StridefoldError: This version of stridefold has another version of that tracker, or other weights.
        ConfigurationError: As `make_ready`.
    """
    tracker = tracker_of(record.options)
    require_same_tracker(record)
    make_ready(tracker, pose_weights, frames)


def require_same_tracker(record: StudyRecord) -> None:
    """Raises StridefoldError where a study's videos were followed by another version of its tracker, or by other weights."""
    tracker = tracker_of(record.options)
    today = version_of(tracker)
    if tracker == UNTRACKED or record.tracking in (None, today):
        return
    raise StridefoldError(
        f"the walkers of {record.name} were followed by --track {tracker}, {record.tracking}, but here it is {today}, which may cut "
        "out other parts of a video; use the version of stridefold that made it, or begin another study with --study NAME",
        code="study.other_tracker",
    )
