"""Which frames a window takes."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.windows import (
    frame_indices,
    heldout_windows,
    jittered_windows,
    largest_shift,
    training_windows,
)
from trainables.settings import VideoConfig

lengths = st.integers(0, 2000)
videos = st.tuples(st.integers(1, 90), st.integers(1, 120), st.integers(1, 40), st.integers(1, 90)).map(
    lambda n: VideoConfig(window=n[0], stride=n[1], min_tail=n[2], frames=min(n[3], n[0]), tail="pad")
)
PADDED = VideoConfig(tail="pad")


def test_training_windows_of_the_paper():
    """200 frames hold windows of 70 every 25 frames, and the last 5 uncovered frames are too few for one more."""
    assert training_windows(200, VideoConfig()) == [0, 25, 50, 75, 100, 125]


def test_training_tail():
    """20 uncovered frames make one more window, 19 do not; it ends with the video, or as published is padded."""
    assert training_windows(70 + 20, VideoConfig()) == [0, 20]
    assert training_windows(70 + 20, PADDED) == [0, 25]
    assert training_windows(70 + 19, VideoConfig()) == training_windows(70 + 19, PADDED) == [0]


def test_heldout_windows_stand_side_by_side():
    """Held-out windows do not overlap, and a tail of 20 frames becomes a window, moved back to the end or padded."""
    assert heldout_windows(160, VideoConfig()) == [0, 70, 90]
    assert heldout_windows(160, PADDED) == [0, 70, 140]
    assert heldout_windows(159, VideoConfig()) == heldout_windows(159, PADDED) == [0, 70]


@given(lengths, videos)
def test_only_a_short_video_is_padded(frames: int, video: VideoConfig):
    """With the last window moved back, every window of a video that is long enough shows frames of its own alone."""
    shifted = replace(video, tail="shift")
    for starts in (training_windows(frames, shifted), heldout_windows(frames, shifted)):
        assert starts == sorted(set(starts))
        assert all(start + video.window <= frames for start in starts) or (starts == [0] and frames < video.window)
        assert bool(starts) == (frames >= min(video.window, video.min_tail))


def test_frames_move_together_inside_the_window():
    """A shift moves all T frames alike, and none leaves the window."""
    video = VideoConfig(frames=7)
    assert (frame_indices(25, 200, video, 3) - frame_indices(25, 200, video)).tolist() == [3] * 7
    assert largest_shift(video) == 5
    for shift in (-5, 5):
        moved = frame_indices(25, 200, video, shift)
        assert moved.min() >= 25
        assert moved.max() < 95


def test_jittered_windows_lie_every_five_frames():
    """Starts every 5 frames, and the window that ends with the video; a video below the shortest tail has none."""
    assert jittered_windows(83, VideoConfig(), 5) == [0, 5, 10, 13]
    assert jittered_windows(40, VideoConfig(), 5) == [0]
    assert jittered_windows(19, VideoConfig(), 5) == []


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
