"""Sentences about how a simulated person walks: what the text tower of the backbone `small` is trained on.

A sentence names a few of the person's traits, in plain or clinical words or with walkway numbers, so that every image
has many sentences and every trait many wordings. Thresholds are on the walk's own parameters and posture.
"""

from collections.abc import Callable, Iterator

import numpy as np

from trainables.data.walker import Gait
from trainables.knowledge.parameters import load_parameters
from trainables.knowledge.tasks import load_task, shipped_tasks
from trainables.records import Parameter

Phrases = tuple[str, ...]

SUBJECTS = (
    "",
    "",
    "",
    "a person with ",
    "a patient with ",
    "an older adult with ",
    "a video of a person with ",
    "gait with ",
)
NUMBERS_SHARE = 0.3
"""Share of sentences in the numeric style '<parameter> is <value> <unit>'."""
GROUP_SHARE = 0.25
"""Share of sentences of a group's members that end in the name of the group or the score."""

SCALES: dict[str, tuple[tuple[float, Phrases], ...]] = {
    # Each trait: (upper limit, wordings) from low to high; the last limit is infinite.
    "speed": (
        (0.70, ("very slow walking", "very slow gait", "markedly reduced walking speed", "hesitant slow walking")),
        (0.95, ("slow walking", "slow gait", "reduced walking speed", "slow cautious walking")),
        (1.20, ("slightly slow walking", "slightly reduced speed", "moderate pace", "slightly slower pace")),
        (9.99, ("brisk walking", "normal walking speed", "fast confident gait", "comfortable speed")),
    ),
    "cadence": (
        (92, ("low cadence", "slow rhythm", "few steps per minute", "long step time")),
        (108, ("moderate cadence", "ordinary rhythm")),
        (999, ("high cadence", "quick rhythm", "many steps per minute", "short step time")),
    ),
    "step": (
        (0.45, ("very short steps", "very small steps", "hesitant small steps", "tiny steps")),
        (0.58, ("short steps", "shortened steps", "reduced step length", "reduced stride length")),
        (0.66, ("slightly short steps", "slightly reduced stride length")),
        (9.99, ("long steps", "long strides", "normal stride length", "large steps")),
    ),
    "trunk": (
        (7, ("upright posture", "erect trunk", "straight back")),
        (14, ("slightly stooped posture", "slight forward lean", "mildly bent trunk")),
        (22, ("stooped posture", "flexed trunk", "forward lean")),
        (99, ("severely stooped posture", "strongly flexed trunk", "camptocormia", "bent forwards")),
    ),
    "head": (
        (12, ("head held high", "upright head")),
        (22, ("slightly lowered head",)),
        (99, ("head bent down", "dropped head", "flexed neck")),
    ),
    "arms": (
        (12, ("absent arm swing", "arms held still", "no arm swing", "rigid arms")),
        (22, ("reduced arm swing", "decreased arm swing", "little arm swing")),
        (32, ("slightly reduced arm swing", "moderate arm swing")),
        (99, ("full arm swing", "normal arm swing", "freely swinging arms", "arms swing freely")),
    ),
    "arm_asymmetry": (
        (0.12, ("equal arm swing on both sides", "symmetric arm swing")),
        (0.28, ("slightly asymmetric arm swing",)),
        (9.99, ("reduced arm swing on one side", "asymmetric arm swing", "one arm swings less")),
    ),
    "elbow": (
        (18, ("straight arms", "extended elbows")),
        (32, ("slightly bent elbows",)),
        (99, ("flexed elbows", "bent arms", "arms held in flexion")),
    ),
    "knee": (
        (6, ("straight knees", "extended legs")),
        (13, ("slightly bent knees",)),
        (99, ("flexed knees", "bent legs", "crouched legs")),
    ),
    "clearance": (
        (0.04, ("shuffling", "dragging feet", "feet scrape the floor", "shuffling steps", "shuffling gait")),
        (0.07, ("low foot clearance", "reduced foot clearance", "feet lifted little")),
        (9.99, ("good foot clearance", "feet lifted well", "clear foot lift")),
    ),
    "landing": (
        (8, ("flat foot landing", "flat foot contact", "no heel strike")),
        (16, ("reduced heel strike", "weak heel strike")),
        (99, ("clear heel strike", "heel strikes first", "normal heel strike")),
    ),
    "asymmetry": (
        (0.07, ("symmetric steps", "symmetric gait", "even left and right steps", "nearly symmetric gait")),
        (0.14, ("mild asymmetry", "slightly uneven steps")),
        (9.99, ("asymmetric steps", "asymmetric gait", "limping uneven steps", "marked left-right asymmetry")),
    ),
    "variability": (
        (0.08, ("regular steps", "steady rhythm", "low step variability", "even steps")),
        (0.12, ("slightly irregular steps", "moderate variability")),
        (9.99, ("irregular steps", "unsteady rhythm", "high step variability", "increased gait variability")),
    ),
    "support": (
        (24, ("short double support", "long swing phase", "long single support")),
        (29, ("slightly prolonged double support",)),
        (99, ("prolonged double support", "short swing phase", "reduced single support", "cautious support")),
    ),
    "base": (
        (7.5, ("narrow base of support", "narrow base", "feet close together")),
        (11.5, ("ordinary base of support", "normal step width")),
        (99, ("wide base of support", "wide base", "broad based gait", "unsteady balance")),
    ),
    "toes": (
        (4, ("feet pointing forwards", "toe in")),
        (99, ("toe out", "feet turned out", "large toe out angle")),
    ),
}
FREEZING: Phrases = ("freezing of gait", "freezing", "start hesitation", "pauses with the feet stuck to the floor")
NO_FREEZING: Phrases = ("no freezing", "walking without pauses", "fluent walking")
PARKINSONIAN: Phrases = ("parkinsonian gait", "parkinsonism", "parkinsonian shuffling", "signs of parkinsonism")
CAUTIOUS: Phrases = ("cautious gait", "slow cautious walking", "attention dependent gait", "unspecific slowing")
UNIMPAIRED: Phrases = ("normal gait", "unimpaired walking", "healthy gait", "no gait impairment")
GROUP_NAMES: dict[str, Phrases] = {
    "healthy": ("healthy", "healthy older adult", "healthy control", "cognitively unimpaired"),
    "DLB": ("dementia with Lewy bodies", "Lewy body dementia", "Lewy body disease"),
    "AD": ("Alzheimer's disease", "dementia due to Alzheimer's disease", "Alzheimer's dementia"),
}
SCORE_NAMES: tuple[Phrases, ...] = (
    ("normal gait", "no gait impairment", "MDS-UPDRS gait score 0"),
    ("slight gait impairment", "minor gait impairment", "MDS-UPDRS gait score 1"),
    ("mild gait impairment", "independent walking with substantial impairment", "MDS-UPDRS gait score 2"),
    ("moderate gait impairment", "walking aid needed for safety", "MDS-UPDRS gait score 3"),
)
GENERIC: Phrases = (
    "dementia with Lewy bodies, Alzheimer's disease, Parkinson's disease, parkinsonism, neurodegenerative disease",
    "mild cognitive impairment, early and severe dementia, cognitive decline, executive function, attention",
    "bradykinesia, rigidity, tremor, hypokinesia, festination, freezing of gait, postural instability, falls",
    "hemiplegic, ataxic, spastic, antalgic, cautious, frontal and vascular gait disorder, stroke, joint problem",
    "neurological defect, muscle weakness, joint problem, impaired, unimpaired, walking aid, cane, walker, wheelchair",
    "the patient walks across the walkway; the turning takes many steps; the trunk, hips, knees, ankles and feet",
    "a video of a person walking; a clip of the gait of an older adult; a walking test in a clinic",
)


