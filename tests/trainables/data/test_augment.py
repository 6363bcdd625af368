"""Augmentation: the pixels of a window, the sides of its numbers, and a fold trained with it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.errors import coded
from tests.tiny_cohort import RECIPE, TinyCohort, make_cohort
from trainables.config import TrainConfig
from trainables.data.augment import Augmentation, augmented, draw_augmentation
from trainables.errors import ConfigurationError
from trainables.knowledge.parameters import load_parameters
from trainables.settings import AugmentConfig
from trainables.training.draws import Draws
from trainables.training.fold import train_fold
from trainables.training.job import mirrored_values


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyCohort:
    return make_cohort(tmp_path_factory.mktemp("augment"))


def frames() -> torch.Tensor:
    """Returns two frames whose left half is dark with one bright pixel."""
    made = torch.full((2, 3, 16, 16), 200, dtype=torch.uint8)
    made[..., :8] = 50
    made[..., 4, 2] = 250
    return made


def test_nothing_is_nothing():
    """The empty augmentation gives the same pixels."""
    assert torch.equal(augmented(frames(), Augmentation()), frames())


def test_mirror_is_the_mirror_image():
    """Mirrored twice is as before, and once is the flip."""
    once = augmented(frames(), Augmentation(mirror=True))
    assert torch.equal(once, frames().flip(-1))
    assert torch.equal(augmented(once, Augmentation(mirror=True)), frames())


def test_shift_moves_the_picture():
    """A shift by an eighth of 16 pixels moves everything by two pixels to the right and down; black comes in."""
    moved = augmented(frames(), Augmentation(right=0.125, down=0.125))
    assert torch.equal(moved[..., 2:, 2:], frames()[..., :-2, :-2])
    assert moved[..., :2, :].max() == 0


def test_light_changes_all_frames_alike():
    """Contrast and brightness are those that were drawn."""
    lit = augmented(frames(), Augmentation(gain=1.2, lift=0.1))
    expected = ((frames().float() / 255 - 0.5) * 1.2 + 0.6).clamp(0, 1) * 255
    torch.testing.assert_close(lit.float(), expected, rtol=0, atol=0.51)


def test_draws_stay_within_the_settings():
    """A thousand draws use the whole range of the settings and do not leave it."""
    config, generator = AugmentConfig(light=0.2, shift=0.1, scale=0.3, mirror=True), np.random.default_rng(0)
    drawn = [draw_augmentation(config, generator) for _ in range(1000)]
    assert max(abs(a.gain - 1) for a in drawn) == pytest.approx(0.2, abs=0.01)
    assert max(abs(a.right) for a in drawn) == pytest.approx(0.1, abs=0.01)
    assert max(abs(a.zoom - 1) for a in drawn) == pytest.approx(0.3, abs=0.01)
    assert 400 < sum(a.mirror for a in drawn) < 600


def test_numbers_change_sides(tiny):
    """Left and right parameters are exchanged, a difference changes its sign, what has no side stays."""
    parameters = load_parameters()
    cohort = replace(tiny.cohort, parameters=tuple(parameters))
    values = np.arange(1.0, 1 + len(parameters))[None]
    mirrored = mirrored_values(cohort, values)[0]
    keys = [p.key for p in parameters]
    assert mirrored[keys.index("step_time_left")] == values[0, keys.index("step_time_right")]
    assert mirrored[keys.index("cadence")] == values[0, keys.index("cadence")]
    differences = [i for i, p in enumerate(parameters) if p.side == "difference"]
    assert differences
    assert all(mirrored[i] == -values[0, i] for i in differences)
    np.testing.assert_array_equal(mirrored_values(cohort, mirrored[None]), values)


def test_a_fold_trains_with_augmentation(tiny, tmp_path):
    """Augmented draws give other weights, and the windows' own numbers follow the mirror."""
    settings = {"augment.light": 0.2, "augment.shift": 0.1, "augment.scale": 0.1, "augment.mirror": True,
                "numeracy.video_weight": 0.05}  # fmt: skip
    results = [
        train_fold(RECIPE.with_values(given), tiny.job(tmp_path / str(n)))
        for n, given in enumerate((settings, {"numeracy.video_weight": 0.05}))
    ]
    assert results[0].predictions["probabilities"].to_list() != results[1].predictions["probabilities"].to_list()
    data = tiny.job(tmp_path).training(RECIPE)
    augment = RECIPE.with_values(settings).augment
    steps = Draws(data, RECIPE.optimizer, augment).epoch(np.random.default_rng(0))
    assert all(w.augmentation is not None for step in steps for w in step)


def test_settings_are_shares():
    """A size of one or more is refused."""
    with pytest.raises(ConfigurationError, check=coded("setting.range", "augment.shift", "1.5")):
        TrainConfig().with_values({"augment.shift": 1.5})
