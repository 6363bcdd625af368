"""The embedded cohort: a seeded cohort of simulated walkers, as videos and a manifest, made once.

Each subject has three independent streams of random numbers: one for the look (clothes, build, room, camera, light), one
for the gait, one for cells that were not measured. The label reaches the gait's stream alone.
"""

import csv
import dataclasses
import json
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
from numpy.typing import NDArray

from trainables.errors import ConfigurationError
from trainables.knowledge.parameters import load_parameters
from trainables.limits import usable_cpus
from trainables.simulation.gait_groups import GROUPS, SCORES, Traits, draw_traits, walk_of
from trainables.simulation.renderer import Look, View, draw_look, draw_view, render
from trainables.simulation.sites import at_site, draw_sites
from trainables.simulation.walker import Floats, Footfalls, Gait, draw_footfalls, joint_tracks, measure

FPS = 30
MANIFEST = "cohort.csv"
MARKER = "simulated.json"
"""Written last: a folder that has it holds a finished cohort."""
VERSION = 2
"""Of the simulation; part of the settings, so that a cohort of another version is not taken for this one's."""
COHORT_SEEDS = 1_000_000
"""Cohorts have seeds below this; the backbone `small` was trained on subjects with seeds from here on."""
UNMEASURED = 0.02
"""Share of cells that are empty, as walkway exports have where a foot fell on the edge of the mat."""
LOOK_STREAM, GAIT_STREAM, VIDEO_STREAM, CELL_STREAM, COHORT_STREAM, SITE_STREAM = range(6)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a simulated cohort depends on."""

    subjects: int
    videos_per_subject: tuple[int, int]
    """Least and most."""
    seconds: float
    """Length of a video."""
    size: int
    """Pixels of a side."""
    seed: int
    sites: int = 1
    """Places of recording, each with a camera, a light and a room of its own."""
    site_bias: float = 0.0
    """Share of the subjects whose site is that of their group; the others' sites are drawn whatever their group is."""

    def __post_init__(self) -> None:
        low, high = self.videos_per_subject
        checks = (
            ("subjects", self.subjects, self.subjects >= 3, "at least 3, one per group"),
            ("videos_per_subject", self.videos_per_subject, 1 <= low <= high, "(least, most) with 1 <= least <= most"),
            ("seconds", self.seconds, 4 <= self.seconds <= 60, "between 4 and 60, so that every video holds steps"),
            ("size", self.size, 32 <= self.size <= 512 and self.size % 2 == 0, "an even number of pixels, 32-512"),
            (
                "seed",
                self.seed,
                0 <= self.seed < COHORT_SEEDS,
                f"0-{COHORT_SEEDS - 1}; the backbone has seen the others",
            ),
            ("sites", self.sites, 1 <= self.sites <= 20, "1 to 20"),
            (
                "site_bias",
                self.site_bias,
                0 <= self.site_bias <= 1,
                "0 (sites say nothing of the group) to 1 (they say it all)",
            ),
        )
        for name, value, allowed, words in checks:
            if not allowed:
                raise ConfigurationError(
                    f"{name} of the simulated cohort is {value!r}, but must be {words}", code="simulation.range"
                )

    def as_marker(self) -> dict[str, Any]:
        """Returns what the marker file holds."""
        about = dataclasses.asdict(self) | {"videos_per_subject": list(self.videos_per_subject), "version": VERSION}
        if self.sites == 1:  # cohorts that were made before there were sites stay those that they are
            del about["sites"], about["site_bias"]
        return about


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """One simulated person."""

    name: str
    """As 'S01'."""
    group: str
    """'healthy', 'DLB' or 'AD'."""
    score: int
    """MDS-UPDRS gait score, 0-3."""
    look: Look
    traits: Traits
    site: str = ""
    """Where the subject was filmed, as 'site A'; '' where there is one site."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Walk:
    """One filmed walk: the truth that its video and its row of the manifest were made from."""

    subject: Subject
    video: str
    """Path in the manifest, as 'videos/S01_1.mp4'."""
    gait: Gait
    view: View
    true_steps: Footfalls
    joints: Floats
    """[T, J, 3] in leg lengths, in the order of walker.JOINTS."""
    parameters: dict[str, float]
    """The 29 walkway parameters, by key."""
    stream: tuple[int, ...]
    """Seeds the sensor's noise."""

    def frames(self, size: int) -> NDArray[np.uint8]:
        """Returns the rendered frames [T, size, size, 3] before they are compressed."""
        return render(self.joints, self.subject.look, self.view, size, _generator(*self.stream))


