"""One fold, from videos to predictions: deterministic, resumable, without leakage, and alike on any number of workers."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors import safe_open

from tests.errors import coded
from tests.tiny_cohort import CONFIG, TinyCohort, make_cohort
from trainables.config import TrainConfig
from trainables.errors import ConfigurationError, StridefoldError
from trainables.model.backbone import TextEncoder
from trainables.model.gait_clip import GaitCLIP
from trainables.model.video_encoder import VideoEncoder
from trainables.study.records import FoldResult
from trainables.training.checkpoint import load_checkpoint, load_weights, save_checkpoint
from trainables.training.distributed import Workers
from trainables.training.draws import windows_of
from trainables.training.fold import (
    WEIGHTS,
    check_prompts,
    halved,
    out_of_memory,
    prepare,
    score,
    train,
    train_fold,
)
from trainables.training.frozen import FrozenFeatures
from trainables.training.job import FoldJob, load
from trainables.training.optimizer import decays, make_optimizer
from trainables.training.step import GaitTask


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyCohort:
    return make_cohort(tmp_path_factory.mktemp("fold"))


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory) -> tuple[FoldJob, FoldResult]:
    job = tiny.job(tmp_path_factory.mktemp("finished"))
    return job, train_fold(CONFIG, job)


class Stop(Exception):
    """Raised by a test to interrupt training."""


def stop_after(epoch: int):
    def on_epoch(losses: dict[str, float]) -> None:
        if losses["epoch"] == epoch:
            raise Stop

    return on_epoch


def probabilities(result: FoldResult) -> np.ndarray:
    return np.array(result.predictions["probabilities"].to_list())


def losses(result: FoldResult) -> list[dict[str, float]]:
    return [{name: value for name, value in epoch.items() if name != "seconds"} for epoch in result.history]


def fresh_task(config: TrainConfig, job: FoldJob) -> GaitTask:
    return prepare(config, job, Workers(), torch.device("cpu"))


def test_what_a_fold_gives(tiny, finished):
    """There is one prediction per held-out window, with the truth and probabilities that sum to 1."""
    job, result = finished
    windows = job.held_out(CONFIG).windows
    expected = windows.select("subject", "video", "window", true="label").sort("subject", "video", "window")
    assert result.predictions.select("subject", "video", "window", "true").equals(expected)
    assert set(result.predictions["subject"]) == {"S1", "S6"}
    np.testing.assert_allclose(probabilities(result).sum(1), 1, atol=1e-12)
    assert [epoch["epoch"] for epoch in result.history] == [0, 1]
    for epoch in result.history:
        assert epoch["loss"] == pytest.approx(epoch["video"] + 0.1 * epoch["numeric"])
        assert epoch["anchor"] == 0
    assert result.class_similarity[0][0] == pytest.approx(1.0, abs=1e-5)
    assert result.class_similarity[0][1] == pytest.approx(result.class_similarity[1][0])
    assert result.config == CONFIG.flat()
    assert FoldResult.load(job.folder).predictions.equals(result.predictions)


def test_same_seed_same_predictions(tiny, finished, tmp_path):
    """The same seed gives the same predictions to the bit, another seed others; torch's own generator is not used."""
    torch.manual_seed(123)
    before = torch.get_rng_state()
    again = train_fold(CONFIG, tiny.job(tmp_path / "again"))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(probabilities(again), probabilities(finished[1]))
    assert losses(again) == losses(finished[1])
    other = train_fold(CONFIG.with_values({"seed": 1}), tiny.job(tmp_path / "other"))
    assert not np.allclose(probabilities(other), probabilities(finished[1]))


def test_training_lowers_the_loss(tiny, tmp_path):
    """In twelve epochs the fold learns its own training windows."""
    job = tiny.job(tmp_path)
    config = CONFIG.with_values({"optimizer.epochs": 12, "optimizer.lr": 3e-3})
    history = train_fold(config, job).history
    assert history[-1]["video"] < 0.3 * history[0]["video"]
    assert history[-1]["numeric"] < 0.7 * history[0]["numeric"]


