"""How the walker was followed in each video: a strip of frames with box, square and course, on a page or a sheet."""

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image, ImageDraw

from trainables.study.files import write_atomic, write_text

COLOURS = {
    "walking": "#00805d",
    "cut off": "#d55e00",
    "absent": "#8a9399",
    "standing": "#0072b2",
    "turning": "#7b4fa3",
}
"""Of the states of a frame, in the bar under the frames; the page says the same in words."""
UNTOLD = "#c9ccce"
BOX, SQUARE = "#00d0ff", "#ffd400"
STATE_BAR_HEIGHT, COURSE_HEIGHT = 10, 34
"""Pixels, of the bar of states, and of the course of the walker's middle under it."""
SHOWN = 200
"""Strips on one page or sheet at most; the others are counted."""
QUALITY = 75
"""Of the JPEG inside the page."""


@dataclass(frozen=True, kw_only=True)
class VideoStrip:
    """One video to be shown; arrays are per frame at 30 frames/s, F of them."""

    name: str
    frames: Sequence[np.ndarray[Any, Any]]
    """uint8 [h, w, 3] each."""
    numbers: Sequence[int]
    """Which frames they are."""
    scale: float
    """Pixels of a shown frame per pixel of the video."""
    boxes: np.ndarray[Any, Any]
    """[F, 4] left, top, right, bottom in pixels of the video, NaN where nobody is; [0, 4] where nobody was looked for."""
    squares: np.ndarray[Any, Any] | None
    """[F, 4]; None is the whole picture."""
    states: Sequence[str]
    """[F], keys of COLOURS; none where the tracker could not tell."""
    passes: Sequence[tuple[int, int]]
    """Stretches of frames that are used."""
    count: int
    """F."""
    note: str = ""
    problem: str = ""

    def sentence(self) -> str:
        """Returns what was made of the video, in words."""
        if self.problem:
            return f"Cannot be used: {self.problem}."
        used = sum(last - first for first, last in self.passes)
        what = "The whole picture is used" if self.squares is None else "The walker is followed"
        what += f" ({self.note})." if self.note else "."
        walks = f", in {len(self.passes)} walks" if len(self.passes) > 1 else ""
        left = Counter(state for state in self.states if state != "walking")
        reasons = ", ".join(f"{state} {seconds(count)}" for state, count in left.most_common())
        return (
            f"{what} {seconds(used)} of {seconds(self.count)} used{walks}{f'; not used: {reasons}' if reasons else ''}."
        )


@dataclass(frozen=True, kw_only=True)
class Strips:
    """Some videos of a study, to be shown on its page."""

    shown: Sequence[VideoStrip]
    total: int
    """Videos that could be shown."""

    def renamed(self, names: Mapping[str, str]) -> "Strips":
        """Returns the strips under other names and in their order, so that it tells nothing of the old ones; notes come first."""
        other = (replace(strip, name=names[strip.name]) for strip in self.shown)
        return replace(self, shown=sorted(other, key=lambda strip: (not strip.note, strip.name)))

    def drawn(self) -> dict[str, Any]:
        """Returns what the template of the page needs."""
        return {"shown": [(strip, image(strip)) for strip in self.shown], "total": self.total, "colours": COLOURS}


def seconds(frames: int) -> str:
    """Returns frames at 30 frames/s as '4.2 s'."""
    return f"{frames / 30:.1f} s"


def draw(strip: VideoStrip) -> Image.Image:
    """Returns the frames side by side, with box and square, over the states of all frames and the course of the middle."""
    tiles = [_framed(strip, i) for i in range(len(strip.frames))]
    width, height = sum(tile.width for tile in tiles), tiles[0].height
    picture = Image.new("RGB", (width, height + STATE_BAR_HEIGHT + COURSE_HEIGHT), "white")
    left = 0
    for tile in tiles:
        picture.paste(tile, (left, 0))
        left += tile.width
    pen = ImageDraw.Draw(picture)
    for frame in range(strip.count):
        colour = COLOURS.get(strip.states[frame], UNTOLD) if strip.states else UNTOLD
        across = (frame * width // strip.count, (frame + 1) * width // strip.count)
        pen.rectangle((across[0], height, max(across[1] - 1, across[0]), height + STATE_BAR_HEIGHT - 1), fill=colour)
    if len(strip.boxes):
        _draw_course(pen, strip, width, height + STATE_BAR_HEIGHT)
    for number in strip.numbers:
        at = (number + 0.5) * width / strip.count
        pen.line((at, height, at, height + STATE_BAR_HEIGHT), fill="white")
    return picture


def _framed(strip: VideoStrip, index: int) -> Image.Image:
    """Returns one frame with its box and its square."""
    tile = Image.fromarray(np.ascontiguousarray(strip.frames[index]))
    pen = ImageDraw.Draw(tile)
    number = strip.numbers[index]
    for sides, colour in ((strip.squares, SQUARE), (strip.boxes if len(strip.boxes) else None, BOX)):
        if sides is not None and not np.isnan(sides[number]).any():
            left, top, right, bottom = (float(side) * strip.scale for side in sides[number])
            pen.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=2)
    pen.line((tile.width - 1, 0, tile.width - 1, tile.height), fill="white")
    return tile


def _draw_course(pen: ImageDraw.ImageDraw, strip: VideoStrip, width: int, top: int) -> None:
    """Draws where the walker's middle is across the picture, over time: the left edge above, the right one below."""
    edge = max(frame.shape[1] for frame in strip.frames) / strip.scale
    middles = (strip.boxes[:, 0] + strip.boxes[:, 2]) / 2
    last: tuple[float, float] | None = None
    for frame, middle in enumerate(middles):
        if np.isnan(middle):
            last = None
            continue
        at = ((frame + 0.5) * width / strip.count, top + 2 + (COURSE_HEIGHT - 5) * min(max(middle / edge, 0.0), 1.0))
        if last is not None:
            pen.line((*last, *at), fill="#1f2529", width=2)
        last = at


def write_page(path: Path, title: str, strips: Sequence[VideoStrip], total: int, *, faces: bool) -> None:
    """Writes an offline page with a strip per video.

    Args:
        total: Videos in all; those beyond the strips are counted.
        faces: Whether faces can be seen; the page says so.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = [(strip, image(strip)) for strip in strips]
    page = environment.get_template("strips.html.j2").render(
        title=title,
        style=Markup((Path(__file__).parent / "study.css").read_text(encoding="utf-8")),
        shown=shown,
        total=total,
        faces=faces,
        colours=COLOURS,
    )
    write_text(path, page)


def image(strip: VideoStrip) -> Markup:
    """Returns a strip as an img element."""
    file = io.BytesIO()
    picture = draw(strip)
    picture.save(file, "JPEG", quality=QUALITY)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return Markup('<img src="data:image/jpeg;base64,{}" alt="{} frames of {}" width="{}" height="{}">').format(
        data, len(strip.frames), strip.name, picture.width, picture.height
    )


def write_sheet(path: Path, strips: Sequence[VideoStrip]) -> None:
    """Writes all strips under each other, each under its video's name, as one PNG."""
    drawn = [draw(strip) for strip in strips]
    line = 18
    height = sum(one.height + line for one in drawn)
    sheet = Image.new("RGB", (max(one.width for one in drawn), height), "white")
    pen, top = ImageDraw.Draw(sheet), 0
    for strip, one in zip(strips, drawn, strict=True):
        pen.text((4, top + 3), f"{strip.name}: {strip.sentence()}", fill="black")
        sheet.paste(one, (0, top + line))
        top += one.height + line
    write_atomic(path, lambda file: sheet.save(file, "PNG"))
