"""Each frame once, in order, whatever the container says of its times; as ffmpeg shows them."""

from pathlib import Path

import numpy as np
import pytest

from tests.errors import coded
from tests.ffmpeg import same_frames
from tests.field_coded import write_fields
from tests.recordings import copied, edited, joined, packed_avi, retimed, without_timing
from tests.videos import read_number, write_video
from trainables.recordings.decode import VideoError, decode, probe

B_FRAMES = {"g": "12", "bf": "3"}


def read(path: Path) -> list[np.ndarray]:
    """Returns all frames, after a look at whether the file announces as many."""
    frames = list(decode(path))
    assert probe(path).frames_at_30 == len(frames)
    return frames


def numbers(frames: list[np.ndarray]) -> list[int]:
    return [read_number(frame) for frame in frames]


@pytest.fixture(scope="module")
def h264(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("order") / "b.mp4", options=B_FRAMES)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.avi", "libx264", B_FRAMES),
        ("a.avi", "mpeg4", {"bf": "2"}),
        ("a.avi", "mjpeg", {}),
        ("a.mpg", "mpeg1video", {"bf": "2"}),
        ("a.mpg", "mpeg2video", {"bf": "2"}),
        ("a.vob", "libx264", B_FRAMES),
        ("a.ts", "libx264", B_FRAMES | {"x264-params": "open-gop=1"}),
        ("a.m2ts", "libx265", {"x265-params": "log-level=error"}),
        ("a.h264", "libx264", B_FRAMES),
        ("a.mxf", "mpeg2video", {"bf": "2"}),
        ("a.flv", "libx264", B_FRAMES),
        ("a.mkv", "libx264", B_FRAMES),
    ],
)
def test_b_frames(tmp_path, name, codec, options):
    """AVI numbers frames in the order of decoding, program streams guess half of their times: no frame is lost or shown twice."""
    path = write_video(tmp_path / name, codec=codec, options=options)
    frames = read(path)
    assert numbers(frames) == list(range(60))
    assert same_frames(frames, path)


def test_h264_copied_into_avi(tmp_path):
    """The same for a recording that was put into AVI without encoding it again."""
    path = copied(write_video(tmp_path / "a.ts", options=B_FRAMES), tmp_path / "a.avi")
    assert numbers(read(path)) == list(range(60))
    assert same_frames(read(path), path)


def test_packed_b_frames(tmp_path):
    """DivX's packets of two frames give both, and its empty ones none."""
    path = packed_avi(tmp_path / "a.avi")
    assert numbers(read(path)) == list(range(60))
    assert same_frames(read(path), path)


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> list[Path]:
    """One recording of 60 frames in two parts, as a camera divides it."""
    folder = tmp_path_factory.mktemp("parts")
    return [write_video(folder / f"{i}.mp4", seed=i, options=B_FRAMES) for i in range(2)]


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [("a.ts", 0, 0), ("a.m2ts", 0, 0), ("a.ts", 7200, 0), ("a.ts", 3, 0.5), ("a.ts", 95442, 0)],
)
def test_joined_transport_streams(tmp_path, parts, name, first, second):
    """The clock of the second part starts again, also after hours or a full turn, and both parts are read."""
    pieces = [
        copied(part, tmp_path / f"{i}{name}", seconds=seconds)
        for i, (part, seconds) in enumerate(zip(parts, (first, second), strict=True))
    ]
    path = joined(tmp_path / name, *pieces)
    frames = read(path)
    assert numbers(frames) == [*range(60), *range(60)]
    assert same_frames(frames, path)


def test_three_joined_program_streams(tmp_path):
    """The same for MPEG program streams."""
    pieces = [write_video(tmp_path / f"{i}.mpg", codec="mpeg2video", seed=i, options={"bf": "2"}) for i in range(3)]
    path = joined(tmp_path / "a.mpg", *pieces)
    assert numbers(read(path)) == [*range(60)] * 3
    assert same_frames(read(path), path)


