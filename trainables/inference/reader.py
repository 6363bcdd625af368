"""Trains what reads a fold's numerical features: a ridge head for the numbers, a small language model for the words.

How long and how hard is decided on training subjects that are held out of the training. The fold's own held-out subjects
decide nothing. Letters: U units, D joint width, P parameters, M records, G parameters of a record.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from trainables.config import TrainConfig
from trainables.inference.subject_records import RecordTable, SubjectRecords, record_table
from trainables.model.decoder import ParameterDecoder, SentenceGrammar
from trainables.model.number_head import PENALTIES, NumberHead, Sums
from trainables.model.numbers import NumberEncoder
from trainables.model.numeracy import NumericMemory
from trainables.model.scaling import BINS, from_bin, to_bin
from trainables.study.descriptions import ParameterSkill
from trainables.training.job import FoldJob

PARTS = 4
"""Parts of the training subjects, each held out once when the penalty is chosen; the words are validated on the first."""
MIXES = 256
"""Random mixes of a part's subjects on which a head is judged."""
CHECK_EVERY, PATIENCE = 25, 2
"""Steps between two looks at the held-out loss, and looks without a better one after which training ends."""
NAMED_RECORDS = 96
SYNTHETIC_RECORDS, GRID_STEP = 16384, 5
"""Records of nobody, and the bins between two of their values."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A trained number head and decoder of one fold."""

    head: NumberHead
    decoder: ParameterDecoder
    skills: tuple[ParameterSkill, ...]
    """On training subjects held out of the fit."""
    penalty: float
    steps: int

    def present(self, features: Tensor) -> list[frozenset[int]]:
        """Returns the parameters that each of some single records holds by the head's reading: half of the largest share."""
        shares = self.head.read(features)[0]
        return [frozenset(np.flatnonzero(row).tolist()) for row in (shares > shares.amax(1, keepdim=True) / 2).numpy()]

    def say(
        self, features: Tensor, about: Sequence[frozenset[int]], values: np.ndarray | None = None, beams: int = 1
    ) -> list[list[tuple[int, int]]]:
        """Returns (parameter, bin) pairs of features [N, D]; the numbers are the head's, or `values` [N, P] in clip limits."""
        device = next(self.decoder.parameters()).device
        inputs = self.head.decoder_inputs(features).to(device)
        read = self.head.read(features)[1].numpy() if values is None else values
        return self.decoder.generate(inputs, beams, about, to_bin(np.nan_to_num(read), 1.0))


@dataclass(frozen=True, kw_only=True)
class HeadErrors:
    """Mean absolute errors of a head, and of the median in its place, in units of the clip limit, [P] each; NaN without a record."""

    records: np.ndarray
    records_median: np.ndarray
    mixes: np.ndarray
    mixes_median: np.ndarray

    @property
    def skill(self) -> np.ndarray:
        return _skill(self.records, self.records_median)

    @property
    def mixed(self) -> np.ndarray:
        return _skill(self.mixes, self.mixes_median)


def train_reader(
    config: TrainConfig, job: FoldJob, memory: NumericMemory, units: SubjectRecords, device: torch.device
) -> Reader:
    """Returns a reader of the fold's training records; at least two subjects have some."""
    seed = [config.seed, job.fold.index]
    parts = _parts(units, seed)
    numbers = job.frozen.numbers(config.numeracy.encoding, config.numeracy.clip)
    head, errors, penalty = fit_head(memory, units, parts, synthetic_records(memory, numbers, seed), seed)
    grammar = SentenceGrammar.of(job.frozen.backbone, job.frozen.names)
    width, count = units.features.shape[1], memory.bins.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        decoder = ParameterDecoder(grammar, width + 2 * count, memory.subsets.shape[1], config.decoder).to(device)
    lessons = Lessons(memory=memory, units=units, head=head, grammar=grammar)
    steps = _train_words(decoder, lessons, parts, config, seed)
    reader = Reader(head=head, decoder=decoder, skills=(), penalty=penalty, steps=steps)
    validation = np.concatenate([r for r, p in zip(units.records, parts, strict=True) if p == 0])
    chosen = np.random.default_rng([*seed, 8]).permutation(len(validation))[:NAMED_RECORDS]
    named = named_share(reader, memory, validation[chosen])
    return Reader(
        head=head,
        decoder=decoder,
        skills=tuple(_skills(job, memory, errors, named)),
        penalty=penalty,
        steps=steps,
    )


def fit_head(
    memory: NumericMemory, units: SubjectRecords, parts: np.ndarray, synthetic: RecordTable, seed: list[int]
) -> tuple[NumberHead, HeadErrors, float]:
    """Returns a head of all units and of synthetic records, its errors on parts held out of the same fit, and its penalty."""
    tables = [
        record_table(memory, np.concatenate([r for r, p in zip(units.records, parts, strict=True) if p == part]))
        for part in np.unique(parts)
    ]
    sums, shared = [Sums.of(*table) for table in tables], Sums.of(*synthetic)
    found = [_errors(units, parts, tables, [shared, *sums], penalty, seed) for penalty in PENALTIES]
    best = int(np.argmax([np.nanmedian(e.skill) + np.nanmedian(e.mixed) for e in found]))
    return Sums.total([shared, *sums]).head(PENALTIES[best]), found[best], PENALTIES[best]


