"""Sentences about how a simulated person walks: what the text tower of the backbone `small` is trained on.

A sentence names a few of the person's traits, in plain or clinical words or with walkway numbers, so that every image
has many sentences and every trait many wordings. It never names a group, a disease or a score, and it knows none: it is
made from the gait alone. Words without a meaning for gait stand around the traits, so that a class name which the tower
has never met adds little to what the keywords before it say.
"""

from collections.abc import Callable, Iterator

import numpy as np

from trainables.backbones.trait_words import TRAIT_WORDS
from trainables.knowledge.parameters import load_parameters
from trainables.knowledge.tasks import load_task, shipped_tasks
from trainables.simulation.walker import Gait
from trainables.study.records import Parameter

NUMBERS_SHARE = 0.2
"""Share of sentences in the numeric style '<parameter> is <value> <unit>'."""
COMPOUND_SHARE = 0.35
"""Share of sentences in words of which two traits join as adjectives of one noun: 'slow, shuffling gait'."""
OPENING, MOST_OPENING_WORDS = "a video of a person walking", 12
"""A third of the sentences begins with up to so many words of the opening, repeated: the start of a learnable context."""
UNRELATED_SHARE = 0.4
"""Share of sentences with a made-up name, before or behind the traits."""
SUBJECTS = (
    "a person with ",
    "a patient with ",
    "an older adult with ",
    "a video of a person with ",
    "gait with ",
    "walking with ",
    "the person shows ",
    "seen from the side: ",
)
NOUNS = ("gait", "walking", "steps", "walk", "gait pattern")
SYLLABLES = tuple(a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "il", "or", "us"))
LINKS = ("", "", "", "with ", "of ", "'s ", "type ", "and ")
"""Small words inside of made-up names."""


def values_of(gait: Gait, parameters: dict[str, float]) -> dict[str, float]:
    """Returns the value of each trait of TRAIT_WORDS for one walk: what the sentences speak of."""

    def uneven(pair: tuple[float, float]) -> float:
        return abs(pair[0] - pair[1]) / (sum(pair) / 2)

    return {
        "speed": parameters["walking_speed"],
        "cadence": parameters["cadence"],
        "step": sum(gait.step_length) / 2,
        "trunk": gait.trunk_flexion,
        "head": gait.head_flexion,
        "arms": sum(gait.arm_swing) / 2,
        "arm_asymmetry": uneven(gait.arm_swing),
        "elbow": gait.elbow_flexion,
        "knee": gait.knee_flexion,
        "clearance": gait.clearance,
        "landing": gait.heel_strike,
        "asymmetry": uneven(gait.step_time) + uneven(gait.step_length),
        "variability": gait.step_time_cv + gait.step_length_cv,
        "support": gait.double_support,
        "base": gait.base_cm,
        "toes": sum(gait.toe_angle) / 2,
        "freezing": gait.freezing,
    }


def describe(
    gait: Gait, parameters: dict[str, float], rng: np.random.Generator, *, numbers: tuple[Parameter, ...] = ()
) -> str:
    """Returns one sentence about a walk, of its traits alone; with `numbers` some sentences state these parameters."""
    if numbers and rng.random() < NUMBERS_SHARE:
        chosen = rng.choice(len(numbers), size=int(rng.integers(1, 3)), replace=False)
        known = [numbers[i] for i in chosen if np.isfinite(parameters[numbers[i].key])]
        return ", ".join(f"{p.name} is {parameters[p.key]:.3g} {p.unit}" for p in known) or "walking"
    values = values_of(gait, parameters)
    named = rng.permutation(list(TRAIT_WORDS))[: int(rng.integers(1, 5))]
    parts = [_pick(fitting(str(trait), values[trait])[0], rng) for trait in named]
    if rng.random() < COMPOUND_SHARE:
        parts.append(_compound(values, rng))
        parts = [parts[i] for i in rng.permutation(len(parts))]
    text = (" " if rng.random() < 0.2 else ", ").join(parts)
    if rng.random() < UNRELATED_SHARE:
        name = made_up_name(rng)
        text = f"{text}, {name}" if rng.random() < 0.8 else f"{name}, {text}"
    return _opening(rng) + text


def fitting(trait: str, value: float) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the phrases and the adjectives that are true of a trait's value."""
    true = [wording for wording in TRAIT_WORDS[trait] if wording.low <= value < wording.high]
    return (
        tuple(phrase for wording in true for phrase in wording.phrases),
        tuple(adjective for wording in true for adjective in wording.adjectives),
    )


def _compound(values: dict[str, float], rng: np.random.Generator) -> str:
    """Returns one or two adjectives before a noun."""
    adjectives = [a for trait in TRAIT_WORDS if (a := fitting(trait, values[trait])[1])]
    chosen = [_pick(adjectives[i], rng) for i in rng.permutation(len(adjectives))[: int(rng.integers(1, 3))]]
    return f"{_pick((' and ', ' ', ', '), rng).join(chosen)} {_pick(NOUNS, rng)}"


def _opening(rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.4:
        return ""
    if kind < 0.65:
        return _pick(SUBJECTS, rng)
    words = (OPENING.split() * 3)[: int(rng.integers(3, MOST_OPENING_WORDS + 1))]
    return " ".join(words) + _pick((" ", ", "), rng)


def made_up_name(rng: np.random.Generator) -> str:
    """Returns one to three words of random syllables, as 'lunor with kazil'."""
    words = ["".join(rng.choice(SYLLABLES, size=int(rng.integers(2, 4)))) for _ in range(int(rng.integers(1, 4)))]
    return " ".join([words[0], *(_pick(LINKS, rng) + word for word in words[1:])]).replace(" 's", "'s")


def _pick(phrases: tuple[str, ...], rng: np.random.Generator) -> str:
    return phrases[int(rng.integers(len(phrases)))]


def corpus(draw: Callable[[], str], count: int) -> Iterator[str]:
    """Yields the tokenizer's texts: every wording, the shipped tasks' knowledge, parameter names, and drawn sentences.

    Names of groups are among them, so that each costs few tokens. Tokens carry no meaning: no image stands beside them.
    """
    for wordings in TRAIT_WORDS.values():
        for wording in wordings:
            yield from (*wording.phrases, *wording.adjectives)
    yield from (OPENING, *NOUNS) * 20
    for parameter in load_parameters():
        yield from (f"{parameter.name} is 0 {parameter.unit}",) * 20
    for name in shipped_tasks():
        for known in load_task(name).classes:
            for description in known.descriptions:
                yield from (known.name, *description.keywords) * 20
                yield from (description.notion,) * 3
    for _ in range(count):
        yield draw()
