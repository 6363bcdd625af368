"""The model card of a study: what the chosen model is, how far it may be trusted, and what it must not be used for.

Markdown with a front matter in YAML, as the Hugging Face hub reads it. Names of subjects, videos and folders stay out of it.
model_card.md.j2 has the sentences.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports import wording
from reports.numbers.analysis import Analysis, Results
from reports.numbers.descriptions import Words
from reports.numbers.statistics import Level
from trainables.model_kinds import FROM_NUMBERS, KINDS
from trainables.study.vocabulary import parse_metric

HUB_METRICS = {"macro_f1": "f1"}
"""Names that the hub knows a metric by; the others keep their own."""
MARKUP = re.compile(r"[\\`*_\[\]<>#|~&$@{}^]|:(?=//)|(?<=www)\.")
"""What Markdown, its tables, HTML or automatic links could take for more than text."""


def model_card(analysis: Analysis, *, exported: bool = False) -> str:
    """Returns the card as Markdown; the same study gives the same text.

    Args:
        analysis: Of the study.
        exported: Whether the card stands beside a model that is given away: it then names no study, and no hash of the cohort.

    Scores come from the nested estimate where there is one, and are called selection scores where there is none. Before a
    configuration has finished every fold the card says so and has no score. Names that the user gave are shown as
    text, whatever they are made of.
    """
    model, nested = _model(analysis), analysis.nested
    text: str = (
        _environment()
        .get_template("model_card.md.j2")
        .render(
            a=analysis,
            study=analysis.study,
            found=analysis.results,
            nested=nested if nested is not None and nested.estimate is not None else None,
            selected=_selected(analysis, analysis.results) if analysis.results else None,
            front_matter=_front_matter(analysis),
            model=model,
            video=model not in FROM_NUMBERS,
            predicts=KINDS[model].network,
            backbone=_backbone(str(analysis.study.backbone.get("name", "a CLIP"))),
            skill=_skill(analysis.words),
            exported=exported,
            wording=wording,
        )
    )
    return text


def inert(text: str) -> str:
    """Returns one line of text that Markdown and HTML show as it is, whatever it contains."""
    return MARKUP.sub(lambda found: f"&#{ord(found[0])};", _line(text)) or "(no name)"


def _environment() -> Environment:
    """Returns what fills the card's template; only what goes through `inert` is escaped, since the card is not HTML."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "inert": inert,
        "score": "{:.2f}".format,
        "difference": "{:+.2f}".format,
        "share": _share,
        "metric": wording.metric,
        "sentence": wording.sentence,
    }
    return made


def _share(value: float | None) -> str:
    """Returns a share for reading: '83 %'; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.0f} %"


def _line(text: str) -> str:
    """Returns the text on one line, without characters that cannot be seen."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _label(text: str) -> str:
    """Returns a name for the front matter, of letters, digits and little else."""
    return re.sub(r"[^\w .,()+-]+", "-", _line(text)) or "study"


def _front_matter(analysis: Analysis) -> str:
    """Returns the head of the card as the hub's own library writes it; its values are not rounded."""
    model = _model(analysis)
    task = "tabular-classification" if model in FROM_NUMBERS else "video-classification"
    tags = ["gait-analysis", "research-only", *(["clip"] if model not in FROM_NUMBERS else [])]
    about: dict[str, Any] = {
        "library_name": "stridefold",
        "license": "other",
        "pipeline_tag": task,
        "tags": [*tags, *(["simulated-data"] if analysis.cohort.simulated else [])],
    }
    if analysis.results is not None:
        level, kind = _leading(analysis, analysis.results)
        about["metrics"] = [HUB_METRICS.get(s.metric, s.metric) for s in level.scores]
        about["model_name"] = _label(analysis.study.name)
        about["eval_results"] = _eval_results(analysis, task, level, kind)
    return ModelCardData(**about).to_yaml()


def _eval_results(analysis: Analysis, task: str, level: Level, kind: str) -> list[EvalResult]:
    people = "simulated walkers" if analysis.cohort.simulated else "subjects"
    return [
        EvalResult(
            task_type=task,
            task_name=wording.sentence(task.replace("-", " ")),
            dataset_type="gait-cohort",
            dataset_name=f"{analysis.ledger.subjects} {people} of the study's own cohort",
            dataset_split="subjects held out",
            metric_type=HUB_METRICS.get(s.metric, s.metric),
            metric_value=s.value,
            metric_name=f"{wording.METRICS[s.metric]} per {level.level} ({kind})",
        )
        for s in level.scores
    ]


def _leading(analysis: Analysis, found: Results) -> tuple[Level, str]:
    """Returns the scores that lead the card, at the level of the study's metric, and what kind they are."""
    if analysis.nested is not None and analysis.nested.level is not None:
        return analysis.nested.level, "nested cross-validation"
    return _selected(analysis, found), "selection score, optimistic"


def _selected(analysis: Analysis, found: Results) -> Level:
    return found.detail.level(parse_metric(analysis.study.metric)[0])


def _model(analysis: Analysis) -> str:
    return str(analysis.results.trial.config.get("model", "clip")) if analysis.results else "clip"


def _backbone(name: str) -> str:
    """Returns a backbone's name as it is, but of a folder on somebody's disk the last part alone."""
    path = name.replace("\\", "/")
    local = path.startswith(("/", ".", "~")) or path.count("/") > 1 or ":" in path
    return PurePosixPath(path).name or "a local folder" if local else name


def _skill(words: Words) -> dict[str, float | None] | None:
    """Returns how well the decoder reads parameters, and which share of a record's it names; None where nothing was read."""
    if not words.skills:
        return None
    skills = [row.skill for row in words.skills]
    named = [row.named for row in words.skills if row.named is not None]
    return {
        "parameters": len(skills),
        "median": float(np.median(skills)),
        "worst": min(skills),
        "named": float(np.mean(named)) if named else None,
    }
