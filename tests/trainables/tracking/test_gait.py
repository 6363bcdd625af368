"""Gait parameters from a silhouette: counted and timed steps, speed, and what cannot be had."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from experiments.corridor import Film, crossing, cut_out, write
from trainables.tracking.foreground import read_small
from trainables.tracking.gait import VARIABILITY, measure
from trainables.tracking.measuring import measured_or_error
from trainables.tracking.silhouette import Silhouette, silhouette_of
from trainables.tracking.track import follow_walker

TALL = 200.0
SECONDS = 4.0


def walk(cadence: float, speed: float, *, seconds: float = SECONDS, noise: float = 0.0, seed: int = 0) -> Silhouette:
    """Returns the silhouette of legs that open and close, and of a trunk that goes on at so many heights/s."""
    at = np.arange(round(seconds * 30)) / 30
    rng = np.random.default_rng(seed)
    spread = 12 + 8 * np.abs(np.sin(np.pi * at * cadence / 60)) + noise * rng.normal(size=len(at))
    return Silhouette(spread=spread, trunk=50 + speed * TALL * at, height=np.full(len(at), TALL))


@pytest.mark.parametrize("cadence", [60, 74, 95, 113, 131, 150])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_steps_are_counted_and_timed(cadence, noise):
    """Cadence is right to 2 steps/min from slow to fast, step time is its inverse, and the length is speed by time."""
    found = measure(walk(cadence, 0.4, noise=noise, seconds=6), [(0, 180)])
    assert found.values["video_cadence"] == pytest.approx(cadence, abs=2)
    assert found.values["video_step_time"] == pytest.approx(60 / found.values["video_cadence"])
    assert found.values["video_walking_speed"] == pytest.approx(0.4 / 0.53, rel=0.01)
    assert found.values["video_step_length"] == pytest.approx(0.4 / 0.53 * 60 / cadence, rel=0.03)
    assert abs(found.steps - 6 * cadence / 60) <= 1.5
    assert not found.missing
    assert all(0.5 <= quality <= 1 for quality in found.quality.values())


def test_uneven_steps_vary():
    """The standard deviation of the step time is that of the steps, pooled over the times apart and passing."""
    rng = np.random.default_rng(3)
    times = np.concatenate([[0], np.cumsum(rng.normal(0.55, 0.06, 40))])
    phase = np.interp(np.arange(600) / 30, times, np.arange(len(times)))
    spread = 12 + 8 * np.abs(np.sin(np.pi * phase))
    found = measure(Silhouette(spread=spread, trunk=np.arange(600.0), height=np.full(600, TALL)), [(0, 600)])
    assert found.values[VARIABILITY] == pytest.approx(np.diff(times).std(), rel=0.35)


@pytest.mark.parametrize(
    ("silhouette", "reason"),
    [
        (walk(100, 0.4, seconds=1.5), "steps could be counted, 4 are needed"),
        (walk(100, 0.02), "does not go across the picture"),
    ],
)
def test_what_cannot_be_measured_is_missing_with_its_reason(silhouette, reason):
    """Too few steps, and a walker who comes towards the camera, give empty cells."""
    found = measure(silhouette, [(0, len(silhouette.spread))])
    assert any(reason in text for text in found.missing.values())
    assert not set(found.missing) & set(found.values)
    assert "video_step_length" in found.missing


@pytest.mark.parametrize("cadence", [85, 100, 120])
def test_a_stride_is_not_taken_for_a_step(cadence):
    """Seen obliquely, in a picture that moves along, the two steps of a stride differ; the cell is empty and not half the cadence."""
    at = np.arange(180) / 30
    stride = np.pi * at * cadence / 60
    spread = 12 + 8 * np.cos(stride) + 2 * np.abs(np.sin(stride))
    found = measure(Silhouette(spread=spread, trunk=np.full(180, 50.0), height=np.full(180, TALL)), [(0, 180)])
    assert "a step or a stride" in found.missing["video_cadence"]
    assert not found.values


@pytest.mark.parametrize("cadence", [85, 100, 120])
def test_legs_that_open_twice_in_a_period_make_a_stride(cadence):
    """Seen obliquely, the legs are apart again halfway through a stride, though less; the cadence counts both steps."""
    stride = np.pi * np.arange(180) / 30 * cadence / 60
    spread = 20 + 8 * np.cos(stride) + 7 * np.cos(2 * stride)
    found = measure(Silhouette(spread=spread, trunk=np.full(180, 50.0), height=np.full(180, TALL)), [(0, 180)])
    assert found.values["video_cadence"] == pytest.approx(cadence, abs=2)
    assert "strides" in found.missing[VARIABILITY]
    assert "video_step_length" not in found.values


def test_slow_steps_on_a_treadmill_are_not_halved():
    """The legs are together halfway through a slow step, which could be a stride: the cell is empty and not twice the cadence."""
    found = measure(walk(50, 0.0, seconds=8), [(0, 240)])
    assert "a step or a stride" in found.missing["video_cadence"]
    assert not found.values


@pytest.mark.parametrize("cadence", [80, 100, 110])
def test_two_steps_that_look_different_are_two_steps(cadence):
    """Across the picture the length of what repeats tells a stride from a step: the cadence is right, and has no variability."""
    uneven = walk(cadence, 0.42, seconds=8)
    step = np.floor(np.arange(240) / 30 * cadence / 60) % 2
    uneven = dataclasses.replace(uneven, spread=12 + (uneven.spread - 12) * np.where(step == 0, 1.0, 0.02))
    found = measure(uneven, [(0, 240)])
    assert found.values["video_cadence"] == pytest.approx(cadence, abs=5)
    assert found.values["video_step_length"] == pytest.approx(0.42 / 0.53 * 60 / cadence, rel=0.06)
    assert "strides" in found.missing[VARIABILITY]


def test_noise_is_rarely_taken_for_steps():
    """Where the legs' spread is nothing but noise, a cadence is found in less than a tenth of 4-second videos."""
    found = [measure(walk(0, 0.4, noise=3, seed=seed), [(0, 120)]).values for seed in range(200)]
    assert sum("video_cadence" in values for values in found) < 20


