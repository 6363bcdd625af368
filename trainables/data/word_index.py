"""Finds candidates for near-duplicates among many videos without comparing every two: multi-index hashing of their words.

Copies differ in a tenth of their bits, poor ones in a fifth, different walkers in two fifths. So a copy agrees with its original in
all bits of one of many pieces of a word; sorted by a piece, the words that agree stand together. Which words do is
chance: enough pieces are drawn to miss a copy of DIFFERING bits once in a thousand times.
Letters: N videos, W words of a video, K keys sought of a video, P pairs.

Source: multi-index hashing (Norouzi, Punjani and Fleet, CVPR 2012), with random pieces as in locality-sensitive hashing.
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainables.limits import usable_cpus

Words = NDArray[np.uint64]
Numbers = NDArray[np.intp]

DIFFERING = 0.15
"""Share of bits that differ between a copy and its original, for which the number of pieces is chosen."""
MISSED = 1e-3
"""Share of such copies that no piece finds."""
NIBBLE = 4
"""Bits that a piece takes together."""
SHORTEST, LONGEST = 4, 9
"""Nibbles of a piece."""
PIECES = 48
"""At most, however much the videos are alike."""
AGREEING = 64
"""Videos, on average, whose words may agree by chance with one video's keys in one piece."""
SAMPLE = 20_000
"""Words from which is told how often words agree."""
KEPT = 8
"""Candidates of a video that are kept between pieces."""
CHUNK = 1 << 16
"""Pairs that are compared at once: their numbers stay in a processor's cache."""
ANOTHER_WORD = 26
"""Bits of one more word that may differ in a pair that agrees in a piece, or it is compared no further. It spares eleven of
twelve pairs that agree by chance the other words, and loses two of 100,000 copies of which a fifth of the bits differ."""
IN_CACHE = 1 << 14
"""Words from which a piece is taken at once."""


@dataclass(frozen=True, kw_only=True)
class Sought:
    """What is looked for in what."""

    table: Words
    """Words of every video, [N, W], filled where a video is shorter."""
    lengths: Numbers
    """Words that each video has, [N]."""
    keys: tuple[Words, ...]
    """Keys of every video, each [N, K]: as seen, and mirrored. Key k of a copy is its original's word k * step + shift."""
    step: int
    shifts: int
    """Shifts that a copy may have, from 0."""
    subjects: Numbers
    """[N]; videos of one subject are not compared."""
    most: float
    """Bits of all keys that may differ."""


def nearest(sought: Sought, count: int) -> list[tuple[Numbers, Numbers]]:
    """Returns pairs, ([P] numbers of videos, [P] numbers of those in which they may start later), for each array of keys.

    They are the nearest `count` of each video.
    """
    pieces = draw_pieces(sought)
    found = [_Nearest() for _ in sought.keys]
    real = np.arange(sought.table.shape[1]) < sought.lengths[:, None]
    words, places = sought.table[real], np.flatnonzero(real).astype(np.uint64)  # place: video * W + word
    with ThreadPoolExecutor(usable_cpus()) as pool:
        for some in pool.map(lambda piece: _agreeing(sought, words, places, piece), pieces):
            found = [one.joined(more, KEPT) for one, more in zip(found, some, strict=True)]
    pairs = []
    for keys, one in zip(sought.keys, found, strict=True):
        exact = differing(sought, keys, one.video, one.other).min(axis=1)
        best = _Nearest(one.video, one.other, exact).joined(_Nearest(), count)
        pairs.append((best.video, best.other))
    return pairs


def draw_pieces(sought: Sought) -> list[Numbers]:
    """Returns the pieces of words, each the numbers of its nibbles: as long as keeps chance low, as many as miss few copies."""
    draws = np.random.default_rng(0)
    videos, keys = sought.keys[0].shape
    rows = draws.integers(videos, size=(2, SAMPLE))
    words = sought.table[rows[0], (draws.random(SAMPLE) * np.maximum(sought.lengths[rows[0]], 1)).astype(np.intp)]
    asked = sought.keys[0][rows[1], draws.integers(keys, size=SAMPLE)]
    for nibbles in range(SHORTEST, LONGEST + 1):
        tried = [draws.choice(16, nibbles, replace=False) for _ in range(4)]
        agreeing = np.mean([_chance(extract(words, piece), extract(asked, piece)) for piece in tried])
        if agreeing * videos * keys * sought.shifts <= AGREEING:
            break
    found = (1 - DIFFERING) ** (NIBBLE * nibbles)  # of one key in one piece
    needed = math.ceil(math.log(MISSED) / math.log1p(-found) / keys)
    return [draws.choice(16, nibbles, replace=False) for _ in range(min(needed, PIECES))]


def extract(words: Words, piece: Numbers) -> Words:
    """Returns the piece of each word [X] as a number of 4 bits for each nibble."""
    found = np.zeros_like(words)
    nibble = np.empty(IN_CACHE, dtype=np.uint64)
    for start in range(0, len(words), IN_CACHE):
        some, key = words[start : start + IN_CACHE], found[start : start + IN_CACHE]
        part = nibble[: len(some)]
        for number in piece:
            np.right_shift(some, np.uint64(NIBBLE * int(number)), out=part)
            np.bitwise_and(part, np.uint64(15), out=part)
            np.left_shift(key, np.uint64(NIBBLE), out=key)
            np.bitwise_or(key, part, out=key)
    return found


