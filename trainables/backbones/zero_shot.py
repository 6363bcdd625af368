"""Zero-shot answers of a backbone: what a task's keywords say about videos before anything is trained, and controls."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score

from trainables.backbones.trait_words import TRAIT_WORDS
from trainables.knowledge.tasks import ClassKnowledge, Description, Task
from trainables.model.backbone import Backbone, FrozenText, TextEncoder
from trainables.model.text_prompts import ClassPrompts
from trainables.settings import TextConfig

DRAWS = 20
"""Draws over which a random control is averaged."""
PROMPTS = TextConfig(context_init="words", knowledge=False)
"""A prompt as training starts from it, without the notions, which a projector of zeros leaves out at the start anyway."""


def zero_shot_scores(backbone: Backbone, task: Task, x: NDArray[np.floating], rows: pl.DataFrame) -> dict[str, float]:
    """Returns the balanced accuracy per subject of each way to describe the classes.

    Args:
        x: video features, [videos, D].
        rows: the videos' columns subject and the task's label.
    """
    plain = replace(PROMPTS, keywords=False)
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((DRAWS, len(task.classes), backbone.width))
    return {
        "keywords": _accuracy(x, class_features(backbone, task, PROMPTS), rows, task, backbone),
        "names only": _accuracy(x, class_features(backbone, task, plain), rows, task, backbone),
        "swapped keywords": _mean(
            x, (class_features(backbone, t, PROMPTS) for t in swapped(task)), rows, task, backbone
        ),
        "random keywords": _mean(
            x,
            (class_features(backbone, with_random_keywords(task, rng), PROMPTS) for _ in range(DRAWS)),
            rows,
            task,
            backbone,
        ),
        "random vectors": _mean(
            x, (d / np.linalg.norm(d, axis=1, keepdims=True) for d in directions), rows, task, backbone
        ),
    }


@torch.no_grad()
def class_features(backbone: Backbone, task: Task, config: TextConfig) -> NDArray[np.float32]:
    """Returns each class's unit text feature, [C, D], as an untrained model has it."""
    encoder = TextEncoder(backbone.clip)
    return ClassPrompts(task, config, FrozenText(backbone, encoder), None)(encoder).numpy()


def swapped(task: Task) -> Iterator[Task]:
    """Yields the task with each class under another one's descriptions, once for every cyclic shift of the classes."""
    for shift in range(1, len(task.classes)):
        others = task.classes[shift:] + task.classes[:shift]
        classes = (replace(c, descriptions=o.descriptions) for c, o in zip(task.classes, others, strict=True))
        yield replace(task, classes=tuple(classes))


def with_random_keywords(task: Task, rng: np.random.Generator) -> Task:
    """Returns the task with known phrases drawn at random in place of the keywords, as many as there were."""
    phrases = [phrase for wordings in TRAIT_WORDS.values() for w in wordings for phrase in w.phrases]

    def drawn(description: Description) -> Description:
        return replace(description, keywords=tuple(rng.choice(phrases, size=len(description.keywords), replace=False)))

    def of_class(known: ClassKnowledge) -> ClassKnowledge:
        return replace(known, descriptions=tuple(drawn(d) for d in known.descriptions))

    return replace(task, classes=tuple(of_class(c) for c in task.classes))


def _mean(
    x: NDArray[np.floating],
    classes: Iterator[NDArray[np.floating]],
    rows: pl.DataFrame,
    task: Task,
    backbone: Backbone,
) -> float:
    return float(np.mean([_accuracy(x, features, rows, task, backbone) for features in classes]))


def _accuracy(
    x: NDArray[np.floating], classes: NDArray[np.floating], rows: pl.DataFrame, task: Task, backbone: Backbone
) -> float:
    scale = float(backbone.clip.logit_scale.exp())
    logits = scale * (x / np.linalg.norm(x, axis=1, keepdims=True)) @ classes.T
    probability = torch.from_numpy(logits).softmax(dim=-1).numpy()
    return subject_score(probability, rows, task.label, [c.value for c in task.classes])


def subject_score(probability: NDArray[np.floating], rows: pl.DataFrame, label: str, classes: list[str]) -> float:
    """Returns the balanced accuracy of the classes with the largest mean probability over a subject's videos.

    `probability` is [videos, C] in the order of `classes`; `rows` has the columns subject and `label`.
    """
    y, subjects = rows[label].cast(pl.String).to_numpy(), rows["subject"].to_numpy()
    names = np.unique(subjects)
    said = [classes[probability[subjects == name].mean(axis=0).argmax()] for name in names]
    return float(balanced_accuracy_score([y[subjects == name][0] for name in names], said))
