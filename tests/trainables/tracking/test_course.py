"""A walker's boxes over time: what each frame shows, passes, and the square that follows. Numbers only."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.tracking.course import MARGIN, SHORTEST, STATES, Course, course_of, passes_of, steadied

WIDTH, HEIGHT, EDGE = 640, 360, 3.0


def walk(middles: np.ndarray, *, tall: float = 240, wide: float = 80, ground: float = 300) -> np.ndarray:
    """Returns boxes [F, 4] of somebody whose middle is at `middles`, as far as the picture shows them; legs swing."""
    swing = 15 * np.sin(np.arange(len(middles)) * 2 * np.pi / 16)
    left, right = middles - wide / 2 - swing, middles + wide / 2 + swing
    boxes = np.stack([left, np.full(len(middles), ground - tall), right, np.full(len(middles), ground)], axis=1)
    gone = (right <= 0) | (left >= WIDTH)
    boxes[:, [0, 2]] = boxes[:, [0, 2]].clip(0, WIDTH)
    boxes[gone] = np.nan
    return boxes


def across(seconds: float = 5.0, speed: float = 180.0, start: float = -100.0) -> np.ndarray:
    return start + speed * np.arange(round(seconds * 30)) / 30


def course(boxes: np.ndarray) -> Course:
    return course_of(boxes, WIDTH, HEIGHT, EDGE)


def test_a_walk_across_the_picture_is_one_pass_of_whole_frames():
    """Frames without a walker, and those where the walker is over the edge, are before and after the one pass."""
    boxes = walk(across())
    found = course(boxes)
    [(first, last)] = found.passes
    inside = (boxes[:, 0] > EDGE) & (boxes[:, 2] < WIDTH - EDGE)
    assert inside[first:last].mean() > 0.95
    assert abs(first - np.flatnonzero(inside)[0]) <= 3
    assert abs(last - 1 - np.flatnonzero(inside)[-1]) <= 3
    assert set(found.states[:first]) == {"absent", "cut off"}


def test_the_square_has_one_size_and_follows_the_middle():
    """Its side is the walker's height with a margin; its middle is the walker's, without the swing of the legs."""
    middles = across()
    found = course(walk(middles))
    [(first, last)] = found.passes
    sides = found.crops[:, 2:] - found.crops[:, :2]
    assert (sides == sides[0, 0]).all()
    assert sides[0, 0] == pytest.approx(MARGIN * 240, abs=1)
    off = (found.crops[first:last, 0] + found.crops[first:last, 2]) / 2 - middles[first:last]
    assert np.abs(off).max() < 8
    steps = np.diff(found.crops[first:last, 0])
    assert np.abs(steps - 6).max() <= 2  # 180 pixels a second, to a pixel's rounding and a little


def test_the_square_stays_inside_the_picture_from_top_to_bottom():
    """No black bar is added above or below a walker who is lower than the picture; a taller square holds all of it."""
    low = course(walk(across(), ground=355))
    assert low.crops[:, 1].min() >= 0
    assert low.crops[:, 3].max() <= HEIGHT
    tall = course(walk(across(), tall=345, ground=355))
    assert tall.crops[:, 1].max() <= 0
    assert tall.crops[:, 3].min() >= HEIGHT


def test_a_turn_parts_two_passes():
    """Somebody who goes and comes back walks twice, and no pass holds both ways."""
    there = across(2.5, start=100)
    middles = np.concatenate([there, there[::-1]])
    found = course(walk(middles))
    assert len(found.passes) == 2
    for first, last in found.passes:
        steps = np.diff(np.convolve(middles[first:last], np.ones(5) / 5, "valid"))
        assert (steps > -0.5).all() or (steps < 0.5).all()
    assert found.passes[0][1] <= len(there) + 10
    assert found.passes[1][0] >= len(there) - 10


def test_standing_at_first_is_left_out_but_freezing_is_not():
    """Two seconds before the first step are not used; two in the middle of the walk may be the disease, and stay."""
    first, second = across(2.0, start=100), across(1.5, start=460)
    frozen = np.concatenate([first, np.full(60, first[-1]), second])
    assert "standing" not in course(walk(frozen)).states
    waiting = np.concatenate([np.full(60, 100.0), across(3.0, start=100)])
    states = course(walk(waiting)).states
    assert set(states[:50]) == {"standing"}
    assert set(states[75:140]) == {"walking"}


def test_short_gaps_are_filled_and_long_ones_are_not():
    """A tracker that loses the walker for 10 frames does not end the pass; for a second it does."""
    boxes = walk(across(4.0, start=100, speed=100))
    boxes[50:60] = np.nan
    assert len(course(boxes).passes) == 1
    assert not np.isnan(steadied(boxes)[50:60]).any()
    boxes[40:70] = np.nan
    found = course(boxes)
    assert set(found.states[42:68]) == {"absent"}
    assert len(found.passes) == 2


def test_an_edge_that_is_always_touched_cuts_nobody_off():
    """Feet that stand on the picture's lower edge in every frame are how the video was framed."""
    found = course(walk(across(), ground=360))
    assert "walking" in found.states
    late = walk(across())
    late[80:90, 3] = HEIGHT
    assert "cut off" in course(late).states[80:90]


