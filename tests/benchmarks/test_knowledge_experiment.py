"""The experiment on knowledge, on made-up features whose truth is known."""

import dataclasses

import numpy as np
import pytest
import torch

from experiments.knowledge import ROWS, TEXT_ALONE, Windows, balanced_accuracy, few_subjects, new_model, unseen_class
from tests.tiny import save_tiny_clip
from trainables.config import TrainConfig
from trainables.knowledge.tasks import load_task
from trainables.model.backbone import load_backbone
from trainables.training.frozen import FrozenFeatures

CONFIG = TrainConfig().with_values(TEXT_ALONE | {"text.context_init": "words"})


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Windows:
    """Four subjects of each gait score, whose features lie about the text of their own class, all named alike."""
    task = load_task("updrs")
    task = dataclasses.replace(task, classes=tuple(dataclasses.replace(c, name="walking") for c in task.classes))
    backbone = load_backbone(str(save_tiny_clip(tmp_path_factory.mktemp("experiment") / "tiny")))
    frozen = FrozenFeatures(backbone, task, [])
    empty = Windows(
        task=task, frozen=frozen, features=torch.empty(0), labels=np.empty(0, int), subjects=np.empty(0, str)
    )
    with torch.no_grad():
        texts = new_model(empty, CONFIG).class_features()
    labels = np.repeat(np.arange(4), 8)
    noise = torch.randn(32, texts.shape[1], generator=torch.Generator().manual_seed(0))
    scale = float((texts - texts.mean(0)).norm(dim=-1).mean()) / texts.shape[1] ** 0.5
    features = torch.nn.functional.normalize(texts[labels] + 0.3 * scale * noise, dim=-1)
    subjects = np.array([f"S{i:02}" for i in np.repeat(np.arange(16), 2)])
    return dataclasses.replace(empty, features=features, labels=labels, subjects=subjects)


def value(cohort: Windows, row: str, shots: int = 0) -> float:
    return few_subjects(cohort, CONFIG.with_values(dict(ROWS[row])), shots, 5, draws=1)


def test_without_training_only_the_own_texts_tell_the_classes(cohort) -> None:
    """Where people walk as their class's text says, own knowledge is right, another class's is wrong, names alone guess."""
    assert value(cohort, "own knowledge") > 0.9
    assert value(cohort, "swapped knowledge") < 0.1
    assert value(cohort, "class names alone") == pytest.approx(0.25, abs=0.15)


def test_training_subjects_are_not_scored(cohort) -> None:
    """With all but one subject of a class in training, the value still comes from the others."""
    assert 0 <= value(cohort, "own knowledge", shots=3) <= 1


def test_a_class_that_was_never_seen_is_told_by_its_text(cohort) -> None:
    """Its own text ranks its people first; another class's does not."""
    own, swapped = (
        unseen_class(cohort, CONFIG.with_values(dict(ROWS[row])), 5) for row in ("own knowledge", "swapped knowledge")
    )
    assert own > 0.9
    assert swapped < 0.6


def test_balanced_accuracy_by_hand() -> None:
    """The mean of the classes' shares."""
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.6, 0.4]])
    assert balanced_accuracy(probabilities, np.array([0, 0, 1, 1])) == 0.5
    assert balanced_accuracy(probabilities, np.array([0, 1, 1, 1])) == pytest.approx((1 + 2 / 3) / 2)
