"""What the backbone `small` may read while it is trained: traits, and never a group, a disease or a score."""

import itertools
import re

import numpy as np
import pytest

from trainables.backbones.sentences import describe, fitting, made_up_name, values_of
from trainables.backbones.trait_words import TRAIT_WORDS
from trainables.knowledge.parameters import load_parameters
from trainables.knowledge.tasks import load_task, shipped_tasks
from trainables.simulation.cohort import COHORT_SEEDS, Subject, Walk, draw_walk
from trainables.simulation.gait_groups import draw_free_traits
from trainables.simulation.renderer import draw_look

TELLING = ("dementia", "lewy", "alzheimer", "parkinson", "healthy", "control", "impair", "updrs", "disease", "disorder")
"""Parts of words that name a group, a diagnosis or a score."""


@pytest.fixture(scope="module")
def walks() -> list[Walk]:
    rng = np.random.default_rng(7)
    people = [
        Subject(name=f"T{i}", group="", score=-1, look=draw_look(rng), traits=draw_free_traits(rng)) for i in range(60)
    ]
    return [draw_walk(s, seconds=5, stream=(COHORT_SEEDS + 7, i, 0)) for i, s in enumerate(people)]


@pytest.fixture(scope="module")
def sentences(walks: list[Walk]) -> list[str]:
    rng, parameters = np.random.default_rng(0), load_parameters()
    return [describe(w.gait, w.parameters, rng, numbers=parameters) for w in walks for _ in range(250)]


def test_no_sentence_names_a_class(sentences: list[str]) -> None:
    """Over 15,000 drawn sentences, none holds a class name of a shipped task, a group's value, or a word for a diagnosis."""
    names = {known.name.lower() for task in shipped_tasks() for known in load_task(task).classes}
    assert {"healthy", "dementia with lewy bodies", "alzheimer's disease", "normal gait"} <= names
    for sentence in sentences:
        low = sentence.lower()
        assert not [name for name in names if name in low], sentence
        assert not [word for word in TELLING if word in low], sentence
        assert not re.search(r"\b(ad|dlb)\b", low), sentence


def test_no_wording_names_a_class() -> None:
    """Nor does any wording, drawn or not."""
    phrases = [p for wordings in TRAIT_WORDS.values() for w in wordings for p in (*w.phrases, *w.adjectives)]
    assert not [p for p in phrases for word in TELLING if word in p]
    assert len(set(phrases)) > 200


def test_keywords_of_the_shipped_tasks_are_trait_words() -> None:
    """Most words of the shipped keywords occur in the wordings, so that zero-shot answers come from what they say."""
    known = {
        word
        for wordings in TRAIT_WORDS.values()
        for w in wordings
        for phrase in (*w.phrases, *w.adjectives)
        for word in phrase.split()
    }
    for task in ("diagnosis", "updrs"):
        words = [w for c in load_task(task).classes for d in c.descriptions for k in d.keywords for w in k.split()]
        assert np.mean([word in known for word in words]) > 0.75, sorted(set(words) - known)


def test_every_value_has_a_wording(walks: list[Walk]) -> None:
    """Whatever the trait's value, there is a phrase that is true of it; ranges of a trait leave no gap."""
    for walk in walks:
        values = values_of(walk.gait, walk.parameters)
        assert list(values) == list(TRAIT_WORDS)
        assert all(fitting(trait, value)[0] for trait, value in values.items())
    for wordings in TRAIT_WORDS.values():
        edges = sorted({edge for w in wordings for edge in (w.low, w.high)})
        middles = [(a + b) / 2 for a, b in itertools.pairwise(edges) if np.isfinite(a + b)]
        assert all(any(w.low <= m < w.high for w in wordings) for m in middles)


def test_sentences_say_what_the_walk_is(walks: list[Walk]) -> None:
    """A sentence uses the landing's own wordings and no others, and its numbers are the walk's own."""
    walk, rng = walks[0], np.random.default_rng(0)
    plain = [describe(walk.gait, walk.parameters, rng) for _ in range(600)]
    own = set(fitting("landing", values_of(walk.gait, walk.parameters)["landing"])[0])
    every = {phrase for w in TRAIT_WORDS["landing"] for phrase in w.phrases}
    assert {phrase for phrase in every for s in plain if phrase in s} == own
    told = [describe(walk.gait, walk.parameters, rng, numbers=load_parameters()) for _ in range(300)]
    speed = f"walking speed is {walk.parameters['walking_speed']:.3g} leg/s"
    assert {s for s in told if "walking speed is" in s} == {s for s in told if speed in s} != set()


def test_made_up_names_mean_nothing() -> None:
    """A made-up name shares no word with the wordings, but for small words, and few are drawn twice."""
    rng = np.random.default_rng(3)
    names = [made_up_name(rng) for _ in range(500)]
    known = {word for ws in TRAIT_WORDS.values() for w in ws for phrase in w.phrases for word in phrase.split()}
    assert not [word for name in names for word in name.split() if word in known - {"with", "of", "and", "type", "to"}]
    assert len(set(names)) > 450
