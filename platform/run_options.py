"""Options of one run of the search command: where its options come from, and who is told of its results."""

import argparse
from dataclasses import dataclass
from platform.declared import home_path, option


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What one run does with a search."""

    dry_run: bool = option(
        False,
        group="run",
        when_continued="free",
        one_run=True,
        command_alone=True,
        help="check everything, time a training step, say what would run where and for how long, and end",
    )
    tensorboard: bool = option(
        True,
        group="run",
        when_continued="recorded",
        help="write the training curves as TensorBoard events into the study's folder",
    )
    strips: bool = option(
        False,
        group="run",
        when_continued="free",
        help="show in the report how each walker was followed: eight frames of each video, heads blurred",
    )
    mlflow: str | None = option(
        group="run",
        metavar="URI",
        when_continued="free",
        help="send the study to an MLflow server too, as http://127.0.0.1:5000: a parent run, a child run per trial, the report "
        "and the models; needs the extra [mlflow] (docs/trackers.md)",
    )
    """Of a tracking server; None: the study is sent to none."""
    wandb: str | None = option(
        group="run",
        choices=("offline",),
        when_continued="free",
        help="write a run of Weights & Biases per trial into the study's folder; nothing is sent, and no account is needed; "
        "needs the extra [wandb] (docs/trackers.md)",
    )
    """'offline': runs of Weights & Biases are written into the study's folder."""


def add_config_option(group: argparse._ArgumentGroup) -> None:
    """Adds --config, which is not an option of a search but gives some."""
    group.add_argument(
        "--config",
        type=home_path,
        metavar="FILE",
        help="options and settings from a file (.toml), as each study writes one as study.toml; options of the command line "
        "win (docs/config.md)",
    )
