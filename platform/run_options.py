"""Options of one run of the search command: where its options come from, and who is told of its results."""

import argparse
from platform.options import SearchOptions, home_path


def add_run_options(parser: argparse.ArgumentParser, default: SearchOptions) -> None:
    """Adds them to the parser of the search."""
    group = parser.add_argument_group("run")
    group.add_argument(
        "--config",
        type=home_path,
        metavar="FILE",
        help="options and settings from a file (.toml), as each study writes one as study.toml; options of the command line "
        "win (docs/config.md)",
    )
    group.add_argument(
        "--dry-run",
        action=argparse.BooleanOptionalAction,
        default=default.dry_run,
        help="check everything, time a training step, say what would run where and for how long, and end",
    )
    group.add_argument(
        "--tensorboard",
        action=argparse.BooleanOptionalAction,
        default=default.tensorboard,
        help="write the training curves as TensorBoard events into the study's folder",
    )
    group.add_argument(
        "--mlflow",
        metavar="URI",
        help="send the study to an MLflow server too, as http://127.0.0.1:5000: a parent run, a child run per trial, the report "
        "and the models; needs the extra [mlflow] (docs/trackers.md)",
    )
    group.add_argument(
        "--wandb",
        choices=("offline",),
        help="write a run of Weights & Biases per trial into the study's folder; nothing is sent, and no account is needed; "
        "needs the extra [wandb] (docs/trackers.md)",
    )
