"""`python -m platform.evaluate MODEL_OR_STUDY --cohort other.csv --label diagnosis`: a finished model on a second cohort."""

import argparse
import os
from platform.cli import leave, run
from platform.cohort_arguments import names, parse_column
from platform.console import Console
from platform.evaluate_options import EvaluateOptions
from platform.model_arguments import add_model_options
from platform.next_step import next_line
from platform.options import home_path
from platform.predict_options import NOTICE


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns the exit status: 0, 1 for a problem, 130 and 143 where Ctrl-C or SIGTERM stopped it."""
    console = Console()

    def command() -> int:
        options = parse_evaluate(arguments)
        from platform.evaluating import evaluate  # torch takes seconds: --help and a wrong line need none of it

        status = evaluate(options, console)
        console.say(after(options))
        return status

    return run(command, console)


def after(options: EvaluateOptions) -> str:
    """Returns what comes after an evaluation: a study's model can be given away, one that was given away predicts."""
    if (options.model / "study.json").exists():
        return next_line("export", options.model, f"{options.model.resolve().name}-model")
    return next_line("predict", options.model, "VIDEO", "...")


def parse_evaluate(arguments: list[str] | None = None) -> EvaluateOptions:
    """Returns the options of a command line; --help and a wrong line end the program as argparse does."""
    given = vars(_parser().parse_args(arguments))
    given["column"] = dict(parse_column(text) for text in given["column"])
    given["attribute"] = tuple(name for several in given["attribute"] for name in several)
    return EvaluateOptions(**given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m platform.evaluate",
        description="Score a second cohort by a study's chosen configuration, or by a model that was given away. Nothing is fitted; "
        "people and files of the training are refused.",
        epilog=f"{NOTICE[0].upper()}{NOTICE[1:]}.",
    )
    add = parser.add_argument
    add("model", type=home_path, metavar="MODEL_OR_STUDY", help="a study's folder, or one that platform.export wrote")
    add(
        "--cohort",
        type=home_path,
        required=True,
        metavar="FILE",
        help="manifest of the second cohort (.csv or .parquet)",
    )
    add("--label", help="its label column; none: the model's")
    add(
        "--task",
        type=os.path.expanduser,
        default="",
        metavar="FILE",
        help="task file whose values are this cohort's and whose class names are the model's, where labels are spelled otherwise",
    )
    add(
        "--column",
        metavar="OURS=YOURS",
        action="append",
        default=[],
        help="name of a column here, as subject=patient_id",
    )
    add(
        "--attribute",
        type=names,
        metavar="A,B",
        action="append",
        default=[],
        help="columns by which scores are split, as age,sex,site",
    )
    add("--label-per-video", action="store_true", help="a subject's videos may carry different labels")
    add("--follow-links", action="store_true", help="videos may be symbolic links to any file that you may read")
    add(
        "--study",
        type=home_path,
        metavar="STUDY",
        help="the study of a given-away model, to check that nobody of it is here",
    )
    add("--ids-are-unrelated", action="store_true", help="equal ids here and in the training are different people")
    add(
        "--out", type=home_path, metavar="FOLDER", help="new folder of the results; none: evaluations/MODEL-COHORT here"
    )
    add_model_options(parser)
    add(
        "--address",
        default="",
        help="run on Ray: local, auto (the cluster of this machine), or an address; none: in this process",
    )
    return parser


if __name__ == "__main__":
    leave(main())
