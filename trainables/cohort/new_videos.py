"""Finds and checks the videos that a finished study is to be used on: they have no label, and perhaps no subject."""

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from trainables.cohort.labels import check_spelling
from trainables.cohort.numeric_columns import BOX, Wanted, read_numbers
from trainables.cohort.own_boxes import own_columns, read_own_boxes
from trainables.cohort.pointers import dangling
from trainables.cohort.problems import Problems
from trainables.cohort.spelling import is_missing, look_of_id
from trainables.cohort.table import Table, column_name, read_table
from trainables.cohort.video_files import VideoFile, inspect
from trainables.errors import CohortError, StridefoldError
from trainables.study.records import Cohort, Splits

VIDEOS = frozenset(
    [
        ".mp4",
        ".mov",
        ".m4v",
        ".avi",
        ".mkv",
        ".webm",
        ".mpg",
        ".mpeg",
        ".ts",
        ".mts",
        ".m2ts",
        ".wmv",
        ".mxf",
        ".3gp",
        ".ogv",
    ]
)
"""Endings of the files of a folder that are taken for videos; a file that is named may have any."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A new video that the study's cohort holds, or whose subject has the name of one of the cohort's."""

    video: str
    subject: str
    """As the study's cohort calls it."""
    same_file: bool
    trained: tuple[int, ...]
    """Folds that score here and were trained on this subject."""
    held_out: tuple[int, ...]
    """Folds of the study that were not."""


def expanded(names: tuple[str, ...]) -> tuple[str, ...]:
    """Returns video files: those that are named, those of named folders, and those that match a pattern, each in order.

    Raises:
        StridefoldError: A folder holds no video, or nothing matches a pattern.
    """
    found: list[str] = []
    for name in names:
        if os.path.isdir(name):
            inside = [
                f for f in sorted(Path(name).rglob("*")) if f.suffix.lower() in VIDEOS and not f.name.startswith(".")
            ]
            if not inside:
                raise StridefoldError(
                    f"the folder {name!r} holds no video ({', '.join(sorted(VIDEOS))}); name another one",
                    code="videos.empty_folder",
                )
            found += map(str, inside)
        elif any(sign in name for sign in "*?[") and not os.path.lexists(name):
            matching = sorted(glob.glob(name, recursive=True))
            if not matching:
                raise StridefoldError(
                    f"no file matches {name!r}; name files, a folder, or another pattern", code="videos.no_match"
                )
            found += matching
        else:
            found.append(name)
    return tuple(dict.fromkeys(found))


def read_videos(names: tuple[str, ...]) -> pl.DataFrame:
    """Returns one row per video file, as `ingest_cohort` takes them, without subjects.

    Raises:
        StridefoldError: A file is missing, no video, or given twice; several problems are listed at once.
    """
    problems: list[str] = []
    files: list[tuple[str, VideoFile]] = []
    for name in names:
        path = Path(os.path.realpath(name))
        link = dangling(Path(os.path.abspath(name)))
        [found] = [f"{name!r} {link}"] if link else inspect(path.parent, [path.name], [None])
        if isinstance(found, str):
            problems.append(found)
        elif same := next((n for n, file in files if file.sha256 == found.sha256), None):
            problems.append(f"{name!r} is the same video as {same!r}; give it once")
        else:
            files.append((name, found))
    if len(problems) == 1:
        raise StridefoldError(problems[0], code="videos.problems")
    if problems:
        raise CohortError("the list of videos", problems, code="videos.problems")
    empty = {side: pl.Series([None] * len(files), dtype=pl.Int64) for side in BOX}
    rates = pl.Series([None] * len(files), dtype=pl.Float64)
    return _rows([None] * len(files), [n for n, _ in files], [f for _, f in files], empty | {"fps": rates})


