"""Where the values of a setting stand on an axis from 0 to 1, and which of them are written there."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.ticker import LogLocator, MaxNLocator

from reports import wording
from reports.numbers.search import NUMERACY_OFF, Slice

NOT_USED = "not used"
"""Value of a setting whose part is off in a trial."""
OFF_ROOM = 0.18
"""Share of a numeric axis that is kept for trials without the setting."""
LETTER = 6.8
"""Mean width of a letter of font size 11, in CSS pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """Where the values of one setting stand on an axis from 0 to 1."""

    name: str
    """In words."""
    places: dict[int, float]
    """By trial."""
    words: dict[int, str]
    """The value as text, by trial."""
    ticks: tuple[tuple[float, str], ...]
    """(place, text), from 0 up."""


def scale_of(slice_: Slice, numbers: Sequence[int] = ()) -> Scale:
    """Returns the scale of a setting over the trials that use it, and before it a place for those of `numbers` that do not."""
    used = {n: v for v, _, n in slice_.points if not (slice_.numeric and v == NUMERACY_OFF)}
    words = {n: wording.value(v) for n, v in used.items()}
    kinds = list(dict.fromkeys(words.values()))
    unused = [n for n in numbers if n not in used]
    start = 0.0 if not unused else OFF_ROOM if slice_.numeric else 1 / len(kinds)
    values = sorted(set(used.values())) if slice_.numeric else list(range(len(kinds)))

    def place(value: float) -> float:
        low, high = values[0], values[-1]
        if low == high:
            return start + (1 - start) / 2
        share = math.log(value / low) / math.log(high / low) if slice_.log else (value - low) / (high - low)
        return start + (1 - start) * share

    if slice_.numeric:
        places = {n: place(v) for n, v in used.items()}
        ticks = [(place(v), _written(v)) for v in _round_values(values, slice_.log)]
    else:
        places = {n: place(kinds.index(word)) for n, word in words.items()}
        ticks = [(place(i), kind) for i, kind in enumerate(kinds)]
    absent = NUMERACY_OFF if slice_.name == "numeracy.weight" else NOT_USED
    return Scale(
        name=wording.setting(slice_.name),
        places=places | dict.fromkeys(unused, 0.0),
        words=words | dict.fromkeys(unused, absent),
        ticks=(*([(0.0, absent)] if unused else []), *ticks),
    )


def shortened(text: str, letters: int) -> str:
    """Returns the text, or its beginning and an ellipsis where it has more letters."""
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def spaced(ticks: Sequence[tuple[float, str]], length: int, size: Callable[[str], float]) -> list[tuple[float, str]]:
    """Returns the ticks that do not run into one before them, on an axis of `length` CSS pixels."""
    kept: list[tuple[float, str]] = []
    for place, text in ticks:
        if not kept or (place - kept[-1][0]) * length >= (size(text) + size(kept[-1][1])) / 2:
            kept.append((place, text))
    return kept


def _round_values(values: list[float], log: bool) -> list[float]:
    """Returns the values to write at a numeric axis: its own where they are few, else round ones."""
    low, high = values[0], values[-1]
    if len(values) <= 5:
        return values
    locator = LogLocator(subs=(1, 2, 5) if high / low < 100 else (1,)) if log else MaxNLocator(nbins=4)
    return [float(v) for v in locator.tick_values(low, high) if low <= v <= high] or [low, high]


def _written(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else wording.scientific(value)
