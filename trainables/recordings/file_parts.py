"""Tells a video file that was cut off from a whole one by the lengths of its parts, which most formats state.

FFmpeg reads on to the last whole packet and says nothing. Transport and program streams, DV, NUT and raw streams state no
lengths: one that was cut off looks like a shorter one.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

HEAD = 300
"""Bytes that hold the head of any part."""
TAIL = 1 << 16
"""Bytes of the end that are searched for a trailer."""
BOXES = frozenset(b"ftyp moov moof mdat free skip wide pnot styp sidx mfra uuid meta emsg prft".split())
"""Boxes at the top of an MP4 or QuickTime file."""
EBML = b"\x1a\x45\xdf\xa3"
"""The element that begins a Matroska or WebM file."""
ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
"""The object that begins a Windows Media file."""
FLV_TAGS = (8, 9, 18)
"""Sound, pictures, metadata."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What a file says of its own parts."""

    missing: int
    """Bytes that its last part lacks."""
    recordings: int
    """How many recordings follow one another in it; most readers see the first."""


Measure = Callable[[bytes], tuple[int | None, bool]]
"""(length of the part that has this head, None for no part of the format; whether a recording has one such part)."""


def check_parts(path: Path) -> Parts:
    """Returns what the file says of its own parts; what is not part of its format, e.g. padding at the end, is whole."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD)
        if head.startswith(b"GIF8"):
            return Parts(missing=_missing_trailer(file), recordings=1)
        measure = _measure(head)
        at, recordings = 0, 0
        while measure and at < size:
            file.seek(at)
            length, begins = measure(file.read(HEAD))
            if length is None:
                break
            at, recordings = at + length, recordings + begins
    return Parts(missing=max(at - size, 0), recordings=recordings)


def _measure(head: bytes) -> Measure | None:
    if head[4:8] in BOXES:
        return _box
    for start, measure in ((EBML, _element), (ASF, _object), (b"OggS", _page), (b"FLV", _tag)):
        if head.startswith(start):
            return measure
    return None


def _box(head: bytes) -> tuple[int | None, bool]:
    """A box of MP4 or QuickTime: a length of 32 bits, or 1 and one of 64 after the name."""
    length, name = int.from_bytes(head[:4]), head[4:8]
    if name not in BOXES or length == 0:  # 0: to the end of the file
        return None, False
    return int.from_bytes(head[8:16]) if length == 1 else max(length, 8), name == b"moov"


def _element(head: bytes) -> tuple[int | None, bool]:
    """An element of Matroska: a name and a length, whose first bits say how long they are; one of unknown length is entered."""
    head = head.ljust(12, b"\0")
    name = 9 - head[0].bit_length()
    bits = 7 * (size := 9 - head[min(name, 8)].bit_length())
    if name > 4 or size > 8:
        return None, False
    length = int.from_bytes(head[name : name + size]) & ((1 << bits) - 1)
    return name + size + (0 if length == (1 << bits) - 1 else length), head.startswith(EBML)


def _object(head: bytes) -> tuple[int | None, bool]:
    """An object of Windows Media: a name of 16 bytes and a length of 8."""
    length = int.from_bytes(head[16:24], "little")
    return length if length >= 24 else None, head.startswith(ASF)


def _page(head: bytes) -> tuple[int | None, bool]:
    """A page of Ogg: a head of 27 bytes, and the lengths of its segments, one byte each."""
    if not head.startswith(b"OggS"):
        return None, False
    segments = head.ljust(27, b"\0")[26]
    return 27 + segments + sum(head[27 : 27 + segments]), False


def _tag(head: bytes) -> tuple[int | None, bool]:
    """A tag of FLV, or the file's head: a length of 24 bits, and that of the whole repeated after the tag."""
    if head.startswith(b"FLV"):
        return 13, True
    return (15 + int.from_bytes(head[1:4]), False) if head[:1] and head[0] in FLV_TAGS else (None, False)


def _missing_trailer(file: IO[bytes]) -> int:
    """Returns 1 where a GIF does not end with its trailer, before padding."""
    file.seek(-min(TAIL, os.fstat(file.fileno()).st_size), os.SEEK_END)
    return 0 if file.read().rstrip(b"\0").endswith(b";") else 1
