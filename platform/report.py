"""`python -m platform.report STUDY`: writes the report of a study folder and prints its path."""

import argparse
import os
import threading
from pathlib import Path
from platform.cli import leave, run
from platform.console import Console
from platform.next_step import next_line
from platform.options import home_path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from reports.documents.strips import Strips


def parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    made = argparse.ArgumentParser(
        prog="python -m platform.report",
        description="Write report.html, report.pdf, results.json, predictions.parquet and model_card.md of a study, finished or not.",
    )
    made.add_argument("study", type=home_path, metavar="STUDY", help="the study's folder, as studies/gait")
    made.add_argument(
        "--pseudonyms",
        action="store_true",
        help="write into the study's folder 'shared', with pseudonyms for subject ids and file names; the key that leads "
        "back stays in the study's folder",
    )
    made.add_argument(
        "--filmstrips", action="store_true", help="show six frames of each wrong video: the page then shows faces"
    )
    made.add_argument(
        "--strips",
        action="store_true",
        help="show how each walker was followed: eight frames of each video, heads blurred, drawn from the videos",
    )
    made.add_argument("--cache", type=os.path.expanduser, default="", metavar="FOLDER",
        help="of --strips: where the search kept its decoded frames (default: ~/.cache/stridefold)")  # fmt: skip
    made.add_argument("--no-pdf", action="store_true", help="do not print report.pdf, which needs a Chromium")
    made.add_argument(
        "--serve",
        action="store_true",
        help="show the report of a running search in a browser on this machine, and renew it as folds finish; until Ctrl-C",
    )
    made.add_argument("--port", type=int, default=0, help="of --serve (default: a free one)")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    console = Console(plain=True)

    def command() -> int:
        options = parser().parse_args(arguments)
        if options.serve:
            return serve(options.study, options.port, console)
        from reports.documents.page import write_report  # its libraries take seconds

        strips = strips_of(options.study, options.cache, console) if options.strips else None
        page = write_report(
            options.study,
            share=options.pseudonyms,
            filmstrips=six_frames if options.filmstrips else None,
            pdf=not options.no_pdf,
            strips=strips,
        )
        console.say(str(page))
        console.say(after(options.study))
        return 0

    return run(command, console)


def after(study: Path) -> str:
    """Returns what comes after a report: a finished study predicts, another one goes on."""
    from trainables.study.records import StudyRecord

    if StudyRecord.load(study).finished is None:
        return next_line("search", "--config", study / "study.toml")
    return next_line("predict", study, "VIDEO", "...")


def strips_of(study: Path, cache: str, console: Console) -> "Strips":
    """Returns how each walker of a study was followed, one video after another in this process."""
    from platform.study_strips import in_turn, study_strips

    return study_strips(study, cache, in_turn, console)


def serve(study: Path, port: int, console: Console) -> int:
    """Serves the report of a study until a signal ends the command."""
    from platform.live_page import LivePage, served

    with served(LivePage(study), port) as address:
        console.say(f"the report of {study}: {address}")
        console.say("  only this machine sees it, and only with the whole address; Ctrl-C ends it")
        threading.Event().wait()
    return 0


def six_frames(path: Path) -> "list[np.ndarray[Any, Any]]":
    """Returns six frames of a video that are equally far apart, uint8 [H, W, 3] each; none where it cannot be read any more."""
    import numpy as np

    from trainables.recordings.decode import VideoError, decode, probe

    try:
        wanted = set(np.linspace(0, probe(path).frames_at_30 - 1, 6).round().astype(int).tolist())
        return [frame for index, frame in enumerate(decode(path)) if index in wanted]
    except VideoError:
        return []


if __name__ == "__main__":
    leave(main())
