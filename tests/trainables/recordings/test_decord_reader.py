"""decord, when it is asked for: in a process of its own, whose crash harms nobody, and whose frames must be PyAV's."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.errors import coded
from tests.trainables.data.test_cache import cohort
from tests.videos import read_number, write_video
from trainables.data.cache import ingest, ingest_cohort, open_cached
from trainables.errors import ConfigurationError
from trainables.recordings import decord_process, decord_reader
from trainables.recordings.decode import ReaderDisagrees, check_reader, decode


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("decord") / "walk.mp4", options={"g": "12", "bf": "2"})


def test_same_frames_from_another_process(video):
    """The frames are PyAV's, and this process never loads decord."""
    before = "decord" in sys.modules
    np.testing.assert_array_equal(list(decode(video, reader="decord")), list(decode(video)))
    assert ("decord" in sys.modules) == before


def test_left_in_the_middle(video):
    """A reader that is left alone ends its process."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    before = children.read_text()
    frames = decode(video, reader="decord")
    next(frames)
    assert children.read_text() != before
    frames.close()
    assert children.read_text() == before


@pytest.mark.parametrize(
    "end", ["import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "import sys; sys.exit(1)", "print('no frames')"]
)
def test_crash(tmp_path, video, monkeypatch, end):
    """A crash of decord ends its process, not ours, and PyAV reads the video."""
    program = tmp_path / "crash.py"
    program.write_text(end)
    monkeypatch.setattr(decord_process, "__file__", str(program))
    with pytest.raises(ReaderDisagrees, match=r"decord failed, or its process crashed|decord counts"):
        list(decode(video, reader="decord"))
    made = ingest(video, sha256="a", box=None, size=64, folder=tmp_path / "cache", reader="decord")
    numbers = [read_number(frame[8:56]) for frame in open_cached(tmp_path / "cache", made.name)]
    assert numbers == list(range(60))


def test_file_that_decord_cannot_read(tmp_path, video):
    """decord's own errors are a disagreement too."""
    content = bytearray(video.read_bytes())
    path = tmp_path / "a.mp4"
    path.write_bytes(content.replace(b"avc1", b"avc3"))
    try:
        frames = list(decode(path, reader="decord"))
    except ReaderDisagrees:
        frames = list(decode(path))
    assert [read_number(frame) for frame in frames] == list(range(60))


def test_asked_for_where_it_is_not_installed(video, tmp_path, monkeypatch):
    """That is said before any video is decoded; without being asked for, nothing misses it."""
    monkeypatch.setattr(decord_reader.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, check=coded("reader.not_installed", "--reader decord")):
        ingest_cohort(cohort([video]), size=32, folder=tmp_path, reader="decord")
    assert ingest_cohort(cohort([video]), size=32, folder=tmp_path).videos["frames"].to_list() == [60]


def test_reader_that_is_not_known():
    """A misspelt reader is named."""
    with pytest.raises(ConfigurationError, check=coded("option.choice", "--reader opencv")):
        check_reader("opencv")
