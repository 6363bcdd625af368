"""Landmarks of a person's body in a picture, by two pretrained networks of MediaPipe that run in LiteRT.

The weights are Google's, under the Apache License 2.0, and are not part of this package: docs/cohort.md says how to get them. The
first network finds people, each as a circle around the middle of the hips; the second finds 33 landmarks within such a circle,
upright, and the circle of the next frame. Letters: A anchors, P landmarks.

Source: Bazarevsky et al., BlazePose: On-device Real-time Body Pose tracking, 2020. arXiv:2006.10204
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainables.errors import ConfigurationError
from trainables.study.files import file_sha256, write_atomic

Floats = NDArray[np.float64]
Frame = NDArray[np.uint8]

FOLDER = "pose-weights"
"""Within the frame cache's folder."""
DETECTOR, LANDMARKS = "pose_detection.tflite", "pose_landmark_full.tflite"
WEIGHTS = {
    DETECTOR: "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    LANDMARKS: "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
}
"""SHA-256 of each file; nothing else is loaded, so that a tracker's name stands for the same tracker everywhere."""
POINTS = 33
SURE = 0.5
"""Probability of a person, of both networks, from which there is one."""
LARGER = 1.25
"""The circle that is looked at to the circle around the person."""
DETECTED, CROPPED = 224, 256
"""Pixels of the squares that the networks read."""
CELLS = ((28, 2), (14, 2), (7, 6))
"""Cells along a side of the detector's grids, and anchors in each."""
APART = 0.5
"""Of the larger circle's radius: two people whose hips are nearer to each other are one."""
WIDE = 1.2
"""Ratio of the picture's sides from which squares within it are looked at too: a person in a wide picture is small."""


@dataclass(frozen=True, kw_only=True)
class Circle:
    """Where a person is: a circle around the middle of the hips, and which way the body's top is."""

    x: float
    y: float
    radius: float
    turned: float
    """Radians by which the body leans to the right."""

    @classmethod
    def around(cls, hips: Floats, rim: Floats) -> "Circle":
        """Returns the circle around the hips' middle [2] with a point [2] above the head on its rim."""
        x, y = rim - hips
        return cls(
            x=float(hips[0]),
            y=float(hips[1]),
            radius=float(np.hypot(x, y)),
            turned=float(math.pi / 2 - math.atan2(-y, x)),
        )

    def is_same(self, other: "Circle") -> bool:
        """Returns whether two circles are around one person."""
        return math.hypot(self.x - other.x, self.y - other.y) < APART * max(self.radius, other.radius)


@dataclass(frozen=True, kw_only=True)
class Pose:
    """A person's landmarks in a picture."""

    points: Floats
    """[P, 3]: from the left, from the top, in pixels of the picture, and the probability that it can be seen."""
    circle: Circle
    """Where to look in the next frame."""


class LandmarkModel:
    """The two networks, on one thread."""

    def __init__(self, folder: Path):
        """Loads the weights of a folder that `keep_weights` filled.

        Raises:
            ConfigurationError: They are not there, or LiteRT is not installed.
        """
        _check(folder)
        self._detector, self._landmarks = (_network(folder / name) for name in (DETECTOR, LANDMARKS))
        self._anchors = np.array(list(_anchors()))  # [A, 2]

    def people(self, picture: Image.Image) -> list[Circle]:
        """Returns the people in a picture, the largest first."""
        found: list[tuple[float, Circle]] = []
        for left, top, side in _squares(*picture.size):
            found += self._in_square(picture, left, top, side)
        people: list[Circle] = []
        for _, circle in sorted(found, key=lambda one: -one[0]):
            if not any(circle.is_same(other) for other in people):
                people.append(circle)
        return sorted(people, key=lambda circle: -circle.radius)

    def pose(self, picture: Image.Image, circle: Circle) -> Pose | None:
        """Returns the landmarks of the person in a circle; None where there is nobody."""
        side = 2 * LARGER * circle.radius / CROPPED
        right, down = side * math.cos(circle.turned), side * math.sin(circle.turned)
        left = circle.x - CROPPED / 2 * (right - down)
        top = circle.y - CROPPED / 2 * (down + right)
        values, sure, *_ = self._landmarks(_cut(picture, (right, -down, left, down, right, top), CROPPED) / 255)
        if sure[0] < SURE:
            return None
        points = values.reshape(-1, 5).astype(np.float64)  # [39, 5]; the last six are not on the body
        x, y = points[:, 0], points[:, 1]
        at = np.stack([left + right * x - down * y, top + down * x + right * y], axis=1)
        seen = 1 / (1 + np.exp(-points[:POINTS, 3]))
        return Pose(
            points=np.concatenate([at[:POINTS], seen[:, None]], axis=1),
            circle=Circle.around(at[POINTS], at[POINTS + 1]),
        )

    def _in_square(self, picture: Image.Image, left: float, top: float, side: float) -> Iterator[tuple[float, Circle]]:
        """Yields (probability, circle) of each anchor that sees a person in a square of the picture."""
        scale = side / DETECTED
        values, scores, *_ = self._detector(_cut(picture, (scale, 0, left, 0, scale, top), DETECTED) / 127.5 - 1)
        sure = 1 / (1 + np.exp(-np.clip(scores[:, 0].astype(np.float64), -80, 80)))  # [A]
        for anchor in np.flatnonzero(sure >= SURE):
            marks = values[anchor, 4:].reshape(4, 2) / DETECTED + self._anchors[anchor]
            marks = marks * side + (left, top)
            yield float(sure[anchor]), Circle.around(marks[0], marks[1])


