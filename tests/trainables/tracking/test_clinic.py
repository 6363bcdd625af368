"""The tracker on real recordings of a clinic: wide pictures, a fixed camera, empty frames at both ends.

STRIDEFOLD_CLINIC is the path of the manifest; without it these tests are skipped. The boxes in clinic_boxes.csv were
drawn by hand around walkers who are wholly in the picture.
"""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.boxes import overlap
from trainables.cohort.new_videos import read_manifest_videos
from trainables.study.passes import spans
from trainables.tracking.track import Track, track_video

MANIFEST = os.environ.get("STRIDEFOLD_CLINIC")
pytestmark = pytest.mark.skipif(not MANIFEST, reason="STRIDEFOLD_CLINIC does not name a manifest of clinic videos")
DRAWN = pl.read_csv(Path(__file__).with_name("clinic_boxes.csv"))


@pytest.fixture(scope="module")
def tracks(tmp_path_factory) -> dict[str, Track]:
    folder = tmp_path_factory.mktemp("tracks")
    videos = read_manifest_videos(Path(MANIFEST or ""))
    rows = videos.select("video", "path", "sha256").iter_rows()
    return {video: track_video(Path(path), sha256, None, "motion", folder) for video, path, sha256 in rows}


def test_every_walker_is_found_where_people_see_the_walker(tracks):
    """In each video the walker is followed, and the boxes overlap those drawn by hand by 0.8 on average."""
    assert {(track.kind, track.problem) for track in tracks.values()} == {("followed", "")}
    found = [
        overlap(tracks[video].boxes[frame], box)
        for video, frame, *box in DRAWN.select("video", "frame", "left", "top", "right", "bottom").rows()
    ]
    assert len(found) == 30
    assert min(found) >= 0.5
    assert np.mean(found) >= 0.8


def test_drawn_frames_are_used_and_no_other_than_whole_walkers(tracks):
    """All drawn frames are in a pass; in a pass the walker is as tall as drawn, and not over the picture's sides."""
    for video, frame in DRAWN.select("video", "frame").rows():
        assert any(first <= frame < last for first, last in spans(tracks[video].frames, tracks[video].passes))
    for track in tracks.values():
        for first, last in track.passes or ():
            left, top, right, bottom = track.boxes[first:last].T
            assert (left > 0).all()
            assert (right < 640).all()
            tall = bottom - top
            assert tall.min() >= 0.75 * np.median(tall)
