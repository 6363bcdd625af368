"""Fits the motion read-out to a fold's training windows in closed form. Letters: B windows, C classes, S statistics."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trainables.data.dataset import WindowDataset
from trainables.model.gait_clip import GaitCLIP
from trainables.model.motion import MotionBasis, MotionReadout, block_sizes, ridge
from trainables.settings import MotionConfig
from trainables.training.draws import Window, windows_of
from trainables.training.window_motion import WindowMotion

LARGEST_FIT = 1024
"""Windows that the components are fitted to at most; of more, so many are drawn."""
READ_AT_ONCE = 64


@torch.no_grad()
def fit_readout(
    model: GaitCLIP, data: WindowDataset, motion: WindowMotion, config: MotionConfig, seed: list[int]
) -> MotionBasis:
    """Gives a model the read-out that completes its untrained answers on the training windows, and returns its basis.

    The targets are 1 for a window's class and 0 for the others, less `share` of the probabilities that the tower
    without prompts gives. Classes, and in them subjects, weigh the same.

    Args:
        seed: draws the windows of the basis where there are more than LARGEST_FIT.
    """
    windows, labels = windows_of(data), data.windows["label"].to_numpy()
    device = model.log_scale.device
    sizes = block_sizes(model.video_encoder.vision.config)
    basis = MotionBasis.fit(motion.statistics(_some(windows, seed)), sizes, config.components)
    motion.keep_components(sorted({w.row for w in windows}), basis)
    rows, starts = (np.array([getattr(w, name) for w in windows]) for name in ("row", "start"))
    texts = model.class_features().float().cpu()
    scale = float(model.log_scale.exp())
    parts = []
    for begin in range(0, len(windows), READ_AT_ONCE):
        part = slice(begin, begin + READ_AT_ONCE)
        parts.append(functional.normalize(motion.mean_features(rows[part], starts[part]), dim=-1) @ texts.T)
    frozen = (scale * torch.cat(parts)).softmax(-1)  # [B, C]
    targets = functional.one_hot(torch.tensor(labels), len(texts)) - config.share * frozen
    weights = balanced_weights(labels, data.windows["subject"].to_numpy())
    weight, bias = ridge(motion.components(rows, starts), targets, weights, config.penalty)
    readout = MotionReadout(weight.shape[1], weight.shape[0]).to(device)
    readout.weight.copy_(weight)
    readout.bias.copy_(bias)
    model.readout = readout
    return basis


def balanced_weights(labels: np.ndarray, subjects: np.ndarray) -> Tensor:
    """Returns a weight for each window, [B], so that classes weigh the same, and in each its subjects."""
    weights = np.zeros(len(labels))
    for label in np.unique(labels):
        members = np.unique(subjects[labels == label])
        for subject in members:
            of_subject = (labels == label) & (subjects == subject)
            weights[of_subject] = 1 / len(members) / of_subject.sum()
    return torch.from_numpy(weights)


def _some(windows: list[Window], seed: list[int]) -> list[Window]:
    if len(windows) <= LARGEST_FIT:
        return windows
    chosen = np.random.default_rng(seed).choice(len(windows), LARGEST_FIT, replace=False)
    return [windows[i] for i in np.sort(chosen)]
