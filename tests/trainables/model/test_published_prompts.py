"""Training that starts from the video prompts of a published checkpoint."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.errors import coded
from tests.tiny_cohort import RECIPE, TinyCohort, make_cohort
from trainables.errors import ConfigurationError
from trainables.study.files import file_sha256
from trainables.training.distributed import Workers
from trainables.training.fold import prepare, train_fold

FRAMES, GLOBAL, WIDTH, LAYERS = 2, 2, 32, 2


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyCohort:
    return make_cohort(tmp_path_factory.mktemp("published"))


def checkpoint(frames: int = FRAMES) -> dict[str, torch.Tensor]:
    """Returns random weights under the names of the public implementation, for the tiny backbone's sizes."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.1

    weights = {"time_embed": random(frames, WIDTH), "global_prompts": random(LAYERS, GLOBAL, WIDTH)}
    for index in range(LAYERS):
        block = {"local_prompts": random(1, frames, WIDTH)}
        for name in ("cls_proj", *(f"summary_attn_layer.{n}_proj" for n in ("q", "k", "v", "out"))):
            block |= {f"{name}.weight": random(WIDTH, WIDTH), f"{name}.bias": random(WIDTH)}
        block |= {"summary_ln.weight": random(WIDTH), "summary_ln.bias": random(WIDTH)}
        weights |= {f"blocks.{index}.{name}": w for name, w in block.items()}
    return weights


def written(path: Path, weights: dict[str, torch.Tensor]) -> dict[str, str]:
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save({"model": {f"module.visual.{name}": w for name, w in weights.items()}}, path)
    return {"video.prompts_from": str(path), "video.prompts_sha256": file_sha256(path)}


@pytest.mark.parametrize("name", ["vita.pth", "vita.safetensors"])
def test_prompts_are_the_checkpoints(tiny, tmp_path, name):
    """The encoder begins with the checkpoint's prompts and the backbone's own frozen tower, and a fold trains from there."""
    weights = checkpoint()
    config = RECIPE.with_values(written(tmp_path / name, weights))
    job = tiny.job(tmp_path / "fold")
    encoder = prepare(config, job, Workers(), torch.device("cpu")).model.video_encoder
    assert torch.equal(encoder.time_embedding, weights["time_embed"])
    assert torch.equal(encoder.prompts[1].global_prompts, weights["global_prompts"][1])
    assert torch.equal(encoder.prompts[0].local_prompts, weights["blocks.0.local_prompts"][0])
    assert torch.equal(encoder.prompts[0].summary_attention.in_proj_weight[:WIDTH],
                       weights["blocks.0.summary_attn_layer.q_proj.weight"])  # fmt: skip
    assert len(train_fold(config, job).history) == RECIPE.optimizer.epochs


@pytest.mark.parametrize(
    ("make", "code", "value"),
    [
        (
            lambda path: written(path, checkpoint(frames=5)),
            "prompts.shape",
            "prompts.0.local_prompts of (5, 32)",
        ),
        (lambda path: written(path, {"blocks.0.attn.weight": torch.zeros(1)}), "prompts.missing", "vita.pth"),
        (lambda path: written(path, checkpoint()) | {"video.prompts_sha256": "0" * 64}, "prompts.changed", "vita.pth"),
    ],
)
def test_a_checkpoint_that_does_not_fit(tiny, tmp_path, make, code, value):
    """Other sizes, other contents and another file are one sentence each."""
    config = RECIPE.with_values(make(tmp_path / "vita.pth"))
    with pytest.raises(ConfigurationError, check=coded(code, value)):
        prepare(config, tiny.job(tmp_path / "fold"), Workers(), torch.device("cpu"))


class Harmful:
    """Would create a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_checkpoint_runs_no_code(tiny, tmp_path):
    """A pickle that carries code is refused, and its code does not run."""
    path, trace = tmp_path / "vita.pth", tmp_path / "trace"
    path.write_bytes(pickle.dumps(Harmful(trace), protocol=2))
    config = RECIPE.with_values({"video.prompts_from": str(path), "video.prompts_sha256": file_sha256(path)})
    with pytest.raises(ConfigurationError, check=coded("prompts.unreadable", "vita.pth")):
        prepare(config, tiny.job(tmp_path / "fold"), Workers(), torch.device("cpu"))
    assert not trace.exists()
