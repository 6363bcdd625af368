"""`python -m platform.export STUDY DEST`: writes a study's model as a folder that can be given away."""

import argparse
import os
import shlex
from platform.cli import leave, run
from platform.console import Console
from platform.next_step import next_line, python
from platform.options import home_path


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns the exit status: 0, 1 for a problem, 130 when stopped by the user."""
    parser = argparse.ArgumentParser(
        prog="python -m platform.export",
        description="Write the model of a finished study as a folder for others: weights, configuration, task and model card, "
        "but no subject id, path, file hash or measured value. platform.predict and platform.evaluate take it in place of a study.",
    )
    parser.add_argument("study", type=home_path, metavar="STUDY", help="the study's folder, as studies/gait")
    parser.add_argument(
        "destination", type=home_path, metavar="DEST", help="new folder; NAME.zip packs it into one file instead"
    )
    parser.add_argument("--zip", action="store_true", help="pack the folder into DEST.zip too")
    parser.add_argument(
        "--cache",
        type=os.path.expanduser,
        default="",
        metavar="FOLDER",
        help="decoded frames of the study, next to which lies what says whether a new video is unlike its own; none: ~/.cache/stridefold",
    )
    parser.add_argument("--name", default="", help="what the model is called; none: the name of DEST")
    parser.add_argument(
        "--backbone-id",
        default="",
        metavar="ID",
        help="hub id of the study's backbone, as openai/clip-vit-base-patch16, where it was loaded from a folder",
    )
    parser.add_argument(
        "--push-to-hub",
        default="",
        metavar="NAME",
        help="upload the folder to the Hugging Face hub as USER/NAME, as a private repository; needs `hf auth login` or HF_TOKEN",
    )
    console = Console(plain=True)

    def command() -> int:
        given = parser.parse_args(arguments)
        from platform.exporting import Export, export_model  # torch takes seconds: --help needs none of it

        asked = Export(**vars(given))
        for line in export_model(asked):
            console.say(line)
        if asked.folder.exists():
            console.say(next_line("evaluate", asked.folder, "--cohort", "COHORT.csv"))
        else:
            unpack = shlex.join(["-m", "zipfile", "--extract", str(asked.destination), str(asked.folder.parent)])
            console.say(f"next: {python()} {unpack}")
        return 0

    return run(command, console)


if __name__ == "__main__":
    leave(main())
