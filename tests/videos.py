"""Writes real, tiny video files whose frames say which frame they are."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS = 8
"""Blocks along the top edge: white is 1, black is 0, the highest bit on the left."""

PIX_FMTS = {"mjpeg": "yuvj420p", "gif": "rgb8", "prores_ks": "yuv422p10le", "ffv1": "yuv444p", "qtrle": "argb"}
"""Of codecs that do not take 4:2:0."""


def frame_image(index: int, *, width: int = 64, height: int = 48, seed: int = 0) -> np.ndarray:
    """Returns frame `index` as uint8 [height, width, 3]: its number in blocks at the top, a walking bar below.

    The bar's colour comes from `seed`, so that two seeds give two different files.
    """
    image = np.empty((height, width, 3), dtype=np.uint8)
    image[:] = np.random.default_rng(seed).integers(40, 120, size=3, dtype=np.uint8)
    block, top = width // BITS, height // 4
    for bit in range(BITS):
        image[:top, bit * block : (bit + 1) * block] = 255 * ((index >> (BITS - 1 - bit)) & 1)
    left = index * 3 % (width - width // 8)
    image[height // 3 : -height // 8, left : left + width // 8] = 220
    return image


def read_number(image: np.ndarray) -> int:
    """Returns the number that `frame_image` wrote into an image [H, W, 3] of the whole frame, at any size."""
    block, top = image.shape[1] // BITS, image.shape[0] // 4
    centres = [block * bit + block // 2 for bit in range(BITS)]
    return int("".join("1" if image[top // 2, x].mean() > 128 else "0" for x in centres), 2)


def write_video(
    path: Path,
    *,
    frames: int = 60,
    fps: float = 30,
    width: int = 64,
    height: int = 48,
    seed: int = 0,
    codec: str = "libx264",
    pix_fmt: str | None = None,
    rotation: int = 0,
    times: list[float] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Writes a video and returns its path; the ending of the path chooses the container.

    Args:
        pix_fmt: How the codec gets its pixels; None: as it is usual for it.
        rotation: Degrees, counter-clockwise, that a player is told to turn the frames by.
        times: Seconds of each frame, for a variable frame rate; else the frames are 1 / fps apart.
        options: Settings of the codec, as {"g": "12", "bf": "2"}.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    base = Fraction(1, 60000)
    seconds = times if times is not None else [i / fps for i in range(frames)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options or {})
        stream.width, stream.height = width, height
        stream.pix_fmt = pix_fmt or PIX_FMTS.get(codec, "yuv420p")
        if times is not None:
            stream.codec_context.time_base = base
        if rotation:
            stream.set_display_rotation(rotation)
        for index, second in enumerate(seconds):
            frame = av.VideoFrame.from_ndarray(frame_image(index, width=width, height=height, seed=seed))
            frame.pts = index if times is None else round(second / base)
            if times is not None:
                frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
