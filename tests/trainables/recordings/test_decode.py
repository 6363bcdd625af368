"""Reading real video files: which frames come out, and what is said of files that cannot be read."""

import pickle
from pathlib import Path

import av
import numpy as np
import pytest

from tests.errors import coded
from tests.videos import read_number, write_video
from trainables.recordings.decode import ReaderDisagrees, VideoError, decode, probe

READERS = ("decord", "pyav")


def numbers(path: Path, **options) -> list[int]:
    return [read_number(frame) for frame in decode(path, **options)]


def faststart(source: Path, path: Path) -> Path:
    """Writes the same packets with the index before the pictures, as for the web."""
    with av.open(str(source)) as given, av.open(str(path), "w", options={"movflags": "faststart"}) as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    return path


def trimmed(source: Path, path: Path, *, key: int, first: int) -> Path:
    """Cuts a video losslessly: packets from key frame `key` on, of which a player shows those from `first` on."""
    with av.open(str(source)) as given, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        tick = round(1 / (30 * given.streams.video[0].time_base))
        given.seek(key * tick, stream=given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.pts, packet.dts = packet.pts - first * tick, packet.dts - first * tick
                packet.stream = stream
                made.mux(packet)
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("decode") / "walk.mp4", frames=60, options={"g": "12", "bf": "2"})


@pytest.mark.parametrize("reader", READERS)
def test_every_frame_in_order(video, reader):
    """A video at 30 frames/s comes out frame by frame, with B-frames and several key frames."""
    assert numbers(video, reader=reader) == list(range(60))