def is_simulated(manifest: Path) -> bool:
    """Returns whether a manifest is one that `simulate_cohort` wrote, as long as it lies where it was written."""
    return manifest.name == MANIFEST and (manifest.parent / MARKER).is_file()


def simulate_cohort(
    folder: Path,
    *,
    subjects: int = 24,
    videos_per_subject: tuple[int, int] = (2, 3),
    seconds: float = 5.0,
    size: int = 112,
    seed: int = 0,
    sites: int = 1,
    site_bias: float = 0.0,
) -> Path:
    """Makes a simulated cohort in `folder`, unless it is there already, and returns the path of its manifest.

    The manifest cohort.csv has one row per video: subject, video, diagnosis (healthy, DLB, AD; as many of each as can
    be), updrs_gait (0-3), site where there are several, and the 29 walkway parameters as the video shows them, some
    cells empty. The folder appears in one step when everything in it is finished.

    Raises:
        ConfigurationError: A setting is not allowed, or the folder holds something else.
    """
    settings = Settings(
        subjects=subjects,
        videos_per_subject=videos_per_subject,
        seconds=seconds,
        size=size,
        seed=seed,
        sites=sites,
        site_bias=site_bias,
    )
    folder = Path(folder)
    if _is_finished(folder, settings):
        return folder / MANIFEST
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _make(making, settings)
        making.chmod(0o755)
        try:
            os.rename(making, folder)
        except OSError:
            if not _is_finished(folder, settings):  # else another process was first, with the same videos
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder / MANIFEST


def draw_subjects(settings: Settings) -> list[Subject]:
    """Returns the subjects: groups balanced, in shuffled order; within a group the scores have their shares."""
    rng = _generator(settings.seed, 0, COHORT_STREAM)
    count = settings.subjects
    groups = [str(g) for g in rng.permutation([GROUPS[i % len(GROUPS)] for i in range(count)])]
    scores: dict[str, list[int]] = {}
    for group in GROUPS:
        edges = np.cumsum(SCORES[group])
        members = groups.count(group)
        ranks = (np.arange(members) + 0.5) / members
        scores[group] = [int(s) for s in rng.permutation(np.searchsorted(edges, ranks))]
    width = max(2, len(str(count)))
    drawn = [
        draw_subject(settings.seed, i, name=f"S{i:0{width}d}", group=group, score=scores[group].pop())
        for i, group in enumerate(groups, start=1)
    ]
    if settings.sites == 1:
        return drawn
    rng = _generator(settings.seed, 0, SITE_STREAM)
    places = draw_sites(groups, GROUPS, settings.sites, settings.site_bias, rng)
    rooms = [_generator(settings.seed, site, SITE_STREAM, LOOK_STREAM) for site in places]
    return [
        dataclasses.replace(one, look=at_site(one.look, site, room), site=f"site {chr(ord('A') + site)}")
        for one, site, room in zip(drawn, places, rooms, strict=True)
    ]


def draw_subject(seed: int, index: int, *, name: str, group: str, score: int) -> Subject:
    """Returns one subject; the look depends on seed and index alone, never on group or score."""
    return Subject(
        name=name,
        group=group,
        score=score,
        look=draw_look(_generator(seed, index, LOOK_STREAM)),
        traits=draw_traits(group, score, _generator(seed, index, GAIT_STREAM)),
    )


def draw_walks(settings: Settings, index: int, subject: Subject) -> list[Walk]:
    """Returns the walks of the subject with number `index` (from 1), without rendering them."""
    rng = _generator(settings.seed, index, VIDEO_STREAM)
    count = int(rng.integers(settings.videos_per_subject[0], settings.videos_per_subject[1] + 1))
    return [
        draw_walk(subject, seconds=settings.seconds, stream=(settings.seed, index, VIDEO_STREAM, number))
        for number in range(1, count + 1)
    ]


