"""Puts the class features of a finished fold into words, and measures how far the words can be trusted."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trainables.config import TrainConfig
from trainables.model.decoder import ParameterDecoder, SentenceGrammar
from trainables.model.numeracy import NumericMemory, mean_features
from trainables.model.scaling import BINS, from_bin, to_bin
from trainables.study.fold_embeddings import FoldMaps
from trainables.study.records import DecodedClass, DecodedValue, FoldResult
from trainables.training.checkpoint import load_weights
from trainables.training.distributed import Workers
from trainables.training.fold import WEIGHTS, prepare
from trainables.training.job import FoldJob, parameter_values
from trainables.training.step import GaitTask

SHARPNESS = 100.0
"""Of the attention of a class feature over the class's records."""
HELD_OUT_RECORDS = 256
MAP_RECORDS = 240
MAP_STEP = 20
"""Bins between two numbers whose embeddings are compared."""


def describe_fold(job: FoldJob, device: str = "cpu") -> FoldResult:
    """Returns a finished fold's result with its decoded classes and the decoder's held-out error, saved in its folder.

    A fold without numeric records, or already described, comes back as it is.
    """
    result = FoldResult.load(job.folder)
    config = TrainConfig.from_flat(result.config).effective()
    if result.decoded or not config.decoder.enabled or not config.kind.trained:
        return result
    task = prepare(config, job, Workers(), torch.device(device))
    if task.memory is None:
        return result
    task.model.load_trained(load_weights(job.folder / WEIGHTS))
    task.model.eval()
    fold_maps(task, job).save(job.folder)
    decoder = train_decoder(config, job, task.memory, task.device)
    result = dataclasses.replace(
        result,
        decoded=tuple(decode_classes(task, decoder, job)),
        reconstruction=reconstruction_error(config, decoder, task.memory, job),
    )
    result.save_about(job.folder)
    return result