def read_manifest_videos(
    path: Path, *, columns: Mapping[str, str] | None = None, follow_links: bool = False
) -> pl.DataFrame:
    """Returns one row per row of a manifest with the columns subject and video, and if it likes boxes and fps.

    Args:
        columns: {our name of a column: the manifest's}.
        follow_links: Whether a video may be a link to a file outside the manifest's folder.

    Raises:
        CohortError: Lists every problem of the manifest and its videos.
    """
    problems = Problems(path)
    theirs = {ours: column_name(name) for ours, name in (columns or {}).items()}
    table = read_table(path, problems).renamed(theirs, problems)
    for needed in ("subject", "video"):
        if needed not in table.cells:
            problems.add(f"there is no column {needed!r}; it has {', '.join(table.cells)}; rename one")
    problems.check()
    numbers = read_numbers(table, Wanted(), "", [], problems, lambda sentence: None)
    files = _manifest_files(path.parent.resolve(), table, numbers.fps, problems, follow_links)
    check_spelling([s for s in table.cells["subject"] if s], "column subject: subjects", problems)
    for row, file, box in zip(table.rows, files, numbers.boxes, strict=True):
        if file and box and (min(box) < 0 or box[2] > file.info.width or box[3] > file.info.height):
            size = f"{file.info.width} x {file.info.height} pixels"
            problems.at(row, "box", "a box outside the frame", f"{box} is not inside the frame of {size}")
    own = read_own_boxes(path.parent.resolve(), table, files, problems)
    problems.check()
    given = numbers.columns | own_columns(own)
    return _rows(table.cells["subject"], table.cells["video"], [f for f in files if f], given)


def _manifest_files(
    folder: Path, table: Table, rates: list[float | None], problems: Problems, follow_links: bool
) -> list[VideoFile | None]:
    names = table.cells["video"]
    first: dict[str, int] = {}
    files: list[VideoFile | None] = []
    inspected = inspect(folder, names, rates, follow_links=follow_links)
    for i, (row, found) in enumerate(zip(table.rows, inspected, strict=True)):
        files.append(found if isinstance(found, VideoFile) else None)
        if is_missing(subject := table.cells["subject"][i]):
            says = f"it says {subject!r}" if subject else "it is empty"
            problems.at(row, "subject", "no subject", f"{says}; say whose video this is")
        if isinstance(found, str):
            problem = found if names[i] else "it is empty; name the row's video file"
            problems.at(row, "video", "a video that cannot be used", problem)
        elif (before := first.setdefault(found.sha256, i)) != i:
            text = f"it is the same video as row {table.rows[before]}; keep one row"
            problems.at(row, "video", "a video listed twice", text)
    return files


def _rows(
    subjects: list[Any], videos: list[str], files: list[VideoFile], numbers: dict[str, pl.Series]
) -> pl.DataFrame:
    count = len(files)
    return pl.DataFrame(
        {
            "subject": pl.Series(subjects, dtype=pl.String),
            "video": videos,
            "path": [str(file.path) for file in files],
            "sha256": [file.sha256 for file in files],
            "label": pl.Series([None] * count, dtype=pl.Int64),
            "frames": pl.Series([None] * count, dtype=pl.Int64),
            "cached": pl.Series([None] * count, dtype=pl.String),
            **numbers,
        }
    )


def seen_in_study(cohort: Cohort, splits: Splits, scoring: Sequence[int], videos: pl.DataFrame) -> Iterator[Seen]:
    """Yields the new videos that a study's models may know: the same file, or a subject whose name looks the same.

    Args:
        cohort: the study's; its splits beside it.
        scoring: the folds whose models score the new videos.
    """
    owner = dict(cohort.videos.select("sha256", "subject").rows())
    subjects = {look_of_id(subject): subject for subject in cohort.videos["subject"]}
    for row in videos.iter_rows(named=True):
        same = row["sha256"] in owner
        subject = owner[row["sha256"]] if same else subjects.get(look_of_id(row["subject"] or ""))
        if subject is not None:
            yield Seen(
                video=row["video"],
                subject=subject,
                same_file=same,
                trained=tuple(f for f in scoring if subject in splits.folds[f].train),
                held_out=tuple(f.index for f in splits.folds if subject not in f.train),
            )
