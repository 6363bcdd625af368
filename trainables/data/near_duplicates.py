"""Finds videos of different subjects that show the same recording, though their files differ.

A copy that was re-encoded, resized, trimmed, mirrored, brightened or put between black bars has another sha256; under a
second subject it would be trained on and held out at once. A lab films everybody in one corridor, so whole frames are alike
for all: what is compared is how frames differ from the video's own average, moment by moment.

Two steps: words of 64 bits, compared between all videos, name a few candidates; these are then compared frame by frame.
Letters: N videos, T frames, S pixels of a side, C coefficients per axis of a frame's discrete cosine transform (DCT).
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.ndimage import uniform_filter1d

from trainables.data.cache import open_cached
from trainables.data.word_index import Sought, nearest
from trainables.limits import usable_cpus

Floats = NDArray[np.float32]
Words = NDArray[np.uint64]
Basis = Callable[[int, int, int, int], Floats]
"""(first pixel, past the last, pixels of a side, rows) -> matrix [rows, pixels of a side]."""

ALIKE = 0.82
"""Least likeness of two copies: between 0.78, the most of different walkers, whole or trimmed (15 real people drawn as one
figure, 48 simulated, and 48 in one look before a camera that follows or stands still), and 0.87, the least of copies of their
videos at full size and x264's quality 38. Copies at quality 38 and half of 112 pixels have 0.66-0.94, and those cropped by 5%
a side 0.59-0.88, less where the figure is a third of the frame: of these a part is missed."""
STEP = 2
"""Frames from one word of a video to the next."""
SHIFTS = 31
"""Steps by which a copy may start later, from none to 2 s."""
KEYS = range(0, 30, 5)
"""The words, by number, that are looked for in other videos; they span 1.7 s."""
WORDS = SHIFTS + max(KEYS)
"""Words of a video, at most; they span its first 3.7 s."""
MIN_BIT_CORRELATION, CANDIDATES = 0.3, 4
"""A candidate agrees in 65% of the bits at least, and is among the 4 of a video that agree most, as seen or mirrored."""
EXHAUSTIVE = 2000
"""Videos up to which every two are compared; of more, those that `trainables.data.word_index` finds."""
VIDEOS_AT_ONCE = 16384
"""Videos in one operation of NumPy: many, because threads compute side by side within one and take turns between two."""
FINE, COARSE = 24, 8
"""Coefficients per axis for the likeness, and for finding the exact shift."""
FRAMES = 150
"""Frames of a candidate that are compared, at most; its first 5 s."""
SEGMENT = 30
"""Frames of a segment: two walkers in step drift apart within a few of them."""
MOMENT = 9
"""Frames whose average is taken away to leave limbs alone: a fixed camera sees everybody cross the picture alike."""
MOMENT_ALLOWANCE = 0.05
"""Added to the likeness of the limbs alone, which compression harms first."""
OVERLAP = 60
"""Frames that two moving videos must share: within 1 s, different walkers were as alike as 0.92."""
BLACK_BAR_LEVEL = 20
"""A row or column is part of a black bar where most of its pixels never are brighter; grey levels, 0-255."""
STILL = 3
"""A video is still where no part of the picture, a 32nd of a side, varies by this standard deviation, in grey levels."""
STILL_ALIKE = 0.98
"""Least correlation of two still pictures that are the same."""
TEXTURE = 3
"""Least standard deviation within a still picture that can be recognised, in grey levels."""
MIRROR = np.uint64(0x5555555555555555)
"""Bits of a word that a mirror reverses: those of odd horizontal frequencies."""
NOTHING, NOTHING_SOUGHT = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
"""Stand where a video has no word; half of their bits agree, mirrored or not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NearDuplicate:
    """Two videos of different subjects that show the same recording."""

    video: str
    """As the manifest gives it; before `other_video` in alphabetical order."""
    subject: str
    other_video: str
    other_subject: str
    likeness: float
    """From 0 to 1 (the same frames)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sketch:
    """What the first step keeps of a video."""

    words: Words
    """[up to WORDS]; a bit says whether a coefficient is above its median in time."""
    still: Floats | None
    """Coefficients [C * C - 1] of the picture, of length 1, where nothing moves; zeros where there is nothing to see."""


def near_duplicates(videos: pl.DataFrame, cache: Path) -> tuple[NearDuplicate, ...]:
    """Returns the pairs of videos of different subjects that show the same recording, sorted by (video, other_video).

    A copy may start up to 2 s later. Up to EXHAUSTIVE videos all pairs are compared by their words, which takes 186 N^2
    comparisons of 64 bits twice, for mirrored copies; in larger cohorts only those are that agree in pieces of words.
    Memory grows with N, 500 bytes per video, or 5 kB with an index. Up to 4 candidates per video, and 4 mirrored ones,
    are read again.

    Args:
        videos: Columns subject, video, and cached as `ingest_cohort` fills it.
        cache: Folder of the frame cache; 56 frames per video are read, 150 of a candidate.

    Raises:
        StridefoldError: A video in the cache is missing or damaged.

    Source: the words are those of a perceptual hash by DCT (Zauner, Implementation and benchmarking of perceptual image
    hash functions, 2010), taken against the median in time instead of the median in the frame.
    """
    names = videos["cached"].to_list()
    subjects = videos["subject"].rank("dense").to_numpy()
    with ThreadPoolExecutor(usable_cpus()) as pool:
        sketches = list(pool.map(lambda name: sketch(open_cached(cache, name)), names))
    found = dict(_still_pairs(sketches, subjects))
    read = lru_cache(maxsize=1000)(lambda name: coefficients(open_cached(cache, name)))
    moving = np.array([i for i, one in enumerate(sketches) if one.still is None], dtype=np.intp)
    words = [sketches[i].words for i in moving]
    for at, other, mirrored in candidates(words, subjects[moving]):
        i, j = int(moving[at]), int(moving[other])
        value = likeness(read(names[i]), read(names[j]), mirrored=mirrored)
        if value >= ALIKE:
            pair = min(i, j), max(i, j)
            found[pair] = max(value, found.get(pair, 0.0))
    return _named(found, videos)


def sketch(frames: NDArray[np.uint8]) -> Sketch:
    """Returns the words and, where nothing moves, the picture of a video [T, S, S, 3]."""
    luma = _luma(frames[: WORDS * STEP : STEP])
    picture = _picture(luma)
    parts = _transform(luma, picture, _parts)  # [T, 32, 32]
    if (parts - parts.mean(axis=(1, 2), keepdims=True)).std(axis=0).max() < STILL:
        plain = _transform(np.median(luma, axis=0)[None], picture, _cosines, FINE).reshape(-1)[1:]
        length = float(np.linalg.norm(plain))
        seen = length / (2 * FINE) >= TEXTURE  # by Parseval, over the (2 C)^2 parts that the cosines are taken of
        return Sketch(words=np.empty(0, dtype=np.uint64), still=plain / length if seen else np.zeros_like(plain))
    levels = _transform(luma, picture, _cosines, 8).reshape(len(luma), 64)
    bits = levels >= np.median(levels, axis=0)
    return Sketch(words=np.packbits(bits, axis=1).view(np.uint64)[:, 0], still=None)


def coefficients(frames: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Returns the coefficients [up to FRAMES, C, C] of a video [T, S, S, 3], the mean brightness left out."""
    luma = _luma(frames[:FRAMES])
    levels = _transform(luma, _picture(luma), _cosines, FINE)
    levels[:, 0, 0] = 0  # lamps flicker and cameras adapt for everybody
    return levels.astype(np.float16)


