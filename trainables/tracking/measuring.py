"""Measures the walkers of videos in tasks, one per video. Nothing is raised across processes."""

from typing import Any

from trainables.recordings.containers import VideoError
from trainables.study.passes import spans
from trainables.tracking.following import track_or_error
from trainables.tracking.foreground import read_small
from trainables.tracking.gait import KEYS, Measured, measure
from trainables.tracking.silhouette import silhouette_of


def measured_or_error(job: dict[str, Any]) -> Measured | VideoError:
    """Returns the gait parameters of a job's video, with why they are missing, or why the video cannot be read."""
    track = track_or_error(job)
    if isinstance(track, VideoError):
        return track
    if track.problem or not len(track.boxes):
        return Measured(missing=dict.fromkeys(KEYS, track.problem or f"nobody was followed: {track.note}"))
    passes = spans(track.frames, track.passes)
    try:
        silhouette = silhouette_of(read_small(job["path"], job["fps"]), track.boxes, passes)
    except VideoError as error:
        return error
    if silhouette is None:
        return Measured(missing=dict.fromkeys(KEYS, "the camera moves"))
    return measure(silhouette, passes)
