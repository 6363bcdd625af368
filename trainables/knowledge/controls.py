"""Controls of clinical knowledge: the same task with another class's knowledge, or with knowledge that says nothing."""

from dataclasses import replace

import numpy as np

from trainables.knowledge.tasks import ClassKnowledge, Description, Task

FOREIGN_PHRASES = (
    "blue cup", "wet sand", "old book", "red door", "warm soup", "tin box", "green leaf", "loud bell", "ripe plum",
    "thin rope", "glass jar", "dry hay", "round table", "cold milk", "wool hat", "sharp pen", "salt lake", "gold ring",
    "oak tree", "grey cloud", "soft bread", "iron key", "paper map", "sour lime", "dark room", "new coin", "clay pot",
    "white shirt", "deep pond", "brass lamp",
)  # fmt: skip
"""Keywords that say nothing about walking; short, since a text encoder that never met them spells them letter by letter."""


def with_knowledge(task: Task, source: str, seed: int) -> Task:
    """Returns the task with each class's own knowledge, another class's, or none that could help.

    The class names stay. Keywords change with the notions: before training they are all that a prompt says of a class
    beside its name, so a control that left them in place would not be one.

    Args:
        source: 'own'; 'swapped' gives every class the descriptions of another, by a permutation that leaves none in its
            place; 'random' puts as many phrases about household things in the place of each description's keywords.
            (The random vectors that 'random' reads in place of notions are `trainables.training.frozen`'s.)
        seed: Draws the permutation, or the phrases.
    """
    rng = np.random.default_rng([seed, len(task.classes)])
    if source == "swapped":
        donors = derangement(len(task.classes), rng)
        classes = [
            replace(own, descriptions=task.classes[donor].descriptions)
            for own, donor in zip(task.classes, donors, strict=True)
        ]
        return replace(task, classes=tuple(classes))
    if source == "random":
        return replace(task, classes=tuple(_foreign(known, rng) for known in task.classes))
    return task


def derangement(count: int, rng: np.random.Generator) -> list[int]:
    """Returns a random permutation of range(count) without a fixed point; `count` is at least 2."""
    while True:
        order = rng.permutation(count)
        if not (order == np.arange(count)).any():
            return [int(i) for i in order]


def _foreign(known: ClassKnowledge, rng: np.random.Generator) -> ClassKnowledge:
    return replace(known, descriptions=tuple(_foreign_keywords(d, rng) for d in known.descriptions))


def _foreign_keywords(description: Description, rng: np.random.Generator) -> Description:
    phrases = rng.choice(FOREIGN_PHRASES, size=len(description.keywords), replace=False)
    return replace(description, keywords=tuple(str(phrase) for phrase in phrases))
