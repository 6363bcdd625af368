"""The tracker `motion` on films of a fixed camera, some of them odd, with the truth of what was drawn."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from experiments.corridor import Cutout, Film, crossing, cut_out, write
from tests.boxes import overlap
from trainables.study.passes import spans
from trainables.tracking.foreground import read_small
from trainables.tracking.track import Track, follow_walker

Box = tuple[float, float, float, float] | None
SIDE = 144
"""Pixels of the walker's square in a picture of 320 x 180."""


@pytest.fixture(scope="module")
def right() -> Cutout:
    return cut_out(1, seconds=6)


@pytest.fixture(scope="module")
def left() -> Cutout:
    return cut_out(1, seconds=6, facing=-1)


def tracked(path: Path, frames: Iterable[np.ndarray], **options) -> Track:
    """Returns the track of a film that was written to a file and read again."""
    return follow_walker(read_small(write(path, list(frames), **options), None))


def mean_overlap(track: Track, boxes: list[Box]) -> float:
    """Returns the mean overlap of the track's boxes with the true ones, over the frames that are used."""
    assert track.frames == len(boxes)
    used = [i for first, last in track.passes or ((0, track.frames),) for i in range(first, last)]
    assert all(boxes[i] is not None for i in used), "a frame without a walker is used"
    return float(np.mean([overlap(track.boxes[i], boxes[i]) for i in used]))


def placed(film: Film, cutout: Cutout, xs: Iterable[float], *, start: int = 0, step: int = 1, **more):
    """Returns frames and boxes of a walker whose middle is at `xs`."""
    made = [
        film.frame((*cutout.frame(start + step * i), x, 0.93 * film.height, SIDE), **more) for i, x in enumerate(xs)
    ]
    return [frame for frame, _ in made], [boxes[0] for _, boxes in made]


@pytest.mark.parametrize("facing", ["right", "left"])
def test_a_walker_who_crosses_the_picture(tmp_path, request, facing):
    """The walker is followed in either direction; empty frames and those over the edge are not used."""
    film, cutout = Film(seed=3), request.getfixturevalue(facing)
    frames, boxes = zip(*crossing(cutout, film), strict=True)
    empty = [film.frame()[0] for _ in range(30)]
    track = tracked(tmp_path / "a.mp4", [*empty, *frames, *empty])
    boxes = [None] * 30 + list(boxes) + [None] * 30
    assert track.kind == "followed"
    assert len(track.passes) == 1
    assert mean_overlap(track, boxes) >= 0.9
    for first, last in track.passes:
        for i in range(first, last):
            x, y, z, w = boxes[i]
            a, b, c, d = track.crops[i]
            assert a <= x
            assert z <= c
            assert b <= y + 1
            assert w <= d + 1


def test_turning_around_parts_two_passes(tmp_path, right, left):
    """Somebody who turns half-way has two passes, one for each direction."""
    film, way = Film(), right.way * SIDE
    there = -40 + way[:100]
    back = there[-1] - (way[:90] - way[0])
    frames, boxes = placed(film, right, there)
    more, others = placed(film, left, back)
    track = tracked(tmp_path / "a.mp4", frames + more)
    assert len(track.passes) == 2
    assert mean_overlap(track, boxes + others) >= 0.9
    assert track.passes[0][1] <= 100 + 5
    assert track.passes[1][0] >= 100 - 5


def test_standing_at_first(tmp_path, right):
    """Three seconds before the first step are not used, though the walker is in the picture all the time."""
    film = Film()
    still, a = placed(film, right, [70.0] * 90, step=0)
    going, b = placed(film, right, 70 + right.way[:100] * SIDE)
    track = tracked(tmp_path / "a.mp4", still + going)
    assert set(track.states[:75]) == {"standing"}  # speed is smoothed over half a second
    assert mean_overlap(track, a + b) >= 0.9


def test_on_a_treadmill(tmp_path, right):
    """Who walks in one place is cut out by one square, from head to feet, and every frame is used."""
    frames, boxes = placed(Film(), right, [160.0] * 150)
    track = tracked(tmp_path / "a.mp4", frames)
    assert (track.kind, track.passes) == ("in place", None)
    assert (track.crops == track.crops[0]).all()
    a, b, c, d = track.crops[0]
    assert all(a <= x and b <= y and z <= c and w <= d for x, y, z, w in boxes)
    assert c - a <= 1.5 * SIDE


def test_walking_towards_the_camera(tmp_path, right):
    """The walker becomes three times as tall in the middle of the picture, which never shows what is behind."""
    film = Film()
    sides = 50 / (1 - 0.65 * np.arange(150) / 150)
    made = [film.frame((*right.frame(i), 160.0, 90 + 0.5 * s, s)) for i, s in enumerate(sides)]
    track = tracked(tmp_path / "a.mp4", [frame for frame, _ in made])
    assert track.kind == "followed"
    (span,) = spans(track.frames, track.passes)
    first, last = span
    assert last - first >= 100
    x, y, z, w = made[last - 5][1][0]
    a, b, c, d = track.crops[last - 5]
    shown = (min(z, c) - max(x, a)) * (min(w, d) - max(y, b))
    assert shown / ((z - x) * (w - y)) >= 0.95


def test_exposure_that_changes(tmp_path, right):
    """A camera that adapts to a white coat changes the whole picture, and nobody is found or lost by it."""
    film = Film()
    made = [
        film.frame((*right.frame(i), -40 + right.way[i] * SIDE, 167, SIDE), light=1 + 0.2 * np.sin(i / 8))
        for i in range(150)
    ]
    track = tracked(tmp_path / "a.mp4", [frame for frame, _ in made])
    assert mean_overlap(track, [boxes[0] for _, boxes in made]) >= 0.9


