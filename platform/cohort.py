"""`python -m platform.cohort`: begin, simulate or check a cohort, follow and measure its walkers, without training anything."""

import argparse
from platform.arguments import parse_search
from platform.cli import leave, run
from platform.console import Console
from platform.next_step import next_line
from platform.options import home_path
from platform.tracking_options import add_measure_options, add_track_options, measured_manifest, pages_of


def parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    made = argparse.ArgumentParser(
        prog="python -m platform.cohort",
        description="Begin a manifest, simulate a cohort, check a manifest, or follow and measure its walkers.",
    )
    commands = made.add_subparsers(dest="command", required=True)
    new = commands.add_parser("new", help="write a manifest with a row for each video of a folder, to be filled in")
    new.add_argument("folder", type=home_path, help="folder of the videos, at any depth")
    new.add_argument("--label", default="diagnosis", metavar="COLUMN", help="the label's column (default: diagnosis)")
    new.add_argument(
        "--subject",
        metavar="PATTERN",
        help="regular expression that finds the subject in a video's path, as '(P[0-9]+)' (default: the first folder inside "
        "FOLDER where every video lies in one, else left empty)",
    )
    new.add_argument("--out", type=home_path, metavar="FILE", help="new manifest, .csv (default: FOLDER/cohort.csv)")
    simulate = commands.add_parser("simulate", help="write simulated walkers as videos with a manifest")
    simulate.add_argument("folder", type=home_path, help="new folder")
    simulate.add_argument("--subjects", type=int, default=24, help="subjects (default 24)")
    simulate.add_argument("--seconds", type=float, default=5.0, help="length of a video (default 5)")
    simulate.add_argument("--size", type=int, default=112, help="side of the frame in pixels (default 112)")
    simulate.add_argument("--seed", type=int, default=0, help="other seeds give other subjects (default 0)")
    simulate.add_argument(
        "--sites", type=int, default=1, help="places with a camera, a light and a room each (default 1)"
    )
    simulate.add_argument(
        "--site-bias",
        type=float,
        default=0.0,
        help="share of the subjects whose group decides the site, 0-1 (default 0)",
    )
    check = commands.add_parser("check", help="check a manifest; takes the cohort options of platform.search")
    check.add_argument("manifest", help="manifest (.csv or .parquet)")
    add_track_options(commands)
    add_measure_options(commands)
    return made


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns the exit status: 0, 1 for a problem, 130 when stopped by the user."""
    console = Console()

    def command() -> int:
        given, rest = parser().parse_known_args(arguments)
        if given.command in SEARCHING:
            return SEARCHING[given.command](given, rest, console)
        if rest:
            parser().error(f"unrecognized arguments: {' '.join(rest)}")
        return _new(given, console) if given.command == "new" else _simulate(given, console)

    return run(command, console)


def _check(given: argparse.Namespace, rest: list[str], console: Console) -> int:
    from platform.cohort_summary import summary_lines
    from platform.pipeline import gather_cohort

    cohort, _ = gather_cohort(parse_search(["--cohort", given.manifest, *rest]), console)
    console.say("no problems")
    for line in summary_lines(cohort):
        console.say(f"  {line}")
    console.say(next_line("search", "--cohort", given.manifest, *rest, "--dry-run"))
    return 0


def _track(given: argparse.Namespace, rest: list[str], console: Console) -> int:
    from platform.tracking import track

    status = track(parse_search(["--cohort", given.manifest, *rest]), pages_of(given), console)
    console.say(next_line("cohort", "measure", given.manifest, *rest))
    return status


def _measure(given: argparse.Namespace, rest: list[str], console: Console) -> int:
    from platform.measuring import measure

    out = measured_manifest(given)
    status = measure(parse_search(["--cohort", given.manifest, *rest]), out, console)
    console.say(next_line("cohort", "check", out, *rest))
    return status


SEARCHING = {"check": _check, "track": _track, "measure": _measure}
"""Commands that take options of a search too."""


def _new(given: argparse.Namespace, console: Console) -> int:
    from trainables.cohort.new_manifest import write_manifest

    new = write_manifest(given.folder, given.label, subject=given.subject, out=given.out)
    fill = f"the column {given.label}" if new.subjects else f"the columns subject and {given.label}"
    found = f"{new.subjects} subjects, " if new.subjects else ""
    console.say(f"written: {new.path} ({found}{new.videos} videos); fill in {fill}")
    console.say(next_line("cohort", "check", new.path, "--label", given.label))
    return 0


def _simulate(given: argparse.Namespace, console: Console) -> int:
    from trainables.simulation.cohort import simulate_cohort

    manifest = simulate_cohort(
        given.folder,
        subjects=given.subjects,
        seconds=given.seconds,
        size=given.size,
        seed=given.seed,
        sites=given.sites,
        site_bias=given.site_bias,
    )
    console.say(f"{manifest}")
    few = ["--folds", "2"] if given.subjects < 9 else []  # three classes, and a subject of each in every fold
    console.say(next_line("cohort", "check", manifest, *few))
    return 0


if __name__ == "__main__":
    leave(main())
