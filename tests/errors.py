"""Tells errors apart by their codes, which stay the same when a sentence is reworded."""

from collections.abc import Callable

from trainables.errors import StridefoldError


def coded(code: str, *values: str) -> Callable[[StridefoldError], bool]:
    """Returns the check for `pytest.raises(..., check=coded(...))`: the error has this code and names these values."""
    return lambda error: error.code == code and all(value in str(error) for value in values)
