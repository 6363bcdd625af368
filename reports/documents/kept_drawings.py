"""Keeps drawings between two versions of a study's page, because most of them are the same in both."""

import hashlib
import pickle
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class KeptDrawings:
    """What was drawn of which records; a search, which writes its page twice, has one of these."""

    def __init__(self) -> None:
        self._kept: dict[str, object] = {}

    def of(self, draw: Callable[..., T], *records: object) -> T:
        """Returns what a function draws of records, which is drawn again only where the records differ in a byte.

        Args:
            draw: A function of a module of `reports.figures`, whose drawing depends on its arguments alone.
        """
        key = hashlib.sha256(pickle.dumps((draw.__module__, draw.__qualname__, records))).hexdigest()
        if key not in self._kept:
            self._kept[key] = draw(*records)
        found: T = self._kept[key]  # type: ignore[assignment]
        return found
