"""Lays the evaluation of a model on a second cohort out on one offline HTML page, and writes its numbers next to it."""

import dataclasses
from pathlib import Path

from reports import wording
from reports.documents.page import environment
from reports.figures.calibration import draw_calibration
from reports.figures.scores import intervals
from reports.numbers.evaluation import Evaluation, as_results_json
from trainables.study.files import write_json, write_parquet, write_text
from trainables.study.vocabulary import parse_metric

STEPS = (
    ("answer", "The answer"),
    ("checks", "Nobody of the training is here"),
    ("scores", "Scores"),
    ("calibration", "Calibration"),
    ("sets", "Prediction sets"),
    ("subgroups", "Subgroups"),
)


def write_evaluation(folder: Path, found: Evaluation) -> Path:
    """Writes evaluation.html, results.json and predictions.parquet into a folder; returns the page's path."""
    write_parquet(folder / "predictions.parquet", found.predictions)
    write_json(folder / "results.json", as_results_json(found))
    write_text(folder / "evaluation.html", render(found))
    return folder / "evaluation.html"


def render(found: Evaluation) -> str:
    """Returns the page as HTML text. It names no subject and no video."""
    level_name, metric = parse_metric(found.source.metric)
    first = found.levels[0]
    level = next((one for one in found.levels if one.level == level_name), first)
    drawn = dataclasses.replace(intervals(first), title=f"Scores on the second cohort, per {first.level}")
    text: str = (
        environment()
        .get_template("evaluation.html.j2")
        .render(
            e=found,
            score=next(s for s in level.scores if s.metric == metric),
            unit=first.level,
            subjects=found.predictions["subject"].n_unique(),
            videos=found.predictions.select("subject", "video").n_unique(),
            drawings={
                "intervals": drawn,
                "calibration": draw_calibration(found.calibration) if found.calibration else None,
            },
            steps=STEPS,
            wording=wording,
        )
    )
    return text
