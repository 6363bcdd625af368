"""Decoded frames as upright RGB pictures."""

import struct
from collections.abc import Callable
from pathlib import Path

import av
import av.error
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import Interpolation, VideoReformatter

from trainables.recordings.containers import VideoError

UPRIGHT = (1, 0, 0, 1)
UNSPECIFIED = 2
"""FFmpeg's number of the colour space of a video that states none; it is converted as standard definition television."""
CONVERTED = frozenset({0, 1, UNSPECIFIED, 4, 5, 6, 7, 9})
"""Colour spaces that FFmpeg converts: RGB, BT.709, FCC, BT.601 in both forms, SMPTE 240M, BT.2020. Others it takes for unspecified."""
SKEW = 0.1
"""Part of a display matrix's larger entries that its smaller ones may have: more is a turn that is not by quarters."""
SAME_SHAPE = 0.02
"""Largest relative difference of two pictures' ratio of width to height that is taken for rounding."""


class Pictures:
    """Makes the pictures of one video, all of them of the first one's size: its boxes are in that one's pixels."""

    def __init__(self, path: Path):
        self._path = path
        self._converter = VideoReformatter()  # kept, since it is costly to make
        self._size: tuple[int, int] | None = None
        self._shown: tuple[int, ...] = UPRIGHT

    def __call__(self, frame: av.VideoFrame) -> Callable[[], np.ndarray]:
        """Returns what makes the frame's picture, uint8 [H, W, 3].

        Raises:
            VideoError: The picture has another shape than the first one, or is turned by something else than quarters.
        """
        matrix = self._matrix(frame)
        turned = matrix[0] == 0
        size = (frame.height, frame.width) if turned else (frame.width, frame.height)
        self._size = self._size or size
        (width, height), (first_width, first_height) = size, self._size
        if abs(width * first_height / (height * first_width) - 1) > SAME_SHAPE:
            raise VideoError(
                self._path,
                f"changes from {first_width} x {first_height} to {width} x {height} pixels; export it again at one size",
                code="video.size_changes",
            )
        stored = (first_height, first_width) if turned else (first_width, first_height)
        return lambda: self._upright(frame, stored, matrix)

    def _upright(self, frame: av.VideoFrame, size: tuple[int, int], matrix: tuple[int, ...]) -> np.ndarray:
        if frame.colorspace not in CONVERTED:
            frame.colorspace = UNSPECIFIED
        try:
            converted = self._converter.reformat(
                frame, width=size[0], height=size[1], format="rgb24", interpolation=Interpolation.BICUBIC, threads=1
            )
        except (OSError, av.error.FFmpegError):
            raise VideoError(
                self._path,
                f"has colours that cannot be converted ({frame.format.name}); export it as MP4 with H.264",
                code="video.colours",
            ) from None
        image: np.ndarray = converted.to_ndarray()
        a, b, c, d = matrix
        if a == 0:
            image, a, d = image.swapaxes(0, 1), c, b
        return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])

    def _matrix(self, frame: av.VideoFrame) -> tuple[int, ...]:
        """Returns the signs of a, b, c, d by which a pixel at (x, y) is shown at (a x + c y, b x + d y).

        A stream of H.264 or HEVC may say it with its first frame alone; it holds until another is stated (H.264, D.2.27).
        """
        if Type.DISPLAYMATRIX in frame.side_data:
            self._shown = self._stated(frame)
        return self._shown

    def _stated(self, frame: av.VideoFrame) -> tuple[int, ...]:
        a, b, _, c, d = struct.unpack_from("=5i", bytes(frame.side_data[Type.DISPLAYMATRIX]))  # type: ignore[typeddict-item]
        straight, across = min(abs(a), abs(d)), min(abs(b), abs(c))
        if max(abs(b), abs(c)) <= SKEW * straight:
            return _sign(a), 0, 0, _sign(d)
        if max(abs(a), abs(d)) <= SKEW * across:
            return 0, _sign(b), _sign(c), 0
        raise VideoError(
            self._path,
            "is stored turned by something else than a quarter or half turn; export it again, upright",
            code="video.rotation",
        )


def _sign(value: int) -> int:
    return 1 if value > 0 else -1
