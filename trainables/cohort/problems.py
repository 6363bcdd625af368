"""Gathers everything that is wrong with a cohort, so that it can be said at once."""

import os
import tempfile
from collections import Counter
from pathlib import Path

from trainables.errors import CohortError

SHOWN = 10
"""Rows that are named for one kind of problem in one column; the rest are counted, and written to a file."""


class Problems:
    """What is wrong so far; a kind of problem that many rows share names the first few and counts the others."""

    def __init__(self, manifest: Path):
        self._manifest = manifest
        self._lines: list[tuple[int, str, bool]] = []
        """Row, sentence, and whether it is among the first of its kind."""
        self._seen: Counter[tuple[str, str]] = Counter()

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, text: str) -> None:
        """Notes a problem of the manifest as a whole."""
        self._lines.append((0, text, True))

    def at(self, row: int, column: str, kind: str, text: str) -> None:
        """Notes a problem of one row, as in the file, and one column, as the user calls it; '' is the whole row."""
        self._seen[column, kind] += 1
        where = f"row {row}, column {column}" if column else f"row {row}"
        self._lines.append((row, f"{where}: {text}", self._seen[column, kind] <= SHOWN))

    def check(self) -> None:
        """Passes if nothing is wrong.

        Raises:
            CohortError: Lists every problem, the manifest's own first, then by row; if a kind has too many to be shown, all
                are in a file that it names.
        """
        if not self._lines:
            return
        lines = sorted(self._lines, key=lambda line: line[0])
        shown = [text for _, text, first in lines if first]
        for (column, kind), count in sorted(self._seen.items()):
            if (more := count - SHOWN) > 0:
                where = f"column {column}: " if column else ""
                shown.append(f"{where}{more} more {'row' if more == 1 else 'rows'} with {kind}")
        if len(lines) > sum(first for *_, first in lines) and (file := self._written([text for _, text, _ in lines])):
            shown.append(f"all {len(lines)} are listed in {file}")
        raise CohortError(str(self._manifest), shown, count=len(lines), code="cohort.problems")

    def _written(self, lines: list[str]) -> Path | None:
        """Returns a file with all problems that this user alone can read, as it may name patients.

        It lies next to the manifest, or in the folder of temporary files if nothing can be written there.
        """
        text = "\n".join([f"{self._manifest}: {len(lines)} problems", *lines, ""])
        name = f"{self._manifest.name}.problems.txt"
        try:
            path = self._manifest.with_name(name)
            os.replace(_private(text, self._manifest.parent, name), path)
            return path
        except OSError:
            try:
                return _private(text, Path(tempfile.gettempdir()), name)
            except OSError:
                return None


def _private(text: str, folder: Path, name: str) -> Path:
    """Returns a new file whose name ends in `name`, with mode 0600."""
    handle, path = tempfile.mkstemp(dir=folder, prefix=".", suffix=f".{name}")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return Path(path)
