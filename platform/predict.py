"""python -m platform.predict: the trained folds of a study on new videos.

Prints a table and writes everything behind it: JSON with every window, fold and description, or CSV with one row per
window, video and subject. Without --out both are written into the current folder, as predictions-1.json and .csv, -2 ...
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from platform.console import Console

from trainables.errors import ConfigurationError, StridefoldError

NOTICE = "for research only: not a medical device, and no basis for the diagnosis or treatment of anyone"


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """What a prediction was asked to do. Each field is an argument or option of the same name."""

    study: Path
    videos: tuple[str, ...] = ()
    manifest: Path | None = None
    fold: int | None = None
    out: Path | None = None
    device: str = "auto"
    backbone: str = ""
    knowledge_encoder: str = ""
    cache: str = ""

    def __post_init__(self) -> None:
        if bool(self.videos) == (self.manifest is not None):
            given = "both were given" if self.videos else "neither was given"
            raise ConfigurationError(f"give video files or --manifest FILE; {given}")
        if self.out is not None and self.out.suffix.lower() not in (".json", ".csv"):
            raise ConfigurationError(f"--out {self.out} must end in .json or .csv")
        if self.out is not None and not self.out.absolute().parent.is_dir():
            raise ConfigurationError(f"--out {self.out}: there is no folder {self.out.parent}; make it first")
        if self.out is not None and self.manifest is not None and self.out.resolve() == self.manifest.resolve():
            raise ConfigurationError(f"--out {self.out} is the manifest itself; choose another file")
        if self.device == "cuda" and self.chosen_device() != "cuda":
            raise ConfigurationError("--device cuda, but no CUDA GPU can be used here; use cpu or auto")

    def chosen_device(self) -> str:
        """Returns cpu or cuda: cuda where it was not ruled out and there is one."""
        import torch

        return "cuda" if self.device != "cpu" and torch.cuda.is_available() else "cpu"


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit status: 0, 1 for a problem, 130 when stopped by the user."""
    console = Console()
    try:
        options = parse_predict(arguments)
        from platform.predictions import predict  # torch takes seconds: --help and a wrong line need none of it

        return predict(options, console)
    except StridefoldError as error:
        console.error(error)
        return 1
    except OSError as error:
        console.error(StridefoldError(f"{error.filename or 'a file'}: {error.strerror or error}"))
        return 1
    except KeyboardInterrupt:
        console.say("stopped")
        return 130


def parse_predict(arguments: list[str] | None = None) -> PredictOptions:
    """Returns the options of a command line; --help and a wrong line end the program as argparse does."""
    given = vars(_parser().parse_args(arguments))
    return PredictOptions(**given | {"videos": tuple(given["videos"])})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m platform.predict",
        description="Put new videos through the trained folds of a study's chosen configuration; the folds' mean is the ensemble.",
        epilog=f"{NOTICE[0].upper()}{NOTICE[1:]}.",
    )
    parser.add_argument("study", type=Path, metavar="STUDY", help="the study's folder, as studies/gait")
    parser.add_argument("videos", nargs="*", metavar="VIDEO", help="video files")
    parser.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="instead of videos: .csv or .parquet with subject, video and, where known, the box; adds a row per subject",
    )
    parser.add_argument("--fold", type=int, metavar="K", help="one fold, from 0; none: the mean of all folds")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="ends in .json (all windows, folds and descriptions) or .csv (the folds' mean); "
        "none: both, as predictions-1.json and predictions-1.csv here, or the next free number",
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto takes a GPU if there is one"
    )
    parser.add_argument(
        "--backbone", default="", help="where the study's backbone lies now; none: where it lay in training"
    )
    parser.add_argument("--knowledge-encoder", default="", help="likewise, where the study used one other than clip")
    parser.add_argument("--cache", default="", metavar="FOLDER", help="decoded frames; none: ~/.cache/stridefold")
    return parser


if __name__ == "__main__":
    sys.exit(main())
