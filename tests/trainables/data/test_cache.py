"""The frame cache: what it holds, when it is remade, and what happens when two processes or a full disk meet it."""

import multiprocessing
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.errors import coded
from tests.videos import read_number, write_video
from trainables.data.cache import cache_name, ingest, ingest_cohort, open_cached, square
from trainables.errors import CohortError, StridefoldError
from trainables.recordings.decode import VideoError, decode
from trainables.study.files import file_sha256
from trainables.study.records import Cohort


def ingested(path: Path, folder: Path, **options):
    settings = {"sha256": file_sha256(path), "box": None, "size": 32, "folder": folder} | options
    return ingest(path, **settings)


def cohort(paths: list[Path]) -> Cohort:
    """Returns a cohort of one subject per video, two classes, before ingest."""
    videos = pl.DataFrame(
        {
            "subject": [f"P{i}" for i in range(len(paths))],
            "video": [path.name for path in paths],
            "path": [str(path) for path in paths],
            "sha256": [file_sha256(path) if path.exists() else str(path) for path in paths],
            "label": [i % 2 for i in range(len(paths))],
            "frames": pl.Series([None] * len(paths), dtype=pl.Int64),
            "cached": pl.Series([None] * len(paths), dtype=pl.String),
        }
    )
    return Cohort(
        name="cohort.csv", simulated=False, label="diagnosis", classes=("a", "b"), parameters=(), videos=videos
    )


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("cache") / "walk.mp4", frames=40)


def test_frames_of_a_video(tmp_path, video):
    """The cache holds every frame as a square, in order."""
    made = ingested(video, tmp_path, size=64)
    frames = open_cached(tmp_path, made.name)
    assert made.frames == 40
    assert (frames.shape, frames.dtype) == ((40, 64, 64, 3), np.uint8)
    assert [read_number(frame[8:56]) for frame in frames] == list(range(40))  # 64 x 48 stands between black bars of 8
    assert not frames[:, :8].any()
    assert not frames[:, 56:].any()


def test_second_time_decodes_nothing(tmp_path, video):
    """A video in the cache is not decoded again, even where the file is gone."""
    first = ingested(video, tmp_path)
    stamp = (tmp_path / first.name).stat().st_mtime_ns
    assert ingest(Path("gone.mp4"), sha256=file_sha256(video), box=None, size=32, folder=tmp_path) == first
    assert (tmp_path / first.name).stat().st_mtime_ns == stamp


@pytest.mark.parametrize("damage", ["cut", "longer", "other shape", "no array", "empty"])
def test_damaged_file_is_remade(tmp_path, video, damage):
    """A cache file that is not whole is decoded again."""
    name = ingested(video, tmp_path).name
    good = (tmp_path / name).read_bytes()
    if damage == "other shape":
        np.save(tmp_path / name, np.zeros((40, 16, 16, 3), np.uint8))
    else:
        bad = {"cut": good[:-1], "longer": good + b"x", "no array": b"hello" * 99, "empty": b""}[damage]
        (tmp_path / name).write_bytes(bad)
    assert ingested(video, tmp_path).frames == 40
    assert (tmp_path / name).read_bytes() == good


def test_whatever_changes_the_pixels_changes_the_name():
    """Contents, box, size and stated rate each give a file of their own."""
    reference = {"sha256": "a", "box": None, "size": 32, "fps": None}
    changes = [{}, {"sha256": "b"}, {"box": (0, 0, 8, 8)}, {"size": 48}, {"fps": 60.0}]
    assert len({cache_name(**(reference | change)) for change in changes}) == len(changes)


