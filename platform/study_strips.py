"""The strips of a study's report: how each walker was followed, drawn from the videos, which must still be where they were."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from platform.console import Console
from platform.tracking import as_strip, picked
from typing import Any

import polars as pl

from reports.documents.strips import Strips
from trainables.cohort.own_boxes import job_of
from trainables.data.cache_folder import open_frames
from trainables.errors import ConfigurationError
from trainables.study.records import Cohort, StudyRecord
from trainables.study.vocabulary import UNTRACKED, tracker_of
from trainables.study.walker_flow import UNFOLLOWED
from trainables.tracking.following import unchanged_strip_or_error
from trainables.tracking.readiness import require_same_tracker
from trainables.tracking.strip import Strip

Run = Callable[[Sequence[Any], Callable[[Any], Any]], Iterator[tuple[int, Any]]]
"""Yields (index of a job, what the function returns for it) for every job, in any order."""


def check_strips(cohort: Cohort, tracker: str) -> None:
    """Raises ConfigurationError where no walker of a cohort is followed, so that there is nothing to show."""
    if tracker == UNTRACKED and "boxes" not in cohort.videos.columns:
        raise ConfigurationError(
            "--strips shows how walkers were followed, but with --track none whole pictures are used; leave --strips out, or "
            "follow the walkers",
            code="report.strips_untracked",
        )


def study_strips(study: Path, cache: str, run: Run, console: Console) -> Strips:
    """Returns the strips of a study, with heads blurred, and says which videos have none.

    Args:
        cache: As of the option --cache, with the tracks.

    Raises:
        ConfigurationError: The study uses whole pictures, or its walkers have not been followed yet.
        StridefoldError: Its walkers were followed by another version of the tracker.
    """
    record, cohort = StudyRecord.load(study), Cohort.load(study)
    tracker = tracker_of(record.options)
    check_strips(cohort, tracker)
    require_same_tracker(record)
    if "followed" not in cohort.videos.columns:
        raise ConfigurationError(
            f"{study} has not followed its walkers yet, so --strips has nothing to show; continue its search first",
            code="report.strips_too_early",
        )
    videos = cohort.videos.filter(pl.col("followed") != UNFOLLOWED)
    noted = (videos["follow_note"] != "").to_list()
    chosen = picked(
        [i for i, is_noted in enumerate(noted) if is_noted], [i for i, is_noted in enumerate(noted) if not is_noted]
    )
    rows = [videos.row(i, named=True) for i in chosen]
    folder = open_frames(cache)
    jobs = [job_of(row, tracker, folder) | {"faces": False} for row in rows]
    made: dict[int, Any] = {}
    with console.progress("drawing strips", len(jobs)) as on_video:
        for place, result in run(jobs, unchanged_strip_or_error):
            made[place] = result
            on_video(len(made))
    for place, result in sorted(made.items()):
        if not isinstance(result, Strip):
            console.say(f"  no strip: {rows[place]['video']} {result.problem}")
    drawn = [as_strip(rows[i]["video"], one) for i, one in sorted(made.items()) if isinstance(one, Strip)]
    return Strips(shown=drawn, total=len(videos))


def in_turn(jobs: Sequence[Any], function: Callable[[Any], Any]) -> Iterator[tuple[int, Any]]:
    """Yields (index of the job, its result), all in this process."""
    return ((index, function(job)) for index, job in enumerate(jobs))
