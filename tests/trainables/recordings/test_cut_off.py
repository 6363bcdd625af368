"""Recordings whose end is missing are told from short ones."""

from pathlib import Path

import pytest

from tests.errors import coded
from tests.recordings import copied, with_sound
from tests.videos import write_video
from trainables.data.cache import ingest
from trainables.recordings.decode import VideoError, decode, probe
from trainables.recordings.file_parts import check_parts

FORMATS = {
    "a.mkv": ("libx264", {}),
    "a.webm": ("libvpx", {}),
    "a.mp4": ("libx264", {}),
    "fast.mp4": ("libx264", {"movflags": "faststart"}),
    "fragments.mp4": ("libx264", {"movflags": "frag_keyframe+empty_moov"}),
    "a.avi": ("mpeg4", {}),
    "a.flv": ("libx264", {}),
    "a.wmv": ("wmv2", {}),
    "a.ogg": ("libvpx", {}),
    "a.ivf": ("libvpx", {}),
    "a.gif": ("gif", {}),
    "a.nut": ("libx264", {}),
    "a.mxf": ("mpeg2video", {}),
    "a.apng": ("apng", {}),
    "live.mkv": ("libx264", {"live": "1"}),
    "live.webm": ("libvpx", {"live": "1"}),
}
"""Codec and options of the container; a live Matroska has no duration, no cues, and no length of the whole."""


@pytest.fixture(scope="module", params=FORMATS)
def whole(tmp_path_factory, request) -> Path:
    codec, options = FORMATS[request.param]
    folder = tmp_path_factory.mktemp("cut")
    if not options:
        pix_fmt = "rgb24" if codec == "apng" else None
        return write_video(folder / request.param, codec=codec, frames=90, pix_fmt=pix_fmt)
    encoded = write_video(folder / ("a.webm" if codec == "libvpx" else "a.mp4"), codec=codec, frames=90)
    return copied(encoded, folder / request.param, options=options)


UNREADABLE = ("video.cut_off", "video.unreadable", "video.cannot_open")
"""Which one is found depends on the part that the container lost."""


@pytest.mark.parametrize("part", [0.3, 0.5, 0.8])
def test_cut_off(tmp_path, whole, part):
    """Every container that says how long it is, or its parts are, is refused where something is missing."""
    assert probe(whole).frames_at_30 == 90
    path = tmp_path / whole.name
    path.write_bytes(whole.read_bytes()[: int(part * whole.stat().st_size)])
    with pytest.raises(VideoError) as problem:
        probe(path)
    assert problem.value.code in UNREADABLE
    with pytest.raises(VideoError):
        ingest(path, sha256="", box=None, size=32, folder=tmp_path / "cache")


def test_cut_off_anywhere(tmp_path):
    """An AVI states its length: no cut is taken for the end, also where most frames are there."""
    whole = write_video(tmp_path / "a.avi", codec="mpeg4", frames=90)
    size = whole.stat().st_size
    assert check_parts(whole).missing == 0
    for cut in range(size * 3 // 4, size - 9, 97):
        path = tmp_path / "cut.avi"
        path.write_bytes(whole.read_bytes()[:cut])
        assert check_parts(path).missing, cut


@pytest.mark.parametrize(("name", "codec"), [("a.ivf", "libvpx"), ("a.mxf", "mpeg2video"), ("a.nut", "libx264")])
def test_cut_off_within_the_last_part(tmp_path, name, codec):
    """The last bytes are missed too."""
    path = write_video(tmp_path / name, codec=codec)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(VideoError, check=coded("video.cut_off")):
        probe(path)


def test_cut_off_between_the_parts_of_a_fragment(tmp_path):
    """A fragment's index without its frames, and a box of which the file holds not even the name, are missing parts."""
    source = write_video(tmp_path / "a.mp4", frames=30)
    content = copied(source, tmp_path / "f.mp4", options={"movflags": "frag_every_frame+empty_moov"}).read_bytes()
    fragment = content.index(b"moof", len(content) // 2) - 4
    frames = content.index(b"mdat", fragment) - 4
    for cut in (frames, fragment + 4, fragment + 6, frames + 7):
        path = tmp_path / "cut.mp4"
        path.write_bytes(content[:cut])
        with pytest.raises(VideoError, check=coded("video.cut_off")):
            probe(path)


def test_avi_of_unstated_or_rounded_length(tmp_path):
    """An AVI written to a pipe states no length, and some writers count the part's own head: both are whole."""
    path = write_video(tmp_path / "a.avi", codec="mpeg4")
    content = bytearray(path.read_bytes())
    for length in (0, 0xFFFFFFFF, len(content)):
        content[4:8] = length.to_bytes(4, "little")
        path.write_bytes(content)
        assert probe(path).frames == 60


@pytest.mark.parametrize("name", ["a.mkv", "a.webm"])
def test_cut_off_at_the_last_tenth(tmp_path, name):
    """Matroska states its length to the byte: the last frames are missed too, with sound beside the film or without."""
    path = with_sound(tmp_path / name, codec="libvpx" if name == "a.webm" else "libx264")
    assert probe(path).frames == 60
    content = path.read_bytes()
    path.write_bytes(content[: int(0.97 * len(content))])
    with pytest.raises(VideoError, check=coded("video.cut_off")):
        list(decode(path))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.gif", "a.flv"])
def test_padding_at_the_end(tmp_path, name):
    """Zeros after the end, as recovery tools and some cameras leave them, are not a missing part."""
    codec = {"a.gif": "gif", "a.flv": "flv"}.get(name, "libx264")
    path = write_video(tmp_path / name, codec=codec)
    path.write_bytes(path.read_bytes() + bytes(2000))
    assert check_parts(path).missing == 0
    assert probe(path).frames == 60
    assert len(list(decode(path))) == 60


def test_film_shorter_than_its_sound(tmp_path):
    """A film that ends before its sound does is whole: Matroska states one duration for both."""
    path = with_sound(tmp_path / "a.mkv", frames=60, silence=120)
    assert probe(path).frames_at_30 == len(list(decode(path))) == 60
