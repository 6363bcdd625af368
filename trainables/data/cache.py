"""The frame cache: each video decoded once into files of squares that training reads as a memory map, one per pass.

Why squares of the backbone's own size: docs/decisions/0002-frame-cache.md.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, repeat
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl
import torch
from torch.nn import functional

from trainables.cohort.own_boxes import OwnBoxes, job_of
from trainables.data.cache_folder import close_folder
from trainables.errors import CohortError, StridefoldError
from trainables.recordings.decode import ReaderDisagrees, VideoError, check_reader, decode
from trainables.settings import VideoConfig
from trainables.study.files import digest, write_atomic
from trainables.study.passes import pass_name, spans
from trainables.study.records import Cohort
from trainables.tracking.course import Passes
from trainables.tracking.track import Track, track_path, track_video

PREPROCESSING = 4
"""Counts up whenever the same video would give other pixels."""
Box = tuple[int, int, int, int]
"""left, top, right, bottom in pixels of the upright frame; right and bottom are the first pixels outside."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CachedVideo:
    """One video in the frame cache."""

    name: str
    """File in the cache's folder; of a video with several passes, the first one's."""
    frames: int
    """Of the video at 30 frames/s."""
    passes: Passes | None = None
    """Stretches of frames that are in the cache, each in a file of its own; None is all of them."""
    followed: str = "not followed"
    """How the walker was followed, as `Track.kind`."""
    note: str = ""
    """Why the whole picture is used though the walker was looked for."""


_HEADER = threading.Lock()
"""Held while NumPy parses a file's header: in Python 3.11 two threads that parse at once can fail (python/cpython#106905)."""
Runner = Callable[[Sequence[dict[str, Any]]], Iterator[tuple[int, "CachedVideo | VideoError"]]]
"""Yields (index of a job, result of `ingest_or_error`) for every job."""


def ingest(
    path: Path,
    *,
    sha256: str,
    box: Box | None,
    size: int,
    folder: Path,
    fps: float | None = None,
    reader: str = "pyav",
    tracker: str = "none",
    own: OwnBoxes | None = None,
) -> CachedVideo:
    """Decodes a video into the cache, unless it is there already, and returns where it lies.

    Frames are uint8 [F, size, size, 3] at 30 frames/s, upright. With a box they show the square around its centre whose
    side is the box's longer one, with a tracker the square that follows the walker, else the whole frame; what lies outside
    the frame is black. Resizing is bicubic with antialiasing, as CLIP's own preprocessing, to 2 of 255. Two processes may
    ingest the same video at once; both write the same. Nobody but this user may look into the folder.

    Args:
        tracker: What looks for the walker where no box is given, one of TRACKERS; frames without a whole walker are left out.
        own: The user's own boxes, frame by frame.

    Raises:
        VideoError: The video cannot be read to its end, or the walker cannot be followed.
        StridefoldError: The cache's folder cannot be written.
    """
    try:
        close_folder(folder)
        followed = own is not None or (box is None and tracker != "none")
        track = track_video(path, sha256, fps, tracker, folder, own=own) if followed else None
        if track is not None and track.problem:
            raise VideoError(path, track.problem, code="video.tracking")
        name = cache_name(sha256=sha256, box=box, size=size, fps=fps, track=track)
        if _cached(folder / name, size, track) is None:
            _write(folder / name, path, box, size, fps, reader, track)
    except OSError as error:
        raise StridefoldError(
            f"the frame cache {folder} cannot be written ({error.strerror}); free some space or choose another folder",
            code="cache.not_writable",
        ) from None
    made = _cached(folder / name, size, track)
    if made is None:
        raise VideoError(path, "has other frames each time it is read; export it again", code="video.unstable")
    return made


def cache_name(*, sha256: str, box: Box | None, size: int, fps: float | None = None, track: Track | None = None) -> str:
    """Returns the file name of a video in the cache: a hash of its contents and of everything done to it."""
    cut = track.cut() if track else None  # the whole frames of a video have one name, whoever looked for a walker
    return f"{digest([PREPROCESSING, sha256, box, size, fps, *([cut] if cut else [])])[:40]}.npy"


