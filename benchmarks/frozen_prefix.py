"""Prints an epoch of text-only tuning, and of prompts from the second layer on, with the frozen layers computed once and in each step.

    python benchmarks/frozen_prefix.py

The embedded cohort and backbone, one fold of three, on one core. An epoch is 20 steps; what is computed once is timed by itself.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from platform.options import SearchOptions

import numpy as np
import torch

from benchmarks.figures import Figure, as_a_worker, figure, in_turns, parser, show, timed
from benchmarks.inside_a_trial import embedded
from trainables.ray_loop import open_jobs
from trainables.training.distributed import Workers
from trainables.training.draws import Draws
from trainables.training.fold import prepare, train_epoch
from trainables.training.frozen_prefix import use_prefix
from trainables.training.job import FoldJob
from trainables.training.monitor import Monitor
from trainables.training.optimizer import make_optimizer

STEPS = 20


def main() -> None:
    """Measures and prints the figures."""
    as_a_worker()
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    torch.set_num_threads(1)  # as one of the default's workers
    with tempfile.TemporaryDirectory() as folder:
        cache, study = embedded(Path(folder))
        job = open_jobs(study, cache, ["prefix"], "cpu")[0]
        layers = int(job.frozen.backbone.clip.config.vision_config.num_hidden_layers)
        for layer, what in ((layers, "text-only tuning"), (1, "prompts from the second layer on")):
            show(figures(job, layer, what, given.rounds))


def figures(job: FoldJob, layer: int, what: str, rounds: int) -> Iterator[Figure]:
    """Yields the figures of prompts that begin at a layer."""
    epoch = Epoch(job, layer)
    data = epoch.draws.data
    once = timed(lambda: use_prefix(epoch.task.model, data, job.cache, job.frozen.backbone))
    prefix = data.prefix

    def run(cached: bool) -> float:
        data.prefix = prefix if cached else None
        return timed(epoch.run)

    run(True)
    yield figure(f"an epoch of {STEPS} steps, {what}, frozen layers computed once ({once:.1f} s for {len(data.names)} videos)",
                 in_turns(lambda: run(True), lambda: run(False), rounds), unit="s", beside="in each step")  # fmt: skip


class Epoch:
    """One epoch of training that can be run again."""

    def __init__(self, job: FoldJob, layer: int):
        values = {"video.first_prompted_layer": layer, "optimizer.steps": STEPS, "optimizer.epochs": 1}
        config = SearchOptions().reference().with_values(values).effective()
        self.job, self.task = job, prepare(config, job, Workers(), torch.device("cpu"))
        data = job.training(config)
        self.task.begin(data, job.cache, job.frozen.backbone, job.fold.index)
        data.prefix = None
        for path in job.cache.glob("*-prefix-*.npy"):  # so that computing them once is timed
            path.unlink()
        self.draws = Draws(data, config.optimizer, config.augment)
        self.optimizer, self.schedule = make_optimizer(self.task.model, config.optimizer, 1000 * STEPS)

    def run(self) -> None:
        """Takes the epoch's steps."""
        monitor = Monitor(None, self.task.workers)
        monitor.begin(1, STEPS, self.task.config.numeracy.weight, done=0, curve=())
        losses = train_epoch(self.task, self.job, self.draws, 0, self.optimizer, self.schedule, monitor)
        assert np.isfinite(losses["loss"])


if __name__ == "__main__":
    main()
