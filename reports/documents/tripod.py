"""The TRIPOD+AI checklist, answered by what the page shows, and the literature behind the methods paragraphs.

The checklist has 27 items, some of them in parts. Most ask for what only the people of a study know: such an item says
so, and says what they should write. An answer of the software's own names the section of the page where it stands,
and begins with 'In part' where the item asks for more than that section tells.

Source: Collins et al. 2024, BMJ 385:e078378, table 2; the topics are in our own words.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from reports.numbers.analysis import Analysis
from reports.numbers.descriptions import as_read
from trainables.config import TrainConfig
from trainables.model_kinds import FROM_NUMBERS, KINDS, METHOD

NOT_SUPPLIED = "Not supplied by the software"
NOT_YET = "Not yet: no configuration has finished all folds."
NOBODY = "No person took part: the walkers are simulated."
Shown = dict[str, tuple[str, str]]
"""(answer, section) by the item's number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One item of the checklist."""

    number: str
    """As '12a'."""
    topic: str
    answer: str
    section: str | None
    """Id of the section of the page that answers; None where a person must, or where there is nothing to answer yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """One publication."""

    about: str
    """What it is cited for."""
    citation: str


@cache
def _tables() -> dict[str, Any]:
    """Returns tripod.toml: the items, and the literature by key."""
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def checklist(analysis: Analysis) -> tuple[Item, ...]:
    """Returns all items in the order of the checklist, each answered once."""
    shown = _of_cohort(analysis) | _of_method(analysis) | _of_scores(analysis)
    return tuple(_item(analysis, about, shown) for about in _tables()["items"])


def _item(analysis: Analysis, about: dict[str, Any], shown: Shown) -> Item:
    number, section = about["number"], None
    if number in shown:
        answer, section = shown[number]
    elif analysis.results is None and about.get("from_results"):
        answer = NOT_YET
    elif analysis.cohort.simulated and about.get("about_people"):
        answer = NOBODY
    else:
        answer = f"{NOT_SUPPLIED}: {about['task']}."
    return Item(number=number, topic=about["topic"], answer=answer, section=section)


def _of_cohort(analysis: Analysis) -> Shown:
    """Returns what the cohort, its folds and the origin of the page tell; these are known before any result."""
    left_out = "the rows left out, with the reason" if analysis.cohort.excluded else "that no row was left out"
    shown = {
        "8a": ("In part: the label's column and the classes; how and when they were assessed is yours to say.", "cohort"),
        "11": (f"In part: {left_out}{_missing(analysis)}; why it is missing is yours to say.", "cohort"),
        "12a": ("In part: all videos of a subject are on one side of every fold, and the ledger shows who was tested in which; what else the data were used for is yours to say.", "cohort"),
        "16": ("In part: both are of one cohort, divided by subject; the ledger shows the classes of each test side.", "cohort"),
        "18f": ("In part: the version of the code; where it can be had is yours to say.", "provenance"),
        "20a": (f"In part: the subjects of each class, and {left_out}; who was asked is yours to say.", "cohort"),
        "20b": ("In part: subjects and videos of each class, and nothing else about the people.", "cohort"),
        "20c": ("In part: the classes of each fold's test side, and nothing else about the people.", "cohort"),
        "21": ("In part: subjects and videos of both sides of each fold, with the classes of the test side alone.", "cohort"),
    }  # fmt: skip
    if _nested(analysis):
        shown["12a"] = (
            "In part: outer folds whose subjects no search saw; what else the data were used for is yours to say.",
            "comparisons",
        )
    return shown


def _missing(analysis: Analysis) -> str:
    return ", and the gait parameters that are missing by class and by fold" if analysis.missing else ""


def _of_method(analysis: Analysis) -> Shown:
    """Returns what the methods paragraphs tell of the chosen configuration; nothing before there is one."""
    config = _configuration(analysis)
    if not config:
        return {}
    model = config["model"]
    trained, numbers = KINDS[model].trained, model == METHOD and config["numeracy.enabled"]
    nested = ", nested" if _nested(analysis) else ""
    built = f"the search and its folds{nested}; why this kind of model is yours to say."
    shown = {
        "12c": (f"In part: the model, {'its training, ' if trained else ''}{built}", "methods"),
        "12g": ("Probabilities are averaged from windows to videos and from videos to subjects.", "methods"),
        "15": ("In part: a probability for each class, averaged; the most probable class is the answer, without a threshold.", "methods"),
        "22": ("In part: every setting of the chosen configuration; who may have its weights is yours to say.", "answer"),
    }  # fmt: skip
    if model not in FROM_NUMBERS:
        scaled = ", and how numbers became sentences" if numbers else ""
        shown["7"] = ("In part: how videos were cut into windows; whether this suits all groups is yours to say.", "methods")  # fmt: skip
        shown["12b"] = (f"How videos became windows of frames{scaled}.", "methods")
    if trained and config["optimizer.focal_gamma"] > 0:
        shown["13"] = ("In part: a focal loss, which counts easy windows less; nothing was recalibrated.", "methods")
    return shown


def _of_scores(analysis: Analysis) -> Shown:
    """Returns what the scores tell; nothing before there are any."""
    if analysis.results is None:
        return {}
    sure = "and calibration; not use" if analysis.results.calibration else "not calibration, and not use"
    measures = f"In part: each score with its meaning, its interval and chance, {sure} in a clinic."
    shown = {"12e": (measures, "results")}
    grouped = bool(analysis.results.subgroups)
    if _nested(analysis):
        by = "selection scores by subgroup" if grouped else "nothing by subgroup"
        shown["23a"] = (f"In part: the nested estimate with its interval, on subjects that no search saw; {by}.", "answer")  # fmt: skip
        shown["26"] = ("In part: how optimistic the searches were, and what the intervals cover.", "answer")
    else:
        by = "by subgroup too" if grouped else "nothing by subgroup"
        shown["23a"] = (f"In part: selection scores with intervals, which are optimistic; no nested estimate, and {by}.", "answer")  # fmt: skip
        shown["26"] = ("In part: that the score is one of selection, and what its interval covers.", "answer")
    nested = analysis.nested.comparisons if analysis.nested and _nested(analysis) else ()
    if any(c.least is not None for c in (*analysis.results.comparisons, *nested)):
        shown["10"] = (
            "In part: what differences a cohort of this size could have shown; why it has this size is yours to say.",
            "comparisons",
        )
    if analysis.study.options.get("fold_column"):
        each = "In part: each fold, where the folds of the cohort's own table are the centres."
        shown |= {"12d": (each, "results"), "23b": (each, "results")}
    return shown


def _nested(analysis: Analysis) -> bool:
    return analysis.nested is not None and analysis.nested.estimate is not None


def _configuration(analysis: Analysis) -> dict[str, Any]:
    """Returns the chosen configuration, flat; an empty one before there is a choice."""
    return TrainConfig().flat() | as_read(analysis.results.trial.config, analysis.words) if analysis.results else {}


def references(analysis: Analysis) -> tuple[Reference, ...]:
    """Returns the publications that this study rests on: of what its configuration and its options left off, none."""
    used = _cited_for_model(_configuration(analysis)) | _cited_for_study(analysis)
    return tuple(Reference(**about) for name, about in _tables()["references"].items() if used.get(name))


def _cited_for_model(c: dict[str, Any]) -> dict[str, bool]:
    if not c:
        return {}
    knows, trained = c["model"] == METHOD, KINDS[c["model"]].trained
    return {
        "method": knows,
        "extension": knows,
        "clip": c["model"] not in FROM_NUMBERS,
        "vita_clip": trained and bool(c["video.n_global"] or c["video.local"] or c["video.summary"]),
        "coop": trained and c["text.n_ctx"] > 0,
        "kapt": knows and c["text.knowledge"],
        "xval": knows and c["numeracy.enabled"] and c["numeracy.encoding"] == "continuous",
        "decap": knows and c["numeracy.enabled"] and c["decoder.enabled"],
        "focal": trained and c["optimizer.focal_gamma"] > 0,
        "adamw": trained,
    }


def _cited_for_study(analysis: Analysis) -> dict[str, bool]:
    found, options = analysis.results, analysis.study.options
    searched = dict.fromkeys(("optuna", "ray", "tune"), bool(analysis.leaderboard))
    nested = analysis.nested.comparisons if analysis.nested else ()
    compared = bool(nested or (found and found.comparisons))
    calibrated = found is not None and found.calibration is not None
    sources = " ".join(source for c in analysis.words.classes for source in c.sources)
    return searched | {
        "tpe": bool(analysis.leaderboard) and options.get("sampler") == "tpe",
        "wilcoxon": bool(options.get("prune")) and not options.get("cost") and options.get("choose") != "one_se",
        "one_se": options.get("choose") == "one_se",
        "fanova": bool(analysis.search.importance),
        "nested": _nested(analysis),
        "permutations": found is not None and found.null is not None,
        "bootstrap": found is not None,
        "wilson": found is not None,
        "kappa": found is not None and any(s.metric == "quadratic_kappa" for s in found.levels[0].scores),
        "calibration": calibrated,
        "brier": calibrated,
        **dict.fromkeys(("sets", "sets_of_people"), analysis.sets is not None and bool(analysis.sets.measured)),
        "decisions": analysis.decisions is not None,
        "umap": found is not None and found.maps is not None and any(p.method == "UMAP" for p in found.maps.planes),
        "nadeau_bengio": compared,
        "holm": compared,
        "updrs": "MDS-UPDRS" in f"{analysis.study.task.get('title')} {sources}",
        "lewy_bodies": "McKeith" in sources and "Neurology 2017" in sources,
        "tripod": True,
        "probast": True,
    }