def open_cached(folder: Path, name: str) -> np.memmap:
    """Returns a cached video, uint8 [F, size, size, 3], read from disk as it is used.

    Raises:
        StridefoldError: The file is missing or damaged.
    """
    try:
        with _HEADER:
            frames: np.memmap = np.load(folder / name, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"is damaged ({error})"
        raise StridefoldError(
            f"{folder / name} {reason}; run the same command again, which decodes the video again", code="cache.damaged"
        ) from None
    return frames


def ingest_cohort(
    cohort: Cohort,
    *,
    size: int,
    folder: Path,
    workers: int = 1,
    reader: str = "pyav",
    tracker: str = "none",
    run: Runner | None = None,
    on_video: Callable[[int, int], None] | None = None,
) -> Cohort:
    """Returns the cohort with `cached`, `frames` and what became of each walker filled, after decoding what is not there.

    Args:
        size: Side of the backbone's input, in pixels.
        workers: Processes of this machine that decode, where no `run` is given; 1 decodes in this process.
        reader: As of `decode`; a video on which decord fails is read by PyAV.
        tracker: As of `ingest`.
        run: Runs `ingest_or_error` on every job, in any order and anywhere that sees the same folder.
        on_video: Called with (videos done, videos in all) after each.

    Raises:
        CohortError: Lists every video that cannot be read, or whose walker cannot be followed.
        StridefoldError: The cache cannot be written, or decord is asked for and not installed.
    """
    check_reader(reader)
    also = {"size": size, "reader": reader}
    jobs = [job_of(row, tracker, folder) | also for row in cohort.videos.iter_rows(named=True)]
    done: dict[int, CachedVideo] = {}
    problems: dict[int, str] = {}
    for index, result in _run(jobs, run or (in_turn if workers <= 1 else partial(in_processes, workers=workers))):
        if isinstance(result, VideoError):
            problems[index] = f"{cohort.videos['video'][index]} {result.problem}"
        elif result.frames < VideoConfig().min_tail:
            problems[index] = (
                f"{cohort.videos['video'][index]} has {result.frames} frames at 30 frames/s, which is too few"
            )
        else:
            done[index] = result
        if on_video:
            on_video(len(done) + len(problems), len(jobs))
    if problems:
        raise CohortError(cohort.name, [problems[i] for i in sorted(problems)], code="cohort.problems")
    found = [done[i] for i in range(len(jobs))]
    return replace(cohort, videos=cohort.videos.with_columns(_columns(found)))


def _columns(found: Sequence[CachedVideo]) -> list[pl.Series]:
    """Returns the columns of a cohort that say where its videos are in the cache; see `Cohort.videos`."""
    passes = [None if video.passes is None else [list(span) for span in video.passes] for video in found]
    return [
        pl.Series("cached", [video.name for video in found], dtype=pl.String),
        pl.Series("frames", [video.frames for video in found], dtype=pl.Int64),
        pl.Series("passes", passes, dtype=pl.List(pl.List(pl.Int64))),
        pl.Series("followed", [video.followed for video in found], dtype=pl.String),
        pl.Series("follow_note", [video.note for video in found], dtype=pl.String),
    ]


def missing_frames(cohort: Cohort, *, size: int, folder: Path, tracker: str = "none") -> int:
    """Returns how many frames at 30 frames/s the videos have that the cache does not hold."""
    rows = cohort.videos.iter_rows(named=True)
    there = [_in_cache(job_of(row, tracker, folder) | {"size": size}) is not None for row in rows]
    return int(cohort.videos["frames"].filter(~pl.Series(there, dtype=pl.Boolean)).sum())


def in_turn(jobs: Sequence[dict[str, Any]]) -> Iterator[tuple[int, "CachedVideo | VideoError"]]:
    """Yields (index of the job, its result), all in this process."""
    return ((index, ingest_or_error(job)) for index, job in enumerate(jobs))


def in_processes(jobs: Sequence[dict[str, Any]], *, workers: int) -> Iterator[tuple[int, "CachedVideo | VideoError"]]:
    """Yields (index of the job, its result) as jobs end in processes of this machine.

    Raises:
        StridefoldError: A process was killed.
    """
    if not jobs:
        return
    # Spawned, because a fork would copy this process's threads' locks, Ray's and torch's among them.
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(jobs)), spawn, initializer=torch.set_num_threads, initargs=(1,))
    try:
        waiting = {pool.submit(ingest_or_error, job): index for index, job in enumerate(jobs)}
        for future in as_completed(waiting):
            yield waiting[future], future.result()
    except BrokenProcessPool:
        raise StridefoldError(
            "a process that decoded videos ended silently, most likely for lack of memory; use fewer workers",
            code="memory.decoder_ended",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _run(jobs: list[dict[str, Any]], run: Runner) -> Iterator[tuple[int, CachedVideo | VideoError]]:
    """Yields (index of the job, its result); only videos that the cache does not hold are run."""
    todo = []
    for index, job in enumerate(jobs):
        if (found := _in_cache(job)) is None:
            todo.append(index)
        else:
            yield index, found
    yield from ((todo[position], result) for position, result in run([jobs[index] for index in todo]))


def _in_cache(job: dict[str, Any]) -> CachedVideo | None:
    """Returns where a job's video lies; None where it, or its track, has yet to be made, or its walker is a problem."""
    track = None
    if job["own"] is not None or (job["box"] is None and job["tracker"] != "none"):
        track = Track.load(track_path(job["sha256"], job["fps"], job["tracker"], job["folder"], own=job["own"]))
        if track is None or track.problem:
            return None
    name = cache_name(**{key: job[key] for key in ("sha256", "box", "size", "fps")}, track=track)
    return _cached(job["folder"] / name, job["size"], track)


def ingest_or_error(job: dict[str, Any]) -> CachedVideo | VideoError:
    """Returns what `ingest` returns for the keywords of a job, or why the video cannot be read."""
    try:
        return ingest(**job)
    except VideoError as error:
        return error


def _frames_of(path: Path, size: int) -> int | None:
    """Returns the frame count of a whole cache file, None where there is none or it is damaged."""
    try:
        array = np.load(path, mmap_mode="r")
        expected = array.offset + array.nbytes == path.stat().st_size and array.dtype == np.uint8 and array.ndim == 4
    except (OSError, ValueError, EOFError):
        return None
    return len(array) if expected and array.shape[1:] == (size, size, 3) and len(array) else None


def _cached(place: Path, size: int, track: Track | None) -> CachedVideo | None:
    """Returns a video whose passes are all in the cache, the first one's file at `place`; None where one is missing."""
    if track is None:
        frames = _frames_of(place, size)
        return None if frames is None else CachedVideo(name=place.name, frames=frames)
    for number, (first, last) in enumerate(spans(track.frames, track.passes)):
        if _frames_of(place.with_name(pass_name(place.name, number)), size) != last - first:
            return None
    return CachedVideo(name=place.name, frames=track.frames, passes=track.passes, followed=track.kind, note=track.note)


def _write(
    place: Path, path: Path, box: Box | None, size: int, fps: float | None, reader: str, track: Track | None
) -> None:
    """Writes each pass of a video into a file of its own, the first one's at `place`."""
    try:
        _write_passes(place, decode(path, fps=fps, reader=reader), box, size, track)
    except ReaderDisagrees:
        _write_passes(place, decode(path, fps=fps, reader="pyav"), box, size, track)


def _write_passes(place: Path, frames: Iterable[np.ndarray], box: Box | None, size: int, track: Track | None) -> None:
    boxes = repeat(box) if track is None or track.crops is None else map(tuple, track.crops.tolist())
    pairs, done = zip(frames, boxes, strict=False), 0
    for number, (first, last) in enumerate([(0, None)] if track is None or track.passes is None else track.passes):
        squares = _squares(islice(pairs, first - done, None if last is None else last - done), size)
        file = place.with_name(pass_name(place.name, number))
        write_atomic(file, partial(_write_array, frames=squares, size=size), private=True)
        done = last or 0


def _write_array(file: IO[bytes], frames: Iterable[np.ndarray], size: int) -> None:
    """Writes a .npy file frame by frame; its header, which holds the frame count, is written again at the end."""
    file.seek(0)
    file.truncate()
    count = 0
    _write_header(file, 0, size)
    for frame in frames:
        file.write(frame.data)
        count += 1
    file.seek(0)
    _write_header(file, count, size)  # as long as the first: NumPy leaves room for the count to grow
    file.seek(0, os.SEEK_END)


def _write_header(file: IO[bytes], frames: int, size: int) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (frames, size, size, 3)}
    np.lib.format.write_array_header_1_0(file, header)


