"""Model and losses together: what one optimiser step computes."""

import numpy as np
import torch
from torch import Tensor

from trainables.config import TrainConfig
from trainables.errors import ConfigurationError, StridefoldError
from trainables.model.gait_clip import GaitCLIP
from trainables.model.numeracy import NumericMemory
from trainables.training.job import Batch
from trainables.training.losses import numeric_loss, pairing_loss, video_loss
from trainables.training.parallel import Workers
from trainables.training.precision import products


class GaitTask:
    """The knowledge-augmented video CLIP with its losses on one fold's training data."""

    def __init__(
        self,
        model: GaitCLIP,
        config: TrainConfig,
        memory: NumericMemory | None,
        *,
        ordinal: bool,
        workers: Workers,
        device: torch.device,
    ):
        self.model, self.config, self.memory = model, config, memory
        self.workers, self.device = workers, device
        self.beta = config.optimizer.ordinal_beta if ordinal else 0.0
        self.products = products(config.optimizer.precision, device)
        if model.pairing is not None and (workers.count > 1 or config.optimizer.accumulation > 1):
            raise ConfigurationError(
                "numeracy.video_weight compares the videos of a whole batch, so it needs one worker and accumulation 1; "
                f"there are {workers.count} workers and accumulation {config.optimizer.accumulation}"
            )

    def backward(self, batch: Batch, batch_size: int, generator: np.random.Generator) -> dict[str, float]:
        """Adds the gradients of one step over all workers' windows and returns the losses of this worker's share.

        The class texts are read once a step: windows are cut into micro-batches whose gradients meet at the class
        features, and go through the text encoder together.

        Args:
            batch: this worker's share; may be empty.
            batch_size: windows of all workers' shares.
            generator: draws the numerical records, the same on every worker.

        Raises:
            StridefoldError: A gradient is not finite, on whichever worker.
        """
        losses = {"video": 0.0, "numeric": 0.0, "pairing": 0.0}
        with self.products:
            text = self.model.class_features().float()
        classes = text.detach().requires_grad_()
        share = len(batch.labels) / batch_size
        for rows in torch.arange(len(batch.labels)).tensor_split(self.config.optimizer.accumulation):
            if len(rows):
                part = self._video_losses(batch, rows, classes)
                sum(part.values(), torch.zeros((), device=self.device)).div(batch_size).backward()  # type: ignore[union-attr]
                losses = {
                    name: losses[name] + float(part[name].detach() if name in part else 0.0) / batch_size
                    for name in losses
                }
        if self.memory is not None and self.memory.size and self.config.numeracy.weight:
            numeric = self._numeric_loss(classes, generator)
            (self.config.numeracy.weight * numeric / self.workers.count).backward()
            losses["numeric"] = float(numeric.detach()) * share
        if classes.grad is not None:
            text.backward(classes.grad)
        if not self.workers.sum_gradients(p for _, p in self.model.trained()):
            raise StridefoldError(
                f"a gradient is not finite (losses {losses}); a lower learning rate than {self.config.optimizer.lr:g} may help"
            )
        return losses

    def _video_losses(self, batch: Batch, rows: Tensor, classes: Tensor) -> dict[str, Tensor]:
        """Returns the summed losses of some windows of a batch."""
        optimizer = self.config.optimizer
        labels = batch.labels[rows].to(self.device)
        with self.products:
            features = self.model.encode(batch.frames[rows].to(self.device, non_blocking=True))
        logits = self.model.logits(features.video.float(), classes)
        weighted = video_loss(
            logits,
            labels,
            gamma=optimizer.focal_gamma,
            alpha=optimizer.focal_alpha,
            beta=self.beta,
            through_weight=optimizer.focal_gradient,
        )
        losses = {"video": weighted.sum()}
        if self.model.pairing is not None and self.memory is not None and features.summary is not None:
            videos = batch.videos[rows.numpy()]
            measured = (self.memory.bins[videos] >= 0).any(1)
            if measured.sum() > 1:
                own = self._own_numbers(videos[measured])
                kept = torch.from_numpy(np.flatnonzero(measured)).to(self.device)
                pair = pairing_loss(*self.model.pair(features.summary.float()[kept], own))
                losses["pairing"] = self.config.numeracy.video_weight * pair.sum()
        return losses

    def _own_numbers(self, videos: np.ndarray) -> Tensor:
        """Returns the mean feature of each video's measured parameters, [B, D]."""
        assert self.memory is not None
        features = self.memory.features[torch.from_numpy(videos)]
        count = torch.from_numpy((self.memory.bins[videos] >= 0).sum(1))
        return (features.sum(1).cpu() / count[:, None]).to(self.device)

    def _numeric_loss(self, classes: Tensor, generator: np.random.Generator) -> Tensor:
        assert self.memory is not None
        assert self.model.numeric is not None
        records, labels = self.memory.draw(self.config.numeracy.memory_batch, generator)
        logits = self.model.numeric(self.memory.record_features(records).to(self.device), classes)
        present = torch.tensor([len(r) > 0 for r in self.memory.records], device=self.device)
        return numeric_loss(logits, torch.from_numpy(labels).to(self.device), present)

    @torch.inference_mode()
    def probabilities(self, frames: Tensor, classes: Tensor) -> Tensor:
        """Returns class probabilities of uint8 windows, [B, C] in float32 on the CPU."""
        with self.products:
            video = self.model.encode(frames.to(self.device, non_blocking=True)).video
        return self.model.logits(video.float(), classes).softmax(-1).float().cpu()
