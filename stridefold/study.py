"""A study as a Python object, and how to get one: by a search, or from its folder."""

from __future__ import annotations

import functools
import json
from os import PathLike
from pathlib import Path
from platform.library import options_from, run_search
from typing import TYPE_CHECKING, Any

from trainables.errors import StridefoldError
from trainables.study.records import StudyRecord

if TYPE_CHECKING:
    import polars as pl

    from reports.numbers.analysis import Analysis
    from stridefold.predictor import Predictor
    from trainables.study.leaderboard import TrialRecord


def search(cohort: str | PathLike[str] | None = None, *, verbose: bool = False, **options: Any) -> Study:
    """Searches, cross-validates and explains, as `python -m platform.search` does, and returns the study.

    The same call continues a study that was stopped, and returns one that is finished at once. Where this process has a Ray
    session, the search runs in it and leaves it as it is.

    Args:
        cohort: Manifest, .csv or .parquet; None simulates walkers.
        verbose: Whether progress is printed, line by line.
        options: Every option of the command by its name with underscores, as `label="diagnosis"`, `trials=20`,
            `outer_folds=5`; `settings={"optimizer.lr": 1e-3}` stands for --set, `column={"subject": "patient_id"}` for --column.

    Raises:
        StridefoldError: One sentence about what is wrong.
    """
    asked = options_from(options | ({} if cohort is None else {"cohort": cohort}))
    return load(run_search(asked, verbose=verbose))


def load(folder: str | PathLike[str]) -> Study:
    """Returns the study of a folder, finished or not, as it is now.

    Raises:
        StridefoldError: The folder is not a study.
    """
    path = Path(folder).expanduser()
    return Study(folder=path, record=StudyRecord.load(path))


class Study:
    """A study's folder, read when it is first asked for something; load it again to see what has been added since."""

    def __init__(self, *, folder: Path, record: StudyRecord):
        """Takes the folder and what its search was asked to do."""
        self.folder, self.record = folder, record

    def __repr__(self) -> str:
        return f"Study({str(self.folder)!r})"

    def _repr_html_(self) -> str:
        """Returns what a notebook shows: cohort, scores of the chosen configuration, warnings."""
        from reports.documents.summary import summary

        return summary(self.analysis)

    @property
    def name(self) -> str:
        """Returns the study's name."""
        return self.record.name

    @functools.cached_property
    def analysis(self) -> Analysis:
        """Returns everything that the report says, as records.

        Raises:
            LeakageError: A subject or a file stands on both sides of a fold.
        """
        from reports.numbers.analysis import analyse

        return analyse(self.folder)

    @property
    def best(self) -> TrialRecord:
        """Returns the chosen trial: number, value, params (what the search drew), config (every setting), folds.

        Raises:
            StridefoldError: No trial has finished all folds yet.
        """
        if self.analysis.results is None:
            raise StridefoldError(
                f"{self.folder} has no trial yet that is complete on all {len(self.analysis.splits.folds)} folds; "
                "finish its search first",
                code="study.no_complete_trial",
            )
        return self.analysis.results.trial

    @property
    def trials(self) -> pl.DataFrame:
        """Returns one row per trial, the best first: state, value, log loss, seconds, ... and each drawn setting."""
        from reports.numbers.tables import trials_table

        found = self.analysis.results
        return trials_table(self.analysis.leaderboard, None if found is None else found.trial)

    @property
    def predictions(self) -> pl.DataFrame:
        """Returns the answers on held-out windows, one row each, as predictions.parquet has them: nested ones where there are any.

        Raises:
            StridefoldError: No trial has finished all folds yet.
        """
        from reports.documents.page import named_predictions

        _ = self.best  # raises where there is none
        shown = self.analysis.shown
        assert shown is not None
        return named_predictions(self.analysis, shown.predictions)

    @functools.cached_property
    def results(self) -> dict[str, Any]:
        """Returns every number of the report, as results.json has them (docs/results.md)."""
        from reports.numbers.as_json import numbers

        plain: dict[str, Any] = json.loads(json.dumps(numbers(self.analysis), default=list))  # as the file has them
        return plain

    def report(self, *, pseudonyms: bool = False, pdf: bool = True, strips: bool = False, cache: str = "") -> Path:
        """Writes report.html and what lies next to it, and returns the page's path.

        Args:
            pseudonyms: Write into the folder `shared`, without subject ids and file names.
            pdf: Print the page to report.pdf too, where a Chromium is installed.
            strips: Show how each walker was followed: eight frames of each video, heads blurred, drawn from the videos.
            cache: Folder of decoded frames, for `strips`; '' is ~/.cache/stridefold.
        """
        from platform.console import Console
        from platform.report import strips_of

        from reports.documents.page import write_report

        drawn = strips_of(self.folder, cache, Console(plain=True, quiet=True)) if strips else None
        return write_report(self.folder, share=pseudonyms, pdf=pdf, strips=drawn)

    def predictor(self, *, fold: int | None = None, device: str = "auto", **places: str) -> Predictor:
        """Returns the study's models, loaded and ready for new videos.

        Args:
            fold: One fold, from 0; None takes the mean of all.
            device: cpu, cuda, or auto, which takes a GPU if there is one.
            places: As of `Predictor.open`: backbone, knowledge_encoder, cache, reader, pose_weights.

        Raises:
            StridefoldError: The study has no complete trial, or the backbone is not the one it was trained on.
        """
        from stridefold.predictor import Predictor

        return Predictor.open(self.folder, fold=fold, device=device, **places)