def _chance(a: Words, b: Words) -> float:
    """Returns how often a number of one array equals one of another."""
    a = np.sort(a)
    return float((np.searchsorted(a, b, "right") - np.searchsorted(a, b, "left")).sum() / len(a) / len(b))


def _agreeing(sought: Sought, words: Words, places: Words, piece: Numbers) -> list["_Nearest"]:
    """Returns the nearest videos of each video among those that agree with one of its keys in a piece, for each array of keys.

    Args:
        words: of all videos, in one row.
        places: of these words, video * W + word.
    """
    bits = np.uint64(int(sought.table.size).bit_length())
    index = extract(words, piece)
    index <<= bits
    index |= places
    index.sort()
    present = np.arange(sought.keys[0].shape[1]) * sought.step < sought.lengths[:, None]
    found = []
    for keys in sought.keys:
        asked = extract(keys[present], piece)
        order = np.argsort(asked)
        low, high = (np.searchsorted(index, (asked[order] + np.uint64(past)) << bits) for past in (0, 1))
        found.append(_near(sought, keys, index, bits, np.flatnonzero(present)[order], low, high))
    return found


def _near(
    sought: Sought, keys: Words, index: Words, bits: np.uint64, asking: Numbers, low: Numbers, high: Numbers
) -> "_Nearest":
    """Returns the nearest videos among those that agree: of each key, its number video * K + key and what part of the index."""
    width, count = sought.table.shape[1], keys.shape[1]
    mask = (np.uint64(1) << bits) - np.uint64(1)
    words = sought.table.reshape(-1)
    present = np.clip(-(-sought.lengths // sought.step), 1, count)  # keys that each video has
    found, waiting, pairs = _Nearest(), [], 0
    for part in _chunks(high - low):
        counts = (high - low)[part]
        at = np.repeat(low[part] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        asked = np.repeat(asking[part], counts)
        place = (index[at] & mask).astype(np.intp)
        video, other = asked // count, place // width
        key = asked - video * count
        shift = place - other * width - key * sought.step
        alike = np.flatnonzero((shift >= 0) & (shift < sought.shifts))
        key, asker = key[alike], video[alike]
        following = (key + 1) % present[asker]
        first = place[alike] + (following - key) * sought.step  # the word that the next key should meet
        off = np.bitwise_count(words[first] ^ keys[asker, following])
        alike = alike[off <= ANOTHER_WORD]
        video, other, shift = video[alike], other[alike], shift[alike]
        apart = sought.subjects[video] != sought.subjects[other]
        video, other, shift = video[apart], other[apart], shift[apart]
        bits_off = differing(sought, keys, video, other, shift)
        near = bits_off <= sought.most
        waiting.append(_Nearest(video[near], other[near], bits_off[near]))
        pairs += int(near.sum())
        if pairs >= CHUNK:
            found, waiting, pairs = found.joined(_Nearest.all(waiting), KEPT), [], 0
    return found.joined(_Nearest.all(waiting), KEPT)


def _chunks(counts: Numbers) -> Iterator[slice]:
    """Yields slices of keys whose pairs together are about CHUNK."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + CHUNK)))
        yield slice(start, stop)
        start = stop


def differing(
    sought: Sought, keys: Words, video: Numbers, other: Numbers, shift: Numbers | None = None
) -> NDArray[np.uint16]:
    """Returns how many bits of a video's keys differ from another's words: at a shift of each pair [P], or at all, [P, shifts]."""
    shifts = np.arange(sought.shifts) if shift is None else shift
    words, start = sought.table.reshape(-1), other * sought.table.shape[1]
    first = start[:, None] + shifts if shift is None else start + shifts
    bits = np.zeros(first.shape, dtype=np.uint16)
    for key in range(keys.shape[1]):
        asked = keys[video, key]
        bits += np.bitwise_count(words[first + key * sought.step] ^ (asked[:, None] if shift is None else asked))
    return bits


class _Nearest:
    """Pairs of videos and how many bits they differ in, sorted by the first video and then by the bits."""

    def __init__(
        self, video: Numbers | None = None, other: Numbers | None = None, bits: NDArray[np.uint16] | None = None
    ):
        self.video = np.empty(0, dtype=np.intp) if video is None else video
        self.other = np.empty(0, dtype=np.intp) if other is None else other
        self.bits = np.empty(0, dtype=np.uint16) if bits is None else bits

    @classmethod
    def all(cls, parts: list["_Nearest"]) -> "_Nearest":
        """Returns the pairs of some parts, one part after the other."""
        if not parts:
            return cls()
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("video", "other", "bits")))

    def joined(self, more: "_Nearest", count: int) -> "_Nearest":
        """Returns the pairs of both, each once, and of each video the nearest `count`."""
        video, other = np.concatenate([self.video, more.video]), np.concatenate([self.other, more.other])
        bits = np.concatenate([self.bits, more.bits])
        order = np.lexsort((bits, other, video))
        video, other, bits = video[order], other[order], bits[order]
        first = np.ones(len(video), dtype=bool)  # of a pair, the one with the fewest bits
        first[1:] = (video[1:] != video[:-1]) | (other[1:] != other[:-1])
        video, other, bits = video[first], other[first], bits[first]
        order = np.lexsort((other, bits, video))
        video, other, bits = video[order], other[order], bits[order]
        starts = np.flatnonzero(np.diff(video, prepend=-1))
        rank = np.arange(len(video)) - np.repeat(starts, np.diff(starts, append=len(video)))
        near = rank < count
        return _Nearest(video[near], other[near], bits[near])
