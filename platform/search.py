"""python -m platform.search: from a cohort to a report."""

from platform.arguments import parse_search
from platform.arguments import search_parser as parser
from platform.cli import leave, run
from platform.console import Console

__all__ = ["main", "parser"]


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit status: 0, 1 for a problem, 130 and 143 where Ctrl-C or SIGTERM stopped it."""

    def command() -> int:
        options = parse_search(arguments)
        # Here, because torch, Ray and Optuna take seconds, and --help and a wrong line need none of them.
        if options.dry_run:
            from platform.dry_run import dry_run

            return dry_run(options, Console(options.plain))
        from platform.pipeline import search

        search(options, Console(options.plain))
        return 0

    return run(
        command, Console(), stopped="stopped; the same command goes on from here", kept="what was finished is kept"
    )


if __name__ == "__main__":
    leave(main())