def keep_weights(given: Path | None, frames: Path) -> Path:
    """Returns the folder of the weights next to the frame cache, after they were copied there from the user's folder.

    Args:
        given: The user's folder; None where they are there from an earlier time.
        frames: Folder of the frame cache.

    Raises:
        ConfigurationError: A file is missing or is another one, or LiteRT is not installed.
    """
    kept = frames / FOLDER
    for name, sha256 in WEIGHTS.items():
        if given is None:
            break
        file = given / name
        if not file.is_file():
            raise ConfigurationError(
                f"--pose-weights {given} has no file {name}; docs/cohort.md, 'Landmarks', says how to get it",
                code="pose.weights_missing",
            )
        if file_sha256(file) != sha256:
            raise _other(file, sha256)
        kept.mkdir(mode=0o700, exist_ok=True)
        write_atomic(kept / name, partial(_copy, file))
    _check(kept)
    return kept


def _copy(source: Path, out: IO[bytes]) -> None:
    """Writes what a file holds."""
    out.write(source.read_bytes())


def _other(file: Path, sha256: str) -> ConfigurationError:
    return ConfigurationError(
        f"{file} has SHA-256 {file_sha256(file)[:12]}..., but {sha256[:12]}... is expected; get it again as docs/cohort.md, "
        "'Landmarks', says, and give its folder as --pose-weights",
        code="pose.weights_other",
    )


def _check(folder: Path) -> None:
    """Raises a ConfigurationError where a folder does not hold these weights, or LiteRT is not installed."""
    if lacking := [name for name in WEIGHTS if not (folder / name).is_file()]:
        raise ConfigurationError(
            f"--track pose needs {' and '.join(lacking)} in {folder}; give --pose-weights FOLDER once on this machine "
            "(docs/cohort.md, 'Landmarks', says how to get them)",
            code="pose.weights_missing",
        )
    for name, sha256 in WEIGHTS.items():
        if file_sha256(folder / name) != sha256:
            raise _other(folder / name, sha256)
    if find_spec("ai_edge_litert") is None:
        raise ConfigurationError(
            "--track pose needs LiteRT, which is not installed; run: pip install -c constraints.txt -e '.[pose]'",
            code="pose.not_installed",
        )


def _network(path: Path) -> Any:
    """Returns a function from a picture [N, N, 3] to the network's outputs."""
    from ai_edge_litert.interpreter import Interpreter  # an extra, and slow to load

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]["index"]
    wanted = [each["index"] for each in interpreter.get_output_details()]

    def run(picture: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        interpreter.set_tensor(given, picture[None])
        interpreter.invoke()
        return [interpreter.get_tensor(index)[0] for index in wanted]

    return run


def _anchors() -> Iterator[tuple[float, float]]:
    """Yields the middle of each anchor, from 0 to 1."""
    for cells, count in CELLS:
        for row in range(cells):
            for column in range(cells):
                yield from [((column + 0.5) / cells, (row + 0.5) / cells)] * count


def _squares(width: int, height: int) -> Iterator[tuple[float, float, float]]:
    """Yields (left, top, side) of the squares in which people are looked for: around the picture, and along a wide one."""
    longer, shorter = max(width, height), min(width, height)
    yield (width - longer) / 2, (height - longer) / 2, longer
    if longer >= WIDE * shorter:
        for at in np.linspace(0, longer - shorter, math.ceil(2 * longer / shorter) - 1):
            yield (float(at), 0, shorter) if width > height else (0, float(at), shorter)


def _cut(picture: Image.Image, affine: tuple[float, ...], size: int) -> NDArray[np.float32]:
    """Returns a part of a picture, float32 [size, size, 3], 0-255; what lies outside the picture is black."""
    part = picture.transform((size, size), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
    return np.asarray(part, dtype=np.float32)