def test_a_camera_in_somebodys_hands(tmp_path, right):
    """Swaying by some pixels, it is held still before anything is looked for, and boxes are those of the film."""
    film, made = Film(), []
    for i in range(150):
        made.append(film.frame((*right.frame(i), -40 + right.way[i] * SIDE, 167, SIDE), pan=40 + 5 * np.sin(i / 15)))
    track = tracked(tmp_path / "a.mp4", [frame for frame, _ in made])
    assert track.kind == "followed"
    assert mean_overlap(track, [boxes[0] for _, boxes in made]) >= 0.85


def test_a_camera_that_moves_along(tmp_path, right):
    """Where the camera follows the walker the whole picture is used, and the note says why."""
    film = Film()
    made = [film.frame((*right.frame(i), 160.0, 167, SIDE), pan=right.way[i] * SIDE) for i in range(150)]
    track = tracked(tmp_path / "a.mp4", [frame for frame, _ in made])
    assert (track.kind, track.crops, track.passes, track.note) == ("whole picture", None, None, "the camera moves")


def test_a_walker_who_fills_the_picture(tmp_path, right):
    """A square that is hardly smaller than the picture is not cut out; empty frames are left out nevertheless."""
    film = Film(width=200, height=180)
    frames, _ = zip(*crossing(right, film, side=170), strict=True)
    track = tracked(tmp_path / "a.mp4", [*[film.frame()[0] for _ in range(40)], *frames])
    assert (track.kind, track.crops, track.note) == ("whole picture", None, "the walker fills the picture")
    assert track.passes[0][0] >= 40


def test_a_square_picture_is_used_whole(tmp_path, right):
    """No camera records squares: somebody has cut around the walker already."""
    film = Film(width=180, height=180)
    frames, _ = placed(film, right, [90.0] * 60)
    track = tracked(tmp_path / "a.mp4", frames)
    assert (track.kind, track.crops, track.passes) == ("whole picture", None, None)
    assert "square" in track.note


@pytest.mark.parametrize(("rate", "times"), [(25, None), (50, None), (60, None), (120, None), (30, "variable")])
def test_frame_rates(tmp_path, right, rate, times):
    """Boxes are those of the frames at 30 per second, whatever the file's rate is, and where it varies."""
    film, moments = Film(), np.arange(0, 5, 1 / rate)
    if times:
        moments = np.cumsum(np.random.default_rng(0).uniform(0.5, 1.5, 150) / 30)
        moments -= moments[0]
    made = [
        film.frame((*right.frame(k), -40 + right.way[k] * SIDE, 167, SIDE))
        for k in np.minimum((moments * 30).round().astype(int), 179)
    ]
    options = {"times": moments.tolist()} if times else {"fps": rate}
    track = tracked(tmp_path / "a.mp4", [frame for frame, _ in made], **options)
    shown = [int(np.abs(moments - i / 30).argmin()) for i in range(track.frames)]
    assert mean_overlap(track, [made[k][1][0] for k in shown]) >= 0.85


def test_a_telephone_held_upright(tmp_path, right):
    """A portrait recording is a landscape file that a player turns; boxes are those of the upright picture."""
    film = Film(width=180, height=320)
    made = [film.frame((*right.frame(i), -30 + right.way[i] * 110, 250, 110)) for i in range(150)]
    track = tracked(tmp_path / "a.mp4", [np.rot90(frame) for frame, _ in made], rotation=-90)
    assert track.kind == "followed"
    assert mean_overlap(track, [boxes[0] for _, boxes in made]) >= 0.9


@pytest.mark.parametrize("what", ["two people", "small", "nobody"])
def test_what_cannot_be_followed_is_one_sentence(tmp_path, right, left, what):
    """Several walkers, one too small, and none at all are problems, each with what to do."""
    film = Film()
    if what == "two people":
        frames = [
            film.frame(
                (*right.frame(i), -30 + right.way[i] * SIDE, 167, SIDE),
                (*left.frame(i), 350 - left.way[i] * SIDE, 167, SIDE),
            )[0]
            for i in range(150)
        ]
        said = "shows 2 people who walk at the same time"
    elif what == "small":
        frames = [film.frame((*right.frame(i), -10 + right.way[i] * 35, 150, 35))[0] for i in range(150)]
        said = "pixels tall, but 48 are needed"
    else:
        frames = [film.frame()[0] for _ in range(60)]
        said = "shows nobody who walks"
    track = tracked(tmp_path / "a.mp4", frames)
    assert said in track.problem
    assert track.problem.endswith("leave its row out, or use whole pictures (--track none)")
    assert "\n" not in track.problem


def test_a_track_is_read_as_it_was_written(tmp_path, right):
    """The parquet file holds everything, and one that is not whole is made again."""
    frames, _ = zip(*crossing(right, Film()), strict=True)
    track = tracked(tmp_path / "a.mp4", frames)
    track.save(tmp_path / "t.parquet")
    again = Track.load(tmp_path / "t.parquet")
    assert (again.kind, again.frames, again.states, again.passes) == (
        track.kind,
        track.frames,
        track.states,
        track.passes,
    )
    np.testing.assert_array_equal(again.crops, track.crops)
    np.testing.assert_array_equal(again.boxes, track.boxes)
    assert again.cut() == track.cut()
    whole = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(whole[:-20])
    assert Track.load(tmp_path / "t.parquet") is None
    assert Track.load(tmp_path / "none.parquet") is None