def test_joined_with_a_gap(tmp_path, parts):
    """A clock that jumps ahead may be a recording that lacks its middle: it is refused, unless the manifest has the rate."""
    pieces = [copied(part, tmp_path / f"{i}.ts", seconds=100 * i) for i, part in enumerate(parts)]
    path = joined(tmp_path / "a.ts", *pieces)
    with pytest.raises(VideoError, check=coded("video.gap", "after frame 59")):
        read(path)
    assert numbers(list(decode(path, fps=30))) == [*range(60), *range(60)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.flv", "a.wmv", "a.mxf", "a.nut"])
def test_joined_where_only_the_first_is_read(tmp_path, name):
    """Other containers put together are refused: players show the first, and some times are those of both."""
    codec = {"a.webm": "libvpx", "a.flv": "flv", "a.wmv": "wmv2", "a.mxf": "mpeg2video"}.get(name, "libx264")
    piece = write_video(tmp_path / name, codec=codec)
    path = joined(tmp_path / f"two{name}", piece, piece)
    with pytest.raises(VideoError, check=coded("video.several_recordings", "2")):
        read(path)


@pytest.mark.parametrize(
    ("edits", "shown"),
    [
        ([(1.0, 0.5)], range(15, 45)),
        ([(0.4, 1.1)], range(33, 45)),
        ([(0.5, None), (1.5, 0.3)], range(9, 54)),
        ([(0.5, 0.4), (0.5, 1.3)], [*range(12, 27), *range(39, 54)]),
        ([(0.5, 1.5), (0.5, 0.0)], [*range(45, 60), *range(15)]),
        ([(0.5, 0.5), (0.5, 0.5)], [*range(15, 30), *range(15, 30)]),
    ],
)
def test_edit_lists(tmp_path, h264, edits, shown):
    """A telephone's cuts are obeyed: a start and end in mid-group, a late start, parts left out, exchanged, and repeated."""
    path = edited(h264, tmp_path / "a.mp4", edits)
    frames = read(path)
    assert numbers(frames) == list(shown)
    assert same_frames(frames, path)


@pytest.mark.parametrize(
    ("name", "seconds"), [("a.mkv", -0.5), ("a.mkv", 1.5), ("a.nut", 1.5), ("a.mov", -0.5), ("a.mov", 1.5)]
)
def test_start_before_or_after_zero(tmp_path, h264, name, seconds):
    """Times may begin anywhere; what a QuickTime file has before second 0 is not shown."""
    path = copied(h264, tmp_path / name, seconds=seconds, options={"avoid_negative_ts": "disabled"})
    assert numbers(read(path)) == list(range(15 if (name, seconds) == ("a.mov", -0.5) else 0, 60))
    assert same_frames(read(path), path)


def test_variable_rate_with_b_frames(tmp_path):
    """Frames of uneven length keep it through reordering."""
    times = np.cumsum([0.02 + 0.05 * (i % 4 == 0) for i in range(60)])
    for name in ("a.mp4", "a.mkv"):
        path = write_video(tmp_path / name, times=times.tolist(), options=B_FRAMES)
        moments = np.arange(probe(path).frames_at_30) / 30
        nearest = np.abs((times - times[0])[None, :] - moments[:, None]).argmin(axis=1)
        assert numbers(read(path)) == nearest.tolist()


@pytest.mark.parametrize(("name", "times"), [("a.ts", 1), ("a.ts", 2), ("a.h264", 1), ("a.mp4", 1)])
def test_fields_in_packets_of_their_own(tmp_path, name, times):
    """A camcorder's interlaced recording has two packets for a frame, of which the second may have no time: it does not last twice as long."""
    path = write_fields(tmp_path / name, times_per_frame=times)
    frames = read(path)
    assert len(frames) == 60  # 2 seconds
    assert list(dict.fromkeys(numbers(frames))) == list(range(50))
    shown = [frame for i, frame in enumerate(frames) if i == 0 or read_number(frame) != read_number(frames[i - 1])]
    assert same_frames(shown, path)


def test_stream_without_a_rate(tmp_path, h264):
    """A raw stream that states no rate is not taken to have 25 frames/s, as FFmpeg would."""
    path = without_timing(write_video(tmp_path / "a.h264", options={"profile": "baseline"}))
    with pytest.raises(VideoError, check=coded("video.no_frame_rate", "fps")):
        read(path)
    assert numbers(list(decode(path, fps=30))) == list(range(60))


@pytest.mark.parametrize(("block", "readable"), [(4, True), (40, False)])
def test_times_in_another_order(tmp_path, block, readable):
    """Times that go back within what a decoder may reorder are sorted; those that go back further are refused."""
    numbered = np.arange(80)
    times = numbered // block * block + block - 1 - numbered % block
    path = retimed(write_video(tmp_path / "a.avi", codec="mjpeg", frames=80), tmp_path / "a.mkv", times.tolist())
    if readable:
        assert numbers(read(path)) == list(range(80))
    else:
        with pytest.raises(VideoError, check=coded("video.times", "frame 2")):
            read(path)
        assert numbers(list(decode(path, fps=30))) == list(range(80))
