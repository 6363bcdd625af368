"""Where the walker of a video is, frame by frame: found once, kept beside the frame cache, keyed by content.

A track is a parquet file with one row per frame at 30 frames/s: frame, left, top, right, bottom (the walker's box in pixels
of the upright video, null where nobody is), crop_left, crop_top, crop_side (the square that is cut out, null where the whole
picture is used), state (what the frame shows, as in course.py), pass (number of the walk through the picture that windows
may be taken from, null for frames that are not used), and kind, note and problem, the same in every row.
"""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trainables.cohort.own_boxes import OwnBoxes, at_30, read_boxes
from trainables.recordings.decode import RATE, count_frames, probe
from trainables.settings import VideoConfig
from trainables.study.files import digest, write_atomic
from trainables.study.vocabulary import TRACK_VERSION
from trainables.tracking.course import EDGE, Course, Passes, course_of
from trainables.tracking.foreground import LONGER_SIDE, SmallVideo, read_small
from trainables.tracking.landmarks import landmarks_of
from trainables.tracking.motion_tracker import IN_PLACE_MARGIN, Found, fills_picture, find_walker, why_whole
from trainables.tracking.pose_tracker import find_by_landmarks

FOLDER = "tracks"
"""Within the frame cache's folder."""
Kind = Literal["followed", "in place", "whole picture", "own boxes"]
SIDES = ("left", "top", "right", "bottom")


@dataclass(frozen=True, kw_only=True)
class Track:
    """Where the walker is, and which frames are used."""

    kind: Kind
    frames: int
    states: tuple[str, ...]
    """What each frame shows, [F]; empty where the tracker could not tell."""
    passes: Passes | None
    """Stretches of frames that windows are taken from; None is all frames."""
    crops: NDArray[np.int64] | None = None
    """[F, 4] squares, left, top, right, bottom; None is the whole picture."""
    boxes: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 4)))
    """[F, 4], NaN where nobody is."""
    note: str = ""
    """Why the whole picture is used."""
    problem: str = ""
    """Why the video cannot be used, as a sentence without its file's name."""

    def cut(self) -> str | None:
        """Returns a hash of the frames and squares that are cut out; None where these are all frames, whole."""
        if self.crops is None and self.passes is None:
            return None
        return digest([None if self.crops is None else self.crops.tolist(), self.passes])

    def save(self, path: Path) -> None:
        """Writes the parquet file."""
        write_atomic(path, self.table().write_parquet, private=True)

    def table(self) -> pl.DataFrame:
        """Returns one row per frame, as the file holds them."""
        empty = np.full((self.frames, 4), np.nan)
        boxes = self.boxes if len(self.boxes) else empty
        crops = pl.Series([None] * self.frames, dtype=pl.Int64)
        columns = {"crop_left": crops, "crop_top": crops, "crop_side": crops}
        if self.crops is not None:
            left, top, right, _ = self.crops.T
            columns = {name: pl.Series(v) for name, v in zip(columns, (left, top, right - left), strict=True)}
        number = np.full(self.frames, -1)
        for n, (first, last) in enumerate(((0, self.frames),) if self.passes is None else self.passes):
            number[first:last] = n
        return pl.DataFrame(
            {
                "frame": pl.Series(np.arange(self.frames)),
                **{side: pl.Series(boxes[:, i]).fill_nan(None) for i, side in enumerate(SIDES)},
                **columns,
                "state": pl.Series(self.states or [None] * self.frames, dtype=pl.String),
                "pass": pl.Series(number).replace(-1, None),
            }
        ).with_columns(kind=pl.lit(self.kind), note=pl.lit(self.note), problem=pl.lit(self.problem))

    @classmethod
    def load(cls, path: Path) -> "Track | None":
        """Reads what `save` wrote; None where there is no file, or not a whole one."""
        try:
            table = pl.read_parquet(io.BytesIO(path.read_bytes()))
            kind, note, problem = table.select("kind", "note", "problem").row(0)
        except (OSError, pl.exceptions.PolarsError, IndexError):
            return None
        corners = table.select("crop_left", "crop_top", "crop_side").to_numpy()
        crops = None
        if kind != "whole picture" and not problem:
            left, top, side = corners.T.astype(np.int64)
            crops = np.stack([left, top, left + side, top + side], axis=1)
        boxes = table.select(SIDES).fill_null(float("nan")).to_numpy()
        spans = table.group_by("pass").agg(first=pl.col("frame").min(), last=pl.col("frame").max() + 1)
        passes = tuple(spans.drop_nulls().sort("pass").select("first", "last").rows())
        return cls(
            kind=kind,
            frames=len(table),
            states=tuple(table["state"]) if table["state"].null_count() == 0 else (),
            passes=None if passes == ((0, len(table)),) else passes,
            crops=crops,
            boxes=np.empty((0, 4)) if np.isnan(boxes).all() else boxes,
            note=note,
            problem=problem,
        )