def test_walking_towards_the_camera_is_one_pass():
    """The middle hardly moves and the height doubles; the square is as large as the tallest box."""
    frames = 150
    tall = 120 / (1 - 0.5 * np.arange(frames) / frames)
    boxes = np.stack([320 - tall / 6, 180 - tall / 2, 320 + tall / 6, 180 + tall / 2], axis=1)
    found = course(boxes)
    assert found.passes == ((0, frames),)
    assert found.crops[0, 2] - found.crops[0, 0] == pytest.approx(MARGIN * np.quantile(tall, 0.95), abs=2)


def test_hidden_legs_are_not_a_whole_walker():
    """Behind a desk the box is half as high for a while, and these frames are left out."""
    boxes = walk(across(start=50, speed=100))
    boxes[60:85, 3] = 180
    found = course(boxes)
    assert set(found.states[62:83]) == {"cut off"}


boxes_of = st.integers(2, 240).flatmap(
    lambda count: st.lists(
        st.one_of(
            st.none(),
            st.tuples(st.floats(0, 500), st.floats(0, 200), st.floats(10, 140), st.floats(20, 160)),
        ),
        min_size=count,
        max_size=count,
    )
).filter(any)  # fmt: skip


@given(boxes_of)
def test_whatever_the_boxes_are(given_boxes):
    """Every frame has a state; passes are apart, in order, long enough and walking; every square has the same size."""
    rows = [(x, y, x + w, y + h) if b else (np.nan,) * 4 for b in given_boxes for x, y, w, h in [b or (0,) * 4]]
    found = course(np.array(rows))
    assert len(found.states) == len(rows)
    assert set(found.states) <= set(STATES)
    assert list(found.passes) == sorted(found.passes)
    assert all(first < last for first, last in found.passes)
    assert all(a[1] <= b[0] for a, b in zip(found.passes, found.passes[1:], strict=False))
    for first, last in found.passes:
        assert set(found.states[first:last]) == {"walking"}
    sizes = {(right - left, bottom - top) for left, top, right, bottom in found.crops.tolist()}
    assert len(sizes) == 1
    assert len({*sizes.pop()}) == 1
    assert not np.isnan(found.boxes[[state == "walking" for state in found.states]]).any()


def test_passes_are_cut_at_turns():
    """A turn inside a stretch makes two of it; one at its end makes none."""
    usable = np.array([True] * 50 + [False] * 5 + [True] * 20)
    assert passes_of(usable, [30, 50]) == ((0, 30), (30, 50), (55, 75))
    assert SHORTEST > 5
