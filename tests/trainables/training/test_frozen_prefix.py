"""Layers below the first prompted one are computed once a video, and change nothing in what a fold comes to."""

import numpy as np
import pytest
import torch

from tests.errors import coded
from tests.tiny_cohort import CONFIG, RECIPE, TinyCohort, make_cohort
from trainables.config import TrainConfig
from trainables.errors import ConfigurationError
from trainables.training.distributed import Workers
from trainables.training.fold import prepare, train_fold

LAYERS = 2
"""Of the tiny backbone's vision tower."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyCohort:
    return make_cohort(tmp_path_factory.mktemp("prefix"))


def prompted_from(layer: int, config: TrainConfig = CONFIG) -> TrainConfig:
    return config.with_values({"video.first_prompted_layer": layer})


@pytest.mark.parametrize("config", [CONFIG, RECIPE], ids=["published", "recipe"])
@pytest.mark.parametrize("layer", [1, LAYERS])
def test_cached_and_uncached_folds_are_the_same(tiny, tmp_path, monkeypatch, layer, config):
    """A fold trained and scored on cached prefixes has the losses and predictions of one that computes them in each step."""
    cached = train_fold(prompted_from(layer, config), tiny.job(tmp_path / "cached"))
    assert list(tiny.job(tmp_path).cache.glob("*-prefix-*.npy"))
    for module in ("trainables.training.frozen_prefix", "trainables.training.scoring"):
        monkeypatch.setattr(f"{module}.use_prefix", lambda *_: None)
    computed = train_fold(prompted_from(layer, config), tiny.job(tmp_path / "computed"))
    for ours, theirs in zip(cached.history, computed.history, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
    for ours, theirs in ((cached.predictions, computed.predictions), (cached.shuffled, computed.shuffled)):
        np.testing.assert_allclose(
            ours["probabilities"].to_list(), theirs["probabilities"].to_list(), atol=1e-4, rtol=1e-4
        )


def test_what_is_trained_begins_at_the_first_prompted_layer(tiny, tmp_path):
    """Layers below it have no prompts; after the last layer, nothing on the video side is trained."""
    for layer in (1, LAYERS):
        task = prepare(prompted_from(layer), tiny.job(tmp_path), Workers(), torch.device("cpu"))
        names = [name for name, _ in task.model.trained() if name.startswith("video_encoder")]
        assert {name.split(".")[2] for name in names if ".prompts." in name} == {str(n) for n in range(layer, LAYERS)}
        assert ("video_encoder.time_embedding" in names) == (layer < LAYERS)


def test_a_layer_beyond_the_tower_is_refused(tiny, tmp_path):
    """The sentence names the setting, its value and the number of layers."""
    with pytest.raises(
        ConfigurationError, check=coded("setting.range", f"first_prompted_layer is {LAYERS + 1}", f"to {LAYERS}")
    ):
        prepare(prompted_from(LAYERS + 1), tiny.job(tmp_path), Workers(), torch.device("cpu"))


def test_published_prompts_stand_in_every_layer():
    """They cannot begin at a later layer."""
    with pytest.raises(ConfigurationError, check=coded("setting.range", "first_prompted_layer is 1")):
        CONFIG.with_values({"video.first_prompted_layer": 1, "video.prompts_from": "vita.pth"})
