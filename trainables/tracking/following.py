"""Follows walkers in tasks, one per video: what a task is given, and what comes back. Nothing is raised across processes."""

from pathlib import Path
from typing import Any

import numpy as np

from trainables.recordings.containers import VideoError
from trainables.recordings.decode import count_frames
from trainables.study.files import file_sha256
from trainables.tracking.strip import Strip, strip_of
from trainables.tracking.track import Track, track_video


def track_or_error(job: dict[str, Any]) -> Track | VideoError:
    """Returns the track of a job's video, or why the video cannot be read."""
    try:
        if job["box"] is not None and job["own"] is None:
            return _of_one_box(job["path"], job["fps"], job["box"])
        return track_video(*(job[key] for key in ("path", "sha256", "fps", "tracker", "folder")), own=job["own"])
    except VideoError as error:
        return error


def strip_or_error(job: dict[str, Any]) -> Strip | VideoError:
    """Returns the strip of a job's video, whose key 'faces' says whether they are shown, or why it cannot be read."""
    track = track_or_error(job)
    if isinstance(track, VideoError):
        return track
    try:
        return strip_of(job["path"], job["fps"], track, faces=job["faces"])
    except VideoError as error:
        return error


def unchanged_strip_or_error(job: dict[str, Any]) -> Strip | VideoError:
    """Returns the strip of a job's video as `strip_or_error` does, or that its file is another one than it was."""
    path = Path(job["path"])
    try:
        changed = file_sha256(path) != job["sha256"]
    except OSError as error:
        return VideoError(path, f"cannot be read ({error.strerror})", code="video.unreadable")
    return (
        VideoError(path, "has changed since it was followed", code="video.changed") if changed else strip_or_error(job)
    )


def _of_one_box(path: Path, fps: float | None, box: tuple[int, int, int, int]) -> Track:
    """Returns the track of a video whose walker stays in one box that the user gave."""
    frames = count_frames(path, fps=fps)
    left, top, right, bottom = box
    side = max(right - left, bottom - top)
    x, y = (left + right - side) // 2, (top + bottom - side) // 2
    return Track(
        kind="own boxes",
        frames=frames,
        states=("walking",) * frames,
        passes=None,
        crops=np.tile(np.array([x, y, x + side, y + side]), (frames, 1)),
        boxes=np.tile(np.array(box, dtype=np.float64), (frames, 1)),
    )
