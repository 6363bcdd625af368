"""A study in a few lines of HTML, for a notebook."""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports import wording
from reports.documents.page import number
from reports.numbers.analysis import Analysis
from reports.numbers.statistics import Score


def summary(analysis: Analysis) -> str:
    """Returns the cohort, the scores of the chosen configuration and the warnings as an HTML fragment without styles."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"number": number, "metric": wording.metric}
    given: dict[str, Any] = {
        "a": analysis,
        "study": analysis.study,
        "subjects": len(analysis.cohort.subjects()),
        "complete": sum(t.scored for t in analysis.leaderboard),
        "level": analysis.results.levels[0].level if analysis.results else "",
        "scores": _scores(analysis),
    }
    return environment.get_template("summary.html.j2").render(**given)


def _scores(analysis: Analysis) -> tuple[Score, ...]:
    """Returns the chosen configuration's scores per subject, or per video where labels are; none until there is one."""
    return () if analysis.results is None else analysis.results.levels[0].scores


def as_list(sentences: Iterable[str]) -> str:
    """Returns sentences as an HTML list."""
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"