def draw_walk(subject: Subject, *, seconds: float, stream: tuple[int, ...]) -> Walk:
    """Returns one walk of a subject; `stream` seeds all that changes between two walks, its last number is the video's."""
    gait = walk_of(subject.traits, subject.look.leg_cm, _generator(*stream, GAIT_STREAM))
    steps = draw_footfalls(gait, seconds, _generator(*stream, GAIT_STREAM, 1))
    return Walk(
        subject=subject,
        video=f"videos/{subject.name}_{stream[-1]}.mp4",
        gait=gait,
        view=draw_view(_generator(*stream, LOOK_STREAM)),
        true_steps=steps,
        joints=joint_tracks(gait, steps, np.arange(round(seconds * FPS)) / FPS),
        parameters=measure(steps, seconds),
        stream=stream,
    )


def write_video(path: Path, frames: NDArray[np.uint8]) -> None:
    """Writes frames [T, N, N, 3] at 30 per second as an H.264 mp4."""
    with path.open("wb") as file:
        write_frames(file, frames)


def write_frames(file: IO[bytes], frames: NDArray[np.uint8], *, quality: int = 23) -> None:
    """Writes frames [T, N, N, 3] as an H.264 mp4; `quality` is x264's constant rate factor, less is better."""
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        # x264's macroblock tree depends on the alignment of its memory: with it the same frames give other bytes each time.
        stream.options = {"crf": str(quality), "preset": "veryfast", "x264-params": "mbtree=0"}
        stream.codec_context.thread_count = 1
        for number, planes in enumerate(_to_yuv420p(frames)):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)  # x264's rate control reads the times
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _to_yuv420p(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns the planes [T, 3N/2, N] of frames [T, N, N, 3] by ITU-R BT.601, limited range.

    FFmpeg's own conversion rounds differently with the alignment of its memory, so that a seed would not fix the bytes.
    """
    to_yuv = np.array([[65.738, 129.057, 25.064], [-37.945, -74.494, 112.439], [112.439, -94.154, -18.285]]) / 256
    yuv = frames.astype(np.float32) @ to_yuv.T.astype(np.float32) + np.array([16, 128, 128], dtype=np.float32)
    t, n, m = yuv.shape[:3]
    chroma = yuv[..., 1:].reshape(t, n // 2, 2, m // 2, 2, 2).mean(axis=(2, 4))  # [T, N/2, N/2, 2]
    planes = [yuv[..., 0].reshape(t, -1), chroma[..., 0].reshape(t, -1), chroma[..., 1].reshape(t, -1)]
    return (np.concatenate(planes, axis=1) + 0.5).astype(np.uint8).reshape(t, n * 3 // 2, m)


def _generator(*seeds: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seeds))


def _is_finished(folder: Path, settings: Settings) -> bool:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        found = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigurationError(
            f"{folder} holds something that is not a finished simulated cohort; give a new or an empty folder",
            code="output.exists",
        ) from None
    if found == settings.as_marker():
        return True
    other = [
        f"{key} {found.get(key)!r} instead of {value!r}"
        for key, value in settings.as_marker().items()
        if found.get(key) != value
    ]
    raise ConfigurationError(
        f"{folder} holds a simulated cohort with other settings ({', '.join(other)}); give another folder, or delete this one",
        code="simulation.other_settings",
    )


def _make(folder: Path, settings: Settings) -> None:
    """Writes videos, manifest and, last, the marker."""
    (folder / "videos").mkdir()
    subjects = draw_subjects(settings)

    def film(numbered: tuple[int, Subject]) -> list[dict[str, str]]:
        index, subject = numbered
        missing = _generator(settings.seed, index, CELL_STREAM)
        rows = []
        for walk in draw_walks(settings, index, subject):
            write_video(folder / walk.video, walk.frames(settings.size))
            rows.append(_row(walk, missing))
        return rows

    with ThreadPoolExecutor(max_workers=usable_cpus()) as pool:
        rows = [row for of_subject in pool.map(film, enumerate(subjects, start=1)) for row in of_subject]
    with (folder / MANIFEST).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (folder / MARKER).write_text(json.dumps(settings.as_marker(), indent=2) + "\n", encoding="utf-8")


def _row(walk: Walk, missing: np.random.Generator) -> dict[str, str]:
    subject = walk.subject
    row = {"subject": subject.name, "video": walk.video, "diagnosis": subject.group, "updrs_gait": str(subject.score)}
    if subject.site:
        row["site"] = subject.site
    for parameter in load_parameters():
        value = walk.parameters[parameter.key]
        empty = missing.random() < UNMEASURED or not np.isfinite(value)
        row[parameter.key] = "" if empty else f"{value:.4g}"
    return row
