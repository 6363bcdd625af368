"""Training clips of the backbone `small`: 8 frames of a 70-frame window of a simulated walker, as a camera would store them.

The people are drawn with seeds from COHORT_SEEDS on, which no cohort may have: none of them is in any cohort. None belongs
to a group either: every trait is spread evenly over its range, whatever the others are.
"""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import IO

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.backbones.sentences import values_of
from trainables.backbones.stagings import draw_staging, stage, staged_joint_pixels
from trainables.simulation.cohort import COHORT_SEEDS, FPS, Subject, Walk, draw_walk, write_frames
from trainables.simulation.gait_groups import draw_free_traits
from trainables.simulation.renderer import draw_look, joint_pixels, render
from trainables.simulation.walker import JOINT, PAIRED, Floats

FRAMES, WINDOW, SECONDS = 8, 70, 5.0
PLAIN_SHARE = 0.4
"""Share of people who are shown as in a cohort; each clip of the others has a staging of its own."""
CODEC_SHARE = 0.4
"""Share of clips that go through H.264."""
SIZES = (64, 80, 96, 112)
"""Pixels at which a clip is rendered before it is brought to the backbone's."""


LEAD_SCALE = 0.3
"""Of leads in a pose, which a part of the clips does not show: without it their errors outweigh all others'."""
LEFT, RIGHT = ([JOINT[f"{side}_{joint}"] for joint in PAIRED] for side in ("left", "right"))


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Rendered clips in memory, and the walks that they show."""

    pixels: NDArray[np.uint8]
    """[N, T, 3, H, W]."""
    walks: tuple[Walk, ...]
    """[N]; group and score of the subjects are '' and -1; joints of the T frames alone."""
    traits: NDArray[np.float32]
    """[N, traits]: standardised, for the auxiliary regression."""
    joints: NDArray[np.float32]
    """[N, T, J, 2]: where the joints are, x and y from the frame's middle in frame sizes; of each pair the rear one first."""
    poses: NDArray[np.float32]
    """[N, T, 2J + pairs]: the same whatever the view, in leg lengths: forwards and height from the pelvis of each joint, of each
    pair the rear one first, and how far the near one of each pair is ahead of the far one."""
    plain: NDArray[np.bool_]
    """[N]: shown as in a cohort."""


def render_clips(people: int, clips_each: int, image_size: int, seed: int, workers: int) -> Clips:
    """Returns `people * clips_each` clips, of `people` subjects that no cohort has."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        made = list(pool.map(lambda i: list(_person(COHORT_SEEDS + seed, i, clips_each, image_size)), range(people)))
    walks = tuple(walk for clips in made for walk, *_ in clips)
    joints = np.stack([joints for clips in made for _, _, joints, _ in clips])
    to_the_right = np.array([walk.view.to_the_right for walk in walks])
    values = np.array([_traits(walk) for walk in walks])
    spread = values.std(axis=0)
    return Clips(
        pixels=np.stack([pixels for clips in made for _, pixels, _, _ in clips]),
        walks=walks,
        traits=((values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)).astype(np.float32),
        joints=_rear_first(joints, to_the_right),
        poses=_poses(np.stack([walk.joints for walk in walks]), to_the_right),
        plain=np.array([plain for clips in made for *_, plain in clips]),
    )


def _rear_first(joints: NDArray[np.floating], to_the_right: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Returns joints [N, T, J, 2] with the rear one of each pair in the left one's place.

    Which leg is the near one cannot be seen in a silhouette, and only by its shade in other styles: with the near one
    in a place of its own, training stays for long at the mean of both legs.
    """
    forwards = np.where(to_the_right, 1, -1)[:, None, None]
    left, right = joints[:, :, LEFT], joints[:, :, RIGHT]
    turned = (forwards * left[..., 0] > forwards * right[..., 0])[..., None]
    placed = joints.astype(np.float32)
    placed[:, :, LEFT], placed[:, :, RIGHT] = np.where(turned, right, left), np.where(turned, left, right)
    return placed


def _poses(tracks: Floats, to_the_right: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Returns the poses of joints [N, T, J, 3] in leg lengths."""
    from_pelvis = tracks[..., :2] - tracks[:, :, [JOINT["pelvis"]], :2]
    near_is_right = np.where(to_the_right, 1, -1)[:, None, None]
    leads = LEAD_SCALE * (tracks[:, :, RIGHT, 0] - tracks[:, :, LEFT, 0]) * near_is_right
    pose = _rear_first(from_pelvis, np.ones_like(to_the_right)).reshape(*tracks.shape[:2], -1)
    return np.concatenate([pose, leads], axis=-1).astype(np.float32)


def _traits(walk: Walk) -> list[float]:
    values = values_of(walk.gait, walk.parameters)
    return [*values.values(), *walk.gait.arm_swing]


def _person(
    seed: int, index: int, count: int, image_size: int
) -> Iterator[tuple[Walk, NDArray[np.uint8], NDArray[np.float32], bool]]:
    """Yields walk, pixels, joints and whether it is shown as in a cohort, for each clip of a person of no group."""
    rng = np.random.default_rng(np.random.SeedSequence((seed, index, 99)))
    look, traits = draw_look(rng), draw_free_traits(rng)
    subject = Subject(name=f"T{index}", group="", score=-1, look=look, traits=traits)
    plain = bool(rng.random() < PLAIN_SHARE)
    for number in range(count):
        walk = draw_walk(subject, seconds=SECONDS, stream=(seed, index, number))
        start = int(rng.integers(0, round(SECONDS * FPS) - WINDOW + 1))
        joints = walk.joints[start + np.linspace(0, WINDOW - 1, FRAMES).round().astype(int)]
        size = int(rng.choice(SIZES))
        if plain:
            frames = render(joints, look, walk.view, size, rng)
            where = joint_pixels(joints, look, walk.view, image_size)
        else:
            staging = draw_staging(look, walk.view, rng)
            frames = stage(joints, staging, size, rng)
            where = staged_joint_pixels(joints, staging, image_size)
        if rng.random() < CODEC_SHARE:
            frames = through_codec(frames, quality=int(rng.integers(18, 29)))
        placed = (where / image_size - 0.5).astype(np.float32)
        yield replace(walk, joints=joints), to_backbone(frames, image_size), placed, plain


def through_codec(frames: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Returns the frames [T, N, N, 3] after H.264 and back."""
    memory = io.BytesIO()
    write_frames(memory, frames, quality=quality)
    memory.seek(0)
    return decoded(memory)


def decoded(file: str | IO[bytes]) -> NDArray[np.uint8]:
    """Returns all frames [T, H, W, 3] of a video, by PyAV."""
    with av.open(file, "r") as container:
        return np.stack([frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in container.decode(video=0)])


def to_backbone(frames: NDArray[np.uint8], image_size: int) -> NDArray[np.uint8]:
    """Returns square frames [T, N, N, 3] as [T, 3, image_size, image_size] by antialiased bicubic resizing."""
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    small: Tensor = torch.nn.functional.interpolate(
        pixels, size=(image_size, image_size), mode="bicubic", antialias=True, align_corners=False
    )
    return small.round().clamp(0, 255).to(torch.uint8).numpy()
