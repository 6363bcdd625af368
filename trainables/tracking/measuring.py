"""Measures the walkers of videos in tasks, one per video. Nothing is raised across processes."""

from typing import Any

import numpy as np

from trainables.recordings.containers import VideoError
from trainables.study.passes import spans
from trainables.tracking.following import track_or_error
from trainables.tracking.foreground import SmallVideo, read_small
from trainables.tracking.gait import KEYS, Measured, measure
from trainables.tracking.motion_tracker import box_in_square, is_square
from trainables.tracking.silhouette import silhouette_of


def measured_or_error(job: dict[str, Any]) -> Measured | VideoError:
    """Returns the gait parameters of a job's video, with why they are missing, or why the video cannot be read."""
    track = track_or_error(job)
    if isinstance(track, VideoError):
        return track
    if track.problem:
        return _nothing(track.problem)
    try:
        video = read_small(job["path"], job["fps"])
    except VideoError as error:
        return error
    if not len(track.boxes):
        if is_square(video.width, video.height):
            return _in_square(video)
        return _nothing(f"nobody was followed: {track.note}")
    passes = spans(track.frames, track.passes)
    silhouette = silhouette_of(video, track.boxes, passes)
    return _nothing("the camera moves") if silhouette is None else measure(silhouette, passes)


def _in_square(video: SmallVideo) -> Measured:
    """Returns what a picture shows that was cut around a walker before: steps are timed, and the way walked is lost."""
    box = box_in_square(video)
    if box is None:
        return _nothing("nothing as large as a person moves in the picture")
    boxes = np.tile(box, (len(video.frames), 1))
    everything = [(0, len(boxes))]
    silhouette = silhouette_of(video, boxes, everything, still=True)
    return _nothing("the camera moves") if silhouette is None else measure(silhouette, everything)


def _nothing(reason: str) -> Measured:
    return Measured(missing=dict.fromkeys(KEYS, reason))
