"""Prints how long near-duplicates take to find among many simulated signatures, and how many planted copies are found.

    python benchmarks/near_duplicates.py --videos 10000 100000

A signature is what is kept of a video for this: 56 words of 64 bits, here random. A copy starts up to 2 s later, and a tenth, a seventh or
a fifth of its bits differ, as after good, poor and very poor compression. Candidates alone, without reading a frame: the
smaller cohort vs. the comparison of all pairs, the larger one vs. what is allowed.
"""

from collections.abc import Iterator

import numpy as np

from benchmarks.figures import Figure, as_a_worker, figure, parser, show, timed
from trainables.data import near_duplicates
from trainables.data.near_duplicates import SHIFTS, WORDS, candidates

DIFFERING = (0.1, 0.15, 0.2)
COPIES = 100
"""Planted for each of these."""
ALLOWED = {10_000: 3.0, 100_000: 60.0}
"""Seconds allowed for N videos."""


def main() -> None:
    """Measures and prints the figures."""
    as_a_worker()
    options = parser(__doc__)
    options.add_argument("--videos", type=int, nargs=2, default=(10_000, 100_000))
    given = options.parse_args()
    show(figures(*given.videos))


def figures(few: int, many: int) -> Iterator[Figure]:
    """Yields the figures."""
    for videos in (few, many):
        words, planted = cohort(videos)
        seconds, found = search(words)
        if videos == few:
            every_two, all_found = search(words, exhaustive=True)
            yield figure(f"candidates among {videos} simulated signatures (aim: {ALLOWED.get(videos, '')} s)",
                         [(seconds, every_two)], unit="s", beside="every two compared")  # fmt: skip
        else:
            yield figure(f"candidates among {videos} simulated signatures",
                         [(seconds, ALLOWED.get(videos, 60.0))], unit="s", beside="what is allowed", aim="1")  # fmt: skip
        for share, pairs in planted.items():
            other = len(pairs & all_found) if videos == few else len(pairs)
            yield figure(f"copies found among {videos}, {share:.0%} of whose bits differ", [(len(pairs & found), other)],
                         unit="copies", beside="every two compared" if videos == few else "planted", aim="1")  # fmt: skip


def cohort(videos: int) -> tuple[list[np.ndarray], dict[float, set[tuple[int, int]]]]:
    """Returns the words of videos, and the pairs (copy, original) planted among them by the share of bits that differ."""
    draws = np.random.default_rng(0)
    table = draws.integers(0, 2**64, size=(videos, WORDS), dtype=np.uint64)
    chosen = draws.permutation(videos)[: 2 * COPIES * len(DIFFERING)].reshape(len(DIFFERING), COPIES, 2)
    for share, pairs in zip(DIFFERING, chosen, strict=True):
        for copy, original in pairs:
            later = int(draws.integers(SHIFTS))
            bits = draws.random((WORDS - later, 64)) < share
            flips = np.packbits(bits, axis=1).view(np.uint64)[:, 0]
            table[copy, : WORDS - later] = table[original, later:] ^ flips
    planted = {share: {(int(a), int(b)) for a, b in pairs} for share, pairs in zip(DIFFERING, chosen, strict=True)}
    return list(table), planted


def search(words: list[np.ndarray], *, exhaustive: bool = False) -> tuple[float, set[tuple[int, int]]]:
    """Returns the seconds that the candidates of every video take, and the pairs that are not mirrored."""
    found: list[tuple[int, int, bool]] = []
    before = near_duplicates.EXHAUSTIVE
    near_duplicates.EXHAUSTIVE = len(words) if exhaustive else before
    try:
        seconds = timed(lambda: found.extend(candidates(words, np.arange(len(words)))))
    finally:
        near_duplicates.EXHAUSTIVE = before
    return seconds, {(a, b) for a, b, mirrored in found if not mirrored}


if __name__ == "__main__":
    main()
