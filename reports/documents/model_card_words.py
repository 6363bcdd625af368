"""What a model card says of the ground of decoded words, line by line."""

from collections.abc import Iterator

import numpy as np

from reports.numbers.descriptions import Words
from reports.numbers.evidence import ClassEvidence
from reports.numbers.prediction_sets import StudySets


def skill_line(words: Words) -> str:
    """Returns a sentence on how well the decoder reads parameters; there is at least one."""
    skills = [row.skill for row in words.skills]
    named = [row.named for row in words.skills if row.named is not None]
    told = f"; {100 * np.mean(named):.0f} % of a record's parameters are named" if named else ""
    return (
        f"Skill of the decoder on held-out subjects (1 is exact, 0 no better than the median): {np.median(skills):.2f} in the "
        f"middle of {len(skills)} parameters, {min(skills):.2f} for the worst{told}."
    )


def evidence_lines(found: ClassEvidence) -> Iterator[str]:
    """Yields what the words of one class rest on, or why there are none."""
    for refusal in found.refusals:
        yield f"{refusal[0].upper()}{refusal[1:]}."
    if not found.folds:
        return
    if found.sentence:
        yield f"What differs from all training subjects: {found.sentence}"
    controls = ", ".join(f"{c.name} {c.separation:.2f}" for c in found.controls)
    yield (
        f"Separation {found.separation:.2f}: {100 * found.inside:.0f} % of the values in the class's own range, "
        f"{100 * found.others:.0f} % in another class's; of the controls: {controls}"
    )
    yield (
        f"{100 * found.own:.0f} % of the query's weight is on the class's own subjects (chance {100 * found.chance:.0f} %); effective "
        f"number of subjects at least {found.effective:.1f}"
    )


def sets_lines(found: StudySets | None) -> Iterator[str]:
    """Yields what prediction sets promise and held, or why there are none; nothing before a model is chosen."""
    if found is None:
        return
    record = found.record
    if record.refusal:
        yield f"There are no prediction sets: {record.refusal}."
        return
    m = found.measured[0]
    low, high = m.held_interval
    classes = ", ".join(f"{c.label} {100 * c.held:.0f} % of {c.units}" for c in m.classes if c.held is not None)
    yield (
        f"Prediction sets (conformal, {record.percent} of new people {'of each class' if record.by_class else 'of all classes together'}): "
        f"of the {m.units} {m.level}s of the outer folds {100 * m.held:.0f} % ({100 * low:.0f} to {100 * high:.0f} %) had their class in "
        f"the set that the other folds' people gave ({classes}); {100 * m.unknown:.0f} % of the sets were empty or held all classes, "
        "which means that the model does not know."
    )
