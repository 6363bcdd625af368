"""The curve of a fold's training: losses, learning rate and gradient norms."""

from trainables.study.records import FoldResult

Point = dict[str, float]


def curve(result: FoldResult) -> tuple[Point, ...]:
    """Returns the points of a fold's training; of results without them the means of the epochs, each at its epoch's end."""
    return result.curve or tuple(p | {"epoch": p["epoch"] + 1} for p in result.history if "epoch" in p)
