"""Model and losses together: what one optimiser step computes."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trainables.config import TrainConfig
from trainables.data.dataset import WindowDataset
from trainables.errors import ConfigurationError, StridefoldError
from trainables.model.backbone import Backbone
from trainables.model.gait_clip import GaitCLIP
from trainables.model.motion import MotionBasis, MotionReadout
from trainables.model.numeracy import NumericMemory
from trainables.training.job import Batch
from trainables.training.losses import numeric_loss, pairing_loss, video_loss
from trainables.training.parallel import Workers
from trainables.training.precision import products
from trainables.training.readout import fit_readout
from trainables.training.window_motion import WindowMotion


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
        self.motion: WindowMotion | None = None
        """Of the training windows, where the read-out or the video anchor needs it; `begin` sets it."""
        self.basis: MotionBasis | None = None
        """Of the read-out in training; None before and after."""
        self.first_classes: Tensor | None = None
        if model.pairing is not None and (workers.count > 1 or config.optimizer.accumulation > 1):
            raise ConfigurationError(
                "numeracy.video_weight compares the videos of a whole batch, so it needs one worker and accumulation 1; "
                f"there are {workers.count} workers and accumulation {config.optimizer.accumulation}"
            )

    def begin(self, data: WindowDataset, cache: Path, backbone: Backbone, fold: int) -> None:
        """Fits the read-out to the training windows and notes where the class texts start; before any step."""
        optimizer, readout = self.config.optimizer, self.config.motion.readout
        if readout != "off" or optimizer.video_anchor:
            self.motion = WindowMotion(backbone, cache, data)
        if optimizer.text_anchor:
            with torch.no_grad():
                self.first_classes = self.model.class_features().float()
        if readout == "statistics":
            assert self.motion is not None
            seed = [self.config.seed, fold, 4]
            self.basis = fit_readout(self.model, data, self.motion, self.config.motion, seed)
            weights = list(self.model.readout.parameters())  # type: ignore[union-attr]
            self.workers.from_leader(p.data for p in weights)
            self.use_basis(self.basis, data)
            for parameter in weights:
                parameter.requires_grad_(optimizer.readout_lr > 0)

    def use_basis(self, basis: MotionBasis, data: WindowDataset) -> None:
        """Takes a basis of the read-out, as a checkpoint holds it or as the leading worker fitted it."""
        assert self.motion is not None
        self.workers.from_leader((basis.center, basis.directions))
        self.basis = basis
        self.motion.keep_components(data.windows["row"].unique().to_list(), basis)

    def end(self) -> None:
        """Puts the read-out on statistics, so that it needs nothing of the training windows any more."""
        if self.basis is not None:
            assert isinstance(self.model.readout, MotionReadout)
            self.model.readout = self.model.readout.on_statistics(self.basis)
            self.basis = None

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
        losses = {"video": 0.0, "numeric": 0.0, "pairing": 0.0, "anchor": 0.0}
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
        if self.config.optimizer.text_anchor:
            assert self.first_classes is not None
            moved = self.config.optimizer.text_anchor * (1 - (classes * self.first_classes).sum(-1)).mean()
            (moved / self.workers.count).backward()
            losses["anchor"] += float(moved.detach()) * share
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
        videos, starts = batch.videos[rows.numpy()], batch.starts[rows.numpy()] if len(batch.starts) else batch.starts
        logits = self.model.logits(features.video.float(), classes, self._motion(videos, starts))
        weighted = video_loss(logits, labels, gamma=optimizer.focal_gamma, alpha=optimizer.focal_alpha, beta=self.beta)
        losses = {"video": weighted.sum()}
        if optimizer.video_anchor and self.motion is not None:
            frozen = self.motion.mean_features(videos, starts).to(self.device)
            moved = 1 - functional.cosine_similarity(features.video.float(), frozen, dim=-1)
            losses["anchor"] = optimizer.video_anchor * moved.sum()
        if self.model.pairing is not None and self.memory is not None and features.summary is not None:
            measured = (self.memory.bins[videos] >= 0).any(1)
            if measured.sum() > 1:
                own = self._own_numbers(videos[measured])
                kept = torch.from_numpy(np.flatnonzero(measured)).to(self.device)
                pair = pairing_loss(*self.model.pair(features.summary.float()[kept], own))
                losses["pairing"] = self.config.numeracy.video_weight * pair.sum()
        return losses

    def _motion(self, videos: np.ndarray, starts: np.ndarray) -> Tensor | None:
        """Returns what the read-out reads of some training windows."""
        if self.motion is None or self.config.motion.readout == "off":
            return None
        if self.config.motion.readout == "convolution":
            return self.motion.features(videos, starts).to(self.device)
        return self.motion.components(videos, starts).to(self.device)

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
    def probabilities(self, frames: Tensor, classes: Tensor, motion: Tensor | None = None) -> Tensor:
        """Returns class probabilities of uint8 windows, [B, C] in float32 on the CPU.

        Args:
            motion: what the read-out reads of them, as `HeldOutMotion` gives it.
        """
        with self.products:
            video = self.model.encode(frames.to(self.device, non_blocking=True)).video
        motion = None if motion is None else motion.to(self.device)
        return self.model.logits(video.float(), classes, motion).softmax(-1).float().cpu()
