"""The embedded cohort: kinematics against exact oracles, pixels against the manifest, and no label in the looks."""

import csv
import dataclasses
import itertools
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.signal import find_peaks

from tests.errors import coded
from trainables.errors import ConfigurationError
from trainables.knowledge.parameters import load_parameters
from trainables.simulation.cohort import (
    COHORT_SEEDS,
    FPS,
    Settings,
    Walk,
    draw_subject,
    draw_subjects,
    draw_walks,
    simulate_cohort,
)
from trainables.simulation.gait_groups import TRAITS, draw_traits
from trainables.simulation.renderer import draw_look
from trainables.simulation.walker import JOINT, THIGH, Footfalls, measure

SMALL = {"subjects": 6, "videos_per_subject": (1, 2), "seconds": 4.0, "size": 64}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_cohort(tmp_path_factory.mktemp("made") / "cohort", **SMALL)


def rows_of(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def walks_of(seed: int) -> list[Walk]:
    settings = Settings(subjects=9, videos_per_subject=(1, 1), seconds=8.0, size=112, seed=seed)
    return [walk for i, s in enumerate(draw_subjects(settings), 1) for walk in draw_walks(settings, i, s)]


def tops(course: np.ndarray, shortest: float) -> np.ndarray:
    """Returns the seconds of a course's tops, between frames by the parabola through three of them."""
    peaks, _ = find_peaks(course, distance=round(shortest * FPS), height=float(course.mean()))
    before, top, after = course[peaks - 1], course[peaks], course[peaks + 1]
    return (peaks + 0.5 * (before - after) / (before - 2 * top + after)) / FPS


def period(course: np.ndarray, shortest: float) -> float:
    """Returns the mean time between two peaks of a course at 30 per second."""
    smooth = np.convolve(course, np.hanning(7) / np.hanning(7).sum(), mode="same")
    peaks, _ = find_peaks(smooth[3:-3], distance=round(shortest * FPS), prominence=0.25 * np.ptp(smooth))
    return (peaks[-1] - peaks[0]) / (len(peaks) - 1) / FPS


def test_manifest_has_the_contract_columns(manifest: Path) -> None:
    """The manifest has subject, video, two labels and the 29 parameters, and every video is there at 30 frames/s."""
    rows = rows_of(manifest)
    assert list(rows[0]) == ["subject", "video", "diagnosis", "updrs_gait", *(p.key for p in load_parameters())]
    for row in rows:
        with av.open(str(manifest.parent / row["video"])) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.average_rate, stream.width, stream.height) == ("h264", 30, 64, 64)
            assert sum(1 for _ in container.decode(stream)) == 120


def test_groups_are_balanced() -> None:
    """24 subjects are 8 of each group, and every MDS-UPDRS gait score 0-3 has at least 3 of them."""
    settings = Settings(subjects=24, videos_per_subject=(2, 3), seconds=5.0, size=112, seed=0)
    subjects = draw_subjects(settings)
    assert [sum(s.group == g for s in subjects) for g in ("healthy", "DLB", "AD")] == [8, 8, 8]
    assert min(sum(s.score == score for s in subjects) for score in range(4)) >= 3
    assert [s.name for s in subjects] == [f"S{i:02d}" for i in range(1, 25)]


def test_some_cells_are_empty() -> None:
    """A default cohort lacks a few of its 29 values, as real ones do, and never a label."""
    settings = Settings(subjects=24, videos_per_subject=(1, 1), seconds=5.0, size=112, seed=0)
    from trainables.simulation.cohort import CELL_STREAM, _generator, _row

    subjects = draw_subjects(settings)
    walks = [(i, draw_walks(settings, i, s)[0]) for i, s in enumerate(subjects, 1)]
    cells = [cell for i, walk in walks for cell in _row(walk, _generator(0, i, CELL_STREAM)).values()]
    assert 3 <= cells.count("") <= 0.05 * len(cells)


def test_finished_cohort_is_reused(manifest: Path) -> None:
    """Asking again for the same settings writes nothing."""
    before = manifest.stat().st_mtime_ns
    assert simulate_cohort(manifest.parent, **SMALL) == manifest
    assert manifest.stat().st_mtime_ns == before


def test_same_seed_gives_the_same_bytes(manifest: Path, tmp_path: Path) -> None:
    """A cohort is a function of its settings: manifest and videos are the same to the byte."""
    again = simulate_cohort(tmp_path / "again", **SMALL)
    assert again.read_bytes() == manifest.read_bytes()
    for row in rows_of(manifest):
        assert (again.parent / row["video"]).read_bytes() == (manifest.parent / row["video"]).read_bytes()


