"""Writes interlaced H.264 as camcorders do, whose frames are two pictures: one of the odd lines, one of the even ones.

No encoder at hand codes fields apart. This one writes each macroblock's samples as they are (I_PCM), so it needs no more
than the headers of ITU-T H.264, clause 7.3.
"""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.videos import frame_image

WIDTH = HEIGHT = 64
I_SLICE, I_PCM = 7, 25


class Bits:
    """A bit string in the notation of H.264: u(n) fixed, ue(v) Exp-Golomb."""

    def __init__(self) -> None:
        self.text = ""

    def u(self, value: int, length: int = 1) -> "Bits":
        self.text += f"{value:0{length}b}"
        return self

    def ue(self, *values: int) -> "Bits":
        for value in values:
            code = f"{value + 1:b}"
            self.text += "0" * (len(code) - 1) + code
        return self

    def align(self) -> "Bits":
        self.text += "0" * (-len(self.text) % 8)
        return self

    def samples(self, block: np.ndarray) -> "Bits":
        self.text += "".join(f"{value:08b}" for value in block.tobytes())
        return self

    def unit(self, kind: int, *, reference: bool) -> bytes:
        """Returns a NAL unit: the bits with their trailing ones and without start codes among them."""
        bits = self.u(1).align().text
        made, zeros = bytearray(), 0
        for value in (int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)):
            if zeros >= 2 and value <= 3:
                made.append(3)
                zeros = 0
            made.append(value)
            zeros = zeros + 1 if value == 0 else 0
        return b"\0\0\0\1" + bytes([reference << 5 | kind]) + bytes(made)


def write_fields(path: Path, *, frames: int = 50, times_per_frame: int = 1) -> Path:
    """Writes 25 frames/s; each frame, or with `times_per_frame` 2 each field, has a packet and a time of its own."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(frames):
            fields = _fields(index)
            for number, data in enumerate([b"".join(fields)] if times_per_frame == 1 else fields):
                packet = av.Packet(data)
                packet.stream, packet.time_base = stream, Fraction(1, 50)
                packet.pts = packet.dts = 2 * index + number
                packet.is_keyframe = index == number == 0
                container.mux(packet)
    return path


def _fields(index: int) -> tuple[bytes, bytes]:
    """Returns the two pictures of a frame; the first frame's come after the parameter sets."""
    frame = av.VideoFrame.from_ndarray(frame_image(index, width=WIDTH, height=HEIGHT)).reformat(format="yuv420p")
    planes = np.clip(frame.to_ndarray(), 1, 254)
    luma, chroma = planes[:HEIGHT], planes[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
    top, bottom = (_picture(luma[line::2], chroma[:, line::2], index, second=bool(line)) for line in (0, 1))
    return (_parameters() + top if index == 0 else top), bottom


def _picture(luma: np.ndarray, chroma: np.ndarray, index: int, *, second: bool) -> bytes:
    idr = index == 0 and not second
    bits = Bits().ue(0, I_SLICE, 0).u(min(index, 1), 4).u(1).u(second)  # frame_num; field_pic_flag, bottom_field_flag
    if idr:
        bits.ue(0)
    bits.u(2 * index + second, 16)  # pic_order_cnt_lsb
    if idr:
        bits.u(0, 2)
    elif index == 0:
        bits.u(0)
    bits.ue(0)  # slice_qp_delta
    for y in range(0, luma.shape[0], 16):
        for x in range(0, luma.shape[1], 16):
            bits.ue(I_PCM).align().samples(luma[y : y + 16, x : x + 16])
            for plane in chroma:
                bits.samples(plane[y // 2 : y // 2 + 8, x // 2 : x // 2 + 8])
    return bits.unit(5 if idr else 1, reference=index == 0)


def _parameters() -> bytes:
    """Returns the sequence and picture parameter sets: Main profile, frames of two fields, 25 frames/s, CAVLC."""
    sequence = (
        Bits().u(77, 8).u(0, 8).u(30, 8).ue(0, 0, 0, 12, 1).u(0).ue(WIDTH // 16 - 1, HEIGHT // 32 - 1).u(0b0010, 4)
    )
    sequence.u(1).u(0b00001, 5).u(1, 32).u(50, 32).u(1).u(0, 4)  # timing among the usability information
    picture = Bits().ue(0, 0).u(0, 2).ue(0, 0, 0).u(0, 3).ue(0, 0, 0).u(0, 3)
    return sequence.unit(7, reference=True) + picture.unit(8, reference=True)
