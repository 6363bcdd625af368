"""Training clips of the backbone `small`: 8 frames of a 70-frame window of a simulated walker, as a camera would store them.

The people are drawn with seeds from COHORT_SEEDS on, which no cohort may have: none of them is in any cohort.
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
from trainables.data.figure import joint_pixels
from trainables.data.gait_groups import GROUPS, SCORES, draw_free_traits
from trainables.data.simulate import COHORT_SEEDS, FPS, Walk, draw_subject, draw_walk, write_frames
from trainables.data.walker import JOINT, JOINTS

FRAMES, WINDOW, SECONDS = 8, 70, 5.0
FREE_SHARE = 0.5
"""Share of people of no group, whose traits are independent, so that each trait is learned for itself."""
CODEC_SHARE = 0.6
"""Share of clips that go through H.264."""
SIZES = (96, 112, 112, 144)
"""Pixels at which a clip is rendered before it is brought to the backbone's."""


MIRRORED = [JOINT[name.replace("left_", "?").replace("right_", "left_").replace("?", "right_")] for name in JOINTS]
"""Order of the joints with left and right exchanged."""


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Rendered clips in memory, and the walks that they show."""

    pixels: NDArray[np.uint8]
    """[N, T, 3, H, W]."""
    walks: tuple[Walk, ...]
    """[N]; group and score of the subject are '' and -1 for people of no group."""
    traits: NDArray[np.float32]
    """[N, traits]: standardised, for the auxiliary regression."""
    joints: NDArray[np.float32]
    """[N, T, J, 2]: where the joints are, x and y from the frame's middle in frame sizes; of each pair the far one first."""


def render_clips(people: int, clips_each: int, image_size: int, seed: int, workers: int) -> Clips:
    """Returns `people * clips_each` clips, of `people` subjects that no cohort has."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        made = list(pool.map(lambda i: list(_person(COHORT_SEEDS + seed, i, clips_each, image_size)), range(people)))
    walks = tuple(walk for clips in made for walk, _, _ in clips)
    values = np.array([_traits(walk) for walk in walks])
    spread = values.std(axis=0)
    return Clips(
        pixels=np.stack([pixels for clips in made for _, pixels, _ in clips]),
        walks=walks,
        traits=((values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)).astype(np.float32),
        joints=np.stack([joints for clips in made for _, _, joints in clips]),
    )


def _traits(walk: Walk) -> list[float]:
    values = values_of(walk.gait, walk.parameters)
    return [*values.values(), walk.gait.freezing, walk.gait.arm_swing[0], walk.gait.arm_swing[1]]


def _person(
    seed: int, index: int, count: int, image_size: int
) -> Iterator[tuple[Walk, NDArray[np.uint8], NDArray[np.float32]]]:
    rng = np.random.default_rng(np.random.SeedSequence((seed, index, 99)))
    group = str(rng.choice(GROUPS))
    score = int(rng.choice(4, p=SCORES[group]))
    subject = draw_subject(seed, index, name=f"T{index}", group=group, score=score)
    if rng.random() < FREE_SHARE:
        subject = replace(subject, group="", score=-1, traits=draw_free_traits(rng))
    for number in range(count):
        walk = draw_walk(subject, seconds=SECONDS, stream=(seed, index, number))
        start = int(rng.integers(0, round(SECONDS * FPS) - WINDOW + 1))
        chosen = start + np.linspace(0, WINDOW - 1, FRAMES).round().astype(int)
        clip = replace(walk, joints=walk.joints[chosen])
        frames = clip.frames(int(rng.choice(SIZES)))
        if rng.random() < CODEC_SHARE:
            frames = through_codec(frames, quality=int(rng.integers(18, 29)))
        where = joint_pixels(clip.joints, subject.look, clip.view, image_size) / image_size - 0.5
        if not clip.view.to_the_right:  # the right leg is the far one
            where = where[:, MIRRORED]
        yield replace(walk, joints=walk.joints[:1]), to_backbone(frames, image_size), where.astype(np.float32)


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
