"""PROBAST+AI: what this page holds for those who judge a study's quality, risk of bias and applicability.

The tool has two parts, model development and model evaluation, each with four domains: participants and data sources,
predictors, outcome, analysis. Judging is for people who know the study. An entry here names what the judgement of a topic
can rest on: a section of the page that shows it, or that the page has nothing. The topics are ours, in our own words and
without the tool's numbers; the tool itself has the signalling questions.

Source: Moons et al. 2025, BMJ 388:e082505.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from reports.numbers.analysis import Analysis
from reports.wording import sentence
from trainables.model_kinds import SHORTCUTS

UNKNOWN = "Not held by the study"
Shown = dict[str, tuple[str, str | None]]
"""(answer, section) by the topic's name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Signal:
    """One topic of PROBAST+AI, and what the study has for its judgement."""

    part: str
    domain: str
    topic: str
    answer: str
    section: str | None
    """Id of the section of the page that shows it; None where the study does not hold the answer."""


@cache
def topics() -> tuple[dict[str, str], ...]:
    """Returns the topics of probast.toml: name, part, domain, topic, and perhaps what a person can do."""
    return tuple(tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["topics"])


def signals(analysis: Analysis) -> tuple[Signal, ...]:
    """Returns every topic in the order of parts and domains; none is answered by more than the page shows."""
    shown = _of_data(analysis) | _of_analysis(analysis) | _of_scores(analysis)
    return tuple(
        Signal(part=about["part"], domain=about["domain"], topic=about["topic"], answer=answer, section=section)
        for about in topics()
        for answer, section in [shown.get(about["name"], (_unknown(about.get("task", "")), None))]
    )


def _unknown(task: str) -> str:
    return f"{UNKNOWN}; {task}." if task else f"{UNKNOWN}."


def _of_data(analysis: Analysis) -> Shown:
    """Returns what the cohort tells, which is known before any result."""
    cohort, ledger = analysis.cohort, analysis.ledger
    left_out = _counted(len(cohort.excluded), "row")
    by_class = ", ".join(f"{n} {label}" for n, label in zip(ledger.cohort.subjects, cohort.classes, strict=True))
    shown: Shown = {
        "left_out": (f"{sentence(left_out)} of the manifest not used, each with its reason; who was never recorded is not known.", "cohort"),
        "size": (f"{ledger.subjects} subjects ({by_class}); whether they are enough is yours to judge.", "cohort"),
    }  # fmt: skip
    if cohort.simulated:
        nobody = (
            "The walkers are simulated: there are no people to judge, and nothing here is about patients.",
            "cohort",
        )
        shown |= {"source": nobody, "eligibility": nobody, "outcome": nobody, "blind_outcome": nobody}
    if analysis.missing is not None:
        lacking = _counted(len(analysis.missing.parameters), "gait parameter")
        shown["missing"] = (f"In part: {lacking} with missing values, counted by class and by fold; why they are missing is yours to say.", "cohort")  # fmt: skip
    if analysis.plan is not None:
        changed = _counted(len(analysis.plan.changes(analysis.study.options)), "departure")
        shown["plan"] = (f"A plan was written before the first training; {changed} from it.", "provenance")
    return shown


def _of_analysis(analysis: Analysis) -> Shown:
    """Returns what folds and search tell."""
    shared = sum(f.shared_subjects + f.shared_files for f in analysis.ledger.folds)
    shown: Shown = {
        "leakage": (f"{'No subject and no file' if not shared else f'{shared} subjects or files'} on both sides of a fold, checked for this page.", "cohort")
    }  # fmt: skip
    if analysis.leaderboard:
        complete = sum(t.scored for t in analysis.leaderboard)
        shown["choice"] = (f"{_counted(len(analysis.leaderboard), 'configuration')} tried, {complete} complete; all are listed.", "search")  # fmt: skip
    return shown


def _of_scores(analysis: Analysis) -> Shown:
    """Returns what the scores tell; nothing before there are any."""
    found = analysis.results
    if found is None:
        return {}
    nested = analysis.nested is not None and analysis.nested.estimate is not None
    compared = (*found.comparisons, *(analysis.nested.comparisons if analysis.nested else ()))
    shown: Shown = {}
    if analysis.shown is not None and analysis.shown.calibration is not None and analysis.shown.rankings:
        kind = "of nested predictions" if nested else "of selection predictions, which are optimistic"
        shown["performance"] = (f"Both, {kind}.", "results")
    if nested:
        shown["optimism"] = ("The whole search was repeated without each outer fold's subjects.", "answer")
    else:
        shown["optimism"] = ("No: the score shown is one of selection. Run with --outer-folds.", "answer")
    if any(c.other in SHORTCUTS for c in compared):
        shown["shortcuts"] = ("Baselines that do not see the gait were scored on the same folds.", "comparisons")
    if found.subgroups:
        shown["groups"] = (f"Scores by {_counted(len(found.subgroups), 'attribute')}; their choice is yours to explain.", "subgroups")  # fmt: skip
    if analysis.decisions is not None:
        shown["utility"] = ("In part: net benefit by threshold; nobody acted on an answer.", "results")
    if analysis.raters is not None:
        shown["raters"] = (f"Two raters, kappa {analysis.raters.agreements[0].kappa:.2f}.", "results")
    if found.trial.config.get("optimizer.focal_gamma", 0) > 0 and found.loss_fall is not None:
        shown["imbalance"] = ("In part: a focal loss; predict gives its probabilities as they are.", "methods")
    return shown


def _counted(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
