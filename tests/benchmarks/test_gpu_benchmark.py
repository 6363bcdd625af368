"""benchmarks/gpu.py runs where little is installed, and what it compares with is the same computation."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import END, START, Report, Worker, write
from benchmarks.gpu_agreement import one_step
from benchmarks.gpu_models import TINY, make_clip, make_step
from benchmarks.gpu_rows import count
from benchmarks.release_step import ReleaseEncoder
from tests.trainables.model.test_video_encoder import encoder, video

ABSENT = ("polars", "av", "decord", "ray", "optuna")
CPU = torch.device("cpu")


@pytest.mark.slow
def test_runs_without_what_a_rented_machine_lacks(tmp_path: Path, root: Path) -> None:
    """Checked and measured at a tiny size, without polars, PyAV and Ray, from another folder, into a Markdown section."""
    for name in ABSENT:
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} is not here')\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "CUDA_VISIBLE_DEVICES": ""}
    section = tmp_path / "section.md"
    command = [sys.executable, root / "benchmarks" / "gpu.py", "--markdown", section]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = section.read_text()
    assert "DIFFERS" not in text
    assert text.count(": agrees, by ") == 4
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert not [row for row in rows if "failed" in row or "Error" in row]
    for what in ("| step, T = 3, batch 2", "| release-style step, T = 3", "| CLIPModel's forward pass alone", "packed into one pass",
                 "| scoring windows", "| a step of the decoder", "| a checkpoint", "| training from the frame cache", "| patch embedding"):  # fmt: skip
        assert any(what in row for row in rows), (what, rows)


def test_missing_packages_are_listed_at_once(tmp_path: Path, root: Path) -> None:
    """All that is missing is named in one sentence, before anything else is done."""
    command = [sys.executable, "-S", root / "benchmarks" / "gpu.py"]  # without site-packages
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "this needs torch, transformers, numpy, safetensors, tokenizers: pip install" in done.stderr


@pytest.mark.parametrize("off", [{}, {"n_global": 0}, {"local": False}, {"summary": False}])
def test_release_style_is_the_same_computation(off) -> None:
    """Prompts among the tokens and attention written out give the features and gradients of our encoder."""
    ours = encoder(**off)
    theirs = ReleaseEncoder(ours)
    pixels = video()
    gradients = []
    for model in (ours, theirs):
        ours.zero_grad(set_to_none=True)
        model(pixels).video.square().sum().backward()
        gradients.append({name: p.grad.clone() for name, p in ours.named_parameters() if p.grad is not None})
    torch.testing.assert_close(ours(pixels).video, theirs(pixels).video, rtol=1e-4, atol=1e-4)
    assert gradients[0].keys() == gradients[1].keys()
    for name, own in gradients[0].items():
        scale = own.abs().max() + 1e-6
        torch.testing.assert_close(gradients[1][name] / scale, own / scale, rtol=0, atol=1e-4, msg=name)


def test_release_style_step_has_the_same_losses() -> None:
    """A whole step written the release's way starts from the same losses as ours."""
    ours, theirs = (make_step(TINY, 2, 2, CPU, release=release)() for release in (False, True))
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_flops_grow_with_the_windows() -> None:
    """A window's share is at least the frozen layers' products both ways; what is small here are the layers, not the prompts."""
    fixed, each = count(TINY, CPU, 2)
    tokens, width = 1 + (TINY.image // 16) ** 2, TINY.vision["hidden_size"]
    layers = TINY.vision["num_hidden_layers"] - 1  # the last one computes two tokens
    products = 2 * 2 * (2 * tokens) * layers * width * (4 * width + 2 * TINY.vision["intermediate_size"])
    assert products < each < 6 * products
    assert 0 < fixed < 60 * each


def test_agreement_sees_a_difference() -> None:
    """The features and gradients of a step move when its precision does: the comparison is not blind."""
    backbone = make_clip(TINY, CPU)
    exact, again, rounded = (one_step(TINY, CPU, backbone, precision=p) for p in ("float32", "float32", "bf16"))
    for number in range(2):
        assert torch.equal(exact[number], again[number])
        assert not torch.allclose(exact[number], rounded[number], rtol=1e-5)


@pytest.mark.slow
def test_a_row_that_fails_says_so_and_the_rest_goes_on() -> None:
    """A measurement that raises, or takes too long, is a row with the reason, and the next one is measured."""
    with Worker(tiny=True) as worker:
        report = Report(worker.call("about", 120)[0])
        report.measure(
            worker, {"name": "impossible", "call": "step", "frames": 2, "batch": 2, "side": "ours", "lr": -1.0}, 120
        )
        report.measure(worker, {"name": "endless", "call": "decoder"}, 0.0)
        report.measure(worker, {"name": "possible", "call": "evaluation", "frames": 2, "batch": 2}, 120)
    first, second, third = report.lines
    assert "ConfigurationError: optimizer.lr is -1.0, but must be a number above 0" in first
    assert "stopped after 0 s" in second
    assert third.startswith("| scoring windows, T = 2, batch 2 |")


def test_section_replaces_the_one_before(tmp_path: Path) -> None:
    """Written into a file with marks, a section takes the place of the last one and leaves the rest."""
    path = tmp_path / "RESULTS.md"
    path.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    write(path, "new")
    assert path.read_text() == f"before\n{START}\n\nnew\n\n{END}\nafter\n"
    write(path, "newer")
    assert path.read_text() == f"before\n{START}\n\nnewer\n\n{END}\nafter\n"