def synthetic_records(memory: NumericMemory, numbers: NumberEncoder, seed: list[int]) -> RecordTable:
    """Returns records of nobody: the memory's subsets with values spread evenly over the scale, independently.

    A few subjects' records hold few values of each parameter, and parameters that go together. Without these records the
    median skill on mixes of held-out training subjects was 0.17 in place of 0.57 (docs/decisions/0019).
    """
    draws, count = np.random.default_rng([*seed, 10]), memory.bins.shape[1]
    grid = np.arange(0, BINS, GRID_STEP)
    used = np.unique(memory.subsets)
    bins = np.full((len(grid), count), -1)
    bins[:, used] = grid[:, None]
    features = numbers.features(bins)
    parameters = memory.subsets[draws.integers(len(memory.subsets), size=SYNTHETIC_RECORDS)]
    places = draws.integers(len(grid), size=parameters.shape)
    mean = features[torch.from_numpy(places), torch.from_numpy(parameters)].mean(1)
    shares, values = (torch.zeros(len(parameters), count, dtype=torch.float64) for _ in range(2))
    rows, columns = torch.arange(len(parameters))[:, None], torch.from_numpy(parameters)
    shares[rows, columns] = 1 / parameters.shape[1]
    values[rows, columns] = torch.from_numpy(from_bin(grid[places], 1.0))
    return ((mean - memory.centre) / memory.spread).double().cpu(), shares, values