def candidates(words: list[Words], subjects: NDArray[np.integer]) -> Iterator[tuple[int, int, bool]]:
    """Yields (number of a video, number of another subject's in which it may start later, whether mirrored)."""
    table = np.full((WORDS, len(words)), NOTHING)
    sought = np.full((len(KEYS), len(words)), NOTHING_SOUGHT)
    for i, own in enumerate(words):
        table[: len(own), i] = own
        keys = own[KEYS.start :: KEYS.step][: len(KEYS)]
        sought[: len(keys), i] = keys
    most = 64 * len(KEYS) * (1 - MIN_BIT_CORRELATION) / 2
    if len(words) > EXHAUSTIVE:
        yield from _indexed(table, sought, np.array([len(own) for own in words]), subjects, most)
        return

    def candidates_of(i: int) -> list[tuple[int, int, bool]]:
        found = []
        for mirrored in (False, True):
            differing = _differing(table, sought[:, i] ^ MIRROR if mirrored else sought[:, i])
            near = np.flatnonzero((differing <= most) & (subjects != subjects[i]))
            nearest = near[np.argsort(differing[near], kind="stable")[:CANDIDATES]]
            found += [(i, int(j), mirrored) for j in nearest]
        return found

    with ThreadPoolExecutor(usable_cpus()) as pool:
        for found in pool.map(candidates_of, range(len(words))):
            yield from found


