"""Measures how well gait parameters measured from video agree with the truth.

    python -m experiments.video_parameters
    python -m experiments.video_parameters --walkers 0 --motion-capture walkers/cohort.csv --page agreement.html
    python -m experiments.video_parameters --walkers 0 --passes clinic/cohort.csv --against pose_cadence_steps_per_min

The first filmed walkers are simulated: they walk through a wide picture before a fixed camera, and their cadence, step time,
step length and speed are known. --motion-capture names a manifest of videos whose walkers were measured with motion capture, in
the columns of TRUTH; --passes one of real videos, of which those of one subject are compared with each other, in pairs; --against is a
column of it with a second measurement of the cadence, which is not the truth. For each parameter stand the number of pairs, the
bias (mean of measured - true), the 95 % limits of agreement, the mean absolute error, Pearson's r and the intraclass correlation;
--page writes them as a page with a Bland-Altman plot per parameter.
"""

import argparse
import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from experiments.agreement import Agreement, Comparison, table, write_page
from experiments.corridor import Film, crossing, cut_out, write
from trainables.cohort.new_videos import read_manifest_videos
from trainables.cohort.own_boxes import job_of
from trainables.errors import StridefoldError
from trainables.study.files import file_sha256
from trainables.tracking.gait import VARIABILITY, Measured
from trainables.tracking.landmark_model import keep_weights
from trainables.tracking.measuring import keys_of, measured_or_error

GROUPS = ("healthy", "DLB", "AD")
PICTURE = (384, 216)
LARGE = 0.8
"""Side of the walker's square to the picture's height."""
UNITS = {
    "video_cadence": "steps/min",
    "video_step_time": "s",
    "video_step_length": "leg",
    "video_walking_speed": "leg/s",
    VARIABILITY: "s",
    "video_ankle_spread": "leg",
    "video_knee_range": "degree",
    "video_hip_range": "degree",
    "video_arm_swing": "leg",
    "video_trunk_lean": "degree",
}
TRUTH = {
    "video_cadence": ("cadence_steps_per_min", True),
    "video_step_time": ("step_time_s", True),
    "video_step_length": ("step_length_m", False),
    "video_walking_speed": ("walking_speed_m_per_s", False),
    "video_ankle_spread": ("step_length_m", False),
    "video_knee_range": ("knee_range_degree", True),
    "video_arm_swing": ("arm_swing_m", False),
    "video_trunk_lean": ("trunk_lean_degree", True),
}
"""Column of motion capture for a parameter, and whether it is in the same unit."""
VIEW = "view_degree"
"""Column of motion capture: 90 is from the side."""

Pair = tuple[str, float, float]
"""Who, a value, and the other value."""


@dataclass(frozen=True, kw_only=True)
class Videos:
    """Measured videos of a manifest."""

    table: pl.DataFrame
    found: list[Measured]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--walkers", type=int, default=12, help="simulated walkers; 0: none (default 12)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--motion-capture", type=Path, metavar="MANIFEST", help="videos of walkers who were captured")
    parser.add_argument("--passes", type=Path, metavar="MANIFEST", help="videos, several of a subject")
    parser.add_argument("--against", help="column of --passes with another measurement of the cadence")
    parser.add_argument("--track", choices=("motion", "pose"), default="motion", help="(default motion)")
    parser.add_argument(
        "--pose-weights", type=Path, metavar="FOLDER", help="weights of the landmark model, for --track pose"
    )
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keep tracks and landmarks for the next run")
    parser.add_argument("--page", type=Path, help="page with Bland-Altman plots, .html")
    options = parser.parse_args()
    comparisons: list[Comparison] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.cache or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if options.track == "pose":
            keep_weights(options.pose_weights, folder)
        if options.walkers:
            comparisons.append(simulated(options.walkers, options.seed, options.track, folder))
        if options.motion_capture:
            comparisons += captured(measured_videos(options.motion_capture, options.track, folder), options.track)
        if options.passes:
            found = measured_videos(options.passes, options.track, folder)
            comparisons += repeated(found, options.track, options.against)
    for comparison in comparisons:
        print(f"\n{table(comparison)}")
    if options.page:
        write_page(options.page, comparisons)
        print(f"page: {options.page}")


def simulated(walkers: int, seed: int, tracker: str, folder: Path) -> Comparison:
    """Returns the agreement with the truth of simulated walkers, who walk to the right and to the left in turn."""
    pairs: dict[str, list[Pair]] = {key: [] for key in keys_of(tracker)}
    for number in range(walkers):
        group = GROUPS[number % len(GROUPS)]
        walker = cut_out(
            1000 * seed + number + 1, seconds=6, size=176, facing=1 if number % 2 == 0 else -1, group=group
        )
        film = Film(width=PICTURE[0], height=PICTURE[1], seed=number)
        frames = [frame for frame, _ in crossing(walker, film, side=LARGE * film.height)]
        path = write(folder / f"{number}.mp4", frames)
        found = measured({"path": path, "sha256": file_sha256(path)}, tracker, folder)
        for key, value in found.values.items():
            if (true := truth(walker.parameters, key)) is not None:
                pairs[key].append((str(number), value, true))
        print(f"walker {number + 1}, {group}: {found.steps} steps, {shown(found)}", flush=True)
    rows = [agreement(key, both, walkers) for key, both in pairs.items() if both]
    return Comparison(title="Simulated walkers", note="A pair is the value from video and the truth.", found=rows)


