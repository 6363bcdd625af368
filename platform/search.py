"""python -m platform.search: from a cohort to a report."""

import sys
from platform.arguments import parse_search
from platform.arguments import search_parser as parser
from platform.cli import leave, run
from platform.console import Console
from platform.next_step import next_line

__all__ = ["main", "parser"]


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit status: 0, 1 for a problem, 130 and 143 where Ctrl-C or SIGTERM stopped it."""

    def command() -> int:
        options = parse_search(arguments)
        # Here, because torch, Ray and Optuna take seconds, and --help and a wrong line need none of them.
        if options.dry_run:
            from platform.dry_run import dry_run

            console = Console(options.plain)
            status = dry_run(options, console)
            console.say(next_line("search", *in_earnest(arguments)))
            return status
        from platform.pipeline import search

        search(options, Console(options.plain))
        return 0

    return run(
        command, Console(), stopped="stopped; the same command goes on from here", kept="what was finished is kept"
    )


def in_earnest(arguments: list[str] | None) -> list[str]:
    """Returns the words of a command line without --dry-run, which may also stand in its file of options."""
    words = [word for word in (sys.argv[1:] if arguments is None else arguments) if word != "--dry-run"]
    return [*words, "--no-dry-run"] if parse_search(words).dry_run else words


if __name__ == "__main__":
    leave(main())
