"""python -m platform.predict: the trained folds of a study on new videos.

Prints a table and writes everything behind it: JSON with every window, fold and description, or CSV with one row per
window, video and subject. Without --out both are written into the current folder, as predictions-1.json and .csv, -2 ...
"""

import argparse
import os
from platform.cli import leave, run
from platform.console import Console
from platform.model_arguments import add_model_options
from platform.next_step import next_line
from platform.options import home_path
from platform.predict_options import NOTICE, PredictOptions


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit status: 0, 1 for a problem, 130 and 143 where Ctrl-C or SIGTERM stopped it."""
    console = Console()

    def command() -> int:
        options = parse_predict(arguments)
        from platform.predictions import predict  # torch takes seconds: --help and a wrong line need none of it

        status = predict(options, console)
        console.say(next_line("evaluate", options.study, "--cohort", options.manifest or "COHORT.csv"))
        return status

    return run(command, console)


def parse_predict(arguments: list[str] | None = None) -> PredictOptions:
    """Returns the options of a command line; --help and a wrong line end the program as argparse does."""
    given = vars(parser().parse_args(arguments))
    return PredictOptions(**given | {"videos": tuple(given["videos"])})


def parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    made = argparse.ArgumentParser(
        prog="python -m platform.predict",
        description="Put new videos through the trained folds of a study's chosen configuration; the folds' mean is the ensemble.",
        epilog=f"{NOTICE[0].upper()}{NOTICE[1:]}.",
    )
    made.add_argument(
        "study",
        type=home_path,
        metavar="STUDY",
        help="the study's folder, as studies/gait, or a model's that platform.export wrote",
    )
    made.add_argument(
        "videos",
        nargs="*",
        type=os.path.expanduser,
        metavar="VIDEO",
        help="video files, folders of them, or patterns as 'walks/*.mp4'",
    )
    made.add_argument(
        "--manifest",
        type=home_path,
        metavar="FILE",
        help="instead of videos: .csv or .parquet with subject, video and, where known, the box; adds a row per subject",
    )
    made.add_argument(
        "--follow-links",
        action="store_true",
        help="the manifest's videos may be symbolic links to any file that you may read",
    )
    made.add_argument("--fold", type=int, metavar="K", help="one fold, from 0; none: the mean of all folds")
    made.add_argument(
        "--out",
        type=home_path,
        metavar="FILE",
        help="ends in .json (all windows, folds and descriptions) or .csv (the folds' mean); "
        "none: both, as predictions-1.json and predictions-1.csv here, or the next free number",
    )
    made.add_argument(
        "--resume",
        action="store_true",
        help="go on with --out FILE.json: videos that are in it are not predicted again",
    )
    add_model_options(made)
    return made


if __name__ == "__main__":
    leave(main())
