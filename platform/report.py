"""`python -m platform.report STUDY`: writes the report of a study folder and prints its path."""

import argparse
import sys
from pathlib import Path

from reports.page import write_report
from trainables.errors import StridefoldError


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m platform.report",
        description="Write report.html, results.json and predictions.parquet of a study, finished or not.",
    )
    parser.add_argument("study", type=Path, metavar="STUDY", help="the study's folder, as studies/gait")
    options = parser.parse_args(arguments)
    try:
        print(write_report(options.study))
    except StridefoldError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.filename or options.study}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
