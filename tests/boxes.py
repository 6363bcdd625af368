"""How well two boxes agree."""

from collections.abc import Iterable


def overlap(a: Iterable[float], b: Iterable[float]) -> float:
    """Returns the intersection over union of two boxes (left, top, right, bottom); 0 where one is not there."""
    (left, top, right, bottom), (x, y, z, w) = a, b
    both = max(0.0, min(right, z) - max(left, x)) * max(0.0, min(bottom, w) - max(top, y))
    if not both:
        return 0.0
    return both / ((right - left) * (bottom - top) + (z - x) * (w - y) - both)