def test_interrupted_fold_goes_on(tiny, finished, tmp_path):
    """Stopped after an epoch and started again, it ends where the uninterrupted one does, without training that epoch."""
    job = tiny.job(tmp_path)
    with pytest.raises(Stop):
        train_fold(CONFIG, job, on_epoch=stop_after(0))
    assert not (job.folder / "result.json").exists()
    seen: list[float] = []
    result = train_fold(CONFIG, job, on_epoch=lambda epoch: seen.append(epoch["epoch"]))
    assert seen == [1]
    assert np.array_equal(probabilities(result), probabilities(finished[1]))
    assert losses(result) == losses(finished[1])
    assert [epoch["epoch"] for epoch in result.history] == [0, 1]


def test_finished_fold_is_read(tiny, finished):
    """A finished fold is not trained again, and its checkpoints are gone."""
    job, result = finished
    again = train_fold(CONFIG, job, on_epoch=stop_after(0))
    assert again.predictions.equals(result.predictions)
    assert again.history == result.history
    assert sorted(file.name for file in job.folder.iterdir()) == [
        "model.safetensors",
        "model.safetensors.sha256",
        "predictions.parquet",
        "result.json",
        "shuffled.parquet",
    ]


def test_weights_exclude_the_backbone_and_name_it(tiny, finished):
    """The file holds what was trained and the backbone's hash, and gives the fold's predictions back."""
    job, result = finished
    with safe_open(job.folder / WEIGHTS, "pt") as file:
        assert file.metadata() == {"key": job.key, "backbone": tiny.frozen.backbone.sha256}
        names = set(file.keys())
    assert not any(
        name.startswith(("text_encoder.", "video_encoder.vision.", "video_encoder.projection.")) for name in names
    )
    task = fresh_task(CONFIG, job)
    assert names == {name for name, _ in task.model.trained()}
    assert sum(w.numel() for w in load_weights(job.folder / WEIGHTS).values()) == result.trained_parameters
    task.model.load_trained(load_weights(job.folder / WEIGHTS))
    assert score(task, job)[0].equals(result.predictions)


def test_checkpoint_names_the_backbone_and_holds_none_of_it(tiny, tmp_path):
    """A checkpoint in training holds the trained weights alone, and the backbone's hash."""
    job = tiny.job(tmp_path)
    with pytest.raises(Stop):
        train_fold(CONFIG, job, on_epoch=stop_after(0))
    state = load_checkpoint(job.folder)
    assert state["backbone"] == tiny.frozen.backbone.sha256
    assert state["model"].keys() == {name for name, _ in fresh_task(CONFIG, job).model.trained()}


def flip_bit(path: Path) -> None:
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 1
    path.write_bytes(contents)


def test_damaged_checkpoint_is_passed_over(tiny, tmp_path):
    """With one bit flipped the newest checkpoint is not used, the one before is, and the end is the same."""
    config = CONFIG.with_values({"optimizer.epochs": 3})
    whole = train_fold(config, tiny.job(tmp_path / "whole"))
    job = tiny.job(tmp_path / "damaged")
    with pytest.raises(Stop):
        train_fold(config, job, on_epoch=stop_after(1))
    assert len(load_checkpoint(job.folder)["history"]) == 2
    flip_bit(job.folder / "checkpoint.pt")
    assert len(load_checkpoint(job.folder)["history"]) == 1
    seen: list[float] = []
    result = train_fold(config, job, on_epoch=lambda epoch: seen.append(epoch["epoch"]))
    assert seen == [1, 2]
    assert np.array_equal(probabilities(result), probabilities(whole))


def test_without_an_undamaged_checkpoint_training_begins_anew(tmp_path):
    """Where both are damaged, or there is none, there is nothing to go on from."""
    assert load_checkpoint(tmp_path) is None
    for epoch in range(2):
        save_checkpoint(tmp_path, {"history": [{"epoch": epoch}]})
    flip_bit(tmp_path / "checkpoint.pt")
    flip_bit(tmp_path / "checkpoint-before.pt")
    assert load_checkpoint(tmp_path) is None