def test_probe(video):
    """A probe tells frames, rate and size without decoding the video."""
    info = probe(video)
    assert (info.frames, round(info.fps, 3), info.width, info.height, info.frames_at_30) == (60, 30, 64, 48, 60)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mov", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("b.avi", "mjpeg"), ("a.webm", "libvpx-vp9")],
)
def test_containers(tmp_path, name, codec):
    """The containers and codecs that cameras write are read; decord is asked for QuickTime, and would hide damage in others."""
    path = write_video(tmp_path / name, codec=codec, frames=40)
    assert numbers(path, reader="pyav") == list(range(40))
    if name == "a.mov":
        assert numbers(path, reader="decord") == list(range(40))
    else:
        with pytest.raises(ReaderDisagrees, match="decord is trusted with MP4 and QuickTime only"):
            numbers(path, reader="decord")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("fps", "expected"),
    [(60, list(range(0, 60, 2))), (15, [i // 2 for i in range(120)]), (29.97, list(range(60)))],
)
def test_resampling(tmp_path, reader, fps, expected):
    """Twice the rate gives every other frame, half the rate each frame twice, 29.97 frames/s each frame once."""
    path = write_video(tmp_path / "a.mp4", fps=fps)
    assert numbers(path, reader=reader) == expected
    assert probe(path).frames_at_30 == len(expected)


@pytest.mark.parametrize("reader", READERS)
def test_variable_frame_rate(tmp_path, reader):
    """With uneven timestamps each moment shows the frame nearest in time."""
    times = np.cumsum([0.021 + 0.03 * (i % 3) for i in range(60)])
    path = write_video(tmp_path / "a.mp4", times=times.tolist())
    moments = np.arange(probe(path).frames_at_30) / 30
    nearest = np.abs((times - times[0])[None, :] - moments[:, None]).argmin(axis=1)
    assert numbers(path, reader=reader) == nearest.tolist()


def test_stated_rate_replaces_timestamps(tmp_path):
    """A high-speed recording stored as 30 frames/s is read at the rate that the manifest states."""
    path = write_video(tmp_path / "a.mp4", fps=30, frames=120)
    assert probe(path, fps=120).frames_at_30 == 30
    for reader in READERS:
        assert numbers(path, fps=120, reader=reader) == list(range(0, 120, 4))


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_rotation(tmp_path, degrees):
    """A telephone's turned video comes out upright, through PyAV because decord garbles a quarter turn."""
    upright = next(decode(write_video(tmp_path / "up.mp4", seed=3)))
    path = write_video(tmp_path / "turned.mp4", rotation=degrees, seed=3)
    frame = next(decode(path, reader="pyav"))
    np.testing.assert_allclose(frame, np.rot90(upright, degrees // 90), atol=3)  # colours are converted before turning
    info = probe(path)
    assert (info.height, info.width) == frame.shape[:2]
    try:
        np.testing.assert_array_equal(next(decode(path, reader="decord")), frame)
    except ReaderDisagrees:
        assert degrees != 180


def test_odd_size(tmp_path):
    """A width and height that are no multiples of anything are read as they are."""
    path = write_video(tmp_path / "a.avi", width=67, height=51, codec="mjpeg")
    assert probe(path).width == 67
    frames = list(decode(path))
    assert {frame.shape for frame in frames} == {(51, 67, 3)}
    assert [read_number(frame) for frame in frames] == list(range(60))


def test_transport_stream(tmp_path):
    """decord, which loses the first frames of an MPEG transport stream, is not asked, and PyAV reads them all."""
    path = write_video(tmp_path / "a.ts", options={"g": "12"})
    with pytest.raises(ReaderDisagrees, match="decord is trusted with MP4 and QuickTime only"):
        numbers(path, reader="decord")
    assert numbers(path, reader="pyav") == list(range(60))


def test_trimmed_video(tmp_path, video):
    """decord repeats frames of a losslessly trimmed video; it is caught, and PyAV shows what a player shows."""
    path = trimmed(video, tmp_path / "trimmed.mp4", key=12, first=17)
    with pytest.raises(ReaderDisagrees, match="decord counts 48 frames, PyAV 43"):
        numbers(path, reader="decord")
    assert numbers(path, reader="pyav") == list(range(17, 60))
    assert probe(path).frames_at_30 == 43


@pytest.mark.parametrize("ending", ["mp4", "ts"])
def test_open_groups_of_pictures(tmp_path, ending):
    """Open groups of pictures give every frame."""
    options = {"g": "12", "bf": "3", "x264-params": "open-gop=1"}
    path = write_video(tmp_path / f"a.{ending}", options=options)
    assert numbers(path, reader="pyav") == list(range(60))
    if ending == "mp4":
        assert numbers(path, reader="decord") == list(range(60))


def message(path: Path) -> str:
    with pytest.raises(VideoError) as caught:
        list(decode(path))
    assert str(caught.value) == f"{path} {caught.value.problem}"
    return caught.value.problem


def test_empty_file(tmp_path):
    """An empty file is called empty."""
    (tmp_path / "a.mp4").touch()
    assert message(tmp_path / "a.mp4") == "is empty (0 bytes); copy it again"


def test_missing_file(tmp_path):
    """A missing file is not a traceback."""
    assert message(tmp_path / "a.mp4") == "cannot be opened (no such file or directory)"


@pytest.mark.parametrize("content", [b"no video " * 100, np.random.default_rng(0).bytes(50_000), b"\0" * 50_000])
def test_no_video(tmp_path, content):
    """Text, noise and zeros are no videos."""
    (tmp_path / "a.mp4").write_bytes(content)
    assert message(tmp_path / "a.mp4") == "cannot be read as a video; export it again, as MP4 with H.264"


def test_playlist_is_not_followed(tmp_path, video):
    """A playlist that names another file is refused instead of followed."""
    (tmp_path / "a.mp4").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{video}\n#EXT-X-ENDLIST\n")
    assert message(tmp_path / "a.mp4") == "cannot be read as a video; export it again, as MP4 with H.264"


def test_sound_only(tmp_path):
    """A file with nothing but sound is said to hold no video."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 4096), dtype=np.float32), format="fltp", layout="mono")
        sound.sample_rate = 44100
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    assert message(path) == "holds no video stream, only sound or text"


def test_index_cut_off(tmp_path, video):
    """A recording whose end, and with it the index, is missing cannot be read."""
    content = video.read_bytes()
    (tmp_path / "a.mp4").write_bytes(content[: len(content) // 2])
    assert message(tmp_path / "a.mp4") == "cannot be read as a video; export it again, as MP4 with H.264"


def test_pictures_cut_off(tmp_path, video):
    """A download that stopped is told from a short video."""
    content = faststart(video, tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(content[: len(content) * 3 // 4])
    found = message(tmp_path / "a.mp4")
    assert found.startswith("is cut off after ")
    assert found.endswith("; copy or export it again")


def test_damage_in_the_middle(tmp_path, video):
    """The first frame that cannot be decoded is named."""
    content = bytearray(faststart(video, tmp_path / "whole.mp4").read_bytes())
    middle = (content.find(b"mdat") + len(content)) // 2
    content[middle:] = bytes(len(content) - middle)
    (tmp_path / "a.mp4").write_bytes(content)
    found = message(tmp_path / "a.mp4")
    assert found.startswith("is damaged: frame ")
    assert found.endswith(" of 60 cannot be decoded; export it again")


def test_damage_everywhere(tmp_path, video):
    """A whole index over zeroed pictures is damage."""
    content = bytearray(faststart(video, tmp_path / "whole.mp4").read_bytes())
    start = content.find(b"mdat") + 4
    content[start:] = bytes(len(content) - start)
    (tmp_path / "a.mp4").write_bytes(content)
    assert message(tmp_path / "a.mp4") == "is damaged: none of its frames can be decoded; export it again"
    with pytest.raises(VideoError, check=coded("video.damaged")):
        probe(tmp_path / "a.mp4")


def test_broken_timestamps(tmp_path):
    """A jump of an hour would fill the disk with copies of one frame; it is an error, or the stated rate holds."""
    times = [i / 30 for i in range(30)] + [3600 + i / 30 for i in range(30)]
    path = write_video(tmp_path / "a.mp4", times=times)
    assert message(path) == (
        "shows nothing for 3599.0 seconds after frame 29 (at most 2); export it again with a constant frame rate, "
        "or add a column fps to the manifest"
    )
    assert numbers(path, fps=30, reader="decord") == list(range(60))


def test_error_crosses_processes(tmp_path):
    """An error of a decoding process reaches the user's."""
    error = pickle.loads(pickle.dumps(VideoError(tmp_path / "a.mp4", "is empty")))
    assert (str(error), error.problem) == (f"{tmp_path / 'a.mp4'} is empty", "is empty")


def test_foreign_letters_in_the_metadata(tmp_path, video):
    """A title that is not UTF-8, as cameras write them, does not matter."""
    content = video.read_bytes().replace(b"VideoHandler", b"Vid\xe9oHandler")
    assert content != video.read_bytes()
    (tmp_path / "a.mp4").write_bytes(content)
    assert probe(tmp_path / "a.mp4").frames == 60
    assert numbers(tmp_path / "a.mp4", reader="decord") == list(range(60))