def test_passes_are_pooled_and_not_joined():
    """Two passes count together; the time between them is not a step."""
    one = walk(100, 0.4, seconds=3)
    gap = np.full(60, np.nan)
    both = Silhouette(
        **{
            name: np.concatenate([getattr(one, name), gap, getattr(one, name)])
            for name in ("spread", "trunk", "height")
        }
    )
    alone, together = measure(one, [(0, 90)]), measure(both, [(0, 90), (150, 240)])
    assert together.steps == 2 * alone.steps
    assert together.values["video_cadence"] == pytest.approx(alone.values["video_cadence"])
    assert together.values["video_walking_speed"] == pytest.approx(alone.values["video_walking_speed"])


@pytest.mark.parametrize("facing", [1, -1])
def test_a_filmed_walker(tmp_path: Path, facing: int) -> None:
    """From the film of a walker whose gait is known: cadence to 3 steps/min, speed and step length to a tenth."""
    walker = cut_out(7, facing=facing)
    path = write(tmp_path / "a.mp4", [frame for frame, _ in crossing(walker, Film())])
    video = read_small(path, None)
    track = follow_walker(video)
    silhouette = silhouette_of(video, track.boxes, list(track.passes or ()))
    assert silhouette is not None
    found, true = measure(silhouette, list(track.passes or ())).values, walker.parameters
    assert found["video_cadence"] == pytest.approx(true["cadence"], abs=3)
    assert found["video_walking_speed"] == pytest.approx(true["walking_speed"], rel=0.1)
    length = np.mean([true["step_length_left"], true["step_length_right"]])
    assert found["video_step_length"] == pytest.approx(length, rel=0.1)


def test_nobody_followed_is_nobody_measured(tmp_path: Path) -> None:
    """Of a picture in which nothing moves nothing is measured, and there is a reason."""
    path = write(tmp_path / "a.mp4", [Film(width=96, height=96).frame()[0] for _ in range(30)])
    job = {"path": path, "sha256": "0", "fps": None, "tracker": "motion", "folder": tmp_path, "box": None, "own": None}
    found = measured_or_error(job)
    assert not found.values
    assert all("nothing as large as a person moves" in reason for reason in found.missing.values())


def test_a_picture_cut_around_the_walker_shows_steps_and_no_way(tmp_path: Path) -> None:
    """In a square picture that moves along with the walker, steps are timed, from a kept track too; the way cannot be had."""
    walker, film = cut_out(7, seconds=6), Film(width=160, height=160)
    frames = [film.frame((*walker.frame(i), 80.0, 150.0, 140.0))[0] for i in range(len(walker.way))]
    path = write(tmp_path / "a.mp4", frames)
    job = {"path": path, "sha256": "0", "fps": None, "tracker": "motion", "folder": tmp_path, "box": None, "own": None}
    found = measured_or_error(job)
    assert found.values["video_cadence"] == pytest.approx(walker.parameters["cadence"], abs=3)
    assert found.missing["video_step_length"] == "the walker does not go across the picture"
    assert "video_walking_speed" not in found.values
    assert measured_or_error(job) == found