def test_stopped_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    """Whichever rename was the last one before the stop, an undamaged checkpoint is left, and no older than the one before."""
    states = [{"history": [{"epoch": epoch}]} for epoch in range(3)]
    rename, left = os.replace, [0]

    def counted(*names: Path) -> None:
        rename(*names)
        left[0] -= 1
        if left[0] == 0:
            raise Stop

    monkeypatch.setattr(os, "replace", counted)
    for last in range(1, 5):
        folder = tmp_path / str(last)
        for state in states[:2]:
            save_checkpoint(folder, state)
        left[0] = last
        with pytest.raises(Stop):
            save_checkpoint(folder, states[2])
        assert load_checkpoint(folder) in states[1:]
    assert load_checkpoint(folder) == states[2]


def test_damaged_weights_are_refused(tiny, tmp_path):
    """Finished weights with one bit flipped, or gone, say that the search must be run again."""
    job = tiny.job(tmp_path)
    train_fold(CONFIG, job)
    flip_bit(job.folder / WEIGHTS)
    with pytest.raises(StridefoldError, check=coded("study.weights_damaged", WEIGHTS)):
        load_weights(job.folder / WEIGHTS)
    (job.folder / WEIGHTS).unlink()
    with pytest.raises(StridefoldError, check=coded("study.weights_damaged", WEIGHTS)):
        load_weights(job.folder / WEIGHTS)


def step(config: TrainConfig, job: FoldJob) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Returns the gradients and losses of the first step on four windows."""
    task, data = fresh_task(config, job), job.training(config)
    batch = load(data, [windows_of(data)[i] for i in (0, 4, 9, 13)])
    found = task.backward(batch, 4, np.random.default_rng(0))
    return {name: p.grad.clone() for name, p in task.model.trained()}, found


@pytest.mark.parametrize("accumulation", [2, 3, 4, 9])
def test_accumulation_changes_no_gradient(tiny, tmp_path, accumulation):
    """A step cut into micro-batches has the gradients and losses of the whole."""
    whole, losses = step(CONFIG, tiny.job(tmp_path))
    cut, others = step(CONFIG.with_values({"optimizer.accumulation": accumulation}), tiny.job(tmp_path))
    assert max(float(g.abs().max()) for g in whole.values()) > 1e-4
    for name, gradient in whole.items():
        largest = gradient.abs().max() + 1e-12
        torch.testing.assert_close(cut[name] / largest, gradient / largest, rtol=0, atol=1e-4, msg=name)
    assert others == pytest.approx(losses, rel=1e-5)


def test_accumulation_ends_with_the_same_weights(tiny, finished, tmp_path):
    """A whole training in micro-batches predicts the same, up to rounding."""
    result = train_fold(CONFIG.with_values({"optimizer.accumulation": 2}), tiny.job(tmp_path))
    np.testing.assert_allclose(probabilities(result), probabilities(finished[1]), atol=1e-3)


def test_step_is_the_sum_of_the_methods_losses(tiny, tmp_path):
    """One step's gradient is that of classification + lambda * numeric, computed in one graph without any cutting."""
    job = tiny.job(tmp_path)
    gradients, losses = step(CONFIG, job)
    task, data = fresh_task(CONFIG, job), job.training(CONFIG)
    model, batch = task.model, load(data, [windows_of(data)[i] for i in (0, 4, 9, 13)])
    text = model.class_features()
    video = torch.nn.functional.normalize(model.encode(batch.frames).video, dim=-1)
    logits = model.log_scale.exp() * video @ text.T
    entropy = torch.nn.functional.cross_entropy(logits, batch.labels, reduction="none")
    p = logits.softmax(-1)[torch.arange(4), batch.labels].detach()
    wrong = (batch.labels - logits.argmax(-1)).abs()  # of two classes
    classification = ((0.25 * (1 - p) ** 2 + 0.2 * wrong) * entropy).mean()
    records, labels = task.memory.draw(8, np.random.default_rng(0))
    scores = model.numeric(task.memory.record_features(records), text)
    numeric = torch.nn.functional.cross_entropy(scores, torch.from_numpy(labels))
    (classification + 0.1 * numeric).backward()
    assert losses["video"] == pytest.approx(float(classification.detach()), rel=1e-5)
    assert losses["numeric"] == pytest.approx(float(numeric.detach()), rel=1e-5)
    for name, weight in model.trained():
        torch.testing.assert_close(gradients[name], weight.grad, rtol=1e-3, atol=1e-6, msg=name)


