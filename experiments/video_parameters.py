"""Measures how well gait parameters measured from video agree with the truth.

    python -m experiments.video_parameters
    python -m experiments.video_parameters --manifest clinic/cohort.csv --against pose_cadence_steps_per_min

The first filmed walkers are simulated: they walk through a wide picture before a fixed camera, and their cadence, step time,
step length and speed are known. For each parameter stand the number of walkers of whom it could be measured, the bias (mean of
measured - true), the 95 % limits of agreement (Bland and Altman 1986), the mean absolute error and Pearson's r.

With --manifest real videos are measured instead: --against is a column with a second measurement of the cadence, which
is not the truth, and videos of one subject are compared with each other.
"""

import argparse
import itertools
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from experiments.corridor import Film, crossing, cut_out, write
from trainables.cohort.new_videos import read_manifest_videos
from trainables.cohort.own_boxes import job_of
from trainables.errors import StridefoldError
from trainables.study.files import file_sha256
from trainables.tracking.gait import KEYS, Measured
from trainables.tracking.measuring import measured_or_error

GROUPS = ("healthy", "DLB", "AD")
PICTURE = (384, 216)
LARGE = 0.8
"""Side of the walker's square to the picture's height."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--walkers", type=int, default=12, help="simulated walkers (default 12)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--manifest", type=Path, help="real videos instead")
    parser.add_argument("--against", help="column of the manifest with another measurement of the cadence")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.manifest is None:
            simulated(options.walkers, options.seed, Path(folder))
        else:
            real(options.manifest, options.against, Path(folder))


def simulated(walkers: int, seed: int, folder: Path) -> None:
    """Prints the agreement with the truth of simulated walkers, who walk to the right and to the left in turn."""
    pairs: dict[str, list[tuple[float, float]]] = {key: [] for key in KEYS}
    for number in range(walkers):
        group = GROUPS[number % len(GROUPS)]
        walker = cut_out(
            1000 * seed + number + 1, seconds=6, size=176, facing=1 if number % 2 == 0 else -1, group=group
        )
        film = Film(width=PICTURE[0], height=PICTURE[1], seed=number)
        frames = [frame for frame, _ in crossing(walker, film, side=LARGE * film.height)]
        found = measured(write(folder / f"{number}.mp4", frames), None, folder)
        true = walker.parameters
        for key, value in found.values.items():
            pairs[key].append((value, truth(true, key)))
        print(f"walker {number + 1}, {group}: {found.steps} steps, {shown(found)}", flush=True)
    print_agreement(pairs, walkers)


def truth(parameters: dict[str, float], key: str) -> float:
    """Returns the true value of a parameter; of what walkways measure on each side, the mean of both."""
    name = key.removeprefix("video_")
    for known in (key, name):
        if known in parameters:
            return parameters[known]
    return float(np.mean([parameters[f"{name}_{side}"] for side in ("left", "right")]))


def real(manifest: Path, against: str | None, folder: Path) -> None:
    """Prints the agreement with another measurement, and between the videos of one subject."""
    videos = read_manifest_videos(manifest)
    found = [measured(Path(path), sha, folder) for path, sha in videos.select("path", "sha256").rows()]
    for name, one in zip(videos["video"], found, strict=True):
        print(f"{name}: {one.steps} steps, {shown(one)}", flush=True)
    if against:
        other = pl.read_csv(manifest)[against].cast(pl.Float64)
        both = [(one.values["video_cadence"], value) for one, value in zip(found, other, strict=True)
                if "video_cadence" in one.values and value is not None]  # fmt: skip
        print(f"cadence against {against}:")
        print_agreement({"video_cadence": both}, len(found))
    print("two videos of one subject:")
    again = {key: list(repeated(videos["subject"].to_list(), found, key)) for key in KEYS}
    print_agreement(again, len(found))


def repeated(subjects: Sequence[str], found: Sequence[Measured], key: str) -> Iterable[tuple[float, float]]:
    """Yields the values of each pair of videos of one subject, in the manifest's order."""
    for (one, a), (other, b) in itertools.combinations(zip(subjects, found, strict=True), 2):
        if one == other and key in a.values and key in b.values:
            yield a.values[key], b.values[key]


def measured(path: Path, sha256: str | None, folder: Path) -> Measured:
    """Returns what the video shows.

    Raises:
        StridefoldError: It cannot be read.
    """
    row = {"path": path, "sha256": sha256 or file_sha256(path)}
    found = measured_or_error(job_of(row, "motion", folder))
    if isinstance(found, StridefoldError):
        raise found
    return found


def shown(found: Measured) -> str:
    """Returns the values in words, with their quality."""
    parts = [
        f"{key.removeprefix('video_')} {value:.3g} ({found.quality[key]:.2f})" for key, value in found.values.items()
    ]
    return ", ".join([*parts, *sorted(set(found.missing.values()))])


def print_agreement(pairs: dict[str, list[tuple[float, float]]], of: int) -> None:
    """Prints one line per parameter: n, bias, limits of agreement, mean absolute error, correlation."""
    print(
        f"{'parameter':<22}{'n of ' + str(of):>9}{'bias':>9}{'limits of agreement':>22}{'mean |error|':>14}{'r':>7}{'mean':>9}"
    )
    for key, both in pairs.items():
        if len(both) < 3:
            print(f"{key:<22}{len(both):>9}  too few")
            continue
        values, true = np.array(both).T
        off = values - true
        low, high = off.mean() - 1.96 * off.std(ddof=1), off.mean() + 1.96 * off.std(ddof=1)
        limits = f"{low:.3f} to {high:.3f}"
        r = np.corrcoef(values, true)[0, 1]
        print(
            f"{key:<22}{len(both):>9}{off.mean():>9.3f}{limits:>22}{np.abs(off).mean():>14.3f}{r:>7.2f}{true.mean():>9.3f}"
        )


if __name__ == "__main__":
    main()
