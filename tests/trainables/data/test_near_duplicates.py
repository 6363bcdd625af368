"""Copies of a recording under another subject are found; people who walk alike, still rooms and black videos are not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests import WALKERS
from tests.errors import coded
from trainables.data.cache import ingest, open_cached
from trainables.data.near_duplicates import MIRROR, WORDS, NearDuplicate, candidates, near_duplicates
from trainables.errors import StridefoldError
from trainables.recordings.decode import decode
from trainables.simulation.cohort import Settings, draw_subjects, draw_walks, write_frames
from trainables.study.files import file_sha256

SEARCHES = {"every two": 2000, "index": 0}
SIZE = 80
"""Of the small backbone."""


@pytest.fixture(autouse=True, params=SEARCHES)
def search(request, monkeypatch) -> str:
    """Every test is of both ways to find candidates: all pairs compared, and the index of large cohorts."""
    monkeypatch.setattr("trainables.data.near_duplicates.EXHAUSTIVE", SEARCHES[request.param])
    return str(request.param)


def filmed(path: Path, frames: np.ndarray, quality: int = 23) -> Path:
    """Writes frames [T, N, N, 3] as an mp4; `quality` is x264's constant rate factor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_frames(file, frames, quality=quality)
    return path


def ingested(paths: dict[str, tuple[str, Path]], cache: Path) -> pl.DataFrame:
    """Returns the ingested videos {name: (subject, path)} as a cohort lists them."""
    rows = []
    for name, (subject, path) in paths.items():
        made = ingest(path, sha256=file_sha256(path), box=None, size=SIZE, folder=cache)
        rows.append({"subject": subject, "video": name, "cached": made.name, "frames": made.frames})
    return pl.DataFrame(rows)


def resized(frames: np.ndarray, size: int) -> np.ndarray:
    """Returns frames [T, N, N, 3] at another size."""
    return np.stack([np.asarray(Image.fromarray(frame).resize((size, size))) for frame in frames])


def barred(frames: np.ndarray) -> np.ndarray:
    """Returns frames between black bars, below and above."""
    return np.pad(frames, ((0, 0), (12, 12), (0, 0), (0, 0)))


def pale(frames: np.ndarray) -> np.ndarray:
    """Returns frames of half the contrast, brighter."""
    return frames // 2 + 70


@pytest.fixture(scope="module")
def people() -> dict[str, np.ndarray]:
    """Returns the frames [150, 112, 112, 3] of one walk of 6 simulated people in the same clothes and the same room."""
    settings = Settings(subjects=6, videos_per_subject=(1, 1), seconds=5, size=112, seed=7)
    first, *others = draw_subjects(settings)
    walks = {}
    for index, subject in enumerate([first, *others], start=1):
        (walk,) = draw_walks(settings, index, replace(subject, look=first.look))
        walks[subject.name] = replace(walk, view=replace(walk.view, to_the_right=True)).frames(settings.size)
    return walks


@pytest.fixture(scope="module")
def cohort(people, tmp_path_factory) -> tuple[pl.DataFrame, Path]:
    """Returns the ingested videos of these people, and the frame cache."""
    folder = tmp_path_factory.mktemp("people")
    paths = {f"{who}.mp4": (who, filmed(folder / f"{who}.mp4", frames)) for who, frames in people.items()}
    return ingested(paths, folder / "cache"), folder / "cache"


def with_copy(cohort: tuple[pl.DataFrame, Path], path: Path, subject: str) -> tuple[pl.DataFrame, Path]:
    """Returns the cohort with one more video, copy.mp4, of a subject."""
    videos, cache = cohort
    return pl.concat([videos, ingested({"copy.mp4": (subject, path)}, cache)]), cache


def test_different_people_in_one_room(cohort):
    """People who walk through the same room in the same clothes are not copies of each other."""
    videos, cache = cohort
    assert videos["subject"].n_unique() == 6
    assert near_duplicates(videos, cache) == ()


CHANGES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]] = {
    "poor quality": (lambda frames: frames, 38),
    "half size": (lambda frames: resized(frames, 56), 23),
    "10 frames later": (lambda frames: frames[10:], 28),
    "1 s later": (lambda frames: frames[30:], 28),
    "0.7 s shorter": (lambda frames: frames[:-21], 28),
    "less contrast": (pale, 28),
    "bars": (barred, 28),
    "mirrored": (lambda frames: frames[:, :, ::-1], 28),
    "poor quality, 10 frames later, less contrast, bars": (lambda frames: barred(pale(frames[10:])), 32),
}


@pytest.mark.parametrize("change", CHANGES)
def test_copy_under_another_subject(tmp_path, people, cohort, change):
    """A copy that was re-encoded, resized, trimmed, brightened, framed or mirrored is found, and only that."""
    edit, quality = CHANGES[change]
    path = filmed(tmp_path / "copy.mp4", edit(people["S02"]), quality)
    (found,) = near_duplicates(*with_copy(cohort, path, "S99"))
    names = ("S02.mp4", "S02", "copy.mp4", "S99")
    assert (found.video, found.subject, found.other_video, found.other_subject) == names
    assert 0.8 < found.likeness <= 1


def test_same_frames_have_likeness_1(cohort):
    """Two names of one file are as alike as can be."""
    videos, cache = cohort
    twin = videos[:1].with_columns(subject=pl.lit("A"), video=pl.lit("a.mp4"))
    (found,) = near_duplicates(pl.concat([videos, twin]), cache)
    assert (found.video, found.other_video) == ("S01.mp4", "a.mp4")
    assert found.likeness == pytest.approx(1, abs=1e-3)