def train_decoder(config: TrainConfig, job: FoldJob, memory: NumericMemory, device: torch.device) -> ParameterDecoder:
    """Returns a decoder trained on the fold's training records alone."""
    settings = config.decoder
    grammar = SentenceGrammar.of(job.frozen.backbone, job.frozen.names)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        decoder = ParameterDecoder(grammar, job.frozen.backbone.width, memory.subsets.shape[1], settings).to(device)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=settings.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, total_steps=settings.steps, pct_start=0.1)
    draws = np.random.default_rng([config.seed, job.fold.index, 2])
    noise = torch.Generator().manual_seed(config.seed)
    decoder.train()
    for _ in range(settings.steps):
        records, _ = memory.draw(settings.batch_size, draws)
        features = memory.record_features(records).cpu()
        features = features + settings.noise * torch.randn(features.shape, generator=noise)
        loss = decoder.loss(
            functional.normalize(features, dim=-1).to(device), list(_sentences(grammar, memory, records))
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return decoder


@torch.inference_mode()
def decode_classes(task: GaitTask, decoder: ParameterDecoder, job: FoldJob) -> Iterator[DecodedClass]:
    """Yields what each class's learned text feature says, for the classes that have numeric records."""
    memory, numeric = task.memory, task.model.numeric
    assert memory is not None
    assert numeric is not None
    projected = numeric.project_classes(task.model.class_features().float())
    train = job.cohort.of_subjects(job.fold.train)
    values, labels = parameter_values(job.cohort, train), train["label"].to_numpy()
    for index, name in enumerate(job.cohort.classes):
        if not len(memory.records[index]):
            continue
        features = memory.record_features(memory.records[index]).to(task.device)
        keys = numeric.project_records(features)[:, min(index, len(numeric.record_heads.first_bias) - 1)]
        prefix = functional.normalize(_attend(projected[index], keys, features), dim=-1)
        # Named are parameters that the class's own records have: a value stands beside the class's own values.
        own = frozenset(np.unique(memory.subsets[memory.records[index][:, 1]]).tolist())
        pairs = decoder.generate(prefix.unsqueeze(0), task.config.decoder.beams, about=own)[0]
        decoded = tuple(
            _decoded_value(job, memory, parameter, number, values[labels == index, parameter])
            for parameter, number in pairs
        )
        yield DecodedClass(label=name, sentence=sentence(decoded), values=decoded)


@torch.inference_mode()
def fold_maps(task: GaitTask, job: FoldJob) -> FoldMaps:
    """Returns where class-balanced training records and the class features lie, before and after their heads."""
    memory, numeric = task.memory, task.model.numeric
    assert memory is not None
    assert numeric is not None
    records, labels = memory.draw(MAP_RECORDS, np.random.default_rng([task.config.seed, job.fold.index, 3]))
    projected = numeric.project_records(memory.record_features(records).to(task.device))
    head = np.minimum(labels, projected.shape[1] - 1)
    classes = task.model.class_features().float()
    bins = np.arange(0, BINS, MAP_STEP)
    encoder = job.frozen.numbers(task.config.numeracy.encoding, task.config.numeracy.clip)
    read = functional.normalize(encoder.features(np.tile(bins[:, None], len(job.frozen.names))).double(), dim=-1)
    return FoldMaps(
        labels=labels,
        written=mean_features(memory.features, memory.subsets, records).cpu().numpy(),
        projected=projected[torch.arange(len(labels)), torch.from_numpy(head)].cpu().numpy(),
        class_written=classes.cpu().numpy(),
        class_projected=numeric.project_classes(classes).cpu().numpy(),
        numbers=from_bin(bins, memory.scaler.clip),
        similarity=torch.einsum("kpd,jpd->kj", read, read).cpu().numpy() / len(job.frozen.names),
    )


def _attend(query: Tensor, keys: Tensor, features: Tensor) -> Tensor:
    return (SHARPNESS * keys @ query).softmax(0) @ features


def sentence(values: tuple[DecodedValue, ...]) -> str:
    """Returns 'walking speed is 0.84 leg/s, cadence is 92.9 steps/min'."""
    return ", ".join(f"{v.parameter} is {_three_digits(v.value)}{' ' + v.unit if v.unit else ''}" for v in values)


def _three_digits(value: float) -> str:
    """Returns a number with three digits or all before the point: 0.842, 92.9, 1234."""
    return f"{value:.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def _decoded_value(job: FoldJob, memory: NumericMemory, parameter: int, number: int, own: np.ndarray) -> DecodedValue:
    """Returns a decoded number in its unit, beside the class's own training values [N_c]."""
    about = job.cohort.parameters[parameter]
    low, median, high = np.quantile(own[np.isfinite(own)], [0.05, 0.5, 0.95])
    scaled = float(from_bin(np.array(number), memory.scaler.clip))
    return DecodedValue(
        parameter=about.name,
        unit=about.unit,
        value=memory.scaler.in_units(scaled, parameter),
        low=float(low),
        median=float(median),
        high=float(high),
    )


def reconstruction_error(
    config: TrainConfig, decoder: ParameterDecoder, memory: NumericMemory, job: FoldJob
) -> dict[str, float]:
    """Returns the mean absolute error of decoded numbers on held-out subjects' records, by parameter name in units.

    A parameter that is in the record but not in the decoded sentence does not count; one never decoded is left out.
    """
    test = job.cohort.of_subjects(job.fold.test)
    bins = to_bin(memory.scaler.transform(parameter_values(job.cohort, test)), memory.scaler.clip)
    numbers = job.frozen.numbers(config.numeracy.encoding, config.numeracy.clip)
    held_out = dataclasses.replace(memory, bins=bins, features=numbers.features(bins))
    rows = np.argwhere((bins[:, memory.subsets] >= 0).all(-1))
    if not len(rows):
        return {}
    chosen = np.random.default_rng(config.seed).permutation(len(rows))[:HELD_OUT_RECORDS]
    records = rows[chosen]
    device = next(decoder.parameters()).device
    features = functional.normalize(held_out.record_features(records), dim=-1).to(device)
    errors: dict[str, list[float]] = {}
    told = frozenset(np.unique(memory.subsets).tolist())
    for (video, _), pairs in zip(records, decoder.generate(features, about=told), strict=True):
        for parameter, number in pairs:
            if bins[video, parameter] >= 0:
                off = abs(int(bins[video, parameter]) - number) * 2 * memory.scaler.clip / 200
                errors.setdefault(job.frozen.names[parameter], []).append(off * memory.scaler.unit_per_v[parameter])
    return {name: float(np.mean(values)) for name, values in sorted(errors.items())}


def _sentences(grammar: SentenceGrammar, memory: NumericMemory, records: np.ndarray) -> Iterator[list[int]]:
    for video, subset in records:
        parameters = memory.subsets[subset]
        yield grammar.write(parameters, memory.bins[video, parameters])
