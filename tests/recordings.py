"""Makes recordings as cameras, editors and careless copies leave them; their frames carry their numbers (tests.videos)."""

import io
import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from tests.videos import frame_image, write_video

ONE = 1 << 16
"""1.0 in a display matrix."""


def joined(path: Path, *parts: Path) -> Path:
    """Writes files one after the other into one, as `cat` does."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def copied(source: Path, path: Path, *, seconds: float = 0.0, options: dict[str, str] | None = None) -> Path:
    """Writes a video's packets into another container, `seconds` later, without encoding them again."""
    with av.open(str(source)) as given, av.open(str(path), "w", options=options or {}) as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                later = round(Fraction(seconds) / packet.time_base)
                packet.pts, packet.dts = packet.pts + later, packet.dts + later
                packet.stream = stream
                made.mux(packet)
    return path


def retimed(source: Path, path: Path, times: Sequence[int]) -> Path:
    """Writes a video's packets with other times, in frames of 1/30 s."""
    with av.open(str(source)) as given, av.open(str(path), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(p for p in given.demux(video=0) if p.size):
            packet.stream, packet.time_base, packet.duration = stream, Fraction(1, 30), 1
            packet.pts, packet.dts = times[number] + len(times), number
            made.mux(packet)
    return path


def turned(source: Path, path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Writes an MP4 with another display matrix: a pixel at (x, y) is shown at (a x + c y, b x + d y), moved into view."""
    content = bytearray(source.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    a, b, c, d = (ONE * sign for sign in matrix)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def box(kind: bytes, *parts: bytes) -> bytes:
    """Returns a box of an MP4 file."""
    return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)


def with_cover(source: Path, path: Path, *, first: bool) -> Path:
    """Writes an MP4 with a green cover, as taggers add it; FFmpeg takes it for the first or the last stream."""
    picture = io.BytesIO()
    Image.new("RGB", (640, 640), (0, 200, 0)).save(picture, "JPEG")
    cover = box(b"covr", box(b"data", struct.pack(">II", 13, 0), picture.getvalue()))
    handler = box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    tags = box(b"udta", box(b"meta", bytes(4), handler, box(b"ilst", cover)))
    start, head, tracks = _index_of(source)
    path.write_bytes(start + box(b"moov", *((head, tags, tracks) if first else (head, tracks, tags))))
    return path


def edited(source: Path, path: Path, edits: Sequence[tuple[float, float | None]]) -> Path:
    """Writes an MP4 with another edit list: (seconds that it is shown, second of the recording or None for nothing)."""
    start, head, tracks = _index_of(source)
    scale = struct.unpack_from(">I", head, head.index(b"mvhd") + 16)[0]
    media = struct.unpack_from(">I", tracks, tracks.index(b"mdhd") + 16)[0]
    at = tracks.index(b"edts") - 4
    after = at + struct.unpack_from(">I", tracks, at)[0]
    first = struct.unpack_from(">i", tracks, tracks.index(b"elst") + 16)[0]
    entries = [
        struct.pack(">iiI", round(shown * scale), -1 if second is None else first + round(second * media), ONE)
        for shown, second in edits
    ]
    made = box(b"edts", box(b"elst", struct.pack(">II", 0, len(entries)), *entries))
    assert tracks[4:8] == b"trak"  # the only one: its box holds all that follows
    end = struct.unpack_from(">I", tracks)[0]
    track = box(b"trak", tracks[8:at], made, tracks[after:end])
    path.write_bytes(start + box(b"moov", head, track, tracks[end:]))
    return path


def _index_of(path: Path) -> tuple[bytes, bytes, bytes]:
    """Returns an MP4 up to its index, the index's first box, and the rest of the index; it must be the last box."""
    content = path.read_bytes()
    at = content.index(b"moov") - 4
    assert at + struct.unpack_from(">I", content, at)[0] == len(content)
    track = content.index(b"trak", at) - 4
    return content[:at], content[at + 8 : track], content[track:]


def grown(path: Path, sizes: Iterable[tuple[int, int]], *, frames: int = 30) -> Path:
    """Writes one H.264 recording whose picture has one size after the other, `frames` frames each, all of one scene."""
    parts = []
    for width, height in sizes:
        raw = path.with_name(f"{width}x{height}.h264")
        write_video(raw, frames=frames, width=width, height=height, options={"bf": "0"})
        parts.append(raw)
    whole = joined(path.with_name("whole.h264"), *parts)
    with av.open(str(whole)) as given, av.open(str(path), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(p for p in given.demux(video=0) if p.size):
            packet.stream, packet.time_base = stream, Fraction(1, 30)
            packet.pts, packet.dts, packet.duration = number, number, 1
            made.mux(packet)
    return path


def packed_avi(path: Path, *, frames: int = 60) -> Path:
    """Writes an AVI as DivX 5 did: a frame and the B frame before it in one packet, then a packet that shows nothing."""
    encoder = av.CodecContext.create("mpeg4", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
    encoder.framerate, encoder.time_base, encoder.max_b_frames = Fraction(30), Fraction(1, 30), 1
    encoder.bit_rate, encoder.options = 2_000_000, {"b_strategy": "0"}
    encoded = []
    for index in range(frames):
        frame = av.VideoFrame.from_ndarray(frame_image(index))
        frame.pts = index
        encoded += [bytes(packet) for packet in encoder.encode(frame)]
    encoded += [bytes(packet) for packet in encoder.encode(None)]
    start = encoded[0].index(b"\0\0\1\xb6")
    encoded[0] = encoded[0][:start] + b"\0\0\1\xb2DivX503b1393p" + encoded[0][start:]
    packed: list[bytes] = []
    for data in encoded:
        if data[data.index(b"\0\0\1\xb6") + 4] >> 6 == 2:  # a B frame
            packed[-1] += data
            packed.append(b"\0\0\1\xb6\x51\x7f\x7f")
        else:
            packed.append(data)
    with av.open(str(path), "w") as made:
        stream = made.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.codec_tag = "DX50"
        for number, data in enumerate(packed):
            packet = av.Packet(data)
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 30), number == 0
            packet.pts = packet.dts = number
            made.mux(packet)
    return path


def with_sound(
    path: Path,
    *,
    frames: int = 60,
    silence: int = 60,
    codec: str = "libx264",
    films: Sequence[tuple[int, int]] = ((64, 48),),
) -> Path:
    """Writes sound as the first stream, `silence` / 30 seconds of it, then films of these sizes with the same numbers."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libopus" if path.suffix == ".webm" else "aac", rate=48000)
        streams = [container.add_stream(codec, rate=30) for _ in films]
        for stream, (width, height) in zip(streams, films, strict=True):
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(max(frames, silence)):
            for stream, (width, height) in zip(streams if index < frames else (), films, strict=False):
                frame = av.VideoFrame.from_ndarray(frame_image(index, width=width, height=height))
                frame.pts = index
                container.mux(stream.encode(frame))
            quiet = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.float32), format="fltp", layout="mono")
            quiet.sample_rate, quiet.pts = 48000, 1600 * index
            container.mux(sound.encode(quiet) if index < silence else [])
        for stream in (*streams, sound):
            container.mux(stream.encode(None))
    return path


def without_timing(path: Path) -> Path:
    """Takes the usability information, and with it the frame rate, out of a raw H.264 stream of the Baseline profile."""
    content = path.read_bytes()
    start = content.index(b"\0\0\1\x67") + 4
    end = content.index(b"\0\0\1", start) - (content[content.index(b"\0\0\1", start) - 1] == 0)
    bits = "".join(f"{byte:08b}" for byte in content[start:end].replace(b"\0\0\3", b"\0\0"))
    at = 24  # after profile, constraints and level

    def number() -> int:
        nonlocal at
        zeros = bits.index("1", at) - at
        at += 2 * zeros + 1
        return int(bits[at - zeros - 1 : at], 2) - 1

    number(), number()  # set, frame_num's length
    if number() == 0:
        number()
    number()  # reference frames
    at += 1
    number(), number()  # width, height
    at += 2  # frames only, direct_8x8
    assert bits[at : at + 2] == "01"  # no cropping; usability information
    text = f"{bits[: at + 1]}01"
    text += "0" * (-len(text) % 8)
    made = bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
    path.write_bytes(content.replace(content[start:end], made))  # it is repeated at key frames
    return path