def test_copies_of_one_subject_are_no_leak(tmp_path, people, cohort):
    """A copy under the same subject stays in its fold, and is not reported."""
    assert near_duplicates(*with_copy(cohort, filmed(tmp_path / "copy.mp4", people["S02"], 30), "S02")) == ()


def test_three_copies_give_sorted_pairs(cohort):
    """Pairs come sorted, each once, with the names in order."""
    videos, cache = cohort
    copies = [videos[:1].with_columns(subject=pl.lit(name), video=pl.lit(f"{name}.mp4")) for name in ("Z", "B")]
    found = near_duplicates(pl.concat([*copies, videos]), cache)
    assert [(pair.video, pair.other_video) for pair in found] == [
        ("B.mp4", "S01.mp4"),
        ("B.mp4", "Z.mp4"),
        ("S01.mp4", "Z.mp4"),
    ]
    assert all(isinstance(pair, NearDuplicate) for pair in found)


def still(seed: int, frames: int = 40) -> np.ndarray:
    """Returns a picture of coloured blocks that does not move, [T, 112, 112, 3]."""
    blocks = np.random.default_rng(seed).integers(40, 220, size=(7, 7, 3), dtype=np.uint8)
    return np.repeat(blocks.repeat(16, axis=0).repeat(16, axis=1)[None], frames, axis=0)


def test_still_videos(tmp_path):
    """Videos in which nothing moves are the same recording where their picture is the same."""
    shots = {"a": (still(1), 23), "b": (still(1, frames=25) // 2 + 60, 36), "c": (still(2), 23)}
    paths = {name: (name, filmed(tmp_path / f"{name}.mp4", *shot)) for name, shot in shots.items()}
    (found,) = near_duplicates(ingested(paths, tmp_path / "cache"), tmp_path / "cache")
    assert (found.video, found.other_video) == ("a", "b")
    assert found.likeness > 0.98


def test_nothing_to_see(tmp_path):
    """Black videos, grey ones and ones that only grow brighter are no evidence."""
    fade = np.broadcast_to(np.arange(40, 160, 2, dtype=np.uint8)[:, None, None, None], (60, 112, 112, 3))
    shots = {"black": fade * 0, "black too": fade[:50] * 0, "grey": fade * 0 + 90, "fade": fade, "fade too": fade[5:]}
    paths = {name: (name, filmed(tmp_path / f"{name}.mp4", shot)) for name, shot in shots.items()}
    assert near_duplicates(ingested(paths, tmp_path / "cache"), tmp_path / "cache") == ()


def test_too_short_to_tell(tmp_path, people):
    """1 s of a walk is not evidence, since steps are alike; 2.5 s are."""
    for frames, count in ((30, 0), (75, 1)):
        paths = {
            f"{name}{frames}": (name, filmed(tmp_path / f"{name}{frames}.mp4", people["S03"][:frames], quality))
            for name, quality in (("A", 23), ("B", 30))
        }
        assert len(near_duplicates(ingested(paths, tmp_path / "cache"), tmp_path / "cache")) == count


@pytest.mark.parametrize("frames", [1, 2, 20])
def test_few_frames(tmp_path, people, frames):
    """A video of a few frames is compared without complaint."""
    np.save(tmp_path / "a.npy", people["S01"][:frames])
    np.save(tmp_path / "b.npy", people["S04"])
    videos = pl.DataFrame({"subject": ["A", "B"], "video": ["a", "b"], "cached": ["a.npy", "b.npy"]})
    assert near_duplicates(videos, tmp_path) == ()


@pytest.mark.parametrize("count", [0, 1])
def test_no_pair(cohort, count):
    """A cohort of no video or of one has no pairs."""
    videos, cache = cohort
    assert near_duplicates(videos[:count], cache) == ()


def test_missing_cache_file(cohort, tmp_path):
    """A video that is gone from the cache says what to do."""
    with pytest.raises(StridefoldError, check=coded("cache.damaged", ".npy")):
        near_duplicates(cohort[0], tmp_path)


@pytest.mark.parametrize("part", [400, 16384])
def test_candidates_among_many(monkeypatch, part):
    """Of 1,000 random videos, the trimmed copy and the mirrored one are candidates, and no other, in parts or at once."""
    monkeypatch.setattr("trainables.data.near_duplicates.VIDEOS_AT_ONCE", part)
    rng = np.random.default_rng(0)
    words = [rng.integers(0, 2**64, size=WORDS, dtype=np.uint64) for _ in range(1000)]
    words[7], words[8] = words[500][10:], words[600] ^ MIRROR
    found = set(candidates(words, np.arange(1000)))
    assert {(7, 500, False), (8, 600, True), (600, 8, True)} <= found
    assert len(found) <= 6  # chance alone makes few of a million pairs as alike


@pytest.mark.skipif(not WALKERS.exists(), reason="the real-motion cohort is not on this machine")
def test_real_walkers(tmp_path):
    """Of 15 people drawn as one figure none is another's copy, but a poor, later copy of one is found."""
    manifest = pl.read_csv(WALKERS).sort("subject", "video")
    rows = manifest.select("video", "subject").iter_rows()
    videos = ingested({name: (who, WALKERS.parent / name) for name, who in rows}, tmp_path)
    assert near_duplicates(videos, tmp_path) == ()
    name = "videos/SubjectC7_Cycle1_45.mp4"
    frames = np.stack(list(decode(WALKERS.parent / name))[21:])
    path = filmed(tmp_path / "copy.mp4", resized(frames, 112), 38)
    (found,) = near_duplicates(*with_copy((videos, tmp_path), path, "S99"))
    assert (found.video, found.subject, found.other_video) == ("copy.mp4", "S99", name)
    assert found.other_subject == "SubjectC7"
    assert len(open_cached(tmp_path, videos["cached"][0])) == videos["frames"][0]
