"""Recordings that are stored turned or mirrored come out as a player shows them."""

from pathlib import Path

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from tests.errors import coded
from tests.ffmpeg import same_frames
from tests.recordings import turned
from tests.videos import write_video
from trainables.recordings.decode import ReaderDisagrees, VideoError, decode, probe

SHOWN = {
    "as stored": ((1, 0, 0, 1), lambda image: image),
    "mirrored, as by a front camera": ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
    "upside down and mirrored": ((1, 0, 0, -1), lambda image: image[::-1]),
    "half a turn": ((-1, 0, 0, -1), lambda image: image[::-1, ::-1]),
    "a quarter turn right": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "a quarter turn left": ((0, -1, 1, 0), lambda image: np.rot90(image)),
    "mirrored, a quarter turn right": ((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
    "mirrored, a quarter turn left": ((0, -1, -1, 0), lambda image: np.rot90(image, 2).swapaxes(0, 1)),
}
"""The display matrix a, b, c, d, and what it does to the stored picture."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("orientation") / "stored.mp4", frames=12, seed=3)


@pytest.mark.parametrize("name", SHOWN)
def test_all_eight_orientations(tmp_path, stored, name):
    """Every combination of a turn and a mirror is obeyed, as ffmpeg obeys it; decord's pictures are taken only where they are right."""
    matrix, shown = SHOWN[name]
    path = turned(stored, tmp_path / "a.mp4", matrix)
    frames = list(decode(path))
    for frame, upright in zip(frames, decode(stored), strict=True):
        np.testing.assert_array_equal(frame, shown(upright))
    assert (probe(path).height, probe(path).width) == frames[0].shape[:2]
    try:
        np.testing.assert_array_equal(list(decode(path, reader="decord")), frames)
    except ReaderDisagrees:
        assert name not in ("as stored", "half a turn")
    assert same_frames(frames, path)


@pytest.mark.parametrize(
    ("stated", "shown"),
    [
        ("rotate=180", "half a turn"),
        ("rotate=90", "a quarter turn left"),
        ("flip=horizontal", "mirrored, as by a front camera"),
    ],
)
def test_orientation_stated_by_the_stream(tmp_path, stored, stated, shown):
    """What a stream of H.264 says of its orientation with its first frame holds for all that follow."""
    path = tmp_path / "a.mkv"
    with av.open(str(stored)) as given, av.open(str(path), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        insert = BitStreamFilterContext(f"h264_metadata=display_orientation=insert:{stated}", given.streams.video[0])
        for packet in given.demux(video=0):
            for changed in insert.filter(packet if packet.size else None):
                changed.stream = stream
                made.mux(changed)
    for frame, upright in zip(decode(path), decode(stored), strict=True):
        np.testing.assert_array_equal(frame, SHOWN[shown][1](upright))


def test_turned_by_half_a_quarter(tmp_path, stored):
    """What cannot be turned upright without cutting corners is refused."""
    content = bytearray(turned(stored, tmp_path / "a.mp4", (1, 1, -1, 1)).read_bytes())
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(VideoError, check=coded("video.rotation")):
        list(decode(tmp_path / "a.mp4"))
