"""Options of the commands that use a finished model: where it runs, what it needs, and how videos are decoded."""

import argparse
import os
from platform.cohort_arguments import POSE_WEIGHTS

from trainables.study.vocabulary import READERS


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Adds --device, --backbone, --knowledge-encoder, --cache, --reader, --pose-weights and --workers."""
    add = parser.add_argument
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto takes a GPU if there is one")
    for name, help in (
        ("--backbone", "where the model's backbone lies now (default: where it lay in training)"),
        ("--knowledge-encoder", "likewise, where the model used one other than clip"),
    ):
        add(name, type=os.path.expanduser, default="", help=help)
    add("--cache", type=os.path.expanduser, default="", metavar="FOLDER",
        help="decoded frames (default: ~/.cache/stridefold)")  # fmt: skip
    add(
        "--reader",
        choices=READERS,
        default="pyav",
        help="what decodes videos; decord runs in a process of its own, checked against PyAV, and reads MP4 only",
    )
    add("--pose-weights", type=os.path.expanduser, default="", metavar="FOLDER", help=POSE_WEIGHTS)
    add("--workers", type=int, default=1, metavar="N", help="processes that decode videos (default: 1)")
