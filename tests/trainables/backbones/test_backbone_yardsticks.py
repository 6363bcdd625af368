"""The yardsticks of a backbone: zero-shot answers with their controls, and linear probes."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trainables.backbones.probe import LAGS, cohort_yardsticks, probe_score, simulated_yardsticks, video_features
from trainables.backbones.zero_shot import (
    PROMPTS,
    class_features,
    subject_score,
    swapped,
    with_random_keywords,
    zero_shot_scores,
)
from trainables.knowledge.tasks import load_task
from trainables.model.backbone import SMALL, Backbone, load_backbone
from trainables.simulation.cohort import simulate_cohort, write_video


@pytest.fixture(scope="module")
def small() -> Backbone:
    return load_backbone("small")


def test_zero_shot_finds_what_the_keywords_say(small: Backbone) -> None:
    """Videos with the very features of the classes' texts are all named; under swapped keywords none is named by most."""
    task = load_task("diagnosis")
    x = class_features(small, task, PROMPTS)
    rows = pl.DataFrame({"subject": ["a", "b", "c"], "diagnosis": ["healthy", "DLB", "AD"]})
    scores = zero_shot_scores(small, task, x, rows)
    assert scores["keywords"] == 1.0
    assert scores["swapped keywords"] < 0.5
    assert list(scores) == ["keywords", "names only", "swapped keywords", "random keywords", "random vectors"]
    assert 0.2 < scores["random vectors"] < 0.5


def test_swapped_descriptions_belong_to_another_class() -> None:
    """Each cyclic shift keeps the names and gives every class another one's descriptions."""
    task = load_task("diagnosis")
    others = list(swapped(task))
    assert len(others) == 2
    for other in others:
        assert [c.name for c in other.classes] == [c.name for c in task.classes]
        assert all(a.descriptions != b.descriptions for a, b in zip(task.classes, other.classes, strict=True))
    assert {other.classes[0].descriptions for other in others} == {c.descriptions for c in task.classes[1:]}


def test_random_keywords_keep_the_number_of_phrases() -> None:
    """As many phrases stand in each description as before, and two draws differ."""
    task, rng = load_task("diagnosis"), np.random.default_rng(0)
    first, second = with_random_keywords(task, rng), with_random_keywords(task, rng)
    assert first != second
    for before, after in zip(task.classes, first.classes, strict=True):
        counts = [[len(d.keywords) for d in c.descriptions] for c in (before, after)]
        assert counts[0] == counts[1]


def test_a_subject_has_one_answer() -> None:
    """Probabilities are averaged over a subject's videos before the largest is taken."""
    rows = pl.DataFrame({"subject": ["a", "a", "b"], "y": ["n", "n", "p"]})
    probability = np.array([[0.4, 0.6], [0.9, 0.1], [0.2, 0.8]])
    assert subject_score(probability, rows, "y", ["n", "p"]) == 1.0
    assert subject_score(probability[:, ::-1], rows, "y", ["n", "p"]) == 0.0


def test_features_over_time_see_order_and_rhythm(small: Backbone, tmp_path: Path) -> None:
    """Reversing a video negates its order and leaves its mean and, nearly, its rhythm."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(30, 220, 60)[:, None, None, None] * np.ones((60, 80, 80, 3))
    frames = (ramp + rng.uniform(-20, 20, (1, 80, 80, 3))).clip(0, 255).astype(np.uint8)
    write_video(tmp_path / "there.mp4", frames)
    write_video(tmp_path / "back.mp4", frames[::-1].copy())
    there, back = (video_features(small.clip, tmp_path / f"{name}.mp4") for name in ("there", "back"))
    assert there.rhythm.shape == (len(LAGS) * small.width,)
    assert np.corrcoef(there.order, back.order)[0, 1] < -0.95
    assert np.allclose(there.mean, back.mean, atol=0.05 * np.abs(there.mean).max())
    assert np.corrcoef(there.rhythm, back.rhythm)[0, 1] > 0.95


def test_probe_finds_a_feature_that_tells_the_class() -> None:
    """A feature that equals the class scores 1, noise about one half."""
    rng = np.random.default_rng(0)
    rows = pl.DataFrame({"subject": [f"s{i // 2}" for i in range(60)], "y": ["np"[i // 2 % 2] for i in range(60)]})
    telling = np.array([[1.0 if y == "p" else -1.0] for y in rows["y"]])
    assert probe_score(telling, rows, "y") == 1.0
    assert 0.2 < probe_score(rng.standard_normal((60, 4)), rows, "y") < 0.8


def test_both_kinds_of_yardsticks_are_printed(tmp_path: Path) -> None:
    """A simulated cohort gives a line per label with every control; a given cohort one line with the three probes."""
    manifest = simulate_cohort(tmp_path / "made", subjects=15, videos_per_subject=(1, 1), seconds=4, size=64, seed=5)
    line = next(iter(cohort_yardsticks(SMALL, manifest, "diagnosis")))
    assert line.startswith("made, diagnosis: balanced accuracy per subject: probe of the mean")
    assert "probe of the rhythm" in line
    assert "probe of the order" in line
    lines = list(simulated_yardsticks(SMALL, seeds=(5,), subjects=12))
    assert [line.split(":")[0] for line in lines] == ["cohort seed 5, diagnosis", "cohort seed 5, updrs_gait"]
    for words in ("keywords", "names only", "swapped", "random", "linear probe", "29 parameters", "chance 0.33"):
        assert words in lines[0]
