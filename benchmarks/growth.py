"""Prints how a training step grows with frames, prompt length and batch, on the embedded backbone.

    python benchmarks/growth.py

Seconds of a step beside the step of the reference (T = 8, prompt length 8, batch 4), in turns; random weights and pixels.
"""

from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.figures import Figure, as_a_worker, figure, in_turns, parser, show, timed
from trainables.config import PUBLISHED, TrainConfig
from trainables.knowledge.tasks import load_task
from trainables.model.backbone import load_backbone
from trainables.model.gait_clip import build
from trainables.training.distributed import Workers
from trainables.training.job import Batch
from trainables.training.step import GaitTask

REFERENCE = (8, 8, 4)
"""T, prompt length, windows of a batch."""
POINTS = (
    (4, 8, 4),
    (16, 8, 4),
    (35, 8, 4),
    (70, 8, 4),
    (8, 0, 4),
    (8, 32, 4),
    (8, 8, 1),
    (8, 8, 2),
    (8, 8, 8),
    (8, 8, 16),
)


def main() -> None:
    """Measures and prints the figures."""
    as_a_worker()
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    torch.set_num_threads(1)
    show(figures(given.rounds))


def figures(rounds: int) -> Iterator[Figure]:
    """Yields the figures."""
    steps = {point: Step(*point) for point in (REFERENCE, *POINTS)}
    for point in POINTS:
        yield figure("step at T = {}, prompt length {}, batch {}".format(*point),
                     in_turns(steps[point].seconds, steps[REFERENCE].seconds, rounds), unit="s",
                     beside="T = {}, prompt length {}, batch {}".format(*REFERENCE))  # fmt: skip


class Step:
    """A training step of one size, taken once before it is timed."""

    def __init__(self, frames: int, n_ctx: int, batch: int):
        backbone, task = load_backbone("small"), load_task("diagnosis")
        config = TrainConfig().with_values(
            PUBLISHED
            | {"video.frames": frames, "text.n_ctx": n_ctx, "text.knowledge": False, "numeracy.enabled": False}
        )
        model = build(backbone, task, config, None, seed=0)
        self.task = GaitTask(model, config, None, ordinal=False, workers=Workers(), device=torch.device("cpu"))
        size = backbone.image_size
        pixels = torch.randint(0, 256, (batch, frames, 3, size, size), dtype=torch.uint8)
        self.batch = Batch(frames=pixels, labels=torch.arange(batch) % 3, videos=np.arange(batch))
        self.seconds()

    def seconds(self) -> float:
        """Takes the step and returns its seconds."""
        return timed(lambda: self.task.backward(self.batch, len(self.batch.labels), np.random.default_rng(0)))


if __name__ == "__main__":
    main()
