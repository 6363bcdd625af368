"""Tells a video file that was cut off from a whole one by the lengths of its parts, which most formats state.

FFmpeg reads on to the last whole packet and says nothing. Transport and program streams, DV, Y4M and raw streams state no
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
RIFFS = (b"AVI ", b"AVIX", b"AVI\x19")
"""Kinds of the parts of an AVI: the first one, what follows where it is longer than a gigabyte, and Samsung's."""
RIFF_SLACK = 8
"""Bytes by which the length of an AVI may be too large: some writers count its own name and length, or a padding byte."""
UNSTATED = (0, 0xFFFFFFFF)
"""Lengths that a writer leaves where it cannot go back to them."""
PNG = b"\x89PNG\r\n\x1a\n"
MXF, PARTITION = bytes.fromhex("060e2b34"), bytes.fromhex("060e2b34020501010d0102010102")
"""What every key of an MXF file begins with, and the key of the partition that begins a recording."""
NUT, NUT_INDEX = b"nut/multimedia container\0", b"NX\xdd\x67\x2f\x23\xe6\x4e"
CHUNK = 1 << 20


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
        if head.startswith(NUT):
            return Parts(missing=_missing_index(file, size), recordings=_count(file, NUT))
        measure = _measure(head)
        at, recordings, last, unfinished = 0, 0, b"", False
        while measure and at < size:
            file.seek(at)
            head = file.read(HEAD)
            length, begins = measure(head)
            if length is None:
                unfinished = measure is _box and _begins_box(head)
                break
            at, recordings, last = at + length, recordings + begins, head
    # A fragment's index, or a part of a PNG, is never the last one.
    unfinished |= (measure is _box and last[4:8] == b"moof") or (measure is _chunk and last[4:8] != b"IEND")
    missing = at - size if at - size > (RIFF_SLACK if measure is _riff else 0) else int(unfinished)
    return Parts(missing=missing, recordings=recordings)


def _measure(head: bytes) -> Measure | None:
    if head[4:8] in BOXES:
        return _box
    starts: tuple[tuple[bytes, Measure], ...] = (
        (EBML, _element),
        (ASF, _object),
        (b"OggS", _page),
        (b"FLV", _tag),
        (b"RIFF", _riff),
        (b"DKIF", _ivf_frame),
        (PNG, _chunk),
        (MXF, _triplet),
    )
    return next((measure for start, measure in starts if head.startswith(start)), None)


def _box(head: bytes) -> tuple[int | None, bool]:
    """A box of MP4 or QuickTime: a length of 32 bits, or 1 and one of 64 after the name."""
    length, name = int.from_bytes(head[:4]), head[4:8]
    if name not in BOXES or length == 0:  # 0: to the end of the file
        return None, False
    return int.from_bytes(head[8:16]) if length == 1 else max(length, 8), name == b"moov"


def _begins_box(head: bytes) -> bool:
    """Returns whether a file ends within the length or the name of a box."""
    if len(head) <= 4:
        return head.startswith(b"\0") and any(head)
    return len(head) < 8 and any(name.startswith(head[4:]) for name in BOXES)


def _riff(head: bytes) -> tuple[int | None, bool]:
    """A part of an AVI; those of several recordings are read one after the other."""
    length = int.from_bytes(head[4:8], "little")
    if not head.startswith(b"RIFF") or head[8:12] not in RIFFS or length in UNSTATED:
        return None, False
    return 8 + length, False


def _ivf_frame(head: bytes) -> tuple[int | None, bool]:
    """A frame of IVF: its length and time in 12 bytes; or the file's head, which states its own length."""
    if head.startswith(b"DKIF"):
        return int.from_bytes(head[6:8], "little"), True
    return (12 + int.from_bytes(head[:4], "little"), False) if head.strip(b"\0") else (None, False)


def _chunk(head: bytes) -> tuple[int | None, bool]:
    """A part of a PNG: a length, a name of 4 letters and a checksum; or the file's signature."""
    if head.startswith(PNG):
        return len(PNG), True
    return (12 + int.from_bytes(head[:4]), False) if head[4:8].isalpha() else (None, False)


def _triplet(head: bytes) -> tuple[int | None, bool]:
    """A part of MXF: a key of 16 bytes, and a length in one byte, or in as many as that byte says."""
    if not head.startswith(MXF):
        return None, False
    head = head.ljust(25, b"\0")
    more = head[16] & 0x7F if head[16] & 0x80 else 0
    if more > 8:
        return None, False
    length = int.from_bytes(head[17 : 17 + more]) if more else head[16]
    return 17 + more + length, head.startswith(PARTITION)


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


def _missing_index(file: IO[bytes], size: int) -> int:
    """Returns 1 where a NUT file does not end with its index, whose distance stands before the last checksum."""
    file.seek(max(size - 12, 0))
    distance = int.from_bytes(file.read(8))
    if not len(NUT) < distance <= size:
        return 1
    file.seek(size - distance)
    return 0 if file.read(len(NUT_INDEX)) == NUT_INDEX else 1


def _count(file: IO[bytes], mark: bytes) -> int:
    """Returns how often a mark stands in a file."""
    file.seek(0)
    found, before = 0, b""
    while chunk := file.read(CHUNK):
        found += (before + chunk).count(mark)
        before = (before + chunk)[-len(mark) + 1 :]
    return found
