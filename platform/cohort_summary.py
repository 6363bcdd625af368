"""What a checked cohort holds and needs, in lines that a person reads before a search."""

import time
from collections import Counter
from itertools import islice
from pathlib import Path
from platform.memory import GIB
from platform.watching import about
from platform.workload import frame_bytes

import polars as pl

from trainables.limits import usable_cpus
from trainables.recordings.decode import RATE, decode
from trainables.recordings.formats import stored_as
from trainables.study.records import Cohort

SIDES = (112, 224)
"""Sides of the frames in pixels: the embedded backbone's, and those of the usual CLIPs."""
FORMATS = 4
"""That are named; videos of others are counted."""
TIMED = 60
"""Frames that are decoded to say how long all of them take."""


def summary_lines(cohort: Cohort) -> list[str]:
    """Returns subjects, videos, hours, classes, parameters, recording formats, and the disk and time that decoding takes."""
    videos, subjects = cohort.videos, cohort.subjects()
    each: list[int] = subjects["videos"].to_list()
    lengths: list[int] = videos["frames"].to_list()
    lines = [
        f"{len(subjects)} subjects with {min(each)} to {max(each)} videos each; {len(videos)} videos of "
        f"{sum(lengths) / RATE / 3600:.2f} h in all, each of {min(lengths) / RATE:.0f} s to {max(lengths) / RATE:.0f} s",
    ]
    lines += [f"class {name}: {_class_size(videos, index)}" for index, name in enumerate(cohort.classes)]
    if cohort.parameters:
        measured = sum(videos[p.key].count() for p in cohort.parameters) / (len(videos) * len(cohort.parameters))
        lines.append(f"{len(cohort.parameters)} gait parameters, {measured:.0%} of their values are there")
    else:
        lines.append("no gait parameters: the numeric side of the model is off")
    lines.append(f"recordings: {_formats(videos)}")
    if cohort.excluded:
        lines.append(f"{len(cohort.excluded)} videos are left out; the report of a search says why")
    disk = " or ".join(f"{frame_bytes(sum(lengths), side) / GIB:.2f} GiB at {side} x {side} pixels" for side in SIDES)
    lines.append(f"disk for decoded frames: {disk}")
    cpus = usable_cpus()
    seconds = _seconds_a_frame(videos) * sum(lengths) / cpus
    lines.append(
        f"time to decode: {about(seconds)} on {cpus} CPU{'' if cpus == 1 else 's'}, without following walkers; "
        "the next command times the training"
    )
    return lines


def _class_size(videos: pl.DataFrame, index: int) -> str:
    own = videos.filter(pl.col("label") == index)
    return f"{own['subject'].n_unique()} subjects, {len(own)} videos"


def _formats(videos: pl.DataFrame) -> str:
    """Returns the commonest ways in which the videos are stored, as '54 h264 1920 x 1080, 30 frames/s (.mp4)'."""
    paths = [Path(path) for path in videos["path"]]
    counts = Counter(f"{stored_as(path)} ({path.suffix.lower() or 'no ending'})" for path in paths).most_common()
    named = [f"{count} {what}" for what, count in counts[:FORMATS]]
    if others := sum(count for _, count in counts[FORMATS:]):
        named.append(f"{others} of {len(counts) - FORMATS} other formats")
    return "; ".join(named)


def _seconds_a_frame(videos: pl.DataFrame) -> float:
    """Returns what decoding a frame takes here, timed on the beginning of the video of median length."""
    path = Path(videos.sort("frames", "video")["path"][len(videos) // 2])
    started = time.perf_counter()
    count = sum(1 for _ in islice(decode(path), TIMED))
    return (time.perf_counter() - started) / max(count, 1)
