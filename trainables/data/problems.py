"""Gathers everything that is wrong with a cohort, so that it can be said at once."""

from collections import Counter

from trainables.errors import CohortError

SHOWN = 5
"""Rows that are named for one kind of problem in one column; the rest are counted."""


class Problems:
    """What is wrong so far; a kind of problem that many rows share names the first few and counts the others."""

    def __init__(self, source: str):
        self._source = source
        self._lines: list[tuple[int, str]] = []
        self._more: Counter[tuple[str, str]] = Counter()
        self._seen: Counter[tuple[str, str]] = Counter()

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, text: str) -> None:
        """Notes a problem of the manifest as a whole."""
        self._lines.append((0, text))

    def at(self, row: int, column: str, kind: str, text: str) -> None:
        """Notes a problem of one row, as in the file, and one column, as the user calls it; '' is the whole row."""
        self._seen[column, kind] += 1
        if self._seen[column, kind] <= SHOWN:
            self._lines.append((row, f"row {row}, column {column}: {text}" if column else f"row {row}: {text}"))
        else:
            self._more[column, kind] += 1

    def check(self) -> None:
        """Passes where nothing is wrong.

        Raises:
            CohortError: Lists every problem, the manifest's own first, then by row.
        """
        if not self._lines:
            return
        lines = [text for _, text in sorted(self._lines, key=lambda line: line[0])]
        more = [
            f"{f'column {column}: ' if column else ''}{n} more {'row' if n == 1 else 'rows'} with {kind}"
            for (column, kind), n in sorted(self._more.items())
        ]
        raise CohortError(self._source, lines + more)