def _squares(frames: Iterable[tuple[np.ndarray, Box | None]], size: int) -> Iterator[np.ndarray]:
    last, made = None, None
    for frame, box in frames:
        if last is None or frame is not last[0] or box != last[1] or made is None:  # a low frame rate repeats frames
            last, made = (frame, box), square(frame, box, size)
        yield made


def square(frame: np.ndarray, box: Box | None, size: int) -> np.ndarray:
    """Returns the square around a box, or around the whole frame, resized: uint8 [size, size, 3].

    Args:
        frame: uint8 [H, W, 3].
    """
    height, width = frame.shape[:2]
    left, top, right, bottom = box or (0, 0, width, height)
    side = max(right - left, bottom - top)
    x, y = (left + right - side) // 2, (top + bottom - side) // 2  # the square's corner, outside the frame or not
    inside = (max(x, 0), max(y, 0), min(x + side, width), min(y + side, height))
    scale = size / side
    at = [round((edge - corner) * scale) for edge, corner in zip(inside, (x, y, x, y), strict=True)]
    result = torch.zeros(size, size, 3, dtype=torch.uint8)
    if at[2] > at[0] and at[3] > at[1]:
        part = np.ascontiguousarray(frame[inside[1] : inside[3], inside[0] : inside[2]])
        # [1, 3, h, w]. Permuted last, it is channels-last to torch, which has a faster kernel for that.
        pixels = torch.from_numpy(part).unsqueeze(0).permute(0, 3, 1, 2)
        resized = functional.interpolate(
            pixels,
            size=(at[3] - at[1], at[2] - at[0]),
            mode="bicubic",
            antialias=True,
        )
        result[at[1] : at[3], at[0] : at[2]] = resized[0].permute(1, 2, 0)
    return result.numpy()
