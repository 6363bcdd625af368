"""Films simulated walkers as a clinic does: from a fixed place, in a wide picture, through which they walk."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from trainables.simulation.cohort import draw_subject, draw_walk
from trainables.simulation.renderer import BODY_HEIGHT, View, render
from trainables.simulation.walker import JOINT
from trainables.tracking.gait import VARIABILITY

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Cutout:
    """A walker without a room: colours and coverage of each frame, and the way walked."""

    colours: np.ndarray
    """[T, N, N, 3], 0-255."""
    coverage: np.ndarray
    """[T, N, N], 0-1."""
    way: np.ndarray
    """How far the walker has come, in sides N of the frame, [T]."""
    facing: int
    """1 to the right, -1 to the left."""
    parameters: dict[str, float]
    """The 29 walkway parameters of the walk, by key, and video_step_time_sd_s, the standard deviation of its step times."""

    def frame(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.colours[index], self.coverage[index]


def cut_out(seed: int, *, seconds: float = 5.0, size: int = 160, facing: int = 1, group: str = "healthy") -> Cutout:
    """Returns a simulated walker, cut out by rendering the same walk before a white and before a black room."""
    subject = draw_subject(seed, 1, name="S1", group=group, score=0 if group == "healthy" else 2)
    walk = draw_walk(subject, seconds=seconds, stream=(seed, 1, 0, 1))
    look = replace(subject.look, furniture=(), stripe=99.0, azimuth=0.0, noise=0.0, light=1.0, gamma=1.0, zoom=0.9)
    view = View(to_the_right=facing > 0, azimuth=0.0, zoom=1.0)

    def rendered(grey: float) -> np.ndarray:
        room = replace(look, wall=(grey,) * 3, floor=(grey,) * 3)
        return render(walk.joints, room, view, size, np.random.default_rng(0)).astype(np.float32)

    dark, light = rendered(0.1), rendered(0.85)
    room = light[:, :, :2].mean(axis=(0, 2)) - dark[:, :, :2].mean(axis=(0, 2))  # [N, 3] by row, where nobody is
    coverage = np.clip(1 - ((light - dark) / room[None, :, None]).mean(axis=3), 0, 1)
    coverage[coverage < 0.35] = 0  # shadows
    behind = dark[:, :, :2].mean(axis=(0, 2))[None, :, None]
    colours = (dark - (1 - coverage[..., None]) * behind) / np.maximum(coverage[..., None], 0.35)
    pelvis = walk.joints[:, JOINT["pelvis"], 0]
    index = np.arange(len(pelvis))
    contacts = walk.true_steps.contact[(walk.true_steps.contact >= 0) & (walk.true_steps.contact <= seconds)]
    followed = np.polyval(np.polyfit(index, pelvis, 3), index)  # as the renderer's camera
    return Cutout(
        colours=np.clip(colours, 0, 255),
        coverage=coverage,
        way=(followed - followed[0]) * 0.9 / BODY_HEIGHT,
        facing=facing,
        parameters=walk.parameters | {VARIABILITY: float(np.diff(contacts).std(ddof=1))},
    )


def room(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Returns a room [height, width, 3] with curtains, a floor and things on the wall."""
    rng = np.random.default_rng(seed)
    folds = gaussian_filter(rng.normal(size=(height, width)), (height / 6, 2)) * 60 * 12
    picture = np.stack([120 + folds, 140 + folds, 130 + folds], axis=2)
    floor = round(0.84 * height)
    picture[floor:] = 110 + gaussian_filter(rng.normal(size=(height - floor, width, 1)), (1, 1, 0)) * 20
    for _ in range(6):
        x, y = rng.integers(0, width - 20), rng.integers(0, floor - 20)
        picture[y : y + rng.integers(8, 40), x : x + rng.integers(8, 60)] = rng.integers(30, 220, 3)
    return np.clip(picture, 0, 255)


Place = Callable[[int], tuple[float, float, float] | None]
"""Frame -> (x of the walker's middle, y of the soles, height of the walker's square), in pixels; None is nobody."""


@dataclass
class Film:
    """A fixed camera's picture, frame by frame."""

    width: int = 320
    height: int = 180
    seed: int = 0

    def __post_init__(self) -> None:
        self.room = room(2 * self.width, self.height, self.seed)
        self.rng = np.random.default_rng(self.seed)

    def frame(
        self, *walkers: tuple[np.ndarray, np.ndarray, float, float, float], pan: float = 0, light: float = 1
    ) -> tuple[np.ndarray, list[Box | None]]:
        """Returns (frame [H, W, 3], box of each walker or None).

        Args:
            walkers: colours, coverage, x of the middle, y of the soles, and side of the walker's square.
            pan: pixels by which the camera has turned; light: its exposure.
        """
        left = round(pan) % self.width
        canvas = self.room[:, left : left + self.width].copy()
        boxes: list[Box | None] = []
        for colours, coverage, x, y, side in walkers:
            boxes.append(_paste(canvas, colours, coverage, x, y, side))
        noisy = canvas * light + self.rng.normal(0, 2, canvas.shape)
        return np.clip(noisy, 0, 255).astype(np.uint8), boxes


def _paste(
    canvas: np.ndarray, colours: np.ndarray, coverage: np.ndarray, x: float, y: float, side: float
) -> Box | None:
    """Draws a walker in place and returns the box of what is seen, None where nothing is."""
    size = max(2, round(side))
    rgba = np.dstack([colours, 255 * coverage]).astype(np.uint8)
    small = np.asarray(Image.fromarray(rgba, "RGBA").resize((size, size), Image.Resampling.BOX)).astype(np.float32)
    left, top = round(x - size / 2), round(y - 0.97 * size)
    x0, y0 = max(left, 0), max(top, 0)
    r, b = min(left + size, canvas.shape[1]), min(top + size, canvas.shape[0])
    if r <= x0 or b <= y0:
        return None
    part = small[y0 - top : b - top, x0 - left : r - left]
    share = part[..., 3:] / 255
    canvas[y0:b, x0:r] = canvas[y0:b, x0:r] * (1 - share) + part[..., :3] * share
    rows, columns = np.nonzero(share[..., 0] > 0.5)
    if not len(rows):
        return None
    return (x0 + columns.min(), y0 + rows.min(), x0 + columns.max() + 1, y0 + rows.max() + 1)


def crossing(
    cutout: Cutout, film: Film, *, side: float | None = None, start: float | None = None
) -> Iterator[tuple[np.ndarray, Box | None]]:
    """Yields (frame, box) of a walker who comes in at one side and goes on for as long as the walk is."""
    side = side or 0.8 * film.height
    first = start if start is not None else (-0.3 * side if cutout.facing > 0 else film.width + 0.3 * side)
    for i in range(len(cutout.way)):
        x = first + cutout.facing * cutout.way[i] * side
        picture, boxes = film.frame((*cutout.frame(i), x, 0.93 * film.height, side))
        yield picture, boxes[0]


def write(
    path: Path, frames: list[np.ndarray], *, fps: float = 30, rotation: int = 0, times: Sequence[float] | None = None
) -> Path:
    """Writes frames as an H.264 mp4; `times` are the seconds of each, for a variable frame rate."""
    path.parent.mkdir(parents=True, exist_ok=True)
    base = Fraction(1, 60000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options={"crf": "20"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if times is not None:
            stream.codec_context.time_base = base
        if rotation:
            stream.set_display_rotation(rotation)
        for index, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image))
            frame.pts = index if times is None else round(times[index] / base)
            if times is not None:
                frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