def test_scale_starts_at_clips_own(tiny, tmp_path):
    """The logits' scale is CLIP's to begin with, and is trained."""
    task = fresh_task(CONFIG, tiny.job(tmp_path))
    assert float(task.model.log_scale.detach()) == pytest.approx(float(tiny.frozen.backbone.clip.logit_scale))
    assert float(task.model.numeric.log_scale.detach().exp()) == pytest.approx(100.0, rel=1e-5)
    assert task.model.log_scale.requires_grad


class Counter:
    """Counts the calls of the text and video encoders, and the sequences that they read."""

    def __init__(self) -> None:
        self.sequences: list[int] = []
        self.videos = 0
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> "Counter":
        self._hooks.append(torch.nn.modules.module.register_module_forward_hook(self._count))
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _count(self, module: torch.nn.Module, args: tuple, output: object) -> None:
        if isinstance(module, TextEncoder):
            self.sequences.append(len(args[0]))
        if isinstance(module, VideoEncoder):
            self.videos += 1


@pytest.mark.parametrize("accumulation", [1, 2])
def test_text_encoder_runs_once_a_step(tiny, tmp_path, accumulation):
    """Class texts are read once a step, whatever the micro-batches; frozen texts once a cohort, not again each fold."""
    config = CONFIG.with_values({"optimizer.accumulation": accumulation})
    frozen = FrozenFeatures(tiny.frozen.backbone, tiny.task, tiny.frozen.names)
    job = tiny.job(tmp_path / "first", frozen=frozen)
    steps = 2 * math.ceil(len(job.training(config)) / 4)
    with Counter() as first:
        train_fold(config, job)
    assert steps == 8
    assert first.sequences.count(3) == steps + 2 + 2  # + names and notions, of which there are three; + scores, cosines
    assert len(first.sequences) == steps + 2 + 2 + 1  # + the numerical texts
    assert max(first.sequences) <= 5 * 3  # one text per parameter of a video
    with Counter() as second:
        train_fold(config, tiny.job(tmp_path / "second", frozen=frozen))
    assert second.sequences == [3] * (steps + 2)
    assert second.videos == steps * accumulation + 2  # the held-out windows, as they are and shuffled


@pytest.mark.parametrize("poison", ["log_scale", "numeric.log_scale", "video_encoder.time_embedding"])
def test_gradient_that_is_not_finite(tiny, tmp_path, poison):
    """Weights that are NaN end training at that step, with fold and step in the sentence."""
    job = tiny.job(tmp_path)
    task = fresh_task(CONFIG, job)
    with torch.no_grad():
        dict(task.model.trained())[poison].fill_(float("nan"))
    with pytest.raises(StridefoldError, check=coded("training.step_failed", "fold 0, step 0", "0.001")):
        train(task, job, None)


def test_learning_rate_too_high(tiny, tmp_path):
    """A rate that blows the weights up ends in a sentence, at a step or at the predictions, and leaves no result."""
    job = tiny.job(tmp_path / "steps")
    with pytest.raises(StridefoldError, check=coded("training.step_failed", "fold 0, step ", "1e+30")):
        train_fold(CONFIG.with_values({"optimizer.lr": 1e30}), job)
    one_step = {"optimizer.lr": 1e30, "optimizer.batch_size": 99, "optimizer.epochs": 1}
    last = tiny.job(tmp_path / "last")
    with pytest.raises(StridefoldError, check=coded("training.not_finite", "fold 0", "1e+30")):
        train_fold(CONFIG.with_values(one_step), last)
    assert not (job.folder / "result.json").exists()
    assert not (last.folder / "result.json").exists()
    with pytest.raises(ConfigurationError, check=coded("setting.type", "optimizer.lr", "nan")):
        CONFIG.with_values({"optimizer.lr": float("nan")})