def test_other_seed_gives_other_people() -> None:
    """No look and no trait is shared between two seeds."""
    first, second = ([(w.subject.look, w.subject.traits) for w in walks_of(seed)] for seed in (0, 1))
    assert not {repr(look) for look, _ in first} & {repr(look) for look, _ in second}
    assert not {repr(traits) for _, traits in first} & {repr(traits) for _, traits in second}


def test_other_settings_in_the_folder_are_an_error(manifest: Path) -> None:
    """A cohort with another seed is not silently taken or overwritten."""
    with pytest.raises(ConfigurationError, check=coded("simulation.other_settings", "seed 0 instead of 5")):
        simulate_cohort(manifest.parent, **SMALL, seed=5)


def test_foreign_folder_is_an_error(tmp_path: Path) -> None:
    """A folder with a user's own files is left alone."""
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigurationError, check=coded("output.exists", str(tmp_path))):
        simulate_cohort(tmp_path, **SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("wrong", "values"),
    [
        ({"seed": COHORT_SEEDS}, ("seed ", "1000000", "0-999999")),
        ({"subjects": 2}, ("subjects ", "is 2,", "3")),
        ({"videos_per_subject": (3, 2)}, ("videos_per_subject ", "(3, 2)")),
        ({"size": 65}, ("size ", "is 65,")),
        ({"seconds": 1.0}, ("seconds ", "is 1.0,", "4", "60")),
    ],
)
def test_wrong_setting_is_named(wrong: dict, values: tuple[str, ...], tmp_path: Path) -> None:
    """A setting that is not allowed is named with its value and what is allowed, and nothing is written."""
    with pytest.raises(ConfigurationError, check=coded("simulation.range", *values)):
        simulate_cohort(tmp_path / "cohort", **SMALL | wrong)
    assert not list(tmp_path.iterdir())


def test_look_does_not_depend_on_the_label() -> None:
    """The same person has the same clothes, build, room, camera and light, and the same view, in every group."""
    settings = Settings(subjects=3, videos_per_subject=(2, 2), seconds=4.0, size=64, seed=3)
    people = [draw_subject(3, 1, name="S01", group=g, score=s) for g, s in (("healthy", 0), ("DLB", 3), ("AD", 1))]
    assert people[0].look == people[1].look == people[2].look
    views = [[walk.view for walk in draw_walks(settings, 1, person)] for person in people]
    assert views[0] == views[1] == views[2]
    assert people[0].traits != people[1].traits


def test_groups_differ_and_overlap() -> None:
    """DLB is more asymmetric, variable and stooped than AD with less arm swing, yet single people overlap."""
    rng = np.random.default_rng(0)
    dlb, ad = ({k: [] for k in TRAITS} for _ in range(2))
    for into, group, scores in ((dlb, "DLB", (1, 2, 2, 3)), (ad, "AD", (0, 1, 1, 2))):
        for i in range(400):
            for key, value in draw_traits(group, scores[i % 4], rng).values.items():
                into[key].append(value)
    for key in ("step_time_asymmetry", "step_time_cv", "trunk_flexion", "arm_asymmetry", "double_support"):
        assert np.mean(dlb[key]) > np.mean(ad[key])
        assert np.quantile(ad[key], 0.95) > np.quantile(dlb[key], 0.2)
    for key in ("arm_swing", "step_length", "clearance"):
        assert np.mean(dlb[key]) < np.mean(ad[key])
        assert np.quantile(ad[key], 0.05) < np.quantile(dlb[key], 0.8)


def test_measured_parameters_of_a_regular_walk() -> None:
    """Footfalls every 0.5 s, 0.6 leg lengths apart, with 0.4 s of swing, give the parameters that follow by hand."""
    contact = np.arange(-1, 6, 0.5)
    right = np.arange(len(contact)) % 2 == 1
    steps = Footfalls(
        right=right,
        contact=contact,
        toe_off=contact - 0.4,
        x=0.6 * np.arange(len(contact)),
        z_cm=np.where(right, 5.0, -5.0),
        toe_angle=np.where(right, 8.0, 6.0),
        frozen=np.zeros(len(contact), dtype=bool),
    )
    expected = {
        "walking_speed": 1.2, "cadence": 120, "step_time_difference": 0, "step_length_difference": 0,
        "cycle_time_difference": 0, "step_time": 0.5, "step_length": 0.6, "cycle_time": 1.0, "stride_length": 1.2,
        "base_of_support": 10, "swing": 40, "swing_time": 0.4, "single_support": 40, "single_support_time": 0.4,
        "double_support": 20, "double_support_time": 0.2,
    }  # fmt: skip
    found = measure(steps, 5.0)
    assert set(found) == {p.key for p in load_parameters()}
    for key, value in found.items():
        stem = key.removesuffix("_left").removesuffix("_right")
        if stem != "toe_angle":
            assert value == pytest.approx(expected[stem], abs=1e-9), key
    assert (found["toe_angle_left"], found["toe_angle_right"]) == (6, 8)


