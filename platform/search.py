"""python -m platform.search: from a cohort to a report."""

import sys
from platform.arguments import parse_search
from platform.console import Console

from trainables.errors import StridefoldError


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit status: 0, 1 for a problem, 130 when stopped by the user."""
    console = Console()
    try:
        options = parse_search(arguments)
        console = Console(options.plain)
        # Here, because torch, Ray and Optuna take seconds, and --help and a wrong line need none of them.
        from platform.pipeline import search

        return search(options, console)
    except StridefoldError as error:
        console.error(error)
        return 1
    except OSError as error:
        console.error(StridefoldError(f"{error.filename or 'a file'}: {error.strerror}; what was finished is kept"))
        return 1
    except KeyboardInterrupt:
        console.say("stopped; the same command goes on from here")
        return 130


if __name__ == "__main__":
    sys.exit(main())
