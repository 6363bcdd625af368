"""A video's landmarks, frame by frame: found once, kept next to the frame cache, keyed by content.

Letters: F frames at 30 frames/s, P landmarks.
"""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainables.errors import ConfigurationError
from trainables.recordings.containers import VideoError
from trainables.recordings.decode import decode
from trainables.study.files import digest, write_atomic
from trainables.tracking.landmark_model import FOLDER, POINTS, WEIGHTS, Circle, LandmarkModel, Pose

Floats = NDArray[np.float64]

KEPT = "landmarks"
"""Within the frame cache's folder."""
VERSION = 1
"""Counts up whenever the same video would get other landmarks."""
LOOK, SEARCH = 15, 3
"""Frames from one look for people to the next, while one is followed, and while nobody is."""
RIVAL = 0.5
"""Of the largest person's size: whoever is as tall could be the walker."""


@dataclass(frozen=True, kw_only=True)
class Landmarks:
    """What was found in a video."""

    points: Floats
    """[F, P, 3]: from the left, from the top, in pixels of the video, and the probability that it can be seen; NaN without a person."""
    people: NDArray[np.int64]
    """[F]: people of about the walker's size, as of the last look."""
    width: int
    height: int


def landmarks_of(path: Path, sha256: str, fps: float | None, folder: Path) -> Landmarks:
    """Returns the landmarks of a video, from its file where there is one.

    Args:
        fps: Frames per second that replace the file's own.
        folder: Of the frame cache, with the model's weights.

    Raises:
        VideoError: The video cannot be read to its end, or the model cannot be loaded.
        OSError: The file cannot be written.
    """
    place = folder / KEPT / f"{digest([VERSION, *WEIGHTS.values(), sha256, fps])[:40]}.npz"
    if (found := _load(place)) is not None:
        return found
    try:
        model = LandmarkModel(folder / FOLDER)
    except ConfigurationError as error:
        raise VideoError(path, f"cannot be followed: {error}", code="pose.not_ready") from None
    found = find_landmarks(path, fps, model)
    file = io.BytesIO()
    np.savez_compressed(
        file, points=found.points.astype(np.float32), people=found.people, size=np.array([found.width, found.height])
    )
    write_atomic(place, lambda out: out.write(file.getvalue()), private=True)
    return found


def find_landmarks(path: Path, fps: float | None, model: LandmarkModel) -> Landmarks:
    """Returns the landmarks of the person in a video who is largest when first seen, and of that person from then on.

    Raises:
        VideoError: The video cannot be read to its end.
    """
    nobody = np.full((POINTS, 3), np.nan)
    points: list[Floats] = []
    people: list[int] = []
    pose: Pose | None = None
    last, count = None, 0
    for number, frame in enumerate(decode(path, fps=fps)):
        if frame is not last:  # a low frame rate repeats frames
            last, picture = frame, Image.fromarray(frame)
            circle, followed = pose.circle if pose else None, pose is not None
            if number % (LOOK if followed else SEARCH) == 0:
                seen = model.people(picture)
                circle = circle or (seen[0] if seen else None)
            pose = model.pose(picture, circle) if circle else None
            if number % (LOOK if followed else SEARCH) == 0:
                count = 0 if pose is None else 1 + _rivals(model, picture, pose, seen)
        points.append(pose.points if pose else nobody)
        people.append(count)
    if last is None:
        raise VideoError(path, "holds no frames; export it again", code="video.times")
    return Landmarks(
        points=np.stack(points), people=np.array(people), width=int(last.shape[1]), height=int(last.shape[0])
    )


def _rivals(model: LandmarkModel, picture: Image.Image, pose: Pose, seen: list[Circle]) -> int:
    """Returns how many of the people who were seen are others of about the size of the one who is followed."""
    found = [pose.circle]
    for circle in seen:
        # The detector takes a shadow or a part of the walker for a person at times; the landmarks say whose it is.
        other = None if circle.is_same(pose.circle) else model.pose(picture, circle)
        if other and other.circle.radius >= RIVAL * pose.circle.radius and not any(map(other.circle.is_same, found)):
            found.append(other.circle)
    return len(found) - 1


def _load(path: Path) -> Landmarks | None:
    """Reads a file; None where there is none, or not a whole one."""
    try:
        with np.load(path) as file:
            width, height = (int(side) for side in file["size"])
            return Landmarks(
                points=file["points"].astype(np.float64), people=file["people"], width=width, height=height
            )
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None
