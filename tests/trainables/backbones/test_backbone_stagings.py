"""The many ways in which the backbone's training clips show a walker."""

from dataclasses import replace

import numpy as np
import pytest

from trainables.backbones.stagings import BACKDROPS, STYLES, draw_staging, stage, staged_joint_pixels
from trainables.simulation.cohort import COHORT_SEEDS, Subject, Walk, draw_walk
from trainables.simulation.gait_groups import draw_free_traits
from trainables.simulation.renderer import draw_look
from trainables.simulation.walker import JOINT


@pytest.fixture(scope="module")
def walk() -> Walk:
    rng = np.random.default_rng(2)
    subject = Subject(name="T", group="", score=-1, look=draw_look(rng), traits=draw_free_traits(rng))
    whole = draw_walk(subject, seconds=4, stream=(COHORT_SEEDS + 3, 0, 0))
    return replace(whole, joints=whole.joints[:90:15])


@pytest.mark.parametrize("style", list(STYLES))
@pytest.mark.parametrize("backdrop", list(BACKDROPS))
def test_the_figure_stands_where_its_joints_are(walk: Walk, style: str, backdrop: str) -> None:
    """At the knees and the head the picture differs from the same picture without a figure."""
    rng = np.random.default_rng(11)
    drawn = draw_staging(walk.subject.look, walk.view, rng)
    look = replace(drawn.look, noise=0.0)
    staging = replace(drawn, style=style, backdrop=backdrop, still=True, masked=False, look=look)
    frames = stage(walk.joints, staging, 96, np.random.default_rng(0)).astype(int)
    assert frames.shape == (6, 96, 96, 3)
    away = walk.joints + np.array([0, 50.0, 0])  # above the frame
    empty = stage(away, staging, 96, np.random.default_rng(0)).astype(int)
    where = staged_joint_pixels(walk.joints, staging, 96).round().astype(int)
    for joint in ("left_knee", "right_knee", "head"):
        x, y = where[:, JOINT[joint]].T.clip(0, 95)
        difference = np.abs(frames - empty)[np.arange(6), y, x].mean(axis=-1)
        assert (difference > 8).mean() >= 0.8, (joint, difference)


def test_a_standing_camera_sees_the_walker_cross(walk: Walk) -> None:
    """With a camera that follows the pelvis stays in the middle; with one that stands it moves by a tenth of the frame."""
    staging = draw_staging(walk.subject.look, walk.view, np.random.default_rng(1))
    staging = replace(staging, shift=(0.0, 0.0))
    for follow, crosses in ((1.0, False), (0.0, True)):
        x = staged_joint_pixels(walk.joints, replace(staging, follow=follow), 100)[:, JOINT["pelvis"], 0]
        assert (np.ptp(x) > 10) == crosses
        assert 20 < x.min() < x.max() < 80


def test_a_treadmill_s_background_stands_still(walk: Walk) -> None:
    """Far from the walker, the background of a still staging does not change between frames; that of a passing one does."""
    drawn = draw_staging(walk.subject.look, walk.view, np.random.default_rng(4))
    look = replace(drawn.look, noise=0.0, azimuth=0.0)
    for still in (True, False):
        staging = replace(drawn, backdrop="curtain", still=still, look=look, shift=(0.0, 0.0), follow=1.0)
        frames = stage(walk.joints, staging, 96, np.random.default_rng(0)).astype(int)
        assert (np.ptp(frames[:, 30:60, :12], axis=0).max() == 0) == still


def test_other_proportions_keep_the_legs(walk: Walk) -> None:
    """A longer trunk raises the head and leaves the ankles where they are."""
    staging = replace(draw_staging(walk.subject.look, walk.view, np.random.default_rng(6)), upper=1.0)
    usual, longer = (staged_joint_pixels(walk.joints, replace(staging, upper=u), 100) for u in (1.0, 1.15))
    assert (longer[:, JOINT["head"], 1] < usual[:, JOINT["head"], 1]).all()
    assert np.array_equal(longer[:, JOINT["left_ankle"]], usual[:, JOINT["left_ankle"]])


def test_stagings_vary() -> None:
    """Two hundred draws hold every style and backdrop, cameras that stand and that follow, and views from the side and oblique."""
    rng = np.random.default_rng(0)
    subject_look = draw_look(rng)
    view = draw_walk(
        Subject(name="T", group="", score=-1, look=subject_look, traits=draw_free_traits(rng)),
        seconds=4,
        stream=(COHORT_SEEDS, 0, 0),
    ).view
    drawn = [draw_staging(subject_look, view, rng) for _ in range(200)]
    assert {s.style for s in drawn} == set(STYLES)
    assert {s.backdrop for s in drawn} == set(BACKDROPS)
    assert {s.follow < 1 for s in drawn} == {s.still for s in drawn} == {s.masked for s in drawn} == {True, False}
    turns = np.abs([s.look.azimuth for s in drawn])
    assert turns.max() > 50
    assert (turns < 25).mean() > 0.5