def truth(parameters: dict[str, float], key: str) -> float | None:
    """Returns the true value of a parameter, of what walkways measure on each side the mean of both; None where it is not known."""
    name = key.removeprefix("video_")
    for known in (key, name):
        if known in parameters:
            return parameters[known]
    sides = [parameters[f"{name}_{side}"] for side in ("left", "right") if f"{name}_{side}" in parameters]
    return float(np.mean(sides)) if sides else None


def captured(videos: Videos, tracker: str) -> list[Comparison]:
    """Returns the agreement with motion capture, for each view."""
    views = videos.table[VIEW].unique().sort(descending=True).to_list() if VIEW in videos.table.columns else [None]
    comparisons: list[Comparison] = []
    for view in views:
        rows = [i for i in range(len(videos.table)) if view is None or videos.table[VIEW][i] == view]
        found: list[Agreement] = []
        for key, (column, same_unit) in TRUTH.items():
            if column not in videos.table.columns or key not in keys_of(tracker):
                continue
            pairs = [
                (videos.table["subject"][i], videos.found[i].values[key], float(videos.table[column][i]))
                for i in rows
                if key in videos.found[i].values and videos.table[column][i] is not None
            ]
            found.append(agreement(key, pairs, len(rows), same_unit=same_unit))
        title = "Motion capture" if view is None else f"Motion capture, view of {view} degrees"
        note = "A pair is the value from video and that of motion capture; people have several videos."
        comparisons.append(Comparison(title=title, note=note, found=found))
    return comparisons


def repeated(videos: Videos, tracker: str, against: str | None) -> list[Comparison]:
    """Returns the agreement between the videos of one subject, and with another measurement of the cadence."""
    subjects, comparisons = videos.table["subject"].to_list(), []
    if against:
        other = videos.table[against].cast(pl.Float64)
        pairs = [
            (subject, one.values["video_cadence"], value)
            for subject, one, value in zip(subjects, videos.found, other, strict=True)
            if "video_cadence" in one.values and value is not None
        ]
        note = "A pair is the value from video and another measurement, which is not the truth."
        found = [agreement("video_cadence", pairs, len(subjects))]
        comparisons.append(Comparison(title=f"Cadence against {against}", note=note, found=found))
    twice = [(a, b) for a, b in itertools.combinations(range(len(subjects)), 2) if subjects[a] == subjects[b]]
    found = []
    for key in keys_of(tracker):
        both = [(videos.found[a].values, videos.found[b].values, subjects[a]) for a, b in twice]
        pairs = [(subject, a[key], b[key]) for a, b, subject in both if key in a and key in b]
        found.append(agreement(key, pairs, len(twice)))
    note = "A pair is two videos of one person, in the manifest's order; people do not walk twice in the same way."
    return [*comparisons, Comparison(title="Two videos of one person", note=note, found=found)]


def agreement(key: str, pairs: Sequence[Pair], of: int, *, same_unit: bool = True) -> Agreement:
    """Returns the agreement of a parameter's pairs."""
    return Agreement(
        name=key.removeprefix("video_").replace("_", " "),
        unit=UNITS[key],
        values=np.array([value for _, value, _ in pairs], dtype=np.float64),
        others=np.array([other for _, _, other in pairs], dtype=np.float64),
        of=of,
        people=len({who for who, _, _ in pairs}),
        same_unit=same_unit,
    )


def measured_videos(manifest: Path, tracker: str, folder: Path) -> Videos:
    """Returns a manifest's table with what its videos show, and prints it."""
    videos = read_manifest_videos(manifest)
    found = []
    for row in videos.iter_rows(named=True):
        found.append(measured(row, tracker, folder))
        print(f"{row['video']}: {found[-1].steps} steps, {shown(found[-1])}", flush=True)
    table = pl.read_csv(manifest, infer_schema_length=None)
    return Videos(table=table, found=found)


def measured(row: dict[str, object], tracker: str, folder: Path) -> Measured:
    """Returns what the video of a row shows.

    Raises:
        StridefoldError: It cannot be read.
    """
    found = measured_or_error(job_of(row, tracker, folder))
    if isinstance(found, StridefoldError):
        raise found
    return found


def shown(found: Measured) -> str:
    """Returns the values in words, with their quality."""
    parts = [
        f"{key.removeprefix('video_')} {value:.3g} ({found.quality[key]:.2f})" for key, value in found.values.items()
    ]
    return ", ".join([*parts, *sorted(set(found.missing.values()))])


if __name__ == "__main__":
    main()