def test_no_rest_of_a_failed_video(tmp_path, video):
    """A video that breaks in the middle leaves nothing in the cache."""
    broken = write_video(tmp_path / "a.ts", frames=60, options={"g": "12"})
    content = broken.read_bytes()
    broken.write_bytes(content[: len(content) // 2] + b"\0" * 188 * 40)
    try:
        list(decode(broken))
    except VideoError:
        with pytest.raises(VideoError):
            ingested(broken, tmp_path / "cache")
    (tmp_path / "b.mp4").write_bytes(b"nothing")
    with pytest.raises(VideoError, check=coded("video.unreadable")):
        ingested(tmp_path / "b.mp4", tmp_path / "cache")
    assert [file for file in (tmp_path / "cache").iterdir() if file.suffix != ".npy"] == []


def test_disagreeing_reader_is_started_over(tmp_path):
    """A video that decord reads wrongly is in the cache as PyAV reads it, with nothing of decord's left."""
    path = write_video(tmp_path / "a.ts", options={"g": "12"})
    made = ingested(path, tmp_path, size=64, reader="decord")
    numbers = [read_number(frame[8:56]) for frame in open_cached(tmp_path, made.name)]
    assert numbers == list(range(60))


def test_two_processes_ingest_the_same_video(tmp_path, video):
    """Both succeed, with one whole file."""
    context = multiprocessing.get_context("spawn")
    job = {"path": video, "sha256": file_sha256(video), "box": None, "size": 32, "folder": tmp_path}
    both = [context.Process(target=ingest, kwargs=job) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert [file.name for file in tmp_path.iterdir()] == [ingested(video, tmp_path).name]


def test_folder_that_cannot_be_written(tmp_path, video):
    """A file where the cache should be is one sentence, not a traceback."""
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(StridefoldError, check=coded("cache.not_writable", "cache")):
        ingested(video, tmp_path / "cache")


def test_open_missing_and_damaged(tmp_path):
    """A cache file that went away, or was damaged, says what to do."""
    with pytest.raises(StridefoldError, check=coded("cache.damaged", "a.npy is missing")):
        open_cached(tmp_path, "a.npy")
    (tmp_path / "a.npy").write_bytes(b"hello")
    with pytest.raises(StridefoldError, check=coded("cache.damaged", "a.npy is damaged")):
        open_cached(tmp_path, "a.npy")


def gradient(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // (width - 1), y * 255 // (height - 1), np.full_like(x, 99)], axis=2).astype(np.uint8)


def test_whole_frame_is_padded_to_a_square():
    """A wide frame stands between black bars, resized as CLIP's preprocessing does."""
    frame = gradient(60, 120)
    made = square(frame, None, 40)
    expected = np.asarray(Image.fromarray(frame).resize((40, 20), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(made[10:30], expected)
    assert not made[:10].any()
    assert not made[30:].any()


@pytest.mark.parametrize("size", [(512, 512), (480, 640), (480, 270)])
def test_squares_are_as_the_preprocessing_of_clip_makes_them(size):
    """Noise, of all pictures the worst, is within 2 of 255 of what Pillow's bicubic resizing makes of it."""
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    high, wide = (round(side * 224 / max(size)) for side in size)
    made = square(frame, None, 224)[(224 - high) // 2 :, (224 - wide) // 2 :][:high, :wide]
    expected = np.asarray(Image.fromarray(frame).resize((wide, high), Image.Resampling.BICUBIC))
    assert np.abs(made.astype(int) - expected).max() <= 2


def test_box_becomes_its_surrounding_square():
    """The side is the box's longer one, around the box's centre."""
    frame = gradient(100, 200)
    np.testing.assert_array_equal(square(frame, (90, 20, 110, 80), 60), frame[20:80, 70:130])


def test_box_at_the_edge_is_padded():
    """What a square shows outside the frame is black."""
    frame = gradient(100, 200) // 2 + 20
    made = square(frame, (0, 10, 20, 90), 80)
    np.testing.assert_array_equal(made[:, 30:], frame[10:90, 0:50])
    assert not made[:, :30].any()


def test_one_pixel_frame():
    """A frame far longer than high keeps a row."""
    assert square(np.full((1, 500, 3), 200, np.uint8), None, 32).shape == (32, 32, 3)


@pytest.mark.parametrize("workers", [1, 2])
def test_cohort(tmp_path, workers):
    """A cohort comes back with file and frames of each video, in its own order, whoever decoded it first."""
    paths = [write_video(tmp_path / f"{i}.mp4", seed=i, frames=30 + i) for i in range(3)]
    seen: list[tuple[int, int]] = []
    done = ingest_cohort(
        cohort(paths), size=32, folder=tmp_path / "cache", workers=workers, on_video=lambda *n: seen.append(n)
    )
    assert done.videos["frames"].to_list() == [30, 31, 32]
    assert [len(open_cached(tmp_path / "cache", name)) for name in done.videos["cached"]] == [30, 31, 32]
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("workers", [1, 2])
def test_cohort_lists_all_broken_videos(tmp_path, workers):
    """Every video that cannot be decoded is named at once."""
    paths = [write_video(tmp_path / "good.mp4"), tmp_path / "text.mp4", tmp_path / "gone.mp4"]
    paths[1].write_text("no video")
    paths.append(write_video(tmp_path / "short.mp4", frames=8))
    with pytest.raises(CohortError) as caught:
        ingest_cohort(cohort(paths), size=32, folder=tmp_path / "cache", workers=workers)
    assert caught.value.problems == (
        "text.mp4 cannot be read as a video; export it again, as MP4 with H.264",
        "gone.mp4 cannot be opened (no such file or directory)",
        "short.mp4 has 8 frames at 30 frames/s, which is too few",
    )


def test_cohort_uses_boxes_and_rates(tmp_path):
    """The manifest's boxes and rates decide what is cached."""
    given = cohort([write_video(tmp_path / "a.mp4"), write_video(tmp_path / "b.mp4", seed=1)])
    sides = zip(("left", "top", "right", "bottom"), (8, 8, 40, 40), strict=True)
    boxes = [pl.Series(f"box_{side}", [None, value], dtype=pl.Int64) for side, value in sides]
    videos = given.videos.with_columns(*boxes, fps=pl.Series([15.0, None]))
    whole = Cohort(name="c", simulated=False, label="l", classes=("a", "b"), parameters=(), videos=videos)
    done = ingest_cohort(whole, size=32, folder=tmp_path / "cache", workers=1)
    assert done.videos["frames"].to_list() == [120, 60]
    first = next(decode(tmp_path / "b.mp4"))
    np.testing.assert_array_equal(open_cached(tmp_path / "cache", done.videos["cached"][1])[0], first[8:40, 8:40])
