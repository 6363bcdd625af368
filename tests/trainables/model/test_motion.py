"""The motion read-out: what its statistics see, its closed form, and that a fold with it is a fold like any other."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.linear_model import Ridge

from tests.tiny_cohort import CONFIG, RECIPE, TinyCohort, make_cohort
from trainables.config import TrainConfig
from trainables.model.motion import (
    MotionBasis,
    MotionReadout,
    autocorrelation,
    block_sizes,
    frozen_tokens,
    order,
    pooled,
    ridge,
)
from trainables.training.distributed import Workers
from trainables.training.draws import Window, windows_of
from trainables.training.fold import prepare, train, train_fold
from trainables.training.frozen_video import compute, frozen_name, frozen_video, window_starts
from trainables.training.job import FoldJob
from trainables.training.readout import balanced_weights
from trainables.training.scoring import score
from trainables.training.window_motion import WindowMotion


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyCohort:
    return make_cohort(tmp_path_factory.mktemp("motion"))


def task_of(config: TrainConfig, job: FoldJob):
    return prepare(config, job, Workers(), torch.device("cpu"))


def probabilities(frame: pl.DataFrame) -> np.ndarray:
    return np.array(frame["probabilities"].to_list())


def test_order_turns_its_sign_with_time():
    """The first cosine coefficient of a series played backwards is its negative; of a constant it is zero."""
    series = torch.randn(70, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(order(series.flip(0)), -order(series))
    assert order(torch.ones(70, 3, dtype=torch.float64)).abs().max() < 1e-12


def test_autocorrelation_of_a_sine():
    """A sine of period 16 recurs after 16 frames and is reversed after 8; a lag beyond the series is 0."""
    sine = torch.sin(2 * math.pi * torch.arange(160, dtype=torch.float64) / 16)[:, None]
    found = autocorrelation(sine, (8, 16, 200))
    assert found[0] < -0.9
    assert found[1] > 0.85
    assert found[2] == 0


def test_frozen_features_are_clips_own(tiny):
    """The tower without prompts gives transformers' own image features, and the class token stands first."""
    clip = tiny.frozen.backbone.clip
    pixels = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        tokens = frozen_tokens(clip.vision_model, clip.visual_projection, pixels)
        theirs = clip.vision_model(pixel_values=pixels, output_hidden_states=True)
        torch.testing.assert_close(tokens.features, clip.visual_projection(theirs.pooler_output), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(tokens.early, theirs.hidden_states[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(tokens.late, theirs.hidden_states[-1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(tokens.class_before_last, theirs.hidden_states[-2][:, 0], rtol=1e-4, atol=1e-5)


def test_patches_are_pooled_to_a_grid():
    """14 x 14 patches become 5 x 5 of the same mean, and the class token stays as it is."""
    tokens = torch.randn(2, 1 + 196, 8, generator=torch.Generator().manual_seed(0))
    smaller = pooled(tokens)
    assert smaller.shape == (2, 26, 8)
    assert torch.equal(smaller[:, 0], tokens[:, 0])
    corner = tokens[:, 1:].unflatten(1, (14, 14))[:, :3, :3].mean((1, 2))
    torch.testing.assert_close(smaller[:, 1], corner)


def test_statistics_are_those_of_each_window(tiny, monkeypatch):
    """Kept statistics are of windows every five frames, whatever the chunks in which the frames were read."""
    monkeypatch.setattr("trainables.training.frozen_video.CHUNK", 16)
    monkeypatch.setattr("trainables.training.frozen_video.BATCH", 16)
    backbone = tiny.frozen.backbone
    frames = np.random.default_rng(0).integers(0, 256, (47, 32, 32, 3), dtype=np.uint8)
    found = compute(backbone, frames, 30, seed=0)
    assert found.starts.tolist() == window_starts(47, 30, 5) == [0, 5, 10, 15, 17]
    assert found.statistics.shape == (5, sum(block_sizes(backbone.clip.config.vision_config)))
    alone = compute(backbone, frames[10:40], 30, seed=0)
    torch.testing.assert_close(found.at(10), alone.at(0), rtol=0, atol=2e-3)
    assert torch.equal(found.at(11), found.at(10))
    uneven = compute(backbone, frames, 22, seed=0)
    assert uneven.shuffled_starts.tolist() == [0, 22, 25]
    short = compute(backbone, frames[:12], 30, seed=0)
    assert (short.starts.tolist(), len(short.features)) == ([0], 12)


def test_shuffled_statistics_keep_what_a_set_of_frames_says(tiny):
    """A random order changes order and rhythm, and with another seed it is another."""
    ramp = np.linspace(0, 255, 40).astype(np.uint8)[:, None, None, None]
    frames = np.broadcast_to(ramp, (40, 32, 32, 3)).copy()
    one, other = (compute(tiny.frozen.backbone, frames, 30, seed=seed) for seed in (0, 1))
    assert torch.equal(one.statistics, other.statistics)
    assert not torch.equal(one.shuffled, other.shuffled)
    first = slice(0, block_sizes(tiny.frozen.backbone.clip.config.vision_config)[0])
    assert one.shuffled[0][first].abs().mean() < 0.5 * one.statistics[0][first].abs().mean()


def test_frozen_video_is_read_where_it_was_written(tiny, tmp_path):
    """The second reading takes the file; a damaged file is computed again."""
    name = tiny.cohort.videos["cached"][0]
    backbone = tiny.frozen.backbone
    first = frozen_video(backbone, tiny.cache, name, 30)
    path = tiny.cache / frozen_name(backbone, name, 30)
    before = path.stat().st_mtime_ns
    assert torch.equal(frozen_video(backbone, tiny.cache, name, 30).statistics, first.statistics)
    assert path.stat().st_mtime_ns == before
    path.write_bytes(b"half a file")
    assert torch.equal(frozen_video(backbone, tiny.cache, name, 30).statistics, first.statistics)
    assert frozen_name(backbone, name, 40) != path.name


def test_basis_gives_every_block_its_weight():
    """Components are orthogonal on the training windows, with a mean square norm of 1, and one large block does not rule."""
    generator = torch.Generator().manual_seed(0)
    statistics = torch.randn(40, 60, generator=generator) * torch.rand(60, generator=generator) * 5 + 3
    basis = MotionBasis.fit(statistics, (10, 20, 30), components=100)
    scores = basis.scores(statistics).double()
    gram = scores.T @ scores
    assert basis.directions.shape[1] == 39  # centred windows span one dimension less
    torch.testing.assert_close(gram - torch.diag(gram.diagonal()), torch.zeros_like(gram), rtol=0, atol=1e-4)
    assert float(scores.square().sum(1).mean()) == pytest.approx(1.0, rel=1e-4)


def test_ridge_is_scikit_learns():
    """Weights, penalty and an intercept without penalty as scikit-learn has them."""
    rng = np.random.default_rng(0)
    x, y, weights = rng.normal(size=(30, 5)), rng.normal(size=(30, 2)), rng.uniform(0.2, 3, 30)
    weight, bias = ridge(*(torch.from_numpy(a) for a in (x, y, weights)), penalty=3.0)
    theirs = Ridge(alpha=3.0).fit(x, y, sample_weight=weights / weights.mean())
    np.testing.assert_allclose(weight.numpy(), theirs.coef_, atol=1e-10)
    np.testing.assert_allclose(bias.numpy(), theirs.intercept_, atol=1e-10)


def test_readout_on_statistics_is_the_readout_on_components():
    """Put on statistics the map gives the same scores, and keeps no basis."""
    statistics = torch.randn(20, 60, generator=torch.Generator().manual_seed(0))
    basis = MotionBasis.fit(statistics, (10, 20, 30), components=8)
    readout = MotionReadout(8, 3)
    torch.nn.init.normal_(readout.weight, generator=torch.Generator().manual_seed(1))
    torch.nn.init.normal_(readout.bias, generator=torch.Generator().manual_seed(2))
    whole = readout.on_statistics(basis)
    torch.testing.assert_close(whole(statistics), readout(basis.scores(statistics)), rtol=1e-3, atol=1e-4)
    assert whole.state_dict().keys() == {"weight", "bias"}


def test_balanced_weights():
    """Both classes weigh the same, and within a class each subject, whatever the number of their windows."""
    labels, subjects = np.array([0, 0, 0, 0, 1]), np.array(["a", "a", "a", "b", "c"])
    weights = balanced_weights(labels, subjects).numpy()
    assert weights[:4].sum() == pytest.approx(weights[4])
    assert weights[:3].sum() == pytest.approx(weights[3])


def test_without_a_readout_step_0_is_clip(tiny, tmp_path):
    """With the read-out off an untrained model's logits are CLIP's scale times the cosine."""
    task = task_of(RECIPE.with_values({"motion.readout": "off"}), tiny.job(tmp_path))
    video = torch.randn(2, tiny.frozen.backbone.width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        texts = task.model.class_features()
        expected = task.model.log_scale.exp() * torch.nn.functional.normalize(video, dim=-1) @ texts.T
        assert torch.equal(task.model.logits(video, texts), expected)


def test_a_convolution_starts_as_nothing(tiny, tmp_path):
    """Before training a learned read-out leaves CLIP's answer as it is, and training moves it."""
    config = RECIPE.with_values({"motion.readout": "convolution"})
    untrained = task_of(config, tiny.job(tmp_path / "off"))
    video, motion = torch.randn(2, 24), torch.randn(2, 30, 24)
    with torch.no_grad():
        texts = untrained.model.class_features()
        before = untrained.model.logits(video, texts, motion)
        untrained.model.readout, plain = None, before
        torch.testing.assert_close(untrained.model.logits(video, texts), plain)
    task = task_of(config, tiny.job(tmp_path))
    train(task, tiny.job(tmp_path), None)
    assert task.model.readout.last.weight.abs().max() > 0


@pytest.mark.parametrize("readout", ["statistics", "convolution"])
def test_fold_with_a_readout_is_read_back(tiny, tmp_path, readout):
    """A model loaded from its weights gives the fold's predictions, without anything of the training windows."""
    from trainables.training.checkpoint import load_weights
    from trainables.training.fold import WEIGHTS

    job = tiny.job(tmp_path)
    config = RECIPE.with_values({"motion.readout": readout})
    result = train_fold(config, job)
    task = task_of(config, job)
    task.model.load_trained(load_weights(job.folder / WEIGHTS))
    again, shuffled = score(task, job)
    assert again.equals(result.predictions)
    assert shuffled.equals(result.shuffled)
    assert result.history[-1].keys() >= {
        "loss",
        "video",
        "numeric",
        "anchor",
        "lr",
        "gradient_text",
        "gradient_prompts",
    }


def test_interrupted_fold_with_a_readout_goes_on(tiny, tmp_path):
    """Stopped after an epoch and started again it ends to the bit where the uninterrupted one does."""

    class Stop(Exception):
        pass

    def stop(epoch: dict[str, float]) -> None:
        raise Stop

    config = RECIPE.with_values({"optimizer.readout_lr": 1.0})
    whole = train_fold(config, tiny.job(tmp_path / "whole"))
    job = tiny.job(tmp_path / "stopped")
    with pytest.raises(Stop):
        train_fold(config, job, on_epoch=stop)
    result = train_fold(config, job)
    assert np.array_equal(probabilities(result.predictions), probabilities(whole.predictions))


def test_held_out_subjects_do_not_reach_the_readout(tiny, tmp_path):
    """The held-out subjects' labels change no probability; a training subject's do."""
    label = pl.col("label")

    def swapped(subjects: tuple[str, ...], folder: Path) -> FoldJob:
        job = tiny.job(folder)
        other = pl.when(pl.col("subject").is_in(list(subjects))).then(1 - label).otherwise(label).alias("label")
        return replace(job, cohort=replace(job.cohort, videos=job.cohort.videos.with_columns(other)))

    found = [
        probabilities(train_fold(RECIPE, swapped(subjects, tmp_path / str(n))).predictions)
        for n, subjects in enumerate(((), ("S1", "S6"), ("S4",)))
    ]
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_untrained_and_frozen_motion_take_no_step(tiny, tmp_path):
    """The untrained model is CLIP's answer alone, and the frozen read-out differs from it by the closed form alone."""
    results = {}
    for model in ("untrained", "frozen_motion"):
        results[model] = train_fold(RECIPE.with_values({"model": model}), tiny.job(tmp_path / model))
        assert results[model].history == ()
    assert not np.allclose(*(probabilities(r.predictions) for r in results.values()))
    job = tiny.job(tmp_path / "off")
    task = task_of(RECIPE.with_values({"model": "untrained"}).effective(), job)
    assert score(task, job)[0].equals(results["untrained"].predictions)


def test_the_readout_sees_time(tiny, tmp_path):
    """Frames in random order change the answers of a model with the read-out."""
    result = train_fold(RECIPE.with_values({"model": "frozen_motion"}), tiny.job(tmp_path))
    assert not np.allclose(probabilities(result.predictions), probabilities(result.shuffled))


def test_components_are_those_of_the_window(tiny, tmp_path):
    """Training reads the same components for a window as its statistics give."""
    job = tiny.job(tmp_path)
    data = job.training(CONFIG)
    motion = WindowMotion(tiny.frozen.backbone, tiny.cache, data)
    windows = windows_of(data)
    statistics = motion.statistics(windows)
    basis = MotionBasis.fit(statistics, block_sizes(tiny.frozen.backbone.clip.config.vision_config), 4)
    motion.keep_components(list(range(len(data.names))), basis)
    rows, starts = (np.array([getattr(w, name) for w in windows]) for name in ("row", "start"))
    torch.testing.assert_close(motion.components(rows, starts), basis.scores(statistics), rtol=1e-4, atol=1e-5)
    assert motion.statistics([Window(0, 0)]).shape == (1, statistics.shape[1])
