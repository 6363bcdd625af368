"""What a checked cohort holds, in lines that a person reads before a search, and the command that comes next."""

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from platform.memory import GIB
from platform.workload import frame_bytes

from trainables.study.records import Cohort

RATE = 30
"""Frames a second, as counted in a cohort."""
SIDES = (112, 224)
"""Sides of the frames in pixels: the embedded backbone's, and those of the usual CLIPs."""


def summary_lines(cohort: Cohort) -> list[str]:
    """Returns subjects, videos, hours, classes, parameters, file formats, and the disk that decoded frames take."""
    videos, subjects = cohort.videos, cohort.subjects()
    each: list[int] = subjects["videos"].to_list()
    lengths: list[int] = videos["frames"].to_list()
    lines = [
        f"{len(subjects)} subjects with {min(each)} to {max(each)} videos each; {len(videos)} videos of "
        f"{sum(lengths) / RATE / 3600:.2f} h in all, each of {min(lengths) / RATE:.0f} s to {max(lengths) / RATE:.0f} s",
    ]
    counts = videos["label"].to_list()
    lines += [f"class {name}: {counts.count(index)} videos" for index, name in enumerate(cohort.classes)]
    if cohort.parameters:
        measured = sum(videos[p.key].count() for p in cohort.parameters) / (len(videos) * len(cohort.parameters))
        lines.append(f"{len(cohort.parameters)} gait parameters, {measured:.0%} of their values are there")
    else:
        lines.append("no gait parameters: the numeric side of the model is off")
    formats = Counter(Path(path).suffix.lower() or "without an ending" for path in videos["path"])
    lines.append("files: " + ", ".join(f"{count} {suffix}" for suffix, count in sorted(formats.items())))
    if cohort.excluded:
        lines.append(f"{len(cohort.excluded)} videos are left out; the report of a search says why")
    disk = " or ".join(f"{frame_bytes(sum(lengths), side) / GIB:.2f} GiB at {side} x {side} pixels" for side in SIDES)
    lines.append(f"disk for decoded frames: {disk}")
    return lines


def next_command(manifest: str, options: Sequence[str]) -> str:
    """Returns the command that says what a search of the cohort would take."""
    return f"python -m platform.search --cohort {shlex.join([manifest, *options])} --dry-run"
