"""The recipe: draws that balance, learning rates by group, warm-up, clipping, anchors, and a budget of steps."""

from collections import Counter

import numpy as np
import pytest
import torch

from reports.numbers.controls import seed_scores
from tests.tiny_cohort import CONFIG, RECIPE, TinyCohort, make_cohort
from trainables.config import PUBLISHED, TrainConfig
from trainables.settings import OptimizerConfig
from trainables.study.metrics import score
from trainables.study.records import FoldResult, trainings
from trainables.training.distributed import Workers
from trainables.training.draws import Draws
from trainables.training.fold import prepare, train, train_fold
from trainables.training.optimizer import GROUPS, clip_gradients, group_of, learning_rates, make_optimizer, schedule


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyCohort:
    return make_cohort(tmp_path_factory.mktemp("recipe"))


def test_draws_balance_classes_subjects_and_videos(tiny, tmp_path):
    """Over many draws each class comes as often as the other, and in a class each subject, whatever the number of videos."""
    data = tiny.job(tmp_path, held_out=("S2", "S4")).training(RECIPE)
    config = OptimizerConfig(steps=1000, batch_size=4, epochs=1)
    drawn = [w for step in Draws(data, config).epoch(np.random.default_rng(0)) for w in step]
    subject = dict(data.windows.select("row", "subject").unique().rows())
    counts = Counter(subject[w.row] for w in drawn)
    assert counts.keys() == {"S1", "S3", "S5", "S6"}
    for count in counts.values():
        assert count == pytest.approx(1000, abs=120)
    assert {w.start for w in drawn} == {0, 5, 10, 15, 20, 25, 30}
    assert {w.shift for w in drawn} == set(range(-7, 8))


def test_a_budget_does_not_shrink_with_the_cohort(tiny, tmp_path):
    """Every epoch has its part of the steps; without a budget an epoch is a pass over the windows, each once."""
    data = tiny.job(tmp_path).training(CONFIG)
    budget = Draws(data, OptimizerConfig(steps=10, epochs=3, batch_size=4)).epoch(np.random.default_rng(0))
    assert [len(step) for step in budget] == [4] * 4
    passes = Draws(data, CONFIG.optimizer).epoch(np.random.default_rng(0))
    assert sorted((w.row, w.start) for step in passes for w in step) == data.windows.select("row", "window").rows()
    assert {w.shift for step in passes for w in step} == {0}