def named_share(reader: Reader, memory: NumericMemory, records: np.ndarray) -> np.ndarray:
    """Returns the share of records [M, 2] with a parameter in whose sentence it is named, [P]; NaN where no record has it."""
    features = memory.record_features(records)
    said = reader.say(features, reader.present(features))
    held, named = (np.zeros(memory.bins.shape[1]) for _ in range(2))
    for (_, subset), pairs in zip(records, said, strict=True):
        inside = memory.subsets[subset]
        held[inside] += 1
        named[[p for p, _ in pairs if p in inside]] += 1
    return np.divide(named, held, out=np.full(len(held), np.nan), where=held > 0)


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """Sentences to learn from: a record's or a mix's parameters, the one furthest from the pooled median first."""

    memory: NumericMemory
    units: SubjectRecords
    head: NumberHead
    grammar: SentenceGrammar

    @cached_property
    def scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the median and the deviation of the units' values, [P] each; 0 and 1 of a parameter that none has."""
        present = self.units.shares.numpy() > 0
        known: np.ndarray = np.any(present, axis=0)
        held = np.where(present, self.units.values.numpy(), np.nan)
        centre, spread = np.zeros(len(known)), np.ones(len(known))
        centre[known] = np.nanmedian(held[:, known], axis=0)
        spread[known] = np.maximum(np.nanstd(held[:, known], axis=0), 1e-6)
        return centre, spread

    def draw(self, units: np.ndarray, count: int, draws: np.random.Generator) -> tuple[Tensor, list[list[int]]]:
        """Returns decoder inputs and sentences, one half of records and one of mixes of some units."""
        chosen = draws.choice(units, count - count // 2)
        records = np.stack([self.units.records[u][draws.integers(len(self.units.records[u]))] for u in chosen])
        features, shares, values = record_table(self.memory, records)
        mixes = _mixes(self.units, units, count // 2, draws)
        features, shares, values = (torch.cat(pair) for pair in zip((features, shares, values), mixes, strict=True))
        return self.head.decoder_inputs(features), self._sentences(shares.numpy(), values.numpy())

    def _sentences(self, shares: np.ndarray, values: np.ndarray) -> list[list[int]]:
        centre, spread = self.scale
        departures = np.where(shares > 0, np.abs(values - centre) / spread, -np.inf)
        size = self.memory.subsets.shape[1]
        order = np.argsort(-departures, axis=1, kind="stable")[:, :size]
        return [self.grammar.write(row, to_bin(v[row], 1.0)) for row, v in zip(order, values, strict=True)]


def _train_words(
    decoder: ParameterDecoder, lessons: Lessons, parts: np.ndarray, config: TrainConfig, seed: list[int]
) -> int:
    """Trains until the loss on the first part's subjects stops falling; keeps the best weights and returns their step."""
    settings, device = config.decoder, next(decoder.parameters()).device
    draws = np.random.default_rng([*seed, 2])
    noise = torch.Generator().manual_seed(config.seed)
    fitted, held_out = np.flatnonzero(parts != 0), np.flatnonzero(parts == 0)
    check = lessons.draw(held_out, 2 * NAMED_RECORDS, np.random.default_rng([*seed, 6]))
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=settings.lr)
    best, best_step, best_state = float("inf"), 0, copy.deepcopy(decoder.state_dict())
    for step in range(1, settings.steps + 1):
        decoder.train()
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * min(1.0, step / CHECK_EVERY)
        inputs, sentences = lessons.draw(fitted, settings.batch_size, draws)
        inputs = inputs + settings.noise * torch.randn(inputs.shape, generator=noise)
        loss = decoder.loss(inputs.to(device), sentences, words_alone=True)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
        if step % CHECK_EVERY and step != settings.steps:
            continue
        decoder.eval()
        with torch.inference_mode():
            held = float(decoder.loss(check[0].to(device), check[1], words_alone=True))
        if held < best:
            best, best_step, best_state = held, step, copy.deepcopy(decoder.state_dict())
        elif step - best_step >= PATIENCE * CHECK_EVERY:
            break
    decoder.load_state_dict(best_state)
    decoder.eval()
    return best_step


def _errors(
    units: SubjectRecords,
    parts: np.ndarray,
    tables: list[RecordTable],
    sums: list[Sums],
    penalty: float,
    seed: list[int],
) -> HeadErrors:
    """Returns the errors of heads with a penalty, each on the part that was held out of its fit.

    Args:
        sums: of the synthetic records, then of each part.
    """
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for part, table in enumerate(tables):
        others = [s for i, s in enumerate(sums) if i != part + 1]
        head = Sums.total(others).head(penalty)
        median = _medians(units, np.flatnonzero(parts != part))
        own = np.flatnonzero(parts == part)
        mixes = _mixes(units, own, MIXES, np.random.default_rng([*seed, 7, part]))
        for name, (features, shares, values) in (("records", table), ("mixes", mixes)):
            there = shares.numpy() > 0
            for what, said in ((name, head.read(features)[1].numpy()), (f"{name}_median", median)):
                off = np.where(there, np.abs(said - values.numpy()), 0.0)
                found.setdefault(what, []).append((off.sum(0), there.sum(0)))
    totals = {what: (sum(a for a, _ in rows), sum(n for _, n in rows)) for what, rows in found.items()}
    return HeadErrors(**{
        what: np.divide(off, count, out=np.full(len(median), np.nan), where=np.asarray(count) > 0)
        for what, (off, count) in totals.items()
    })  # fmt: skip


def _medians(units: SubjectRecords, chosen: np.ndarray) -> np.ndarray:
    """Returns the median of some units' values, [P]; 0 where none of them has the parameter."""
    there = units.shares[chosen].numpy() > 0
    held = np.where(there, units.values[chosen].numpy(), np.nan)
    found = np.zeros(held.shape[1])
    found[there.any(0)] = np.nanmedian(held[:, there.any(0)], axis=0)
    return found


def _mixes(units: SubjectRecords, chosen: np.ndarray, count: int, draws: np.random.Generator) -> RecordTable:
    """Returns features, shares and values of random mixes of two to six of some units."""
    weights = np.zeros((count, len(units.labels)))
    for row in weights:
        size = min(int(draws.integers(2, 7)), len(chosen))
        row[draws.choice(chosen, size, replace=False)] = draws.dirichlet(np.ones(size))
    mix = torch.from_numpy(weights)
    shares = mix @ units.shares
    return mix @ units.features, shares, (mix @ (units.shares * units.values)) / shares.clamp(min=1e-12)


def _parts(units: SubjectRecords, seed: list[int]) -> np.ndarray:
    """Returns the part of each unit, [U]: the subjects of each class are dealt to the parts in a random order."""
    draws = np.random.default_rng([*seed, 9])
    part: dict[str, int] = {}
    count = min(PARTS, len(np.unique(units.subjects)))
    for label in np.unique(units.labels):
        for name in draws.permutation(np.unique(units.subjects[units.labels == label])):
            part.setdefault(str(name), len(part) % count)
    return np.array([part[str(name)] for name in units.subjects])


def _skills(job: FoldJob, memory: NumericMemory, errors: HeadErrors, named: np.ndarray) -> list[ParameterSkill]:
    scale = memory.scaler.clip * memory.scaler.unit_per_v
    return [
        ParameterSkill(
            parameter=about.name,
            unit=about.unit,
            error=float(errors.records[p] * scale[p]),
            median_error=float(errors.records_median[p] * scale[p]),
            skill=float(errors.skill[p]),
            mixed=None if np.isnan(errors.mixed[p]) else float(errors.mixed[p]),
            named=None if np.isnan(named[p]) else float(named[p]),
        )
        for p, about in enumerate(job.cohort.parameters)
        if np.isfinite(errors.records[p])
    ]


def _skill(error: np.ndarray, median: np.ndarray) -> np.ndarray:
    """Returns skills [P]; 0 where the median makes no error, so that there is nothing to be better at."""
    ratio = np.divide(error, median, out=np.where(np.isnan(error), np.nan, 1.0), where=median > 0)
    return 1 - ratio