def track_path(sha256: str, fps: float | None, tracker: str, folder: Path, *, own: OwnBoxes | None = None) -> Path:
    """Returns where a video's track lies beside the frames that `folder` holds: its name is a hash of all that decides it."""
    who = tracker if own is None else own.sha256
    return folder / FOLDER / f"{digest([TRACK_VERSION, who, sha256, fps])[:40]}.parquet"


def track_video(
    path: Path, sha256: str, fps: float | None, tracker: str, folder: Path, *, own: OwnBoxes | None = None
) -> Track:
    """Returns the track of a video, from its file where there is one.

    Args:
        fps: Frames per second that replace the file's own.
        tracker: motion or pose.
        folder: Of the frame cache; with the model's weights, for pose.
        own: Boxes that the user gave, which win.

    Raises:
        VideoError: The video cannot be read to its end.
        OSError: The track cannot be written.
    """
    place = track_path(sha256, fps, tracker, folder, own=own)
    if (track := Track.load(place)) is None:
        track = _new_track(path, sha256, fps, tracker, folder) if own is None else follow_boxes(path, fps, own)
        track.save(place)
    return track


def _new_track(path: Path, sha256: str, fps: float | None, tracker: str, folder: Path) -> Track:
    info = probe(path, fps=fps)
    if note := why_whole(info.width, info.height):
        return Track(kind="whole picture", frames=count_frames(path, fps=fps), states=(), passes=None, note=note)
    if tracker == "pose":
        found = landmarks_of(path, sha256, fps, folder)
        return _of_found(find_by_landmarks(found), len(found.points), found.width, found.height)
    return follow_walker(read_small(path, fps))


def follow_boxes(path: Path, fps: float | None, own: OwnBoxes) -> Track:
    """Returns the track of a video whose boxes the user gave.

    Raises:
        VideoError: The video cannot be read, or the boxes show nobody for long enough.
    """
    info = probe(path, fps=fps)
    boxes = at_30(read_boxes(own.path), count_frames(path, fps=fps), info.fps, RATE)
    course = course_of(boxes, info.width, info.height, EDGE * max(info.width, info.height) / LONGER_SIDE)
    return _of_course("own boxes", course, crops=course.crops)


def follow_walker(video: SmallVideo) -> Track:
    """Returns the track of a video whose frames are at hand, by what moves in them."""
    return _of_found(find_walker(video), len(video.frames), video.width, video.height)


def _of_found(found: Found, frames: int, width: int, height: int) -> Track:
    if found.problem:
        return Track(kind="followed", frames=frames, states=(), passes=(), problem=found.problem)
    if found.boxes is None:
        return Track(kind="whole picture", frames=frames, states=(), passes=None, note=found.note)
    if found.in_place:
        return _in_place(found.boxes, width, height)
    course = course_of(found.boxes, width, height, EDGE * max(max(width, height) / LONGER_SIDE, 1.0))
    side = int(course.crops[0, 2] - course.crops[0, 0])
    if fills_picture(side, width, height):
        return _of_course("whole picture", course, crops=None, note="the walker fills the picture")
    return _of_course("followed", course, crops=course.crops)


def _of_course(kind: Kind, course: Course, crops: NDArray[np.int64] | None, note: str = "") -> Track:
    everything = ((0, len(course.states)),)
    longest = max((last - first for first, last in course.passes), default=0)
    problem = ""
    if longest < VideoConfig().min_tail:
        problem = (
            f"shows the whole walker for {longest} frames in a row at most, but {VideoConfig().min_tail} are needed; "
            "give the walker's box in the manifest, or leave its row out"
        )
    return Track(
        kind=kind,
        frames=len(course.states),
        states=course.states,
        passes=None if course.passes == everything else course.passes,
        crops=crops,
        boxes=course.boxes,
        note=note,
        problem=problem,
    )


def _in_place(boxes: NDArray[np.float64], width: int, height: int) -> Track:
    """Returns the track of somebody who walks in one place: one square for all frames, all of which are used."""
    frames = len(boxes)
    left, top, right, bottom = boxes[0]
    side = round(IN_PLACE_MARGIN * max(right - left, bottom - top))
    corner = np.round([(left + right - side) / 2, (top + bottom - side) / 2]).astype(np.int64)
    corner[1] = corner[1].clip(min(0, height - side), max(0, height - side))
    fills = fills_picture(side, width, height)
    return Track(
        kind="whole picture" if fills else "in place",
        frames=frames,
        states=("walking",) * frames,
        passes=None,
        crops=None if fills else np.tile(np.concatenate([corner, corner + side]), (frames, 1)),
        boxes=boxes,
        note="the walker fills the picture" if fills else "",
    )
