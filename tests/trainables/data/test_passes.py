"""Passes: each walk through the picture is a file of the cache and windows of its own."""

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from tests.trainables.data.test_cache import cohort
from tests.videos import read_number, write_video
from trainables.data.cache import ingest, ingest_cohort, open_cached
from trainables.data.dataset import WindowDataset
from trainables.settings import OptimizerConfig, VideoConfig
from trainables.study.files import file_sha256
from trainables.study.passes import pass_name, spans, spans_of
from trainables.tracking.track import Track, track_path
from trainables.training.draws import Draws, windows_of
from trainables.training.job import load

WINDOW = VideoConfig(frames=8, window=40, stride=20, min_tail=20)


def followed(path: Path, folder: Path, passes, *, frames: int, square: int = 48) -> Track:
    """Puts a track of a video where the tracker would, as one whose walker comes by in `passes`; the square moves."""
    corner = np.stack([np.arange(frames) % 16, np.zeros(frames, dtype=np.int64)], axis=1)
    track = Track(
        kind="followed",
        frames=frames,
        states=tuple("walking" if any(a <= i < b for a, b in passes) else "absent" for i in range(frames)),
        passes=passes,
        crops=np.concatenate([corner, corner + square], axis=1),
        boxes=np.tile(np.array([0.0, 0, 20, 48]), (frames, 1)),
    )
    track.save(track_path(file_sha256(path), None, "motion", folder))
    return track


@pytest.fixture(scope="module")
def walks(tmp_path_factory) -> tuple[pl.DataFrame, Path]:
    """A video with two passes, one with one, and one that was not followed."""
    folder = tmp_path_factory.mktemp("passes")
    paths = [write_video(folder / f"{i}.mp4", seed=i, frames=frames) for i, frames in enumerate((140, 100, 60))]
    followed(paths[0], folder, ((10, 60), (70, 130)), frames=140)
    followed(paths[1], folder, ((25, 85),), frames=100)
    tracked = ingest_cohort(cohort(paths[:2]), size=48, folder=folder, tracker="motion").videos
    whole = ingest_cohort(cohort(paths), size=48, folder=folder).videos[2:]
    return pl.concat([tracked, whole]), folder


def test_the_cache_holds_the_passes_and_nothing_else(walks):
    """Each pass is a file with its own frames, cut out where the walker is."""
    videos, folder = walks
    name = videos["cached"][0]
    first, second = (open_cached(folder, pass_name(name, number)) for number in (0, 1))
    assert (len(first), len(second)) == (50, 60)
    assert videos["passes"].to_list() == [[[10, 60], [70, 130]], [[25, 85]], None]
    assert videos["frames"].to_list() == [140, 100, 60]
    assert videos["followed"].to_list() == ["followed", "followed", "not followed"]


def test_a_square_is_what_the_track_says(tmp_path):
    """Frame by frame, a pass shows the pixels of the track's square."""
    path = write_video(tmp_path / "a.mp4", frames=60)
    track = followed(path, tmp_path, ((20, 50),), frames=60)
    tracked = ingest(path, sha256=file_sha256(path), box=None, size=48, folder=tmp_path, tracker="motion")
    shown = open_cached(tmp_path, tracked.name)
    assert len(shown) == 30
    for at in (0, 7, 29):
        box = tuple(track.crops[20 + at].tolist())
        fixed = ingest(path, sha256=file_sha256(path), box=box, size=48, folder=tmp_path)
        np.testing.assert_array_equal(shown[at], open_cached(tmp_path, fixed.name)[20 + at])


def test_windows_of_a_video_with_two_passes(walks):
    """No window lies in two passes or outside them, and each says where in the video it begins."""
    videos, folder = walks
    data = WindowDataset(videos, folder, WINDOW, training=False)
    assert data.windows.select("row", "video", "window").rows() == [
        (0, "0.mp4", 10),
        (1, "0.mp4", 70), (1, "0.mp4", 90),
        (2, "1.mp4", 25), (2, "1.mp4", 45),
        (3, "2.mp4", 0), (3, "2.mp4", 20),
    ]  # fmt: skip
    assert list(data.video_rows) == [0, 0, 1, 2]
    assert list(data.frames) == [50, 60, 60, 60]
    item = data[2]
    assert (item["video"], item["window"]) == (0, 90)
    inside = open_cached(folder, pass_name(videos["cached"][0], 1))[20:60]
    taken = inside[(2 * np.arange(8) + 1) * 40 // 16]
    torch.testing.assert_close(item["frames"], torch.from_numpy(np.moveaxis(taken, 3, 1).copy()))


def test_draws_and_batches_keep_to_their_pass(walks):
    """Jittered windows stay inside a pass; a batch knows the video whose numbers belong to a pass."""
    videos, folder = walks
    data = WindowDataset(videos, folder, WINDOW, training=True)
    drawn = Draws(data, OptimizerConfig(jitter=True, steps=200, batch_size=4)).epoch(np.random.default_rng(0))
    windows = [window for step in drawn for window in step]
    assert {window.row for window in windows} == {0, 1, 2, 3}
    for window in windows:
        assert 0 <= window.start <= max(data.frames[window.row] - WINDOW.window, 0)
    batch = load(data, windows_of(data))
    assert batch.passes.tolist() == data.windows["row"].to_list()
    assert batch.videos.tolist() == [data.video_rows[row] for row in batch.passes]


def test_a_missing_pass_is_made_again(walks, tmp_path):
    """A video counts as ingested only if the files of all its passes are there."""
    path = write_video(tmp_path / "a.mp4", frames=100)
    followed(path, tmp_path, ((0, 40), (50, 90)), frames=100)
    made = ingest_cohort(cohort([path]), size=32, folder=tmp_path, tracker="motion")
    second = tmp_path / pass_name(made.videos["cached"][0], 1)
    before = second.read_bytes()
    second.unlink()
    again = ingest_cohort(cohort([path]), size=32, folder=tmp_path, tracker="motion")
    assert again.videos.equals(made.videos)
    assert second.read_bytes() == before


def test_the_crop_is_part_of_the_name(tmp_path):
    """Another course gives another file; a track that keeps the whole picture gives the file of a video without one."""
    path = write_video(tmp_path / "a.mp4", frames=60)
    whole = ingest(path, sha256=file_sha256(path), box=None, size=32, folder=tmp_path)
    track = followed(path, tmp_path, ((0, 60),), frames=60)
    place = track_path(file_sha256(path), None, "motion", tmp_path)
    names = {whole.name}
    for change in ({}, {"passes": ((0, 50),)}, {"crops": track.crops + 1}):
        dataclasses.replace(track, **change).save(place)
        names.add(ingest(path, sha256=file_sha256(path), box=None, size=32, folder=tmp_path, tracker="motion").name)
    assert len(names) == 4
    dataclasses.replace(track, kind="whole picture", passes=None, crops=None, note="so").save(place)
    kept = ingest(path, sha256=file_sha256(path), box=None, size=32, folder=tmp_path, tracker="motion")
    assert (kept.name, kept.note) == (whole.name, "so")
    assert read_number(open_cached(tmp_path, kept.name)[5][4:28]) == 5


def test_spans_without_passes_are_whole_videos(walks):
    """A cohort from before walkers were followed has no column of passes, and is used whole."""
    videos, _ = walks
    assert spans(50, None) == [(0, 50)]
    assert spans_of(videos.drop("passes")) == [[(0, 140)], [(0, 100)], [(0, 60)]]