def values_of(gait: Gait, parameters: dict[str, float]) -> dict[str, float]:
    """Returns the value of each scale of SCALES for one walk: what the sentences speak of."""

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
    }


def describe(
    gait: Gait,
    parameters: dict[str, float],
    rng: np.random.Generator,
    *,
    group: str | None = None,
    score: int | None = None,
    numbers: tuple[Parameter, ...] = (),
) -> str:
    """Returns one sentence about a walk; group and score of a member of no group are None."""
    if numbers and rng.random() < NUMBERS_SHARE:
        chosen = rng.choice(len(numbers), size=int(rng.integers(1, 4)), replace=False)
        known = [numbers[i] for i in chosen if np.isfinite(parameters[numbers[i].key])]
        return ", ".join(f"{p.name} is {parameters[p.key]:.3g} {p.unit}" for p in known) or "walking"
    values = values_of(gait, parameters)
    names = rng.choice(len(SCALES), size=int(rng.integers(2, 6)), replace=False)
    parts = [_wording(list(SCALES)[i], values, rng) for i in names]
    parts += _whole_gait(gait, values, rng)
    rng.shuffle(parts)
    if group is not None and score is not None and rng.random() < GROUP_SHARE:
        parts = parts[: int(rng.integers(0, 4))]
        parts.append(_pick(GROUP_NAMES[group] if rng.random() < 0.6 else SCORE_NAMES[score], rng))
    joined = (" " if rng.random() < 0.3 else ", ").join(parts)
    return _pick(SUBJECTS, rng) + joined


def _whole_gait(gait: Gait, values: dict[str, float], rng: np.random.Generator) -> list[str]:
    """Returns clinical wordings for combinations of traits, and for freezing."""
    parts = []
    if rng.random() < 0.3:
        parts.append(_pick(FREEZING if gait.freezing else NO_FREEZING, rng))
    signs = (values["trunk"] > 14) + (values["arms"] < 22) + (values["clearance"] < 0.06) + (values["elbow"] > 32)
    if rng.random() < 0.35:
        if signs >= 3:
            parts.append(_pick(PARKINSONIAN, rng))
        elif signs <= 1 and values["speed"] < 1.1:
            parts.append(_pick(CAUTIOUS, rng))
        elif signs == 0 and values["speed"] > 1.2:
            parts.append(_pick(UNIMPAIRED, rng))
    return parts


def _wording(scale: str, values: dict[str, float], rng: np.random.Generator) -> str:
    wordings = next(words for limit, words in SCALES[scale] if values[scale] <= limit)
    return _pick(wordings, rng)


def _pick(phrases: Phrases, rng: np.random.Generator) -> str:
    return phrases[int(rng.integers(len(phrases)))]


def corpus(draw: Callable[[], str], count: int) -> Iterator[str]:
    """Yields the tokenizer's texts: every wording, the shipped tasks' knowledge, parameter names, and drawn sentences."""
    for scale in SCALES.values():
        for _, wordings in scale:
            yield from wordings
    for phrases in (
        FREEZING,
        NO_FREEZING,
        PARKINSONIAN,
        CAUTIOUS,
        UNIMPAIRED,
        GENERIC,
        *GROUP_NAMES.values(),
        *SCORE_NAMES,
    ):
        yield from phrases * 20
    for parameter in load_parameters():
        yield from (f"{parameter.name} is 0 {parameter.unit}",) * 20
    for name in shipped_tasks():
        for known in load_task(name).classes:
            for description in known.descriptions:
                yield from (known.name, *description.keywords) * 20
                yield from (description.notion,) * 3
    for _ in range(count):
        yield draw()
