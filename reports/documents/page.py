"""Lays a study out on one offline HTML page, and writes its numbers beside it."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports import wording
from reports.documents.drawings import all_drawings
from reports.documents.kept_drawings import KeptDrawings
from reports.documents.measured import MEASURED, worth
from reports.documents.methods import methods, on_single_answers
from reports.documents.model_card import model_card
from reports.documents.pdf import write_pdf
from reports.documents.probast import signals
from reports.documents.pseudonyms import pseudonymised, pseudonyms
from reports.documents.strips import Strips
from reports.documents.tripod import checklist, references
from reports.figures.filmstrips import FramesOf, filmstrip
from reports.numbers.analysis import Analysis, analyse
from reports.numbers.as_json import numbers
from reports.numbers.comparisons import Comparison
from reports.numbers.descriptions import as_read
from reports.numbers.search import NUMERACY_OFF, axes, drawn
from trainables.errors import ConfigurationError
from trainables.model_kinds import METHOD
from trainables.study.files import write_json, write_parquet, write_text
from trainables.study.leaderboard import TrialRecord
from trainables.study.prediction_sets import NAME as PREDICTION_SETS

MINUS, DASH = "−", "–"


def write_report(
    study: Path,
    *,
    share: bool = False,
    filmstrips: FramesOf | None = None,
    pdf: bool = True,
    kept: KeptDrawings | None = None,
    strips: Strips | None = None,
) -> Path:
    """Writes report.html, results.json, predictions.parquet and model_card.md of a study; returns the page's path.

    predictions.parquet has the nested predictions where there are any; those of the search's own folds, by which the
    configuration was chosen, are then in selection_predictions.parquet.

    Works on a search that still runs, was killed, or has no complete trial yet; the page then says what is missing, and
    predictions.parquet is written only once a configuration is chosen. The same study gives the same bytes.

    Args:
        share: Write into the study's folder `shared`, with pseudonyms for subjects and videos.
        filmstrips: Gives the frames of a wrong video to show: faces. None shows none.
        pdf: Print the page to report.pdf too, where a Chromium is installed.
        kept: Of the page before, where the study's page was written before; saves drawing the same again.
        strips: How walkers were followed, to be shown with their heads blurred; None shows none.

    Raises:
        StridefoldError: The folder is not a study, or a file in it is missing or damaged.
        ConfigurationError: Pseudonyms and filmstrips were both asked for.
        LeakageError: A subject or a file stands on both sides of a fold.
    """
    if share and filmstrips:
        raise ConfigurationError(
            "--filmstrips shows faces, so it does not go with --pseudonyms; leave one out",
            code="report.filmstrips_pseudonyms",
        )
    analysis, folder = analyse(study), study
    if share:
        names = pseudonyms(study, analysis.cohort)
        strips = strips and strips.renamed(names.videos)
        analysis, folder = pseudonymised(analysis, study), study / "shared"
    with _rarely_collected():
        page = render(analysis, filmstrips, kept, strips)
    if analysis.results is not None:
        assert analysis.shown is not None
        write_parquet(folder / "predictions.parquet", named_predictions(analysis, analysis.shown.predictions))
        selection = folder / "selection_predictions.parquet"
        selection.unlink(missing_ok=True)
        if analysis.shown is not analysis.results.detail:
            write_parquet(selection, named_predictions(analysis, analysis.results.predictions))
    _write_sets(analysis, folder)
    write_json(folder / "results.json", numbers(analysis))
    write_text(folder / "model_card.md", model_card(analysis))
    write_text(folder / "report.html", page)
    (folder / "report.pdf").unlink(missing_ok=True)  # never one of an older page
    if pdf:
        write_pdf(folder / "report.html")
    return folder / "report.html"


def _write_sets(analysis: Analysis, folder: Path) -> None:
    """Writes the prediction sets of the chosen configuration, which `platform.predict` reads; none before there is one."""
    (folder / PREDICTION_SETS).unlink(missing_ok=True)
    if analysis.sets is not None:
        analysis.sets.record.save(folder)


@contextmanager
def _rarely_collected() -> Iterator[None]:
    """Looks for garbage less often: drawings are many objects, and none of them is garbage before the page is made."""
    before = gc.get_threshold()
    gc.set_threshold(100_000)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def environment() -> Environment:
    """Returns what fills the templates of this folder: everything that stands in them is escaped."""
    made = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    made.filters |= {
        "number": number,
        "signed": signed,
        "percent": percent,
        "percents": percents,
        "setting": wording.setting,
        "value": wording.value,
        "metric": wording.metric,
        "sentence": wording.sentence,
        "duration": wording.duration,
        "quantity": quantity,
        "worth": worth,
    }
    return made


def render(
    analysis: Analysis,
    filmstrips: FramesOf | None = None,
    kept: KeptDrawings | None = None,
    strips: Strips | None = None,
) -> str:
    """Returns the page as HTML text."""
    nested = analysis.nested is not None and analysis.nested.estimate is not None
    compared = nested or (analysis.results is not None and bool(analysis.results.comparisons))
    answer = _answer(analysis)
    return (
        environment()
        .get_template("study.html.j2")
        .render(
            a=analysis,
            study=analysis.study,
            found=analysis.results,
            shown=analysis.shown,
            answer=answer,
            drawings=all_drawings(analysis, kept or KeptDrawings(), answer["score"].chance if answer else None),
            leaders=_leaders(analysis),
            methods=_methods(analysis),
            wording=wording,
            compared=compared,
            strips=_filmstrips(analysis, filmstrips) if filmstrips else {},
            followed=strips and strips.drawn(),
            checklist=checklist(analysis),
            signals=signals(analysis),
            measured=[(m.what, f"{m.low:g}–{m.high:g} %") for m in MEASURED.values()],
            references=references(analysis),
            steps=wording.contents(
                compared,
                analysis.results is not None and analysis.results.maps is not None,
                analysis.results is not None and bool(analysis.results.subgroups),
            ),
            tested=[(str(f.fold), ", ".join(f.names)) for f in analysis.ledger.folds],
            provenance=_provenance(analysis),
            given=_given(analysis),
        )
    )


def named_predictions(analysis: Analysis, frame: pl.DataFrame) -> pl.DataFrame:
    """Returns held-out windows with class names for the truth and the answer, by fold, subject, video and window."""
    names = dict(enumerate(analysis.cohort.classes))
    frame = frame.sort("fold", "subject", "video", "window")
    return frame.with_columns(
        true_class=pl.col("true").replace_strict(names, return_dtype=pl.String),
        predicted_class=pl.col("probabilities")
        .list.arg_max()
        .cast(pl.Int64)
        .replace_strict(names, return_dtype=pl.String),
    )


def number(value: float | None, digits: int = 2) -> str:
    """Returns a score for reading: '0.83', with a true minus; a dash where there is none."""
    if value is None:
        return DASH
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", MINUS)  # + 0.0 makes -0.0 a plain zero


def signed(value: float) -> str:
    """Returns a difference for reading: '+0.31', '−0.02'."""
    text = number(value)
    return text if text.startswith(MINUS) else f"+{text}"


def percent(value: float | None) -> str:
    """Returns a share for reading: '83 %'."""
    return DASH if value is None else f"{100 * value:.0f}\N{NO-BREAK SPACE}%"


def percents(interval: tuple[float, float] | None) -> str:
    """Returns an interval of shares for reading: '61 % – 93 %'."""
    return DASH if interval is None else f"{percent(interval[0])} {DASH} {percent(interval[1])}"


def quantity(value: float | None) -> str:
    """Returns a measured value with three figures: '1.05', '112', '0.0123'."""
    if value is None:
        return DASH
    text = f"{value:.3g}"
    return (f"{value:.0f}" if "e+" in text else text).replace("-", MINUS)


def _answer(analysis: Analysis) -> dict[str, Any] | None:
    if analysis.results is None:
        return None
    said = analysis.results.detail
    return {
        "score": said.score(analysis.study.metric),
        "detail": said,
        "share": said.right / said.units,
        "only": _only_answer(analysis),
        "share_interval": said.right_interval,
        "complete": sum(t.scored for t in analysis.leaderboard),
        "beyond_chance": analysis.beyond_chance,
        "decided_by": _decided_by(analysis),
        "baseline": _best_baseline(analysis.results.comparisons),
    }


def _decided_by(analysis: Analysis) -> str:
    """Returns by what the page says that the score is above chance or not."""
    if analysis.nested is not None and analysis.nested.estimate is not None:
        return "The whole 95 % interval of the nested estimate"
    null = analysis.results.null if analysis.results else None
    if null is not None and null.decides:
        return f"The score vs. that of the same search on permuted labels (p = {number(null.p_value, 3)})"
    return "The whole 95 % interval of the one configuration"


def _best_baseline(comparisons: tuple[Comparison, ...]) -> Comparison | None:
    known = [c for c in comparisons if c.other in wording.BASELINES]
    return max(known, key=lambda c: c.other_value, default=None)


def _only_answer(analysis: Analysis) -> str | None:
    """Returns the class that every subject was given, or None where more than one class was named."""
    assert analysis.results is not None
    named = [label for label, n in zip(analysis.cohort.classes, analysis.results.counts.sum(0), strict=True) if n]
    return named[0] if len(named) == 1 else None


def _filmstrips(analysis: Analysis, frames_of: FramesOf) -> dict[tuple[str, str], Markup]:
    """Returns the frames of each wrong video that is shown, by subject and video."""
    if analysis.shown is None:
        return {}
    wrong = analysis.shown.mistakes.select("subject", "video")
    paths = wrong.join(analysis.cohort.videos.select("subject", "video", "path"), on=["subject", "video"])
    return {(subject, video): filmstrip(frames_of(Path(path)), video) for subject, video, path in paths.iter_rows()}


def _leaders(analysis: Analysis) -> dict[str, Any]:
    begun = tuple(t for t in analysis.leaderboard if t.config)
    names = axes(begun)
    return {"settings": names, "rows": [(t, [_cell(t, n) for n in names]) for t in analysis.leaderboard]}


def _cell(trial: TrialRecord, name: str) -> str:
    if name == "numeracy.weight" and trial.config.get("numeracy.enabled") is False:
        return NUMERACY_OFF
    value = drawn(trial, name)
    return DASH if value is None else wording.value(value)


def _methods(analysis: Analysis) -> tuple[str, ...]:
    if analysis.results is None:
        return ()
    paragraphs = methods(
        as_read(analysis.results.trial.config, analysis.words),
        ordinal=analysis.ordinal,
        folds=len(analysis.splits.folds),
        splits=analysis.splits.method,
        backbone=str(analysis.study.backbone.get("name", "a CLIP")),
        metric_text=analysis.study.metric,
        options=analysis.study.options,
        trials=len(analysis.leaderboard),
    )
    return (*paragraphs, *on_single_answers(analysis.sets, analysis.decisions))


def _given(analysis: Analysis) -> dict[str, str]:
    """Returns how the task file's keywords and notions are introduced: the chosen configuration may not use them."""
    config = analysis.results.trial.config if analysis.results else {}
    knows = config.get("model", METHOD) == METHOD
    unused = " of the task file (not used by this configuration)"
    if (source := config.get("text.knowledge_source", "own")) != "own":
        unused = f" of the task file (as a control, this configuration was given {wording.KNOWLEDGE_SOURCES[source]})"
        knows = False
    keywords = " given to the model" if knows and config.get("text.keywords", True) else unused
    notion = " given to the model" if knows and config.get("text.knowledge", True) else unused
    return {"keywords": f"Keywords{keywords}", "notion": f"The clinical notion{notion}"}


def _provenance(analysis: Analysis) -> list[tuple[str, str]]:
    study = analysis.study
    rows = [
        ("Cohort, sha256", study.cohort_sha256),
        ("Folds, sha256", study.splits_sha256),
        ("Training version", str(study.training_version)),
        ("Source text of the trainers, hash", ", ".join(study.code) or "not noted"),
        ("Git commit", study.git or "outside a checkout"),
        *_planned(analysis),
        ("Started", study.started),
        ("Finished", study.finished or "not finished"),
    ]
    rows += [(f"Backbone: {name}", str(value)) for name, value in sorted(study.backbone.items())]
    rows += [(f"Version of {name}", value) for name, value in sorted(study.versions.items())]
    return rows + [(f"Option: {name}", str(value)) for name, value in sorted(study.options.items())]


def _planned(analysis: Analysis) -> list[tuple[str, str]]:
    """Returns the plan that was written before the first training, and each command that worked on the study since."""
    plan = analysis.plan
    rows = [] if plan is None else [("Plan, sha256", f"{plan.sha256()} ({plan.written})")]
    return rows + [
        (f"Session {number}", ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in session.items()))
        for number, session in enumerate(analysis.study.sessions, start=1)
    ]