def relabelled(job: FoldJob, subjects: tuple[str, ...]) -> FoldJob:
    label = pl.when(pl.col("subject").is_in(list(subjects))).then(1 - pl.col("label")).otherwise("label")
    return replace(job, cohort=replace(job.cohort, videos=job.cohort.videos.with_columns(label=label)))


def test_held_out_labels_change_no_prediction(tiny, finished, tmp_path):
    """With the held-out subjects' labels swapped every probability is the same, and only 'true' differs."""
    _, result = finished
    job = tiny.job(tmp_path)
    swapped = train_fold(CONFIG, relabelled(job, job.fold.test))
    assert np.array_equal(probabilities(swapped), probabilities(result))
    assert swapped.predictions["true"].to_list() == (1 - result.predictions["true"]).to_list()


def test_training_labels_change_predictions(tiny, finished, tmp_path):
    """With a training subject's label swapped they are others: the test before can fail."""
    job = tiny.job(tmp_path)
    assert not np.array_equal(probabilities(train_fold(CONFIG, relabelled(job, ("S4",)))), probabilities(finished[1]))


def test_held_out_windows_are_not_read_in_training(tiny, finished, tmp_path):
    """Training and its result are the same where the held-out videos are not there at all until scoring."""
    job = tiny.job(tmp_path)
    held_out = tiny.cohort.of_subjects(job.fold.test)["cached"].to_list()
    task = fresh_task(CONFIG, job)
    hidden = [tiny.cache / name for name in held_out]
    for file in hidden:
        file.rename(file.with_suffix(".hidden"))
    try:
        history = train(task, job, None)
        with pytest.raises(StridefoldError, check=coded("cache.damaged", ".npy")):
            score(task, job)
    finally:
        for file in hidden:
            file.with_suffix(".hidden").rename(file)
    assert [epoch["loss"] for epoch in history] == [epoch["loss"] for epoch in finished[1].history]
    assert score(task, job)[0].equals(finished[1].predictions)


@pytest.mark.parametrize(
    "off",
    [
        {
            "video.n_global": 0,
            "video.local": False,
            "video.summary": False,
            "text.knowledge": False,
            "numeracy.enabled": False,
        },
        {"text.n_ctx": 0},
        {"text.projector": "per_class", "text.notions": "raw"},
        {"numeracy.heads": "shared", "text.context_init": "words", "text.notions": "centred"},
        {"numeracy.weight": 0.0},
        {"numeracy.video_weight": 0.05},
        {"optimizer.gradient_checkpointing": True},
        {"optimizer.precision": "bf16"},
    ],
    ids=lambda off: next(iter(off)),
)
def test_every_configuration_trains_and_resumes(tiny, tmp_path, off):
    """Whatever is switched off or on, a fold trains, and one that was interrupted ends the same."""
    config = CONFIG.with_values(off)
    whole = train_fold(config, tiny.job(tmp_path / "whole"))
    job = tiny.job(tmp_path / "cut")
    with pytest.raises(Stop):
        train_fold(config, job, on_epoch=stop_after(0))
    assert np.array_equal(probabilities(train_fold(config, job)), probabilities(whole))
    assert (whole.history[0]["pairing"] > 0) == ("numeracy.video_weight" in off)


def test_checkpointed_layers_give_the_same_fold(tiny, finished, tmp_path):
    """Gradient checkpointing changes memory and time, and no prediction."""
    result = train_fold(CONFIG.with_values({"optimizer.gradient_checkpointing": True}), tiny.job(tmp_path))
    np.testing.assert_allclose(probabilities(result), probabilities(finished[1]), atol=1e-4)


