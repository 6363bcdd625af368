"""Sentences about what a study's numbers are not: of another procedure, of an extended search, of too few subjects of a class."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reports.numbers.nested import Nested
from trainables.study.plan import StudyPlan
from trainables.study.records import StudyRecord

if TYPE_CHECKING:
    from reports.numbers.analysis import Results


def study_notices(
    study: StudyRecord, plan: StudyPlan | None, nested: Nested | None, results: "Results | None"
) -> tuple[str, ...]:
    """Returns a sentence for each thing that a reader must know about how the study came about."""
    return (*_of_plan(study, plan), *_of_nested(study, nested), *_of_sessions(study), *_of_classes(results))


def _of_plan(study: StudyRecord, plan: StudyPlan | None) -> Iterator[str]:
    if plan is not None and (changed := plan.changes(study.options)):
        yield f"The study departs from its plan of {plan.written}: {'; '.join(changed)}."


def _of_nested(study: StudyRecord, nested: Nested | None) -> Iterator[str]:
    if nested is None:
        return
    if nested.outdated:
        yield nested.outdated
    missing = [] if nested.estimate is None else sorted(set(study.baselines) - {c.other for c in nested.comparisons})
    if missing:
        yield f"The outer folds have no baseline {', '.join(missing)}; the same command with --outer-folds adds it."


def _of_sessions(study: StudyRecord) -> Iterator[str]:
    trials = [session.get("trials") for session in study.sessions]
    steps = [n for n, before in zip(trials[1:], trials, strict=False) if n != before]
    if steps:
        told = ", then ".join(str(n) for n in [trials[0], *steps])
        yield f"The search was extended after its results could be seen: {told} trials. Its scores are then the best of more looks."


def _of_classes(results: "Results | None") -> Iterator[str]:
    if results is None or not results.detail.rare:
        return
    rare = [f"{c.label} has {c.subjects}" for c in results.classes if c.label in results.detail.rare]
    yield (
        f"Of {', '.join(rare)} subjects only: scores that average over the classes (balanced accuracy, macro F1) have no interval "
        "that can be relied on."
    )
