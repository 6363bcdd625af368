"""Stagings: the many ways in which a training clip of the backbone `small` may show a walker.

A cohort shows clothed figures from the side before a light wall, filmed by a camera that follows. Real material differs:
figures drawn from motion capture, stick figures, silhouettes, white shirts before a dark curtain, treadmills, fixed
cameras, oblique views, loose and tight crops. Letters: T frames, J joints, N pixels of a side, W pixels of a period.
"""

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trainables.simulation.renderer import (
    Image,
    Look,
    View,
    capsules,
    develop,
    draw_capsule,
    draw_shadows,
    floor_row,
    passing_background,
    pixels_per_leg,
    project,
    room_wall,
    smooth_course,
)
from trainables.simulation.walker import JOINT, Floats

Colour = tuple[float, ...]
Capsule = tuple[int, int, float, float, Colour]

STYLES = {"clothed": 0.45, "flat": 0.25, "lines": 0.15, "silhouette": 0.15}
"""Share of each: shaded clothes; limbs of one thickness, each in a flat colour; a stick figure; one colour throughout."""
BACKDROPS = {"room": 0.3, "plain": 0.3, "curtain": 0.3, "blotches": 0.1}
STILL_SHARE = 0.35
"""Share of clips whose background stands still while the camera stays on the walker, as on a treadmill."""
CROSSING_SHARE = 0.25
"""Share of clips in which the walker crosses the frame, because the camera stands or lags."""
OBLIQUE_SHARE = 0.4
"""Share of clips whose camera is turned by up to 60 degrees; the others keep a cohort's up to 25."""
MASKED_SHARE = 0.15
"""Share of clothed clips whose head is blurred to a grey blob."""
MOST_CROSSING = 0.2
"""Farthest distance from the frame's middle that a crossing walker reaches, in frame sizes."""


UPPER = {"spine", "neck", "head", "face", "shoulder", "elbow", "wrist"}
"""Joints above the pelvis, without their side."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Staging:
    """How one clip shows its walker."""

    look: Look
    view: View
    style: str
    """Of STYLES."""
    backdrop: str
    """Of BACKDROPS."""
    follow: float
    """Share of the walker's way that the camera goes along; 1 keeps the walker in the middle."""
    still: bool
    """Whether the background stands still although the camera follows."""
    shift: tuple[float, float]
    """Of the whole picture, right and down, in frame sizes."""
    upper: float
    """Length of trunk, arms and head against the average."""
    broad: float
    """Width of shoulders and hips against the average."""
    head: float
    """Size of the head against the average."""
    thickness: float
    """Radius of limbs in the styles 'flat' and 'lines', in leg lengths."""
    masked: bool
    colours: tuple[Colour, ...]
    """Of legs, arms, trunk, head and mask in the styles that are not clothed."""
    texture: int
    """Seed of curtains and blotches."""


def draw_staging(look: Look, view: View, rng: np.random.Generator) -> Staging:
    """Returns a staging for one clip of a person with this look; nothing of it depends on the gait."""
    wall = _any_colour(rng)
    style = _draw(STYLES, rng)
    crossing, oblique = rng.random() < CROSSING_SHARE, rng.random() < OBLIQUE_SHARE
    tops = tuple(_unlike(wall, rng, 0.3) for _ in range(4))
    if style == "silhouette":
        tops = (_unlike(wall, rng, 0.45),) * 4
    elif rng.random() < 0.3:
        tops = (tops[0],) * 4 if style == "lines" else (tops[0], tops[1], tops[1], tops[3])
    turn = 60.0 if oblique else 25.0
    changed = replace(
        look,
        wall=wall,
        floor=wall if rng.random() < 0.2 else _any_colour(rng),
        top=tops[1],
        trousers=tops[0],
        shoes=_unlike(wall, rng, 0.15),
        hair=tops[3],
        girth=float(look.girth * rng.uniform(0.8, 1.25)),
        azimuth=float(rng.uniform(-turn, turn)),
        elevation=float(rng.uniform(0, 12)),
        zoom=float(rng.uniform(0.6, 0.85) if crossing else rng.uniform(0.65, 1.0)),
        noise=float(rng.uniform(0, 0.03)),
    )
    return Staging(
        look=changed,
        view=view,
        style=style,
        backdrop=_draw(BACKDROPS, rng),
        follow=float(rng.uniform(0, 0.9)) if crossing else 1.0,
        still=bool(rng.random() < STILL_SHARE),
        shift=(float(rng.uniform(-0.06, 0.06)), float(rng.uniform(-0.04, 0.05))),
        upper=float(rng.uniform(0.9, 1.15)),
        broad=float(rng.uniform(0.85, 1.3)),
        head=float(rng.uniform(0.8, 1.3)),
        thickness=float(rng.uniform(0.025, 0.045) if style == "lines" else rng.uniform(0.04, 0.085)),
        masked=bool(style == "clothed" and rng.random() < MASKED_SHARE),
        colours=(*tops, (float(rng.uniform(0.3, 0.7)),) * 3),
        texture=int(rng.integers(2**31)),
    )