def test_bf16_gives_nearly_the_same_fold(tiny, finished, tmp_path):
    """Products in bf16 change gradients by less than a tenth; on a CPU they are taken when asked for, and only then.

    How far the trained folds lie apart depends on the processor: 0.01 to 0.02 were seen. Weights stay in float32.
    """
    config = CONFIG.with_values({"optimizer.precision": "bf16"})
    (exact, _), (rounded, _) = step(CONFIG, tiny.job(tmp_path)), step(config, tiny.job(tmp_path))
    for name, gradient in exact.items():
        assert (rounded[name] - gradient).norm() <= 0.1 * gradient.norm(), name
    result = train_fold(config, tiny.job(tmp_path / "bf16"))
    np.testing.assert_allclose(probabilities(result), probabilities(finished[1]), atol=0.1)
    assert np.abs(probabilities(result) - probabilities(finished[1])).max() > 1e-5
    assert {weight.dtype for weight in load_weights(tmp_path / "bf16" / WEIGHTS).values()} == {torch.float32}
    plain = train_fold(CONFIG.with_values({"optimizer.precision": "float32"}), tiny.job(tmp_path / "float32"))
    assert np.array_equal(probabilities(plain), probabilities(finished[1]))


def test_no_half_of_one_window():
    """A micro-batch of one window has no half, nor has a batch whose videos are compared with each other."""
    whole = CONFIG.with_values({"optimizer.batch_size": 4})
    assert halved(whole) == whole.with_values({"optimizer.accumulation": 2})
    assert halved(whole.with_values({"optimizer.accumulation": 4})) is None
    assert halved(whole.with_values({"numeracy.video_weight": 0.05})) is None


def test_a_fold_without_memory_is_trained_again_in_halves(tiny, tmp_path):
    """Under a real limit of memory a first process says so, and a second one finishes with half the micro-batches."""

    def train_within(limit: int, folder: str) -> tuple[int, list[str]]:
        command = [
            sys.executable,
            "-m",
            "tests.limited_memory",
            str(tiny.cache.parent),
            str(tmp_path / folder),
            str(limit),
        ]
        own_pages = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed is free for all
        environment = dict(worker_environment()) | own_pages
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stdout.splitlines() or done.stderr.splitlines()

    _, (taken,) = train_within(0, "whole")
    limit = int(0.8 * int(taken))
    status, said = train_within(limit, "short")
    assert status == 3, said
    assert "ran out of memory" in said[0]
    assert "the next attempt takes micro-batches of half the size" in said[0]
    status, said = train_within(limit, "short")
    assert status == 0, said
    assert "trained with each step cut into 2 micro-batches" in said[1]
    np.testing.assert_allclose(
        probabilities(FoldResult.load(tmp_path / "short")),
        probabilities(FoldResult.load(tmp_path / "whole")),
        atol=2e-3,
    )
    assert not list((tmp_path / "short").glob("out-of-memory*"))


def test_what_is_out_of_memory():
    """torch's own error of a CPU allocation is one, another RuntimeError is not."""
    with pytest.raises(RuntimeError) as large:
        torch.empty(10**15)
    assert out_of_memory(large.value)
    assert not out_of_memory(RuntimeError("a shape does not fit"))


def test_pairing_needs_the_whole_batch(tiny, tmp_path):
    """Where a batch is cut, the term that compares its videos is refused, unless it is off anyway."""
    cut = {"numeracy.video_weight": 0.05, "optimizer.accumulation": 2}
    with pytest.raises(
        ConfigurationError, check=coded("training.one_worker", "numeracy.video_weight", "accumulation 2")
    ):
        fresh_task(CONFIG.with_values(cut), tiny.job(tmp_path))
    fresh_task(CONFIG.with_values(cut | {"numeracy.enabled": False}), tiny.job(tmp_path))


def test_prompt_that_does_not_fit_is_known_before_training(tiny):
    """check_prompts raises what training would."""
    check_prompts(CONFIG, tiny.frozen.backbone, tiny.task)
    with pytest.raises(ConfigurationError, check=coded("prompts.text_too_long", "'normal gait'")):
        check_prompts(CONFIG.with_values({"text.n_ctx": 75}), tiny.frozen.backbone, tiny.task)


@pytest.mark.parametrize("side", ["training", "held-out"])
def test_fold_without_windows(tiny, tmp_path, side):
    """A side whose videos are all too short for a window is an error that says what to lower."""
    job = tiny.job(tmp_path)
    subjects = job.fold.train if side == "training" else job.fold.test
    frames = pl.when(pl.col("subject").is_in(list(subjects))).then(5).otherwise("frames")
    short = replace(job, cohort=replace(job.cohort, videos=job.cohort.videos.with_columns(frames=frames)))
    with pytest.raises(
        StridefoldError, check=coded("training.no_windows", "fold 0", side, "video.min_tail, 10 frames")
    ):
        train_fold(CONFIG, short)


