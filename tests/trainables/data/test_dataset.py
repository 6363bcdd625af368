"""Windows of cached videos as a torch dataset."""

from pathlib import Path

import polars as pl
import pytest
import torch

from tests.errors import coded
from tests.trainables.data.test_cache import cohort
from tests.videos import read_number, write_video
from trainables.data.cache import ingest_cohort
from trainables.data.dataset import WindowDataset
from trainables.data.windows import frame_indices
from trainables.errors import StridefoldError
from trainables.settings import VideoConfig


@pytest.fixture(scope="module")
def walkers(tmp_path_factory) -> tuple[pl.DataFrame, Path]:
    folder = tmp_path_factory.mktemp("dataset")
    paths = [write_video(folder / f"{i}.mp4", seed=i, frames=frames) for i, frames in enumerate((100, 40, 15, 165))]
    given = cohort(paths[:2] + paths[3:])
    return ingest_cohort(given, size=64, folder=folder, workers=1).videos, folder


def test_dataset_items(walkers):
    """An item is the window's frames, channels first, with its label, its video's row and its first frame."""
    videos, cache = walkers
    config = VideoConfig(frames=8, tail="pad")
    dataset = WindowDataset(videos, cache, config, training=True)
    assert dataset.windows["row"].to_list() == [0, 0, 1, 2, 2, 2, 2, 2]
    assert dataset.windows["window"].to_list() == [0, 25, 0, 0, 25, 50, 75, 100]
    assert [dataset[i]["window"] for i in range(8)] == [0, 25, 0, 0, 25, 50, 75, 100]
    item = dataset[1]
    assert (item["frames"].shape, str(item["frames"].dtype)) == ((8, 3, 64, 64), "torch.uint8")
    assert item["frames"].is_contiguous()
    assert (item["label"], item["video"]) == (0, 0)
    shown = [read_number(frame[8:56]) for frame in item["frames"].permute(0, 2, 3, 1).numpy()]
    assert shown == frame_indices(25, 100, config).tolist()


def test_dataset_pads_with_the_last_frame(walkers):
    """A window past the video's end repeats its last frame."""
    videos, cache = walkers
    item = WindowDataset(videos, cache, VideoConfig(frames=70, tail="pad"), training=False)[1]
    assert (item["video"], item["window"]) == (0, 70)
    shown = [read_number(frame[8:56]) for frame in item["frames"].permute(0, 2, 3, 1).numpy()]
    assert shown == [*range(70, 100), *[99] * 40]


def test_dataset_table(walkers):
    """The windows' table says for each item whose it is."""
    videos, cache = walkers
    windows = WindowDataset(videos, cache, VideoConfig(tail="pad"), training=False).windows
    assert windows.rows() == [
        (0, "P0", "0.mp4", 0, 0),
        (0, "P0", "0.mp4", 70, 0),
        (1, "P1", "1.mp4", 0, 1),
        (2, "P2", "3.mp4", 0, 0),
        (2, "P2", "3.mp4", 70, 0),
        (2, "P2", "3.mp4", 140, 0),
    ]


def test_dataset_needs_ingested_videos(tmp_path):
    """Videos that were not decoded yet are named as such."""
    videos = cohort([write_video(tmp_path / "a.mp4")]).videos
    with pytest.raises(StridefoldError, check=coded("cache.not_filled")):
        WindowDataset(videos, tmp_path, VideoConfig(), training=True)


def test_dataset_in_worker_processes(walkers):
    """A loader with worker processes gives the same windows, once each."""
    videos, cache = walkers
    dataset = WindowDataset(videos, cache, VideoConfig(frames=8), training=True)
    loader = torch.utils.data.DataLoader(dataset, batch_size=3, num_workers=1, multiprocessing_context="fork")
    batches = list(loader)
    assert [len(batch["label"]) for batch in batches] == [3, 3, 2]
    torch.testing.assert_close(batches[0]["frames"][1], dataset[1]["frames"])
    assert torch.cat([batch["window"] for batch in batches]).tolist() == dataset.windows["window"].to_list()