def test_joints_keep_cadence_and_speed() -> None:
    """Cadence and speed measured back from the joint tracks are within 5 % of the walk's parameters."""
    fluent = [walk for seed in (0, 1) for walk in walks_of(seed) if not walk.gait.freezing]
    assert len(fluent) >= 8
    for walk in fluent:
        apart = np.abs(walk.joints[:, JOINT["left_ankle"], 0] - walk.joints[:, JOINT["right_ankle"], 0])
        step_time = period(apart, 0.6 * min(walk.gait.step_time))
        assert 60 / step_time == pytest.approx(walk.parameters["cadence"], rel=0.05)
        pelvis = walk.joints[:, JOINT["pelvis"], 0]
        speed = (pelvis[-1] - pelvis[0]) / ((len(pelvis) - 1) / FPS)
        assert speed == pytest.approx(walk.parameters["walking_speed"], rel=0.05)


def test_joints_keep_the_step_time_of_each_side() -> None:
    """Left and right step times, from where each ankle is furthest ahead, are within 5 % of the walk's parameters."""
    for walk in (walk for seed in (0, 1) for walk in walks_of(seed) if not walk.gait.freezing):
        ahead = walk.joints[:, JOINT["left_ankle"], 0] - walk.joints[:, JOINT["right_ankle"], 0]
        cycle = 0.6 * sum(walk.gait.step_time)
        strikes = sorted([(t, "left") for t in tops(ahead, cycle)] + [(t, "right") for t in tops(-ahead, cycle)])
        for side in ("left", "right"):
            steps = [t - before for (before, other), (t, now) in pairwise(strikes) if now == side != other]
            assert np.mean(steps) == pytest.approx(walk.parameters[f"step_time_{side}"], rel=0.05)


def test_pixels_keep_cadence() -> None:
    """Cadence measured back from the rendered pixels, as the width of the figure near the floor, is within 5 %."""
    red = (0.9, 0.1, 0.1)
    for walk in [w for w in walks_of(2) if not w.gait.freezing][:3]:
        plain = dataclasses.replace(
            walk.subject.look, skin=red, hair=red, top=red, trousers=red, shoes=red, wall=(0.5,) * 3, floor=(0.5,) * 3,
            furniture=(), azimuth=0.0, noise=0.0,
        )  # fmt: skip
        frames = (
            dataclasses.replace(walk, subject=dataclasses.replace(walk.subject, look=plain)).frames(112).astype(int)
        )
        figure = frames[..., 0] - frames[..., 1] > 40
        columns = figure[:, 80:].any(axis=1)  # [T, W] below the knee
        width = np.array([np.ptp(np.flatnonzero(row)) for row in columns], dtype=float)
        step_time = period(width, 0.6 * min(walk.gait.step_time))
        assert 60 / step_time == pytest.approx(walk.parameters["cadence"], rel=0.05)


def test_standing_foot_does_not_slide() -> None:
    """In mid-stance a foot stays where it fell, and the thigh keeps its length."""
    for walk in walks_of(4)[:4]:
        steps = walk.true_steps
        times = np.arange(len(walk.joints)) / FPS
        own = np.flatnonzero(steps.right)
        for here, there in itertools.pairwise(own):
            start, end = steps.contact[here], steps.toe_off[there]
            held = (times > start + 0.2 * (end - start)) & (times < start + 0.55 * (end - start))
            x = walk.joints[held, JOINT["right_ankle"], 0]
            assert np.ptp(x) < 1e-6 if held.any() else True
        thigh = walk.joints[:, JOINT["left_hip"], :2] - walk.joints[:, JOINT["left_knee"], :2]
        np.testing.assert_allclose(np.linalg.norm(thigh, axis=1), THIGH, atol=1e-9)


def test_clothes_can_be_told_from_the_wall() -> None:
    """In every look the trousers are darker than the wall by at least 0.08, so that legs can be seen."""
    looks = [draw_look(np.random.default_rng(i)) for i in range(200)]
    assert min(np.mean(look.wall) - np.mean(look.trousers) for look in looks) > 0.08


@pytest.mark.slow
def test_default_cohort_has_two_or_three_videos_of_24_subjects(tmp_path: Path) -> None:
    """The default settings give 24 subjects with two or three videos each."""
    rows = rows_of(simulate_cohort(tmp_path / "cohort"))
    assert 48 <= len(rows) <= 72