def test_schedule_is_a_cosine_to_zero(tiny, tmp_path):
    """The rate starts at lr and is half of it halfway and nothing at the end."""
    optimizer, schedule = make_optimizer(fresh_task(CONFIG, tiny.job(tmp_path)).model, CONFIG.optimizer, 10)
    rates = []
    for _ in range(11):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    expected = [1e-3 * 0.5 * (1 + math.cos(math.pi * k / 10)) for k in range(11)]
    assert rates == pytest.approx(expected, abs=1e-12)


def test_what_decays(tiny, tmp_path):
    """Weight matrices of projectors, heads and attention decay; biases, norms, prompts and scales do not."""
    decayed = {name for name, p in fresh_task(CONFIG, tiny.job(tmp_path)).model.trained() if decays(name, p)}
    leaves = {".".join(name.split(".")[-2:]) for name in decayed if not name.startswith("prompts.projector")}
    assert leaves == {
        "cls_projection.weight",
        "summary_attention.in_proj_weight",
        "out_proj.weight",
        "class_head.first_weight",
        "class_head.second_weight",
        "record_heads.first_weight",
        "record_heads.second_weight",
    }
    assert sum(name.startswith("prompts.projector") for name in decayed) == 4  # two layers for each class
    assert not any("bias" in name or "context" in name or "norm" in name for name in decayed)


def test_vita_clip_baseline_has_no_knowledge_and_no_numbers(tiny, tmp_path):
    """The baseline keeps the prompts and the class names, and nothing else of the text side."""
    result = train_fold(CONFIG.with_values({"model": "vita_clip"}), tiny.job(tmp_path))
    names = load_weights(tmp_path / WEIGHTS).keys()
    assert not any("projector" in name or name.startswith("numeric") for name in names)
    assert "prompts.context" in names
    assert result.notes == ()
    assert all(epoch["numeric"] == 0.0 for epoch in result.history)
    assert result.config["model"] == "vita_clip"


def test_trained_state_of_another_model(tiny, tmp_path, finished):
    """Weights of a model with other prompts are refused, with the names that differ."""
    other: GaitCLIP = fresh_task(CONFIG.with_values({"video.n_global": 0}), tiny.job(tmp_path)).model
    with pytest.raises(KeyError, match=r"the checkpoint and the model differ in .*global_prompts"):
        other.load_trained(load_weights(finished[0].folder / WEIGHTS))


def worker_environment() -> Iterator[tuple[str, str]]:
    yield from os.environ.items()
    yield "OMP_NUM_THREADS", "1"
    yield "MASTER_ADDR", "127.0.0.1"


def test_two_workers_are_one(tiny, finished, tmp_path):
    """Two gloo workers on the same global batches end where one does, up to rounding, and both give all predictions."""
    command = [sys.executable, "-m", "tests.two_workers", str(tiny.cache.parent), str(tmp_path)]
    started = [
        subprocess.Popen([*command, str(rank)], env=dict(worker_environment()), stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    for process in started:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    one = finished[1]
    both = FoldResult.load(tmp_path / "fold")
    assert both.predictions.select("subject", "video", "window").equals(
        one.predictions.select("subject", "video", "window")
    )
    np.testing.assert_allclose(probabilities(both), probabilities(one), atol=2e-3)
    for epoch, expected in zip(losses(both), losses(one), strict=True):
        assert epoch == pytest.approx(expected, rel=1e-2)
    for point, expected in zip(both.curve, one.curve, strict=True):
        assert point == pytest.approx(expected, rel=2e-2, abs=1e-6)
    theirs = [pl.read_parquet(tmp_path / f"rank{rank}.parquet") for rank in range(2)]
    assert theirs[0].equals(theirs[1])
    assert (tmp_path / "nan").read_text() == "fold 0, step 0: a gradient is not finite"
