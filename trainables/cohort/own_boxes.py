"""Boxes that a user gives frame by frame: a table per video, named in the manifest's column `boxes`."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trainables.cohort.number_text import number
from trainables.cohort.problems import Problems
from trainables.cohort.table import Table, read_table
from trainables.cohort.video_files import VideoFile, locate
from trainables.errors import CohortError, StridefoldError
from trainables.study.files import file_sha256

COLUMN = "boxes"
"""Of the manifest: the path of a table, relative to the manifest."""
FRAME = "frame"
SIDES = ("box_left", "box_top", "box_right", "box_bottom")
APART = 1.0
"""Seconds between two frames with a box, within which the frames between them get one; further apart nobody is there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnBoxes:
    """A table of boxes that was checked."""

    path: Path
    sha256: str


def job_of(row: dict[str, Any], tracker: str, folder: Path) -> dict[str, Any]:
    """Returns what a task needs to follow the walker of a video.

    Args:
        row: Of a cohort's videos: path, sha256, and where there are, fps, the box, and the table of boxes with its hash.
        tracker: What looks for the walker where no boxes are given.
        folder: Of the frame cache.
    """
    sides = [row.get(side) for side in SIDES]
    own = row.get("boxes")
    return {
        "path": Path(row["path"]),
        "sha256": row["sha256"],
        "fps": row.get("fps"),
        "tracker": tracker,
        "folder": folder,
        "box": None if None in sides else tuple(sides),
        "own": None if own is None else OwnBoxes(path=Path(own), sha256=row["boxes_sha256"]),
    }


def read_own_boxes(
    folder: Path, table: Table, files: list[VideoFile | None], problems: Problems
) -> list[OwnBoxes | None]:
    """Returns the table of boxes of each row of a manifest, None where it names none; problems are noted.

    Args:
        folder: Of the manifest.
        files: The video of each row, None where it cannot be used.
    """
    given: list[OwnBoxes | None] = [None] * len(table.rows)
    for i, (row, name, file) in enumerate(
        zip(table.rows, table.cells.get(COLUMN, [""] * len(table.rows)), files, strict=True)
    ):
        if not name:
            continue
        try:
            path = locate(folder, name)
            if file is not None:
                check_inside(read_boxes(path), file.info.width, file.info.height, path)
            given[i] = OwnBoxes(path=path, sha256=file_sha256(path))
        except CohortError as error:
            problems.at(row, table.called(COLUMN), "a table of boxes with problems", f"{name!r}: {error.problems[0]}")
        except StridefoldError as error:
            problems.at(row, table.called(COLUMN), "a table of boxes that cannot be used", str(error))
    return given


def own_columns(given: list[OwnBoxes | None]) -> dict[str, pl.Series]:
    """Returns the columns of a cohort that name the tables of boxes; none where no row names one."""
    if not any(given):
        return {}
    return {
        COLUMN: pl.Series([one and str(one.path) for one in given], dtype=pl.String),
        f"{COLUMN}_sha256": pl.Series([one and one.sha256 for one in given], dtype=pl.String),
    }


def read_boxes(path: Path) -> dict[int, tuple[float, ...]]:
    """Returns {frame: (left, top, right, bottom)} of a table with the columns frame and box_left to box_bottom.

    Raises:
        CohortError: Lists every problem of the table.
    """
    problems = Problems(path)
    table = read_table(path, problems)
    if lacking := [column for column in (FRAME, *SIDES) if column not in table.cells]:
        problems.add(f"there is no column {', '.join(lacking)}; it has {', '.join(table.cells)}")
        problems.check()
    boxes: dict[int, tuple[float, ...]] = {}
    for i, row in enumerate(table.rows):
        values = [number(table.cells[column][i]) for column in (FRAME, *SIDES)]
        frame, *box = [math.nan if value is None else value for value in values]
        if not (math.isfinite(frame) and frame >= 0 and frame == int(frame)):
            text = f"{table.cells[FRAME][i]!r} is not the number of a frame; expected 0 for the first, 1, 2 ..."
            problems.at(row, FRAME, "no frame", text)
        elif not all(map(math.isfinite, box)) or box[0] >= box[2] or box[1] >= box[3]:
            text = f"the box is empty or half a box: {', '.join(table.cells[side][i] or '?' for side in SIDES)}"
            problems.at(row, "box", "no box", text)
        elif int(frame) in boxes:
            problems.at(row, FRAME, "a frame listed twice", f"frame {int(frame)} is listed before; keep one row")
        else:
            boxes[int(frame)] = tuple(box)
    problems.check()
    return boxes


def check_inside(boxes: dict[int, tuple[float, ...]], width: int, height: int, path: Path) -> None:
    """Raises a CohortError where a box is outside the picture."""
    problems = Problems(path)
    for frame, (left, top, right, bottom) in boxes.items():
        if left < 0 or top < 0 or right > width or bottom > height:
            problems.add(
                f"frame {frame}: left {left:g}, top {top:g}, right {right:g}, bottom {bottom:g} is not inside the frame "
                f"of {width} x {height} pixels"
            )
    problems.check()


def at_30(boxes: dict[int, tuple[float, ...]], frames: int, fps: float, rate: float) -> NDArray[np.float64]:
    """Returns the boxes of the frames after resampling, [F, 4], NaN where nobody is; those in between are interpolated.

    Args:
        boxes: By the number of the frame in the file.
        frames: F, at `rate`.
        fps: Of the file, the mean where it varies.
        rate: Frames per second of the result.
    """
    known = np.array(sorted(boxes))
    sides = np.array([boxes[frame] for frame in known], dtype=np.float64)  # [N, 4]
    wanted = np.arange(frames) * fps / rate
    result = np.stack([np.interp(wanted, known, side) for side in sides.T], axis=1)
    after = np.searchsorted(known, wanted - 0.5)  # the first box at this frame or later
    before = np.searchsorted(known, wanted + 0.5, side="right") - 1
    near = (before >= 0) & (after < len(known))
    gap = known[np.clip(after, 0, len(known) - 1)] - known[np.clip(before, 0, None)]
    result[~near | (gap > APART * fps)] = np.nan
    return result
