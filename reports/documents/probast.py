"""PROBAST+AI: what this page holds for those who judge a study's quality, risk of bias and applicability.

The tool has two parts, model development and model evaluation, each with four domains: participants and data sources,
predictors, outcome, analysis. Judging is for people who know the study. An entry here names what the judgement of a topic
can rest on: a section of the page that shows it, or that the page has nothing. The topics are ours, in our own words and
without the tool's numbers; the tool itself has the signalling questions.

Source: Moons et al. 2025, BMJ 388:e082505.
"""

from dataclasses import dataclass

from reports.numbers.analysis import Analysis
from reports.wording import sentence
from trainables.model_kinds import SHORTCUTS

DEVELOPMENT, EVALUATION, BOTH = "Development", "Evaluation", "Both"
PARTICIPANTS, PREDICTORS, OUTCOME, ANALYSIS = "Participants and data sources", "Predictors", "Outcome", "Analysis"
UNKNOWN = "Not held by the study"
TOPICS = (
    ("source", BOTH, PARTICIPANTS, "Are the people and recordings from a suitable source?", "say where and how they were recruited"),
    ("eligibility", BOTH, PARTICIPANTS, "Are the people included the ones the model is for?", "give the criteria, and who was asked"),
    ("left_out", BOTH, PARTICIPANTS, "Who was left out, and why?", ""),
    ("groups", BOTH, PARTICIPANTS, "Are groups of people represented, and treated alike?", "name columns with --attribute"),
    ("measured", BOTH, PREDICTORS, "Were videos and gait parameters recorded in one way for everyone?", "describe cameras and instruments"),
    ("blind_predictors", BOTH, PREDICTORS, "Were the predictors assessed without knowing the class?", "say what assessors knew"),
    ("available", BOTH, PREDICTORS, "Are the predictors there when the model is to be used?", ""),
    ("shortcuts", BOTH, PREDICTORS, "Could something other than gait tell the classes apart?", "ask with --baselines recording,single_frame,attributes"),
    ("outcome", BOTH, OUTCOME, "Was the class determined in a suitable, standard way?", "describe the assessment"),
    ("blind_outcome", BOTH, OUTCOME, "Was the class determined without the predictors?", "say what the raters had seen"),
    ("raters", BOTH, OUTCOME, "How reliable is the class?", "give a second rating with --second-rating"),
    ("size", DEVELOPMENT, ANALYSIS, "Were there enough people of each class?", ""),
    ("missing", DEVELOPMENT, ANALYSIS, "How were missing values handled?", ""),
    ("imbalance", DEVELOPMENT, ANALYSIS, "Was anything done about classes of different size, and were probabilities mended after it?", ""),
    ("choice", DEVELOPMENT, ANALYSIS, "How was the configuration chosen, and from how many?", ""),
    ("plan", DEVELOPMENT, ANALYSIS, "Was the analysis fixed beforehand?", ""),
    ("leakage", EVALUATION, ANALYSIS, "Are people and files kept apart between training and evaluation?", ""),
    ("optimism", EVALUATION, ANALYSIS, "Is optimism from choosing accounted for?", "run with --outer-folds"),
    ("external", EVALUATION, ANALYSIS, "Was the model evaluated on people from elsewhere?", "evaluate it on another cohort (python -m platform.evaluate)"),
    ("performance", EVALUATION, ANALYSIS, "Are discrimination and calibration both given, with intervals?", ""),
    ("utility", EVALUATION, ANALYSIS, "Is the use of the model in a clinic assessed?", "assess it in a study of its own"),
)  # fmt: skip
"""(name, part, domain, topic, what a person can do where the study does not hold the answer)."""


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


def signals(analysis: Analysis) -> tuple[Signal, ...]:
    """Returns every topic in the order of parts and domains; none is answered by more than the page shows."""
    shown = _of_data(analysis) | _of_analysis(analysis) | _of_scores(analysis)
    return tuple(
        Signal(part=part, domain=domain, topic=topic, answer=answer, section=section)
        for name, part, domain, topic, task in TOPICS
        for answer, section in [shown.get(name, (f"{UNKNOWN}{f'; {task}' if task else ''}.", None))]
    )


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
