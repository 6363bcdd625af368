"""What `python -m platform.cohort track` and `measure` can be asked to do, read before anything large is imported."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Pages:
    """Where what was found is written."""

    page: Path
    sheet: Path | None
    faces: bool


def add_track_options(commands: Any) -> None:
    """Adds the command `track` to those of `platform.cohort`."""
    track = commands.add_parser(
        "track",
        help="find the walker in every video and show what was found; takes the cohort and machine options of platform.search",
    )
    track.add_argument("manifest", help="manifest (.csv or .parquet) with the columns subject and video")
    track.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the page, .html (default: the manifest's name and -walkers.html, here)",
    )
    track.add_argument("--sheet", type=Path, metavar="FILE", help="the strips as one picture too, .png")
    track.add_argument("--faces", action="store_true", help="do not blur: the page then shows faces")


def add_measure_options(commands: Any) -> None:
    """Adds the command `measure` to those of `platform.cohort`."""
    measure = commands.add_parser(
        "measure",
        help="measure gait parameters from the videos and write a manifest that has them; takes the cohort and machine "
        "options of platform.search",
    )
    measure.add_argument("manifest", help="manifest (.csv or .parquet) with the columns subject and video")
    measure.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the new manifest, .csv, in the folder of the old one (default: its name and -measured.csv)",
    )


def measured_manifest(given: argparse.Namespace) -> Path:
    """Returns where the parsed command line wants the manifest with measured parameters.

    Raises:
        ConfigurationError: It is not a .csv file in the manifest's folder, or is the manifest itself.
    """
    manifest = Path(given.manifest)
    out: Path = given.out or manifest.with_name(f"{manifest.stem}-measured.csv")
    if out.suffix.lower() != ".csv":
        raise ConfigurationError(f"--out {out} must end in .csv", code="output.ending")
    if out.absolute().parent.resolve() != manifest.absolute().parent.resolve():
        raise ConfigurationError(
            f"--out {out} must lie in {manifest.absolute().parent}, because videos are named from the manifest's folder",
            code="output.other_folder",
        )
    if out.absolute().resolve() == manifest.absolute().resolve():
        raise ConfigurationError(f"--out {out} is the manifest itself; give another name", code="output.is_input")
    return out


def pages_of(given: argparse.Namespace) -> Pages:
    """Returns where the parsed command line wants its files.

    Raises:
        ConfigurationError: A file's name has another ending, or its folder is not there.
    """
    page = given.out or Path(f"{Path(given.manifest).stem}-walkers.html")
    for option, path, ending in (("--out", page, ".html"), ("--sheet", given.sheet, ".png")):
        if path is not None and path.suffix.lower() != ending:
            raise ConfigurationError(f"{option} {path} must end in {ending}", code="output.ending")
        if path is not None and not path.absolute().parent.is_dir():
            raise ConfigurationError(
                f"{option} {path}: there is no folder {path.parent}; make it first", code="output.no_folder"
            )
    return Pages(page=page, sheet=given.sheet, faces=given.faces)
