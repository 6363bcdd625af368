"""Draws walkers: a figure of shaded capsules before a room, in any clothes, seen from the side by a camera that follows.

Letters: T frames, J joints, N pixels of a side. Nothing here knows a group or a score: a look is drawn from its own
generator, so that clothes, build, room, camera and light carry no label.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainables.simulation.walker import JOINT, Floats

Image = NDArray[np.float32]

BODY_HEIGHT = 2.0
"""Height of the upright figure, head included, in leg lengths."""
FRAMES_AT_ONCE = 8
"""Frames drawn together: 8 frames of 112 pixels stay in a core's cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What a camera sees of a person and a place beside the gait; colours are RGB in [0, 1]."""

    leg_cm: float
    girth: float
    """Thickness of limbs and trunk against the average, 0.8-1.3."""
    skin: tuple[float, ...]
    hair: tuple[float, ...]
    top: tuple[float, ...]
    trousers: tuple[float, ...]
    shoes: tuple[float, ...]
    long_top: bool
    sleeves: bool
    wall: tuple[float, ...]
    floor: tuple[float, ...]
    furniture: tuple[tuple[float, ...], ...]
    """Rectangles on the wall: left and width in leg lengths, bottom and top as shares of the wall, red, green, blue."""
    stripe: float
    """Distance between stripes on the floor, in leg lengths."""
    azimuth: float
    """Turn of the camera from the side view, in degrees."""
    elevation: float
    """Degrees above the horizontal."""
    zoom: float
    """Share of the frame's height that the upright figure fills."""
    light: float
    """Brightness factor."""
    gamma: float
    lamp: float
    """Direction of the light in degrees; 90 is above."""
    noise: float
    """Standard deviation of the sensor's noise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What changes between two videos of one person."""

    to_the_right: bool
    azimuth: float
    """Degrees on top of the look's."""
    zoom: float
    """Factor on the look's."""


def draw_look(rng: np.random.Generator) -> Look:
    """Returns the look of one person in one place."""

    def colour(low: float, high: float, saturation: float = 0.35) -> tuple[float, ...]:
        grey = rng.uniform(low, high)
        return tuple(float(c) for c in np.clip(grey + saturation * rng.uniform(-0.5, 0.5, 3), 0.02, 0.98))

    wall = colour(0.68, 0.92, 0.12)
    clothes = (0.06, 0.42)  # darker than a clinic's walls: legs that cannot be told from the wall show no gait
    skin = rng.uniform(0.3, 0.8)
    furniture = tuple(
        (*rng.uniform((0, 0.2), (6, 0.9)), rng.choice([0.0, 0.45]), rng.uniform(0.6, 0.95), *colour(0.55, 0.9, 0.3))
        for _ in range(int(rng.integers(1, 5)))
    )
    return Look(
        leg_cm=float(np.clip(rng.normal(87, 5), 72, 100)),
        girth=float(rng.uniform(0.85, 1.3)),
        skin=(float(skin), float(0.78 * skin), float(0.64 * skin)),
        hair=colour(0.1, 0.6, 0.1),
        top=colour(*clothes),
        trousers=colour(*clothes),
        shoes=colour(0.05, 0.4, 0.2),
        long_top=bool(rng.random() < 0.3),
        sleeves=bool(rng.random() < 0.75),
        wall=wall,
        floor=colour(0.45, 0.75, 0.15),
        furniture=tuple(tuple(float(v) for v in row) for row in furniture),
        stripe=float(rng.uniform(0.4, 1.2)),
        azimuth=float(rng.uniform(-25, 25)),
        elevation=float(rng.uniform(0, 8)),
        zoom=float(rng.uniform(0.8, 0.92)),
        light=float(rng.uniform(0.8, 1.15)),
        gamma=float(rng.uniform(0.85, 1.2)),
        lamp=float(rng.uniform(40, 140)),
        noise=float(rng.uniform(0.003, 0.02)),
    )


def draw_view(rng: np.random.Generator) -> View:
    """Returns the view of one video."""
    return View(
        to_the_right=bool(rng.random() < 0.5),
        azimuth=float(rng.uniform(-6, 6)),
        zoom=float(rng.uniform(0.97, 1.03)),
    )


