"""Model and losses together: what one optimiser step computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trainables.config import TrainConfig
from trainables.errors import ConfigurationError, StridefoldError
from trainables.model.backbone import Backbone
from trainables.model.frozen_layer import compiled_layer
from trainables.model.gait_clip import GaitCLIP
from trainables.model.motion import MotionBasis, MotionReadout
from trainables.model.numeracy import NumericMemory
from trainables.training.distributed import Workers
from trainables.training.job import Batch
from trainables.training.losses import numeric_loss, pairing_loss, video_loss
from trainables.training.precision import products
from trainables.training.recorded_step import RecordedStep, StepInputs

if TYPE_CHECKING:  # a step needs neither polars nor PyAV, which these read cohorts and videos with
    from trainables.data.dataset import WindowDataset
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
        self.present = torch.tensor([len(r) > 0 for r in memory.records] if memory else [], device=device)
        """Which classes have numerical records, [C]."""
        replays = device.type == "cuda" and config.optimizer.gpu_step != "eager" and model.pairing is None
        self.recorded = RecordedStep() if replays else None
        if model.pairing is not None and (workers.count > 1 or config.optimizer.accumulation > 1):
            raise ConfigurationError(
                "numeracy.video_weight compares the videos of a whole batch, so it needs one worker and accumulation 1; "
                f"there are {workers.count} workers and accumulation {config.optimizer.accumulation}",
                code="training.one_worker",
            )

    def begin(
        self,
        data: WindowDataset,
        cache: Path,
        backbone: Backbone,
        fold: int,
        on_video: Callable[[int, int], None] | None = None,
    ) -> None:
        """Fits the read-out to the training windows and notes where the class texts start; before any step.

        Args:
            on_video: is told how many videos the frozen tower has read, of how many that it had not before.
        """
        from trainables.training.frozen_prefix import use_prefix
        from trainables.training.readout import fit_readout
        from trainables.training.window_motion import WindowMotion

        optimizer, readout = self.config.optimizer, self.config.motion.readout
        if not self.config.augment.any:
            use_prefix(self.model, data, cache, backbone)
        if readout != "off" or optimizer.video_anchor:
            self.motion = WindowMotion(backbone, cache, data, on_video)
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

        Args:
            batch: this worker's share; may be empty.
            batch_size: windows of all workers' shares.
            generator: draws the numerical records, the same on every worker.

        Raises:
            StridefoldError: A gradient is not finite, on whichever worker.
        """
        given = self._inputs(batch, batch_size, generator)
        if self.recorded is not None and len(batch.labels):
            found, finite = self.recorded(self._recorded_losses, self._weights, given)
        else:
            losses = self._losses(given, batch)
            found = dict(zip(losses, torch.stack(list(losses.values())).tolist(), strict=True)) if losses else {}
            finite = False
        if self.workers.count > 1 or self.recorded is None or not len(batch.labels):
            finite = self.workers.sum_gradients(self._weights())
        share = len(batch.labels) / batch_size  # of the losses that do not belong to windows
        told = {name: found.get(name, 0.0) for name in ("video", "numeric", "pairing", "anchor")}
        told["numeric"] *= share
        told["anchor"] += found.get("text_anchor", 0.0) * share
        if not finite:
            raise StridefoldError(
                f"a gradient is not finite (losses {told}); a lower learning rate than {self.config.optimizer.lr:g} may help",
                code="training.not_finite",
            )
        return told

    def _inputs(self, batch: Batch, batch_size: int, generator: np.random.Generator) -> StepInputs:
        """Returns what a step reads; all but the frames are where the model is."""
        motion = frozen = records = record_labels = None
        if len(batch.labels):
            motion = self._motion(batch.passes, batch.starts)
            if self.config.optimizer.video_anchor and self.motion is not None:
                frozen = self.motion.mean_features(batch.passes, batch.starts).to(self.device)
        if self.memory is not None and self.memory.size and self.config.numeracy.weight:
            drawn, labels = self.memory.draw(self.config.numeracy.memory_batch, generator)
            records = self.memory.record_features(drawn).to(self.device)
            record_labels = torch.from_numpy(labels).to(self.device)
        weights = torch.full((len(batch.labels),), 1 / batch_size, device=self.device)
        return StepInputs(batch.frames, batch.labels.to(self.device), weights, motion, frozen, records, record_labels)

    def _weights(self) -> list[torch.nn.Parameter]:
        return [p for _, p in self.model.trained()]

    def _recorded_losses(self, given: StepInputs) -> dict[str, Tensor]:
        return self._losses(given, None)

    def _losses(self, given: StepInputs, batch: Batch | None) -> dict[str, Tensor]:
        """Adds the gradients of a step and returns its losses, each a scalar.

        The class texts are read once a step: windows are cut into micro-batches whose gradients meet at the class
        features, and go through the text encoder together.

        Args:
            batch: the windows, for the pairing loss; None where a graph is recorded, which is without it.
        """
        with self.products:
            text = self.model.class_features().float()
        classes = text.detach().requires_grad_()
        losses: dict[str, Tensor] = {}
        for rows in torch.arange(len(given.labels)).tensor_split(self.config.optimizer.accumulation):
            if len(rows):
                part = self._video_losses(given, slice(int(rows[0]), int(rows[-1]) + 1), classes, batch)
                torch.stack(list(part.values())).sum().backward()  # type: ignore[no-untyped-call]
                losses = {name: losses.get(name, 0.0) + value.detach() for name, value in part.items()}
        if given.records is not None:
            assert given.record_labels is not None
            losses["numeric"] = self._numeric_loss(classes, given.records, given.record_labels)
            (self.config.numeracy.weight * losses["numeric"] / self.workers.count).backward()
        if self.config.optimizer.text_anchor:
            assert self.first_classes is not None
            moved = self.config.optimizer.text_anchor * (1 - (classes * self.first_classes).sum(-1)).mean()
            (moved / self.workers.count).backward()
            losses["text_anchor"] = moved
        if classes.grad is not None:
            text.backward(classes.grad)
        return {name: loss.detach() for name, loss in losses.items()}

    def _video_losses(self, given: StepInputs, rows: slice, classes: Tensor, batch: Batch | None) -> dict[str, Tensor]:
        """Returns the weighted losses of some windows of a step."""
        optimizer, weights = self.config.optimizer, given.weights[rows]
        compute = compiled_layer() if batch is None and optimizer.gpu_step == "compiled" else None
        with self.products:
            features = self.model.encode(given.frames[rows].to(self.device, non_blocking=True), compute)
        labels = given.labels[rows]
        motion = None if given.motion is None else given.motion[rows]
        logits = self.model.logits(features.video.float(), classes, motion)
        weighted = video_loss(
            logits,
            labels,
            gamma=optimizer.focal_gamma,
            alpha=optimizer.focal_alpha,
            beta=self.beta,
            through_weight=optimizer.focal_gradient,
        )
        losses = {"video": (weighted * weights).sum()}
        if given.frozen is not None:
            moved = 1 - functional.cosine_similarity(features.video.float(), given.frozen[rows], dim=-1)
            losses["anchor"] = optimizer.video_anchor * (moved * weights).sum()
        if batch is not None and self.model.pairing is not None and self.memory is not None:
            assert features.summary is not None
            videos = batch.videos[rows]
            measured = (self.memory.bins[videos] >= 0).any(1)
            if measured.sum() > 1:
                mirrored = batch.mirrored[rows] if len(batch.mirrored) else np.zeros(len(videos), dtype=bool)
                own = self._own_numbers(videos[measured], mirrored[measured])
                kept = torch.from_numpy(np.flatnonzero(measured)).to(self.device)
                pair = pairing_loss(*self.model.pair(features.summary.float()[kept], own))
                losses["pairing"] = self.config.numeracy.video_weight * (pair * weights[kept]).sum()
        return losses

    def _motion(self, passes: np.ndarray, starts: np.ndarray) -> Tensor | None:
        """Returns what the read-out reads of some training windows."""
        if self.motion is None or self.config.motion.readout == "off":
            return None
        if self.config.motion.readout == "convolution":
            return self.motion.features(passes, starts).to(self.device)
        return self.motion.components(passes, starts).to(self.device)

    def _own_numbers(self, videos: np.ndarray, mirrored: np.ndarray) -> Tensor:
        """Returns the mean feature of each video's measured parameters, [B, D]; of a mirrored one sides are exchanged."""
        assert self.memory is not None
        features = self.memory.features[torch.from_numpy(videos)]
        if self.memory.mirrored is not None:
            exchanged = self.memory.mirrored[torch.from_numpy(videos)]
            features = torch.where(torch.from_numpy(mirrored)[:, None, None].to(features.device), exchanged, features)
        count = torch.from_numpy((self.memory.bins[videos] >= 0).sum(1))
        return (features.sum(1).cpu() / count[:, None]).to(self.device)

    def _numeric_loss(self, classes: Tensor, records: Tensor, labels: Tensor) -> Tensor:
        assert self.memory is not None
        assert self.model.numeric is not None
        return numeric_loss(self.model.numeric(records, classes), labels, self.present)

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
