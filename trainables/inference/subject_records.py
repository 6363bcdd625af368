"""A fold's numerical records averaged per subject, and the weights that a class's query gives them.

Letters: U units (a subject with the videos of one class), D joint width, P parameters, O head width, C classes.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainables.model.number_head import NumberHead
from trainables.model.numeracy import NumericContrast, NumericMemory
from trainables.model.scaling import from_bin
from trainables.study.descriptions import LEAST_SUBJECTS

SHARPNESS = 100.0
"""Inverse temperature of the queries, as published."""
MOST_RECORDS = 8192
"""Records of all subjects together that keys and the number head are computed from; each subject has its part of them."""

RecordTable = tuple[Tensor, Tensor, Tensor]
"""Features [M, D], shares [M, P] and values [M, P] of records."""


@dataclass(frozen=True, kw_only=True)
class SubjectRecords:
    """Units in order of class and subject: a subject whose videos are of two classes is a unit in each."""

    subjects: np.ndarray
    """[U] names."""
    labels: np.ndarray
    """[U] classes."""
    features: Tensor
    """[U, D] mean of all standardised records of a unit, float64."""
    shares: Tensor
    """[U, P] share of each parameter in that mean; 0 where it is in no record."""
    values: Tensor
    """[U, P] mean scaled value in it, in units of the clip limit; 0 where it is in no record."""
    records: tuple[np.ndarray, ...]
    """For each unit up to its part of MOST_RECORDS records, [R_u, 2], as NumericMemory.records."""

    @classmethod
    def of(cls, memory: NumericMemory, subjects: np.ndarray, seed: int) -> "SubjectRecords":
        """Returns the units of a memory.

        Args:
            subjects: [N] subject of each of the memory's videos.
            seed: draws the records of a unit that has more than its part.
        """
        every = np.concatenate(memory.records)
        keys = np.array([f"{memory.labels[v]:04d} {subjects[v]}" for v in every[:, 0]])
        found = [every[keys == key] for key in np.unique(keys)]
        draws, most = np.random.default_rng([seed, 5]), max(MOST_RECORDS // max(len(found), 1), 1)
        means = [_mean(memory, records) for records in found]
        features, shares, values = (torch.stack(part) for part in zip(*means, strict=True))
        return cls(
            subjects=np.array([subjects[r[0, 0]] for r in found]),
            labels=np.array([memory.labels[r[0, 0]] for r in found]),
            features=features,
            shares=shares,
            values=values,
            records=tuple(r[np.sort(draws.permutation(len(r))[:most])] for r in found),
        )

    def keys(self, numeric: NumericContrast, memory: NumericMemory, device: torch.device) -> Tensor:
        """Returns each unit's mean projected record for each class's head, [U, C or 1, O]; unit vectors."""
        means = [
            numeric.project_records(memory.record_features(records).to(device)).mean(0) for records in self.records
        ]
        return torch.nn.functional.normalize(torch.stack(means), dim=-1).cpu().double()

    def attention(self, cosines: Tensor, label: int) -> np.ndarray:
        """Returns the capped weights of a class over the units of all classes, [U], summing to 1.

        A unit's weight is the probability of the class given its records, by the queries of all classes, and then all
        weights are divided by their sum. A softmax over the units, as published, rests on fewer subjects.

        Args:
            cosines: of every unit's key and every class's query, [U, C].
            label: of the class.
        """
        weights = (SHARPNESS * cosines).softmax(1)[:, label].numpy()
        return capped(weights / weights.sum(), self.subjects, 1 / LEAST_SUBJECTS)

    def uniform(self, label: int) -> np.ndarray:
        """Returns weights with which every subject of a class counts the same, [U]: the class's centroid."""
        own = (self.labels == label).astype(float)
        return own / own.sum()

    def read(self, weights: np.ndarray, head: NumberHead) -> np.ndarray:
        """Returns the scaled value of each parameter in the units' weighted mean, [P], in units of the clip limit.

        Not every subject has every parameter. Each parameter is read from a mean of its own, over the subjects that have
        it, in which none of them counts for more than 1 / LEAST_SUBJECTS; NaN where fewer have it.
        """
        parts = []
        for shares in self.shares.numpy().T:
            own = np.where(shares > 0, weights, 0.0)
            if len(np.unique(self.subjects[own > 0])) < LEAST_SUBJECTS:
                parts.append(np.full(len(weights), np.nan))
                continue
            counts = capped(own / own.sum(), self.subjects, 1 / LEAST_SUBJECTS)
            mix = np.divide(counts, shares, out=np.zeros_like(counts), where=shares > 0)
            parts.append(mix / mix.sum())
        mixes = torch.from_numpy(np.stack(parts))  # [P, U]
        _, values = head.read(mixes @ self.features)
        return values.diagonal().numpy().copy()


def capped(weights: np.ndarray, subjects: np.ndarray, cap: float) -> np.ndarray:
    """Returns weights [U] in which no subject's sum exceeds the cap; what is over goes to the others in proportion.

    Raises:
        ValueError: Fewer subjects with a weight above 0 than the cap needs.
    """
    names, place = np.unique(subjects, return_inverse=True)
    sums = np.bincount(place, weights, len(names)).astype(float)
    if (sums > 0).sum() * cap < 1 - 1e-9:
        raise ValueError(f"{(sums > 0).sum()} subjects cannot share all weight with at most {cap:g} each")
    limited, full = sums.copy(), np.zeros(len(names), dtype=bool)
    while (over := ~full & (limited > cap * (1 + 1e-12))).any():
        full |= over
        rest = sums[~full].sum()
        limited = np.where(full, cap, sums * ((1 - cap * full.sum()) / rest if rest > 0 else 0.0))
    factors = np.divide(limited, sums, out=np.zeros_like(sums), where=sums > 0)
    return weights * factors[place]


def record_table(memory: NumericMemory, records: np.ndarray) -> RecordTable:
    """Returns features [M, D], shares [M, P] and values [M, P] of records [M, 2]; a parameter not in a record has 0 and 0."""
    parameters = memory.subsets[records[:, 1]]  # [M, G]
    shares, values = (torch.zeros(len(records), memory.bins.shape[1], dtype=torch.float64) for _ in range(2))
    rows, columns = torch.arange(len(records))[:, None], torch.from_numpy(parameters)
    shares[rows, columns] = 1 / parameters.shape[1]
    read = from_bin(memory.bins[records[:, :1], parameters], memory.scaler.clip) / memory.scaler.clip
    values[rows, columns] = torch.from_numpy(read)
    return memory.record_features(records).double().cpu(), shares, values


def _mean(memory: NumericMemory, records: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the mean feature [D], shares [P] and values [P] of all records of one unit."""
    size = memory.subsets.shape[1]
    counts = np.zeros(memory.bins.shape)
    np.add.at(counts, (records[:, :1], memory.subsets[records[:, 1]]), 1)
    weights = torch.from_numpy(counts / (len(records) * size))  # [N, P]
    mean = torch.einsum("np,npd->d", weights, memory.features.double().cpu())
    feature = (mean - memory.centre.double().cpu()) / memory.spread.double().cpu()
    shares = weights.sum(0)
    scaled = (
        torch.from_numpy(np.where(memory.bins >= 0, from_bin(memory.bins, memory.scaler.clip), 0)) / memory.scaler.clip
    )
    values = (weights * scaled).sum(0) / shares.clamp(min=1e-12)
    return feature, shares, values