def render(tracks: Floats, look: Look, view: View, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Returns the frames [T, N, N, 3] of joints [T, J, 3]; `rng` draws the sensor's noise alone."""
    camera, scale = smooth_course(tracks[:, JOINT["pelvis"], 0]), pixels_per_leg(look, view, size)
    flat, depth = project(tracks, camera, look, view, scale, size)  # [T, J, 2], [J]
    room = room_wall(look, size, scale)
    turn = np.cos(np.radians(look.azimuth + view.azimuth)) * (1 if view.to_the_right else -1)
    frames = np.empty((len(tracks), size, size, 3), dtype=np.uint8)
    lamp = np.radians(look.lamp)
    for first in range(0, len(tracks), FRAMES_AT_ONCE):
        part = slice(first, first + FRAMES_AT_ONCE)
        canvas = passing_background(room, camera[part] * turn * scale, size)
        draw_shadows(canvas, flat[part], size, scale)
        for a, b, start, end, colour in capsules(look, depth):
            draw_capsule(canvas, flat[part, a], flat[part, b], start * scale, end * scale, np.array(colour), lamp)
        frames[part] = develop(canvas, look, rng)
    return frames


def develop(canvas: Image, look: Look, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Returns a canvas [T, N, N, 3] as the camera stores it: with noise, light and gamma; the canvas is overwritten."""
    curve = (255 * np.linspace(0, 1, 1024) ** look.gamma + 0.5).astype(np.uint8)  # 5 times faster than a power
    noise = rng.standard_normal(canvas.shape[:3], dtype=np.float32) * np.float32(1023 * look.noise)
    canvas *= np.float32(1023 * look.light)
    canvas += noise[..., None]
    return np.asarray(curve[np.clip(canvas, 0, 1023, out=canvas).astype(np.uint16)])


def joint_pixels(tracks: Floats, look: Look, view: View, size: int) -> NDArray[np.float32]:
    """Returns where `render` draws the joints: x from the left and y from the top in pixels, [T, J, 2]."""
    camera = smooth_course(tracks[:, JOINT["pelvis"], 0])
    return project(tracks, camera, look, view, pixels_per_leg(look, view, size), size)[0]


def pixels_per_leg(look: Look, view: View, size: int) -> float:
    """Returns pixels per leg length."""
    return size * look.zoom * view.zoom / BODY_HEIGHT


def smooth_course(x: Floats) -> Floats:
    """Returns where the camera is: it follows along a cubic, so that it neither bobs nor stops with the walker."""
    index = np.arange(len(x))
    return np.asarray(np.polyval(np.polyfit(index, x, min(3, len(x) - 1)), index), dtype=np.float64)


def project(
    tracks: Floats, camera: Floats, look: Look, view: View, scale: float, size: int
) -> tuple[NDArray[np.float32], Floats]:
    """Returns pixel positions [T, J, 2] by weak perspective, and each joint's mean nearness [J]."""
    azimuth, elevation = np.radians(look.azimuth + view.azimuth), np.radians(look.elevation)
    forwards = tracks[..., 0] - camera[:, None]
    side, height = tracks[..., 2], tracks[..., 1]
    facing = 1 if view.to_the_right else -1  # walking to the right of the picture, the right leg is near
    across = facing * (forwards * np.cos(azimuth) - side * np.sin(azimuth))
    near = facing * (forwards * np.sin(azimuth) + side * np.cos(azimuth))
    up = height * np.cos(elevation) - near * np.sin(elevation)
    flat = np.stack([size / 2 + scale * across, floor_row(size, scale) - scale * up], axis=-1)
    return flat.astype(np.float32), near.mean(axis=0)


def floor_row(size: int, scale: float) -> float:
    return (size + 0.95 * BODY_HEIGHT * scale) / 2 + 0.02 * size


def room_wall(look: Look, size: int, scale: float) -> Image:
    """Returns one period [N, W, 3] of the wall and the floor, 8 leg lengths wide."""
    width = round(8 * scale)
    horizon = int(floor_row(size, scale) - (0.12 + 0.02 * look.elevation) * scale)
    rows = np.linspace(1.05, 0.92, size, dtype=np.float32)[:, None, None]
    room = np.ones((size, width, 3), dtype=np.float32) * np.array(look.wall, dtype=np.float32) * rows
    for left, wide, bottom, top, *colour in look.furniture:
        columns = np.arange(int(left * scale), int((left + wide) * scale)) % width
        room[int(horizon * (1 - top)) : int(horizon * (1 - bottom)), columns] = colour
    room[horizon:] = np.array(look.floor, dtype=np.float32) * np.linspace(0.9, 1.1, size - horizon)[:, None, None]
    count = max(1, round(8 / look.stripe))
    for i in range(count):
        room[horizon:, int(i * width / count)] *= 0.8
    room[horizon : horizon + 1] *= 0.7
    return room


def passing_background(room: Image, offsets: Floats, size: int) -> Image:
    """Returns the rooms [T, N, N, 3] that pass by, moved by parts of a pixel."""
    width = room.shape[1]
    canvas = np.empty((len(offsets), size, size, 3), dtype=np.float32)
    for i, offset in enumerate(offsets):
        whole = int(np.floor(offset))
        share = np.float32(offset - whole)
        columns = (np.arange(size + 1) + whole) % width
        strip = room[:, columns]
        canvas[i] = strip[:, :-1] * (1 - share) + strip[:, 1:] * share
    return canvas


def draw_shadows(canvas: Image, flat: NDArray[np.float32], size: int, scale: float) -> None:
    """Darkens the floor below each foot."""
    black = np.zeros(3)
    for side in ("left", "right"):
        heel, toe = (flat[:, JOINT[f"{side}_{end}"]].copy() for end in ("heel", "toe"))
        heel[:, 1] = toe[:, 1] = floor_row(size, scale) + 0.01 * scale
        draw_capsule(canvas, heel, toe, 0.05 * scale, 0.05 * scale, black, np.pi / 2, opacity=0.3)


def capsules(look: Look, depth: Floats) -> list[tuple[int, int, float, float, tuple[float, ...]]]:
    """Returns (joint, joint, radius, radius, colour) of each part, far ones first; radii in leg lengths."""
    right_is_near = depth[JOINT["right_shoulder"]] >= depth[JOINT["left_shoulder"]]
    near, far = ("right", "left") if right_is_near else ("left", "right")
    g = look.girth

    def shade(colour: tuple[float, ...], factor: float) -> tuple[float, ...]:
        return tuple(factor * c for c in colour)

    def leg(side: str, f: float) -> list[tuple[int, int, float, float, tuple[float, ...]]]:
        hip, knee, ankle, heel, toe = (JOINT[f"{side}_{j}"] for j in ("hip", "knee", "ankle", "heel", "toe"))
        thigh = shade(look.top if look.long_top else look.trousers, f)
        return [
            (heel, toe, 0.05, 0.035, shade(look.shoes, f)),
            (knee, ankle, 0.072 * g, 0.05 * g, shade(look.trousers, f)),
            (hip, knee, 0.115 * g, 0.08 * g, thigh),
        ]

    def arm(side: str, f: float) -> list[tuple[int, int, float, float, tuple[float, ...]]]:
        shoulder, elbow, wrist = (JOINT[f"{side}_{j}"] for j in ("shoulder", "elbow", "wrist"))
        return [
            (wrist, wrist, 0.05, 0.05, shade(look.skin, f)),
            (elbow, wrist, 0.05 * g, 0.04 * g, shade(look.top if look.sleeves else look.skin, f)),
            (shoulder, elbow, 0.068 * g, 0.055 * g, shade(look.top, f)),
        ]

    pelvis, spine, neck, head, face = (JOINT[name] for name in ("pelvis", "spine", "neck", "head", "face"))
    trunk = [
        (neck, head, 0.055, 0.055, look.skin),
        (pelvis, spine, 0.15 * g, 0.16 * g, shade(look.top, 0.9)),
        (spine, neck, 0.16 * g, 0.13 * g, shade(look.top, 0.9)),
        (head, head, 0.125, 0.125, look.hair),
        (face, face, 0.09, 0.09, look.skin),
    ]
    return [*arm(far, 0.7), *leg(far, 0.7), *leg(near, 1.0), *trunk, *arm(near, 1.15)]


def draw_capsule(
    canvas: Image,
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    radius_a: float,
    radius_b: float,
    colour: Floats,
    lamp: float,
    opacity: float = 1.0,
    relief: float = 0.22,
) -> None:
    """Draws one tapering capsule from a [T, 2] to b [T, 2] (x, y in pixels) into the canvas [T, N, N, 3], smooth-edged.

    A relief of 0 leaves it flat; `lamp` is the direction of the light in radians.
    """
    size, margin = canvas.shape[1], max(radius_a, radius_b) + 1.5
    low = np.floor(np.minimum(a, b).min(axis=0) - margin).astype(int).clip(0, size)
    high = np.ceil(np.maximum(a, b).max(axis=0) + margin).astype(int).clip(0, size)
    if (high <= low).any():
        return
    xs = np.arange(low[0], high[0], dtype=np.float32) + np.float32(0.5)
    ys = np.arange(low[1], high[1], dtype=np.float32)[:, None] + np.float32(0.5)
    dx, dy = xs - a[:, 0, None, None], ys - a[:, 1, None, None]  # [T, 1, w], [T, h, 1]
    along = b - a
    length = np.maximum((along**2).sum(axis=1), np.float32(1e-6))[:, None, None]
    share = np.clip((dx * along[:, 0, None, None] + dy * along[:, 1, None, None]) / length, 0, 1)
    dx, dy = dx - share * along[:, 0, None, None], dy - share * along[:, 1, None, None]
    radius = np.float32(radius_a) + np.float32(radius_b - radius_a) * share
    alpha = np.clip(radius - np.sqrt(dx * dx + dy * dy) + np.float32(0.5), 0, 1) * np.float32(opacity)
    light = (np.float32(np.cos(lamp)) * dx - np.float32(np.sin(lamp)) * dy) / radius
    shading = np.float32(0.95) + np.float32(relief) * light
    box = canvas[:, low[1] : high[1], low[0] : high[0]]
    for channel in range(3):
        box[..., channel] += alpha * (np.float32(colour[channel]) * shading - box[..., channel])
