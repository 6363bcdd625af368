"""The frame cache: each video decoded once into a file of squares that training reads as a memory map.

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
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl
import torch
from torch.nn import functional

from trainables.config import VideoConfig
from trainables.data.cache_folder import close_folder
from trainables.errors import CohortError, StridefoldError
from trainables.recordings.decode import ReaderDisagrees, VideoError, check_reader, decode
from trainables.study.files import digest, write_atomic
from trainables.study.records import Cohort

PREPROCESSING = 3
"""Counts up whenever the same video would give other pixels."""
Box = tuple[int, int, int, int]
"""left, top, right, bottom in pixels of the upright frame; right and bottom are the first pixels outside."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CachedVideo:
    """One video in the frame cache."""

    name: str
    """File in the cache's folder."""
    frames: int
    """At 30 frames/s."""


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
) -> CachedVideo:
    """Decodes a video into the cache, unless it is there already, and returns where it lies.

    Frames are uint8 [F, size, size, 3] at 30 frames/s, upright. With a box they show the square around its centre whose
    side is the box's longer one, else the whole frame; what lies outside the frame is black. Resizing is bicubic with
    antialiasing, as CLIP's own preprocessing, to 2 of 255. Two processes may ingest the same video at once; both write the same.
    Nobody but this user may look into the folder.

    Raises:
        VideoError: The video cannot be read to its end.
        StridefoldError: The cache's folder cannot be written.
    """
    name = cache_name(sha256=sha256, box=box, size=size, fps=fps)
    if (frames := _frames_of(folder / name, size)) is not None:
        return CachedVideo(name=name, frames=frames)
    try:
        close_folder(folder)
        write_atomic(folder / name, lambda file: _write(file, path, box, size, fps, reader), private=True)
    except OSError as error:
        raise StridefoldError(
            f"the frame cache {folder} cannot be written ({error.strerror}); free some space or choose another folder"
        ) from None
    return CachedVideo(name=name, frames=open_cached(folder, name).shape[0])


def cache_name(*, sha256: str, box: Box | None, size: int, fps: float | None = None) -> str:
    """Returns the file name of a video in the cache: a hash of its contents and of everything done to it."""
    return f"{digest([PREPROCESSING, sha256, box, size, fps])[:40]}.npy"


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
            f"{folder / name} {reason}; run the same command again, which decodes the video again"
        ) from None
    return frames


def ingest_cohort(
    cohort: Cohort,
    *,
    size: int,
    folder: Path,
    workers: int = 1,
    reader: str = "pyav",
    run: Runner | None = None,
    on_video: Callable[[int, int], None] | None = None,
) -> Cohort:
    """Returns the cohort with `cached` and `frames` filled, after decoding each video that the cache does not hold.

    Args:
        size: Side of the backbone's input, in pixels.
        workers: Processes of this machine that decode, where no `run` is given; 1 decodes in this process.
        reader: As of `decode`; a video on which decord fails is read by PyAV.
        run: Runs `ingest_or_error` on every job, in any order and anywhere that sees the same folder.
        on_video: Called with (videos done, videos in all) after each.

    Raises:
        CohortError: Lists every video that cannot be read.
        StridefoldError: The cache cannot be written, or decord is asked for and not installed.
    """
    check_reader(reader)
    jobs = [_job(row, size, folder) | {"reader": reader} for row in cohort.videos.iter_rows(named=True)]
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
        raise CohortError(cohort.name, [problems[i] for i in sorted(problems)])
    cached = pl.Series("cached", [done[i].name for i in range(len(jobs))], dtype=pl.String)
    frames = pl.Series("frames", [done[i].frames for i in range(len(jobs))], dtype=pl.Int64)
    return replace(cohort, videos=cohort.videos.with_columns(cached, frames))


def _job(row: dict[str, Any], size: int, folder: Path) -> dict[str, Any]:
    sides = [row.get(f"box_{side}") for side in ("left", "top", "right", "bottom")]
    box = None if None in sides else tuple(sides)
    return {
        "path": Path(row["path"]),
        "sha256": row["sha256"],
        "box": box,
        "size": size,
        "folder": folder,
        "fps": row.get("fps"),
    }


def missing_frames(cohort: Cohort, *, size: int, folder: Path) -> int:
    """Returns how many frames at 30 frames/s the videos have that the cache does not hold."""
    jobs = (_job(row, size, folder) for row in cohort.videos.iter_rows(named=True))
    names = [cache_name(**{key: job[key] for key in ("sha256", "box", "size", "fps")}) for job in jobs]
    there = [_frames_of(folder / name, size) is not None for name in names]
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
            "a process that decoded videos ended silently, most likely for lack of memory; use fewer workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _run(jobs: list[dict[str, Any]], run: Runner) -> Iterator[tuple[int, CachedVideo | VideoError]]:
    """Yields (index of the job, its result); only videos that the cache does not hold are run."""
    todo = []
    for index, job in enumerate(jobs):
        name = cache_name(**{key: job[key] for key in ("sha256", "box", "size", "fps")})
        if (frames := _frames_of(job["folder"] / name, job["size"])) is None:
            todo.append(index)
        else:
            yield index, CachedVideo(name=name, frames=frames)
    yield from ((todo[position], result) for position, result in run([jobs[index] for index in todo]))


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


def _write(file: IO[bytes], path: Path, box: Box | None, size: int, fps: float | None, reader: str) -> None:
    try:
        _write_array(file, _squares(decode(path, fps=fps, reader=reader), box, size), size)
    except ReaderDisagrees:
        _write_array(file, _squares(decode(path, fps=fps, reader="pyav"), box, size), size)


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


def _squares(frames: Iterable[np.ndarray], box: Box | None, size: int) -> Iterator[np.ndarray]:
    last, made = None, None
    for frame in frames:
        if frame is not last or made is None:  # a low frame rate repeats frames
            last, made = frame, square(frame, box, size)
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