def _indexed(
    table: Words, sought: Words, lengths: NDArray[np.intp], subjects: NDArray[np.integer], most: float
) -> Iterator[tuple[int, int, bool]]:
    """Yields what `candidates` yields, of tables [WORDS, N] and [keys, N]; copies with few bits in common are missed by chance."""
    whole, keys = np.ascontiguousarray(table.T), np.ascontiguousarray(sought.T)
    asked = Sought(table=whole, lengths=lengths, keys=(keys, keys ^ MIRROR), step=KEYS.step,
                   shifts=SHIFTS, subjects=subjects.astype(np.intp), most=most)  # fmt: skip
    for mirrored, pairs in zip((False, True), nearest(asked, CANDIDATES), strict=True):
        for video, other in zip(*pairs, strict=True):
            yield int(video), int(other), mirrored


def likeness(a: NDArray[np.float16], b: NDArray[np.float16], *, mirrored: bool) -> float:
    """Returns how alike two videos move, 0-1: the least correlation of their coefficients within a segment of 1 s.

    Args:
        a: [T, C, C], whose first frame may be any of the first 2 s of `b`, as their correlation is highest.
        mirrored: Whether `a` is seen in a mirror.
    """
    sign = np.where(np.arange(FINE) % 2, -1, 1) if mirrored else np.ones(FINE)
    first, second = (a * sign).astype(np.float32), b.astype(np.float32)
    best, pair = 0.0, None
    for start in range(1 - STEP, STEP * SHIFTS):
        x, y = first[max(0, -start) :], second[max(0, start) :]
        shared = min(len(x), len(y))
        x, y = x[:shared], y[:shared]
        if shared < OVERLAP:
            continue
        value = _correlation(x[::STEP, :COARSE, :COARSE], y[::STEP, :COARSE, :COARSE])
        if value > best:
            best, pair = value, (x, y)
    if pair is None:
        return 0.0
    limbs = [one - uniform_filter1d(one, MOMENT, axis=0, mode="nearest") for one in pair]
    return float(np.clip(min(_least(*pair), _least(*limbs) + MOMENT_ALLOWANCE), 0, 1))


def _differing(table: Words, keys: Words) -> NDArray[np.uint16]:
    """Returns per video in the table [WORDS, N] the number of bits that differ from the keys, at the best shift: [N]."""
    least = np.empty(table.shape[1], dtype=np.uint16)
    for low in range(0, table.shape[1], VIDEOS_AT_ONCE):
        part = slice(low, low + VIDEOS_AT_ONCE)
        counts = np.zeros((SHIFTS, len(least[part])), dtype=np.uint16)
        for start, key in zip(KEYS, keys, strict=True):
            counts += np.bitwise_count(table[start : start + SHIFTS, part] ^ key)
        least[part] = counts.min(axis=0)
    return least