def test_every_weight_has_its_group(tiny, tmp_path):
    """Each trained weight has the learning rate of its group, and every group is there."""
    config = RECIPE.with_values({"optimizer.readout_lr": 0.5})
    job = tiny.job(tmp_path)
    task = prepare(config, job, Workers(), torch.device("cpu"))
    task.begin(job.training(config), job.cache, job.frozen.backbone, 0)
    optimizer, _ = make_optimizer(task.model, config.optimizer, 10)
    rates = learning_rates(config.optimizer)
    assert {group["name"] for group in optimizer.param_groups} == set(GROUPS)
    by_weight = {id(p): group["initial_lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in task.model.trained():
        assert by_weight[id(parameter)] == rates[group_of(name)]


def test_published_settings_have_one_rate(tiny, tmp_path):
    """With the published settings every weight learns at 1e-4, without warm-up, clipping, anchors or balance."""
    optimizer = TrainConfig().with_values(PUBLISHED).optimizer
    assert set(learning_rates(optimizer).values()) - {1e-5} == {1e-4}  # the read-out's, which is off, is a tenth
    assert (optimizer.warmup, optimizer.clip_norm, optimizer.text_anchor, optimizer.video_anchor) == (0, 0, 0, 0)
    assert not optimizer.balance
    assert schedule(100, 0.0)(0) == 1.0


def test_schedule_warms_up_and_ends_at_zero():
    """The rate rises over a tenth of the steps, is near its full value there, and is zero at the end."""
    factor = schedule(100, 0.1)
    assert factor(0) == pytest.approx(0.1)
    assert factor(9) == pytest.approx(0.98, abs=0.01)
    assert factor(100) == pytest.approx(0, abs=1e-9)


def test_gradients_are_clipped_together():
    """The gradient of all groups is scaled to the limit as one vector, and each group's norm before is told."""
    a, b = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([{"params": [a], "name": "text"}, {"params": [b], "name": "scale"}], lr=1.0)
    a.grad, b.grad = torch.tensor([3.0, 0.0]), torch.tensor([4.0])
    assert clip_gradients(optimizer, 1.0) == pytest.approx({"text": 3.0, "scale": 4.0})
    torch.testing.assert_close(a.grad, torch.tensor([0.6, 0.0]))
    torch.testing.assert_close(b.grad, torch.tensor([0.8]))
    clip_gradients(optimizer, 0.0)
    torch.testing.assert_close(b.grad, torch.tensor([0.8]))


def test_scale_is_clamped(tiny, tmp_path):
    """The scale of CLIP's logits never passes its limit."""
    job = tiny.job(tmp_path)
    config = RECIPE.with_values({"optimizer.max_scale": 2.0})
    task = prepare(config, job, Workers(), torch.device("cpu"))
    train(task, job, None)
    assert float(task.model.log_scale.detach().exp()) <= 2.0 + 1e-5


def moved(tiny: TinyCohort, folder, **settings) -> tuple[float, float]:
    """Returns how far training moves the class texts and a video's feature, as cosine distances."""
    job = tiny.job(folder)
    config = RECIPE.with_values({"optimizer.lr": 3e-2, "optimizer.steps": 30} | settings)
    task = prepare(config, job, Workers(), torch.device("cpu"))
    frames = job.held_out(config)[0]["frames"][None]
    with torch.no_grad():
        texts, video = task.model.class_features(), task.model.encode(frames).video
    train(task, job, None)
    with torch.no_grad():
        now, then = task.model.class_features(), task.model.encode(frames).video
    similarity = torch.nn.functional.cosine_similarity
    return float(1 - similarity(texts, now).mean()), float(1 - similarity(video, then).mean())


def test_anchors_hold_texts_and_videos(tiny, tmp_path):
    """With the anchors a training at a high rate moves class texts and video features less than without."""
    free = moved(tiny, tmp_path / "free", **{"optimizer.text_anchor": 0.0, "optimizer.video_anchor": 0.0})
    held = moved(tiny, tmp_path / "held", **{"optimizer.text_anchor": 50.0, "optimizer.video_anchor": 50.0})
    assert held[0] < 0.5 * free[0]
    assert held[1] < 0.5 * free[1]


def test_training_lowers_the_loss_with_the_recipe(tiny, tmp_path):
    """In eighty steps the classification loss on the training windows falls."""
    config = RECIPE.with_values(
        {"motion.readout": "off", "optimizer.steps": 120, "optimizer.lr": 1e-2, "optimizer.text_anchor": 0.0,
         "optimizer.video_anchor": 0.0}
    )  # fmt: skip
    history = train_fold(config, tiny.job(tmp_path)).history
    assert history[-1]["video"] < 0.7 * history[0]["video"]
    assert [epoch["lr"] for epoch in history][-1] < history[0]["lr"]


def test_training_seeds_are_averaged(tiny, tmp_path):
    """A fold trained with two seeds answers with their mean, keeps both, and does not train a finished one again."""
    config = RECIPE.with_values({"trainings": 2, "seed": 3})
    job = tiny.job(tmp_path / "both")
    result = train_fold(config, job)
    alone = [
        train_fold(RECIPE.with_values({"seed": seed}), tiny.job(tmp_path / f"seed-{seed}")).predictions
        for seed in (3, 4)
    ]
    each = [np.array(table["probabilities"].to_list()) for table in alone]
    assert not np.array_equal(*each)
    np.testing.assert_allclose(np.array(result.predictions["probabilities"].to_list()), np.mean(each, 0), atol=1e-12)
    assert result.predictions.drop("probabilities").equals(alone[0].drop("probabilities"))
    found = seed_scores((FoldResult.load(job.folder),), "window/accuracy", 2)
    assert found.seeds == (3, 4)
    assert found.scores == tuple(score(table, "window/accuracy", 2) for table in alone)
    assert found.deviation >= 0
    parts = trainings(job.folder)
    assert [FoldResult.load(part).config["seed"] for part in parts] == [3, 4]
    before = [(part / "model.safetensors").stat().st_mtime_ns for part in parts]
    (job.folder / "result.json").unlink()
    assert train_fold(config, job).predictions.equals(result.predictions)
    assert [(part / "model.safetensors").stat().st_mtime_ns for part in parts] == before
