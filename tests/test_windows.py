"""Which frames a window takes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainables.config import VideoConfig
from trainables.data.windows import frame_indices, heldout_windows, training_windows

lengths = st.integers(0, 2000)
videos = st.tuples(st.integers(1, 90), st.integers(1, 120), st.integers(1, 40), st.integers(1, 90)).map(
    lambda n: VideoConfig(window=n[0], stride=n[1], min_tail=n[2], frames=min(n[3], n[0]))
)


def test_training_windows_of_the_paper():
    """200 frames hold windows of 70 every 25 frames, and the last 5 uncovered frames are too few for one more."""
    assert training_windows(200, VideoConfig()) == [0, 25, 50, 75, 100, 125]


def test_training_tail():
    """20 uncovered frames make one more window, 19 do not."""
    assert training_windows(70 + 20, VideoConfig()) == [0, 25]
    assert training_windows(70 + 19, VideoConfig()) == [0]


def test_heldout_windows_stand_side_by_side():
    """Held-out windows do not overlap, and a tail of 20 frames becomes a window."""
    assert heldout_windows(160, VideoConfig()) == [0, 70, 140]
    assert heldout_windows(159, VideoConfig()) == [0, 70]


def test_short_video():
    """A video shorter than a window is one padded window, if it has a tail's length."""
    assert training_windows(20, VideoConfig()) == heldout_windows(20, VideoConfig()) == [0]
    assert training_windows(19, VideoConfig()) == heldout_windows(19, VideoConfig()) == []


def test_all_frames_of_a_window():
    """With T = window the indices are the window's frames one by one."""
    video = VideoConfig(frames=70)
    np.testing.assert_array_equal(frame_indices(25, 200, video), np.arange(25, 95))


def test_eight_frames_of_seventy():
    """T = 8 takes the middle of eight equal parts."""
    assert frame_indices(0, 200, VideoConfig(frames=8)).tolist() == [4, 13, 21, 30, 39, 48, 56, 65]


def test_padding_repeats_the_last_frame():
    """Indices past the end become the last frame."""
    assert frame_indices(70, 95, VideoConfig(frames=7)).tolist() == [75, 85, 94, 94, 94, 94, 94]


@given(lengths, videos)
def test_windows_begin_inside_the_video(frames: int, video: VideoConfig):
    """Every window starts at a multiple of its step and shows at least the shortest tail, or is whole."""
    for starts, step in (
        (training_windows(frames, video), video.stride),
        (heldout_windows(frames, video), video.window),
    ):
        assert starts == [step * i for i in range(len(starts))]
        assert all(frames - start >= min(video.window, video.min_tail) for start in starts)
        assert sum(start + video.window > frames for start in starts) <= 1


@given(lengths, videos)
def test_heldout_windows_leave_out_only_a_short_tail(frames: int, video: VideoConfig):
    """What no held-out window shows is shorter than the shortest tail."""
    starts = heldout_windows(frames, video)
    shown = starts[-1] + video.window if starts else 0
    assert frames - shown < max(video.min_tail, 1)


@given(st.integers(1, 2000), videos, st.data())
def test_frames_rise_within_the_window(frames: int, video: VideoConfig, data: st.DataObject):
    """T indices rise from the window's start, never leave the window or the video, and are evenly apart to one frame."""
    start = data.draw(st.integers(0, frames - 1))
    indices = frame_indices(start, frames, video)
    assert len(indices) == video.frames
    assert start <= indices.min()
    assert indices.max() <= min(start + video.window, frames) - 1
    free = np.diff(frame_indices(0, 10**6, video))
    assert (free >= 1).all() or video.frames == 1
    assert len(free) == 0 or free.max() - free.min() <= 1