def stage(tracks: Floats, staging: Staging, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Returns the frames [T, N, N, 3] of joints [T, J, 3]; `rng` draws the sensor's noise alone."""
    flat, depth, camera, scale = _seen(tracks, staging, size)
    look, view = staging.look, staging.view
    turn = np.cos(np.radians(look.azimuth + view.azimuth)) * (1 if view.to_the_right else -1)
    offsets = np.zeros(len(tracks)) if staging.still else camera * turn * scale
    canvas = passing_background(_backdrop(staging, size, scale), offsets, size)
    if staging.style == "clothed":
        draw_shadows(canvas, flat, size, scale)
    relief = 0.22 if staging.style == "clothed" else 0.0
    lamp = np.radians(look.lamp)
    for a, b, start, end, colour in _parts(staging, depth):
        draw_capsule(canvas, flat[:, a], flat[:, b], start * scale, end * scale, np.array(colour), lamp, relief=relief)
    return develop(canvas, look, rng)


def staged_joint_pixels(tracks: Floats, staging: Staging, size: int) -> NDArray[np.float32]:
    """Returns where `stage` draws the joints: x from the left and y from the top in pixels, [T, J, 2]."""
    return _seen(tracks, staging, size)[0]


def _seen(tracks: Floats, staging: Staging, size: int) -> tuple[NDArray[np.float32], Floats, Floats, float]:
    """Returns pixel positions [T, J, 2], nearness [J], the camera's course [T] and pixels per leg length."""
    shaped = _reshaped(tracks, staging)
    scale = pixels_per_leg(staging.look, staging.view, size)
    course = smooth_course(shaped[:, JOINT["pelvis"], 0])
    away = (course - course.mean()) * (1 - staging.follow)
    limit = MOST_CROSSING * size / scale
    camera = course - np.clip(away, -limit, limit)
    flat, depth = project(shaped, camera, staging.look, staging.view, scale, size)
    return flat + np.array(staging.shift, dtype=np.float32) * size, depth, camera, scale


def _reshaped(tracks: Floats, staging: Staging) -> Floats:
    """Returns the joints of a body with other proportions, [T, J, 3]; the legs keep their length."""
    shaped = tracks.copy()
    pelvis = tracks[:, JOINT["pelvis"]][:, None]
    above = [i for name, i in JOINT.items() if name.split("_")[-1] in UPPER]
    shaped[:, above] = pelvis + (tracks[:, above] - pelvis) * np.array([staging.upper, staging.upper, staging.broad])
    hips = [JOINT["left_hip"], JOINT["right_hip"]]
    shaped[:, hips, 2] = pelvis[..., 2] + (tracks[:, hips, 2] - pelvis[..., 2]) * staging.broad
    return shaped


def _parts(staging: Staging, depth: Floats) -> list[Capsule]:
    """Returns the capsules of the figure, far ones first."""
    head, face = JOINT["head"], JOINT["face"]
    if staging.style == "clothed":
        parts = capsules(staging.look, depth)
        if staging.masked:
            parts.append((head, face, 0.2, 0.2, staging.colours[4]))
        return parts
    right_is_near = depth[JOINT["right_shoulder"]] >= depth[JOINT["left_shoulder"]]
    near, far = ("right", "left") if right_is_near else ("left", "right")
    legs, arms, trunk, skull, _ = staging.colours
    dim = 1.0 if staging.style == "silhouette" else 0.7
    r, lines = staging.thickness, staging.style == "lines"

    def limb(side: str, joints: tuple[str, ...], colour: Colour, light: float) -> list[Capsule]:
        links = itertools.pairwise(joints)
        shade = tuple(light * c for c in colour)
        return [(JOINT[f"{side}_{a}"], JOINT[f"{side}_{b}"], r, r, shade) for a, b in links]

    leg, arm = ("hip", "knee", "ankle", "toe"), ("shoulder", "elbow", "wrist")
    width = r if lines else max(0.1, 1.8 * r)
    left_shoulder, right_shoulder = JOINT["left_shoulder"], JOINT["right_shoulder"]
    middle: list[Capsule] = [
        (JOINT["pelvis"], JOINT["spine"], width, width, trunk),
        (JOINT["spine"], JOINT["neck"], width, width, trunk),
        (left_shoulder, right_shoulder, r, r, trunk),
        (JOINT["left_hip"], JOINT["right_hip"], r, r, trunk),
        (JOINT["neck"], head, 0.6 * r, 0.6 * r, trunk),
        (head, head, 0.12 * staging.head, 0.12 * staging.head, skull),
    ]
    return [
        *limb(far, arm, arms, dim),
        *limb(far, leg, legs, dim),
        *middle,
        *limb(near, leg, legs, 1.0),
        *limb(near, arm, arms, 1.0),
    ]


def _backdrop(staging: Staging, size: int, scale: float) -> Image:
    """Returns one period of what stands behind the walker, [N, W, 3] with W of 8 leg lengths and at least N pixels."""
    look, rng = staging.look, np.random.default_rng(staging.texture)
    if staging.backdrop == "room":
        return room_wall(look, size, scale)
    width = max(round(8 * scale), size + 1)
    wall = np.ones((size, width, 3), dtype=np.float32) * np.array(look.wall, dtype=np.float32)
    if staging.backdrop == "curtain":
        x = np.arange(width) / width * 2 * np.pi
        folds = sum(rng.uniform(0, 0.08) * np.cos(int(rng.integers(4, 60)) * x + rng.uniform(0, 6)) for _ in range(4))
        wall *= (1 + np.asarray(folds, dtype=np.float32))[None, :, None]
    elif staging.backdrop == "blotches":
        grid = rng.uniform(-0.12, 0.12, (int(rng.integers(2, 7)), int(rng.integers(4, 16)), 3)).astype(np.float32)
        rows = np.arange(size) * len(grid) // size
        columns = np.arange(width) * grid.shape[1] // width
        wall += grid[rows][:, columns]
    ground = floor_row(size, scale) + staging.shift[1] * size - rng.uniform(0, 0.3) * scale * (rng.random() < 0.6)
    top = int(np.clip(ground, 0, size))
    if rng.random() < 0.75:
        wall[top:] = np.array(look.floor, dtype=np.float32)
        lines = np.arange(0, width, max(4, round(look.stripe * scale / 2)))
        if rng.random() < 0.6:  # slanting tile edges
            for depth, row in enumerate(range(top, size)):
                wall[row, (lines + depth) % width] *= 0.7
    return np.asarray(np.clip(wall, 0, 1), dtype=np.float32)


def _any_colour(rng: np.random.Generator) -> Colour:
    """Returns a light, a dark or a saturated colour."""
    kind = rng.random()
    low, high = (0.6, 0.98) if kind < 0.45 else (0.0, 0.4) if kind < 0.75 else (0.05, 0.95)
    saturation = 0.15 if kind < 0.4 else 0.5
    return tuple(float(c) for c in np.clip(rng.uniform(low, high) + saturation * rng.uniform(-0.5, 0.5, 3), 0, 1))


def _unlike(colour: Colour, rng: np.random.Generator, distance: float) -> Colour:
    """Returns a colour whose mean absolute difference from another is at least `distance`."""
    while True:
        other = rng.uniform(0, 1, 3) if rng.random() < 0.6 else np.full(3, rng.uniform(0, 1))
        if np.abs(other - np.array(colour)).mean() >= distance:
            return tuple(float(c) for c in other)


def _draw(shares: dict[str, float], rng: np.random.Generator) -> str:
    return str(rng.choice(list(shares), p=list(shares.values())))
