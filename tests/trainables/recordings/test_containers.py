"""Which stream of a file is the film, which files are read at all, and what colours and sizes come out."""

from pathlib import Path

import av
import numpy as np
import pytest

from tests.errors import coded
from tests.ffmpeg import same_frames
from tests.recordings import grown, with_cover, with_sound
from tests.videos import read_number, write_video
from trainables.cohort.video_files import VideoFile, inspect
from trainables.data.cache import ingest, open_cached
from trainables.recordings.decode import VideoError, decode, probe


def numbers(path: Path) -> list[int]:
    return [read_number(frame) for frame in decode(path)]


@pytest.mark.parametrize("first", [True, False])
def test_cover_art(tmp_path, first):
    """A cover, also as the first stream and larger than the film, is not the film."""
    source = write_video(tmp_path / "walk.mp4")
    path = with_cover(source, tmp_path / "tagged.mp4", first=first)
    with av.open(str(path)) as container:
        assert [stream.codec_context.name for stream in container.streams.video] == (
            ["mjpeg", "h264"] if first else ["h264", "mjpeg"]
        )
    assert numbers(path) == list(range(60))
    [found] = inspect(tmp_path, ["tagged.mp4"], [None])
    assert isinstance(found, VideoFile)
    assert (found.info.frames, found.info.width, found.info.height) == (60, 64, 48)
    assert same_frames(list(decode(path)), path)


def test_cover_without_a_film(tmp_path):
    """Music with a cover is said to hold no film."""
    source = write_video(tmp_path / "walk.mp4")
    path = with_cover(source, tmp_path / "song.mp4", first=True)
    path.write_bytes(path.read_bytes().replace(b"vide", b"soun"))
    with pytest.raises(VideoError, check=coded("video.no_picture", "cover picture")):
        probe(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.webm"])
def test_sound_first(tmp_path, name):
    """The film may be any stream."""
    path = with_sound(tmp_path / name, codec="libvpx" if name == "a.webm" else "libx264")
    assert numbers(path) == list(range(60))
    assert same_frames(list(decode(path)), path)


@pytest.mark.parametrize("films", [((64, 48), (128, 96)), ((128, 96), (64, 48))])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_several_films(tmp_path, name, films):
    """Of several films the one that ffmpeg would show: the default, or else the largest."""
    path = with_sound(tmp_path / name, films=films)
    frames = list(decode(path))
    assert [read_number(frame) for frame in frames] == list(range(60))
    assert same_frames(frames, path)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.gif", "gif"), ("a.ivf", "libvpx-vp9"), ("a.nut", "libx264"), ("a.nut", "ffv1"), ("a.y4m", "wrapped_avframe"),
     ("a.apng", "apng"), ("a.ogg", "libvpx")],
)  # fmt: skip
def test_rarer_containers(tmp_path, name, codec):
    """GIF, IVF, NUT and what else FFmpeg reads."""
    pix_fmt = {"apng": "rgb24", "wrapped_avframe": "yuv420p"}.get(codec)
    path = write_video(tmp_path / name, codec=codec, pix_fmt=pix_fmt)
    assert numbers(path) == list(range(60))
    assert same_frames(list(decode(path)), path)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "libx264", "yuvj420p"),
        ("a.mp4", "libx264", "yuv422p"),
        ("a.mp4", "libx264", "yuv444p"),
        ("a.mp4", "libx264", "yuv420p10le"),
        ("a.mp4", "libx264", "gray"),
        ("a.avi", "mjpeg", "yuvj422p"),
        ("a.avi", "huffyuv", "rgb24"),
        ("a.avi", "rawvideo", "yuyv422"),
        ("a.mov", "prores_ks", "yuv422p10le"),
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.mov", "qtrle", "argb"),
        ("a.mov", "png", "rgba"),
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.mkv", "ffv1", "gray16le"),
    ],
)
def test_colours(tmp_path, name, codec, pix_fmt):
    """Full and limited range, 4:2:2, 10 bits, greys and transparency come out as ffmpeg shows them."""
    path = write_video(tmp_path / name, codec=codec, pix_fmt=pix_fmt, seed=5, frames=20)
    assert numbers(path) == list(range(20))
    assert same_frames(list(decode(path)), path)


@pytest.mark.parametrize(
    ("space", "full"), [("bt709", False), ("bt709", True), ("bt2020nc", False), ("smpte170m", False)]
)
def test_colour_spaces(tmp_path, space, full):
    """A stated colour space and range decide the colours: the same samples, with another statement, look otherwise."""
    codes = {"bt709": 1, "bt2020nc": 9, "smpte170m": 6}
    frames = {}
    for stated in (True, False):
        path = tmp_path / f"{stated}.mp4"
        options = {"x264-params": f"colormatrix={space}:range={'pc' if full else 'tv'}"} if stated else {}
        write_video(path, seed=5, frames=5, options=options)
        frames[stated] = list(decode(path))
        assert same_frames(frames[stated], path)
    with av.open(str(tmp_path / "True.mp4")) as container:
        assert container.streams.video[0].codec_context.colorspace == codes[space]
    differ = np.abs(frames[True][0].astype(int) - frames[False][0]).max() > 0
    assert differ == (space != "smpte170m" or full)


@pytest.mark.parametrize("space", ["YCgCo", "bt2020c", "chroma-derived-nc", "ICtCp"])
def test_colour_space_that_is_not_converted(tmp_path, space):
    """One that FFmpeg does not convert is taken as it takes it, and is not a traceback."""
    path = write_video(tmp_path / "a.mp4", seed=5, frames=5, options={"x264-params": f"colormatrix={space}"})
    assert numbers(path) == list(range(5))
    assert same_frames(list(decode(path)), path)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts"])
@pytest.mark.parametrize("sizes", [((64, 48), (128, 96)), ((128, 96), (64, 48))])
def test_picture_that_grows_or_shrinks(tmp_path, name, sizes):
    """A picture that changes its size midway, as a video call's, keeps that of the first frame: a box shows the same place throughout."""
    path = grown(tmp_path / name, sizes)
    frames = list(decode(path))
    (width, height), _ = sizes
    assert {frame.shape for frame in frames} == {(height, width, 3)}
    assert [read_number(frame) for frame in frames] == [*range(30), *range(30)]
    assert (probe(path).width, probe(path).height) == (width, height)
    box = (width // 2, 0, width, height // 4)  # the last four bits of the number
    made = ingest(path, sha256=name, box=box, size=32, folder=tmp_path / "cache")
    bits = open_cached(tmp_path / "cache", made.name)[:, 16, [4, 12, 20, 28]].mean(axis=2) > 128
    assert [int(value) for value in bits @ [8, 4, 2, 1]] == [number % 16 for number in [*range(30), *range(30)]]
    assert same_frames(frames, path)


def test_picture_that_changes_its_shape(tmp_path):
    """A picture that goes from landscape to portrait has no place in common with its box, and is refused."""
    path = grown(tmp_path / "a.mkv", [(64, 48), (48, 64)])
    with pytest.raises(VideoError, check=coded("video.size_changes", "64 x 48", "48 x 64")):
        list(decode(path))


def test_codec_that_is_not_known(tmp_path):
    """A film that nothing can decode is not a traceback."""
    path = write_video(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzz1"))
    with pytest.raises(VideoError, check=coded("video.codec")):
        probe(path)
