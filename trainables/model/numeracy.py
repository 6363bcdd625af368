"""The numeric side: a memory of numerical texts of the training subjects, and its contrast with the class texts.

Source: arXiv 2403.13756, section 2.3.
Letters: N training videos, P parameters, S subsets, R records, M records of a step, G parameters of a record,
C classes, D joint width.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from trainables.model.numbers import NumberEncoder
from trainables.model.scaling import Scaler, correlations, subsets, to_bin
from trainables.settings import NumeracyConfig

MOMENT_RECORDS = 4096
"""Records from which the mean and the deviation of all are taken."""


@dataclass(frozen=True, kw_only=True)
class NumericMemory:
    """Every record of the training videos: a video and a subset of its parameters, all measured."""

    scaler: Scaler
    subsets: np.ndarray
    """[S, G] parameter indices."""
    bins: np.ndarray
    """[N, P] scaled values as bins, -1 where not measured."""
    labels: np.ndarray
    """[N] class of each video."""
    features: Tensor
    """[N, P, D] unit features of the single parameters."""
    records: tuple[np.ndarray, ...]
    """For each class [R_c, 2]: row of the video, row of the subset."""
    centre: Tensor
    """[D] mean of the records' features."""
    spread: Tensor
    """[D] by which a centred feature is divided, so that a typical record has length 1."""
    mirrored: Tensor | None = None
    """`features` with left and right exchanged; None where no window is mirrored."""

    @classmethod
    def fit(
        cls,
        values: np.ndarray,
        subjects: np.ndarray,
        labels: np.ndarray,
        *,
        healthy: int | None,
        classes: int,
        config: NumeracyConfig,
        encoder: NumberEncoder,
        seed: int,
        mirrored: np.ndarray | None = None,
    ) -> "NumericMemory":
        """Returns the memory of training videos; nothing of a held-out subject may be in the arguments.

        Args:
            values: [N, P] in units, NaN where not measured.
            healthy: index of the class on which values are centred; None centres on all.
            mirrored: values with left and right exchanged, [N, P]; None where no window is mirrored.
        """
        centre_on = labels == healthy if healthy is not None else np.zeros(len(labels), dtype=bool)
        scaler = Scaler.fit(values, subjects, centre_on, config.clip)
        chosen = subsets(
            correlations(values),
            scaler.usable,
            size=config.subset_size,
            largest=config.max_correlation,
            limit=config.max_subsets,
            seed=seed,
        )
        bins = to_bin(scaler.transform(values), config.clip)
        # [N, S]; without a usable parameter there is no subset, and no record
        complete = (bins[:, chosen] >= 0).all(-1) if len(chosen) else np.zeros((len(values), 0), dtype=bool)
        rows = np.argwhere(complete)
        records = tuple(rows[labels[rows[:, 0]] == c] for c in range(classes))
        features = encoder.features(bins)
        sample = np.random.default_rng(seed).permutation(len(rows))[:MOMENT_RECORDS]
        centre, spread = _moments(mean_features(features, chosen, rows[sample]))
        return cls(
            scaler=scaler,
            subsets=chosen,
            bins=bins,
            labels=labels,
            features=features,
            records=records,
            centre=centre,
            spread=spread,
            mirrored=None if mirrored is None else encoder.features(to_bin(scaler.transform(mirrored), config.clip)),
        )

    @property
    def size(self) -> int:
        """Returns R, over all classes."""
        return sum(len(r) for r in self.records)

    def record_features(self, records: np.ndarray) -> Tensor:
        """Returns F_num of records, standardised by the training records, [M, D].

        Without it all records are nearly one vector, as a frozen text encoder writes them (cosines above 0.99): what
        tells them apart would take the heads and the decoder most of their training to find (docs/decisions/0005).
        """
        return (mean_features(self.features, self.subsets, records) - self.centre) / self.spread

    def draw(self, count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Returns class-balanced records, [M, 2], and their classes, [M]."""
        present = [c for c, records in enumerate(self.records) if len(records)]
        labels = np.resize(generator.permutation(present), count)
        rows = [self.records[c][generator.integers(len(self.records[c]))] for c in labels]
        return np.stack(rows), labels

    def notes(self, names: list[str], classes: tuple[str, ...], config: NumeracyConfig) -> list[str]:
        """Returns what the reader should know: unused parameters, smaller subsets, classes without records."""
        notes = []
        unused = [n for n, usable in zip(names, self.scaler.usable, strict=True) if not usable]
        if unused:
            notes.append(f"not used, because it does not vary among the training videos: {', '.join(unused)}")
        if len(self.subsets) and self.subsets.shape[1] < config.subset_size:
            notes.append(
                f"no {config.subset_size} parameters have all |r| <= {config.max_correlation:g}; "
                f"records have {self.subsets.shape[1]}"
            )
        empty = [name for name, records in zip(classes, self.records, strict=True) if not len(records)]
        if empty:
            notes.append(f"without numeric records, trained on the video loss alone: {', '.join(empty)}")
        return notes


def mean_features(features: Tensor, subsets: np.ndarray, records: np.ndarray) -> Tensor:
    """Returns the mean of each record's parameter features, [M, D], of features [N, P, D]."""
    parameters = torch.from_numpy(subsets[records[:, 1]])  # [M, G]
    return features[torch.from_numpy(records[:, 0])[:, None], parameters].mean(1)


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Returns mean and deviation of features, [D] each; the deviation times sqrt(D), and never zero."""
    if len(features) < 2:
        return features.new_zeros(features.shape[1]), features.new_ones(features.shape[1])
    spread = features.std(0)
    return features.mean(0), (spread + 0.01 * spread.mean() + 1e-6) * features.shape[1] ** 0.5


class Heads(nn.Module):
    """Linear - Tanh - Linear, one for each of `copies`, applied side by side."""

    def __init__(self, width: int, out: int, copies: int):
        super().__init__()
        layers = [(nn.Linear(width, 2 * out), nn.Linear(2 * out, out)) for _ in range(copies)]
        self.first_weight = nn.Parameter(torch.stack([a.weight.detach() for a, _ in layers]))
        self.first_bias = nn.Parameter(torch.stack([a.bias.detach() for a, _ in layers]))
        self.second_weight = nn.Parameter(torch.stack([b.weight.detach() for _, b in layers]))
        self.second_bias = nn.Parameter(torch.stack([b.bias.detach() for _, b in layers]))

    def forward(self, features: Tensor) -> Tensor:
        """Returns [M, copies, out] of [M, D]."""
        hidden = torch.tanh(torch.einsum("md,ckd->mck", features, self.first_weight) + self.first_bias)
        return torch.einsum("mck,cok->mco", hidden, self.second_weight) + self.second_bias


class NumericContrast(nn.Module):
    """Scores numerical records against the class texts, in a space of their own."""

    def __init__(self, width: int, classes: int, config: NumeracyConfig):
        super().__init__()
        self.class_head = Heads(width, config.head_width, 1)  # h
        self.record_heads = Heads(width, config.head_width, classes if config.heads == "per_class" else 1)  # g_c
        self.log_scale = nn.Parameter(torch.tensor(float(np.log(config.temperature))))

    def project_classes(self, class_features: Tensor) -> Tensor:
        """Returns unit h(F_T), [C, head width], of [C, D]."""
        return nn.functional.normalize(self.class_head(class_features)[:, 0], dim=-1)

    def project_records(self, record_features: Tensor) -> Tensor:
        """Returns unit g_c(F_num), [M, C or 1, head width], of [M, D]."""
        return nn.functional.normalize(self.record_heads(record_features), dim=-1)

    def forward(self, record_features: Tensor, class_features: Tensor) -> Tensor:
        """Returns tau * cos(g_c(F_num[m]), h(F_T[c])), [M, C]."""
        classes = self.project_classes(class_features)
        records = self.project_records(record_features).expand(-1, len(classes), -1)
        return self.log_scale.exp() * torch.einsum("mco,co->mc", records, classes)
