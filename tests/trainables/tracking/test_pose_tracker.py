"""The tracker `pose`: boxes and gait from landmarks of a walker whose joints are known, and what cannot be followed."""

import numpy as np
import pytest

from trainables.tracking.landmark_gait import LANDMARK_KEYS, measure_landmarks
from trainables.tracking.landmarks import Landmarks
from trainables.tracking.pose_tracker import boxes_of, find_by_landmarks

TALL = 200.0
FRAMES = 180


def walker(
    *,
    cadence: float = 110.0,
    across: float = 2.0,
    knee: float = 60.0,
    lean: float = 5.0,
    shoulders: float = 0.0,
    people: int = 1,
    tall: float = TALL,
) -> Landmarks:
    """Returns landmarks of somebody who walks to the right.

    Args:
        across: pixels in a frame.
        knee: degrees by which each knee bends and straightens.
        lean: degrees of the trunk, forward.
        shoulders: how far apart they are in the picture, in heights.
    """
    phase = np.pi * np.arange(FRAMES) / 30 * cadence / 60  # a step is half a turn
    points = np.zeros((FRAMES, 33, 3))
    points[..., 2] = 1.0
    hips = np.stack([100 + across * np.arange(FRAMES), np.full(FRAMES, 60 + 0.45 * tall)], axis=1)
    tilt = np.radians(lean)
    chest = hips + 0.3 * tall * np.array([np.sin(tilt), -np.cos(tilt)])
    points[:, :11, :2] = (chest + np.array([0, -0.1 * tall]))[:, None]
    for side, sign in ((0, 1), (1, -1)):
        thigh = sign * 0.35 * np.sin(phase)
        bend = np.radians(knee) * (1 - sign * np.cos(phase + 0.3)) / 2
        middle = hips + 0.25 * tall * np.stack([np.sin(thigh), np.cos(thigh)], axis=1)
        foot = middle + 0.25 * tall * np.stack([np.sin(thigh - bend), np.cos(thigh - bend)], axis=1)
        hand = chest + np.stack([-sign * 0.1 * tall * np.sin(phase), np.full(FRAMES, 0.3 * tall)], axis=1)
        at = {11: chest, 13: hand, 15: hand, 17: hand, 19: hand, 21: hand, 23: hips, 25: middle, 27: foot, 29: foot}
        for number, place in at.items():
            points[:, number + side, :2] = place
        points[:, 31 + side, :2] = foot + np.array([0.08 * tall, 0.02 * tall])
        points[:, 11 + side, 0] += sign * shoulders * tall / 2
    return Landmarks(points=points, people=np.full(FRAMES, people), width=640, height=360)


def test_boxes_hold_the_whole_body():
    """The box ends below the toes and above the head, and is NaN where nobody was found."""
    found = walker()
    found.points[:10] = np.nan
    boxes = boxes_of(found.points, 640, 360)
    assert np.isnan(boxes[:10]).all()
    seen = found.points[10:, :, :2]
    assert (boxes[10:, :2] <= seen.min(axis=1)).all()
    assert (boxes[10:, 2:] >= seen.max(axis=1)).all()
    tall = boxes[10:, 3] - boxes[10:, 1]
    assert 0.9 * TALL <= np.median(tall) <= 1.1 * TALL


def test_a_walker_who_crosses_and_one_on_a_treadmill():
    """The first is followed, the second stays in one box; a camera that moves along makes no difference."""
    crosses, stays = find_by_landmarks(walker()), find_by_landmarks(walker(across=0.0))
    assert (crosses.in_place, crosses.problem) == (False, "")
    assert (stays.in_place, stays.problem) == (True, "")
    assert (stays.boxes == stays.boxes[0]).all()


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (walker(people=2), "shows 2 people"),
        (walker(tall=40.0), "pixels tall, but 48 are needed"),
        (
            Landmarks(points=np.full((90, 33, 3), np.nan), people=np.zeros(90, int), width=640, height=360),
            "in 0 frames",
        ),
        (walker(cadence=0.0, across=0.0), "the person stands still"),
    ],
    ids=["two people", "small", "nobody", "standing"],
)
def test_what_cannot_be_followed_is_one_sentence(found, said):
    """Each has its reason, and says what to do."""
    problem = find_by_landmarks(found).problem
    assert said in problem
    assert "or use whole pictures (--track none)" in problem


@pytest.mark.parametrize(("cadence", "knee", "lean"), [(110.0, 60.0, 5.0), (80.0, 30.0, -3.0)])
def test_joints_are_measured(cadence, knee, lean):
    """Cadence to 2 steps/min, the knee's range to a tenth (its ends are quantiles), the trunk's lean to a degree."""
    found = measure_landmarks(walker(cadence=cadence, knee=knee, lean=lean), [(0, FRAMES)], moves=False)
    assert found.values["video_cadence"] == pytest.approx(cadence, abs=2)
    assert found.values["video_knee_range"] == pytest.approx(knee, rel=0.1)
    assert found.values["video_trunk_lean"] == pytest.approx(lean, abs=1)
    assert found.values["video_hip_range"] == pytest.approx(np.degrees(0.7), rel=0.1)
    assert set(found.values) == set(found.quality)
    assert all(found.quality[key] == pytest.approx(1) for key in LANDMARK_KEYS)


def test_a_camera_that_moves_leaves_no_speed():
    """Steps are timed, and the way walked is not taken from a picture that moves."""
    found = measure_landmarks(walker(), [(0, FRAMES)], moves=True)
    assert "video_cadence" in found.values
    assert "video_walking_speed" not in found.values


def test_from_the_front_joints_are_not_measured():
    """Shoulders that are apart in the picture mean that joints turn out of its plane."""
    found = measure_landmarks(walker(shoulders=0.25), [(0, FRAMES)], moves=False)
    assert {found.missing[key] for key in LANDMARK_KEYS} == {"the walker is not seen from the side"}
    assert not set(LANDMARK_KEYS) & set(found.values)