def _least(a: Floats, b: Floats) -> float:
    """Returns the least correlation within a segment of two videos [T, C, C] that run together."""
    edges = np.linspace(0, len(a), max(1, round(len(a) / SEGMENT)) + 1).astype(int)
    return min(_correlation(a[low:high], b[low:high]) for low, high in pairwise(edges))


def _correlation(a: Floats, b: Floats) -> float:
    """Returns the correlation of changes in time, -1 to 1, over all coefficients; 0 where nothing changes."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    scale = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.vdot(a, b) / scale) if scale > 0 else 0.0


def _still_pairs(sketches: list[Sketch], subjects: NDArray[np.integer]) -> Iterator[tuple[tuple[int, int], float]]:
    """Yields ((number, number of another subject's), likeness) of still videos with the same picture."""
    numbers = np.array([i for i, one in enumerate(sketches) if one.still is not None], dtype=np.intp)
    if not len(numbers):
        return
    pictures = np.stack([one.still for one in sketches if one.still is not None])  # [N, C * C - 1]
    for at, i in enumerate(numbers):
        alike = pictures[at + 1 :] @ pictures[at]
        for later in np.flatnonzero((alike >= STILL_ALIKE) & (subjects[numbers[at + 1 :]] != subjects[i])):
            yield (int(i), int(numbers[at + 1 + later])), min(1.0, float(alike[later]))


def _named(found: dict[tuple[int, int], float], videos: pl.DataFrame) -> tuple[NearDuplicate, ...]:
    """Returns the pairs of numbers {(video, video): likeness} with their names, sorted."""
    who: list[tuple[str, str]] = videos.select("video", "subject").rows()
    pairs = []
    for numbers, value in found.items():
        (video, subject), (other, other_subject) = sorted(who[i] for i in numbers)
        pairs.append(
            NearDuplicate(video=video, subject=subject, other_video=other, other_subject=other_subject, likeness=value)
        )
    return tuple(sorted(pairs, key=lambda pair: (pair.video, pair.other_video)))


def _luma(frames: NDArray[np.uint8]) -> Floats:
    """Returns the brightness of frames [T, S, S, 3], 0-255: float32 [T, S, S]."""
    return np.asarray(frames @ np.array([0.299, 0.587, 0.114], dtype=np.float32))


def _picture(luma: Floats) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns (first, past the last) row and column of what stands between black bars."""
    brightest = luma.max(axis=0)
    rows, columns = (np.flatnonzero(np.median(brightest, axis=axis) > BLACK_BAR_LEVEL) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return (0, luma.shape[1]), (0, luma.shape[2])
    return (int(rows[0]), int(rows[-1]) + 1), (int(columns[0]), int(columns[-1]) + 1)


def _transform(luma: Floats, picture: tuple[tuple[int, int], tuple[int, int]], basis: Basis, count: int = 32) -> Floats:
    """Returns the picture within each frame [T, S, S] in a basis: [T, count, count]."""
    rows, columns = (basis(*span, size, count) for span, size in zip(picture, luma.shape[1:], strict=True))
    return np.asarray(rows @ luma @ columns.T)


@lru_cache(maxsize=256)
def _parts(low: int, high: int, size: int, count: int) -> Floats:
    """Returns the matrix [count, size] that averages pixels from `low` to before `high` in equal parts."""
    edges, pixel = np.linspace(low, high, count + 1), np.arange(size)
    share = np.clip(np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel), 0, None)
    return (share / share.sum(axis=1, keepdims=True)).astype(np.float32)


@lru_cache(maxsize=256)
def _cosines(low: int, high: int, size: int, count: int) -> Floats:
    """Returns the matrix [count, size] of the lowest frequencies, of twice as many parts, so that sizes compare."""
    waves = dct(np.eye(2 * count), axis=0, norm="ortho")[:count]
    return (waves @ _parts(low, high, size, 2 * count)).astype(np.float32)
