"""Measures the walkers of videos in tasks, one per video. Nothing is raised across processes."""

from typing import Any

import numpy as np

from trainables.recordings.containers import VideoError
from trainables.study.passes import spans
from trainables.tracking.camera import sway
from trainables.tracking.following import track_or_error
from trainables.tracking.foreground import SmallVideo, read_small
from trainables.tracking.gait import KEYS, Measured, measure
from trainables.tracking.landmark_gait import LANDMARK_KEYS, measure_landmarks
from trainables.tracking.landmarks import landmarks_of
from trainables.tracking.motion_tracker import box_in_square, is_square
from trainables.tracking.silhouette import silhouette_of
from trainables.tracking.track import Track


def keys_of(tracker: str) -> tuple[str, ...]:
    """Returns the gait parameters that are measured of walkers whom a tracker found."""
    return (*KEYS, *LANDMARK_KEYS) if tracker == "pose" else KEYS


def measured_or_error(job: dict[str, Any]) -> Measured | VideoError:
    """Returns the gait parameters of a job's video, with why they are missing, or why the video cannot be read."""
    track = track_or_error(job)
    if isinstance(track, VideoError):
        return track
    try:
        return _by_landmarks(job, track) if job["tracker"] == "pose" else _by_silhouette(job, track)
    except VideoError as error:
        return error


def _by_landmarks(job: dict[str, Any], track: Track) -> Measured:
    keys = keys_of("pose")
    if track.problem:
        return _nothing(track.problem, keys)
    found = landmarks_of(*(job[key] for key in ("path", "sha256", "fps", "folder")))
    moves = not is_square(found.width, found.height) and sway(read_small(job["path"], job["fps"]).frames) is None
    return measure_landmarks(found, spans(track.frames, track.passes), moves=moves)


def _by_silhouette(job: dict[str, Any], track: Track) -> Measured:
    if track.problem:
        return _nothing(track.problem)
    video = read_small(job["path"], job["fps"])
    if not len(track.boxes):
        return (
            _in_square(video)
            if is_square(video.width, video.height)
            else _nothing(f"nobody was followed: {track.note}")
        )
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


def _nothing(reason: str, keys: tuple[str, ...] = KEYS) -> Measured:
    return Measured(missing=dict.fromkeys(keys, reason))
