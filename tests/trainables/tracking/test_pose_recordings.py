"""The tracker `pose`, with its real weights, on films as cameras and people make them, with the truth of what was drawn."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from experiments.corridor import Cutout, Film, crossing, cut_out, write
from tests.boxes import overlap
from trainables.study.files import file_sha256
from trainables.study.passes import spans
from trainables.tracking.landmark_model import keep_weights
from trainables.tracking.track import Track, track_video

Box = tuple[float, float, float, float] | None
WIDTH, HEIGHT = 384, 216
SIDE = 0.8 * HEIGHT
"""Pixels of the walker's square."""
GOOD = 0.7
"""Mean overlap with the drawn boxes; landmarks lie within the body, and drawn walkers are not what the networks know."""


@pytest.fixture(scope="module")
def right() -> Cutout:
    return cut_out(1, seconds=4, size=176)


@pytest.fixture(scope="module")
def cache(pose_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a frame cache's folder that holds the networks' weights."""
    folder = tmp_path_factory.mktemp("cache")
    keep_weights(pose_weights, folder)
    return folder


def followed(path: Path, cache: Path) -> Track:
    return track_video(path, file_sha256(path), None, "pose", cache)


def placed(film: Film, cutout: Cutout, xs: Iterable[float], *, step: int = 1) -> tuple[list[np.ndarray], list[Box]]:
    """Returns frames and boxes of a walker whose middle is at `xs`; `step` 0 is standing."""
    made = [film.frame((*cutout.frame(step * i), x, 0.93 * film.height, SIDE)) for i, x in enumerate(xs)]
    return [frame for frame, _ in made], [boxes[0] for _, boxes in made]


def mean_overlap(track: Track, boxes: Sequence[Box]) -> float:
    """Returns the mean overlap of the track's boxes with the true ones, over the frames that are used."""
    assert track.frames == len(boxes)
    used = [i for first, last in spans(track.frames, track.passes) for i in range(first, last)]
    assert len(used) >= 30
    assert all(boxes[i] is not None for i in used), "a frame without a walker is used"
    return float(np.mean([overlap(track.boxes[i], boxes[i]) for i in used]))


@pytest.mark.parametrize(("rate", "variable"), [(25, False), (50, False), (60, False), (120, False), (30, True)])
def test_frame_rates(tmp_path, cache, right, rate, variable):
    """Boxes are those of the frames at 30 per second, whatever the file's rate is, and where it varies."""
    moments = np.arange(0, 3, 1 / rate)
    if variable:
        steps = np.random.default_rng(0).uniform(0.5, 1.5, 90) / 30
        moments = np.cumsum(steps) - steps[0]
    film = Film(width=WIDTH, height=HEIGHT)
    shown = np.minimum((moments * 30).round().astype(int), len(right.way) - 1)
    drawn = {k: film.frame((*right.frame(k), 30 + right.way[k] * SIDE, 0.93 * HEIGHT, SIDE)) for k in set(shown)}
    options = {"times": moments.tolist()} if variable else {"fps": rate}
    track = followed(write(tmp_path / "a.mp4", [drawn[k][0] for k in shown], **options), cache)
    assert (track.kind, track.problem) == ("followed", "")
    nearest = [shown[np.abs(moments - i / 30).argmin()] for i in range(track.frames)]
    assert mean_overlap(track, [drawn[k][1][0] for k in nearest]) >= GOOD


def test_a_telephone_held_upright(tmp_path, cache, right):
    """A portrait recording is a landscape file that a player turns; boxes are those of the upright picture."""
    film = Film(width=HEIGHT, height=WIDTH)
    made = [film.frame((*right.frame(i), -30 + right.way[i] * 140, 300, 140)) for i in range(90)]
    path = write(tmp_path / "a.mp4", [np.rot90(frame) for frame, _ in made], rotation=-90)
    track = followed(path, cache)
    assert (track.kind, track.problem) == ("followed", "")
    assert mean_overlap(track, [boxes[0] for _, boxes in made]) >= GOOD


def test_on_a_treadmill(tmp_path, cache, right):
    """Who walks in one place is cut out by one square, from head to feet, and every frame is used."""
    frames, boxes = placed(Film(width=WIDTH, height=HEIGHT), right, [WIDTH / 2] * 90)
    track = followed(write(tmp_path / "a.mp4", frames), cache)
    assert (track.kind, track.passes, track.problem) == ("in place", None, "")
    assert (track.crops == track.crops[0]).all()
    a, b, c, d = track.crops[0]
    assert c - a <= 1.5 * SIDE
    shown = [(min(c, z) - max(a, x)) * (min(d, w) - max(b, y)) / ((z - x) * (w - y)) for x, y, z, w in boxes]
    assert min(shown) >= 0.95


def test_turning_around_parts_two_passes(tmp_path, cache, right):
    """Somebody who turns half-way has two passes, one for each direction, and no frame of the turn is in both."""
    film, left = Film(width=WIDTH, height=HEIGHT), cut_out(1, seconds=4, size=176, facing=-1)
    there = 50 + right.way[:75] * SIDE
    back = there[-1] - (left.way[:75] - left.way[0]) * SIDE
    frames, boxes = placed(film, right, there)
    more, others = placed(film, left, back)
    track = followed(write(tmp_path / "a.mp4", frames + more), cache)
    assert track.problem == ""
    (_, end), (start, _) = track.passes
    assert end <= 75 + 8
    assert start >= 75 - 8
    assert end <= start
    assert mean_overlap(track, boxes + others) >= GOOD


def test_standing_at_first(tmp_path, cache, right):
    """Two seconds before the first step are not used, though the person is in the picture all the time."""
    film = Film(width=WIDTH, height=HEIGHT)
    still, a = placed(film, right, [90.0] * 60, step=0)
    going, b = placed(film, right, 90 + right.way[:75] * SIDE)
    track = followed(write(tmp_path / "a.mp4", still + going), cache)
    assert track.problem == ""
    assert set(track.states[:45]) == {"standing"}  # speed is smoothed over half a second
    assert track.passes[0][0] >= 45
    assert mean_overlap(track, a + b) >= GOOD


def test_an_empty_picture_before_and_after(tmp_path, cache, right):
    """Frames in which nobody is, are not used."""
    film = Film(width=WIDTH, height=HEIGHT)
    made = list(crossing(right, film))[:90]
    empty = [film.frame()[0] for _ in range(20)]
    track = followed(write(tmp_path / "a.mp4", [*empty, *(frame for frame, _ in made), *empty]), cache)
    assert track.problem == ""
    assert mean_overlap(track, [*[None] * 20, *(box for _, box in made), *[None] * 20]) >= GOOD
