"""Prints what the differences from the public release come to that docs/decisions/0016 names, and that are not a setting.

    python -m experiments.release                      all four on the embedded backbone
    python -m experiments.release gradients averaging  some of them
    python -m experiments.release --backbone FOLDER

averaging: a class's five features are averaged before the cosine here, and their cosines in the release. positions: where a
number's position encoding is put, and whether the number can still be read from a record of four. gradients: how much of
the text context's first gradient comes from the numbers. focal: the factor of a gradient that flows through the focal weight.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from platform.splits import make_splits

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from trainables.cohort.manifest import read_manifest
from trainables.config import TrainConfig
from trainables.data.cache import ingest_cohort
from trainables.data.cache_folder import user_cache
from trainables.knowledge.parameters import load_parameters
from trainables.knowledge.tasks import load_task
from trainables.model.backbone import Backbone, FrozenText, TextEncoder, load_backbone
from trainables.model.numbers import NumberEncoder, number_scale, sinusoids
from trainables.model.scaling import BINS, to_bin
from trainables.model.text_prompts import ClassPrompts
from trainables.settings import TextConfig
from trainables.simulation.cohort import VERSION, simulate_cohort
from trainables.training.distributed import Workers
from trainables.training.draws import windows_of
from trainables.training.fold import prepare
from trainables.training.frozen import FrozenFeatures
from trainables.training.job import FoldJob, load
from trainables.training.losses import video_loss
from trainables.training.step import GaitTask

SEEDS = 5
CLIP, RECORDS = 2.5, 600
PUBLISHED = {"text.projector": "per_class", "text.notions": "raw"}


def averaging(backbone: Backbone) -> Iterator[str]:
    """Yields the length of each class's mean of unit features: the release's logits of a class are ours times it."""
    text = FrozenText(backbone, TextEncoder(backbone.clip))
    scale = float(backbone.clip.logit_scale.exp())
    for name in ("diagnosis", "diagnosis5", "updrs"):
        task = load_task(name)
        prompts = ClassPrompts(task, TextConfig(context_init="words", knowledge=False), text, None)
        with torch.no_grad():
            features = normalize(text.encoder(prompts.tokens(), prompts.end), dim=-1)
        lengths = features.view(len(task.classes), -1, features.shape[1]).mean(1).norm(dim=-1)
        yield f"| {name} | {' '.join(f'{x:.3f}' for x in lengths)} | {scale * float(lengths.max() - lengths.min()):.2f} |"


def positions(backbone: Backbone) -> Iterator[str]:
    """Yields how well each of four values is read from the mean of their sentences, by ridge regression on other records."""
    text = FrozenText(backbone, TextEncoder(backbone.clip))
    names = [p.name for p in load_parameters()][:4]
    values = np.random.default_rng(0).uniform(-CLIP, CLIP, (RECORDS, len(names)))
    bins = to_bin(values, CLIP)
    for kind, features in {
        "continuous (the default)": NumberEncoder(text, names, "continuous", CLIP).features(bins),
        "in place of the number (ours)": NumberEncoder(text, names, "position", CLIP).features(bins),
        "added to a number token": _added_to_token(text, names, bins),
        "added to the sentence's feature (release)": _added_to_feature(text, names, bins),
    }.items():
        found = _readable(features.mean(1), torch.from_numpy(values))
        yield f"| {kind} | {' '.join(f'{x:.2f}' for x in found)} | {found.mean():.2f} |"


def _added_to_token(text: FrozenText, names: list[str], bins: np.ndarray) -> Tensor:
    encoder = NumberEncoder(text, names, "position", CLIP)
    token = text.encoder.embed(text.backbone.tokens("X"))[:1]
    places = normalize(sinusoids(BINS, text.encoder.width), dim=-1) * number_scale(text)
    parts = [(encoder.start, encoder.names[p][None], encoder.copula, encoder.end) for p in range(len(names))]
    sequences = [
        torch.cat([start, name, copula, token + places[row[p]], end])
        for row in bins
        for p, (start, name, copula, end) in enumerate(parts)
    ]
    return normalize(text.encoder.read(sequences), dim=-1).view(*bins.shape, -1)


def _added_to_feature(text: FrozenText, names: list[str], bins: np.ndarray) -> Tensor:
    sentences = text.encoder.read([text.sequence(text.backbone.tokens(f"{name} is X")) for name in names])
    places = 0.5 * normalize(sinusoids(BINS, sentences.shape[1]), dim=-1)
    return normalize(sentences[None] + places[torch.from_numpy(bins)], dim=-1)


def _readable(records: Tensor, values: Tensor) -> np.ndarray:
    """Returns the held-out R2 of each value, at the best of four ridges."""
    spread = records.std(0)
    standard = ((records - records.mean(0)) / (spread + 0.01 * spread.mean())).double()
    inputs, half = torch.cat([standard, torch.ones(len(standard), 1)], dim=1), len(values) * 2 // 3
    fitted, held_out = slice(half), slice(half, None)
    found = []
    for ridge in (1e-3, 0.1, 10.0, 100.0):
        gram = inputs[fitted].T @ inputs[fitted] + ridge * torch.eye(inputs.shape[1])
        weights = torch.linalg.solve(gram, inputs[fitted].T @ values[fitted])
        missed = (inputs[held_out] @ weights - values[held_out]).square().sum(0)
        found.append(1 - missed / (values[held_out] - values[fitted].mean(0)).square().sum(0))
    return max(found, key=lambda r: float(r.mean())).numpy()


def gradients(backbone: Backbone) -> Iterator[str]:
    """Yields the numbers' share of the text context's gradient over the video's, before the first step."""
    path = simulate_cohort(user_cache() / f"simulated-24-subjects-seed-0-version-{VERSION}", subjects=24, seed=0)
    cohort, task = read_manifest(path, task=None, label="diagnosis", parameters=load_parameters(), folds=3)
    cohort = ingest_cohort(cohort, size=backbone.image_size, folder=user_cache() / "frames")
    job = FoldJob(
        cohort=cohort,
        fold=make_splits(cohort, folds=3, seed=0).folds[0],
        frozen=FrozenFeatures(backbone, task, [p.name for p in cohort.parameters]),
        cache=user_cache() / "frames",
        folder=Path("nowhere"),
        key="",
    )
    for name, settings in (
        ("published", PUBLISHED),
        ("defaults", {}),
        ("words, tau 20", {"text.context_init": "words"}),
    ):
        tau = 20.0 if "tau" in name else 100.0
        ratios = []
        for seed in range(SEEDS):
            values = dict(settings) | {"seed": seed, "numeracy.temperature": tau, "motion.readout": "off"}
            ratios.append(_ratio(TrainConfig().with_values(values), job))
        yield f"| {name} | {np.mean(ratios):.2f} | {' '.join(f'{r:.2f}' for r in ratios)} |"


def _ratio(config: TrainConfig, job: FoldJob) -> float:
    task, data = prepare(config, job, Workers(), torch.device("cpu")), job.training(config)
    rng, windows = np.random.default_rng(config.seed), windows_of(data)
    norms = np.zeros(2)
    for _ in range(4):
        batch = load(data, [windows[i] for i in rng.choice(len(data), 4, replace=False)])
        norms += _norms(task, batch.frames, batch.labels, rng)
    return float(norms[1] / norms[0])


def _norms(task: GaitTask, frames: Tensor, labels: Tensor, rng: np.random.Generator) -> np.ndarray:
    """Returns the norms of the video's gradient on the context and of the weighted numbers'."""
    model, context = task.model, task.model.prompts.context
    classes = model.class_features()
    optimizer = task.config.optimizer
    with torch.no_grad():
        features = model.encode(frames).video
    logits = model.logits(features, classes)
    video = video_loss(logits, labels, gamma=optimizer.focal_gamma, alpha=optimizer.focal_alpha, beta=task.beta).mean()
    assert task.memory is not None
    records, of = task.memory.draw(task.config.numeracy.memory_batch, rng)
    numeric = task._numeric_loss(classes, task.memory.record_features(records), torch.from_numpy(of))
    numeric = task.config.numeracy.weight * numeric
    return np.array(
        [float(torch.autograd.grad(loss, context, retain_graph=loss is video)[0].norm()) for loss in (video, numeric)]
    )


def focal(backbone: Backbone) -> Iterator[str]:
    """Yields the gradient through the focal weight over the gradient with the weight held, at some probabilities."""
    for p in (0.05, 1 / 3, 0.5, 0.9, 0.99):
        logits = torch.tensor([[np.log(p / (1 - p)), 0.0]])
        found = []
        for through in (True, False):
            x = logits.clone().requires_grad_()
            loss = video_loss(x, torch.tensor([0]), gamma=2.0, alpha=0.25, beta=0.0, through_weight=through)
            found.append(float(torch.autograd.grad(loss.sum(), x)[0][0, 0]))
        yield f"| {p:.2f} | {found[0] / found[1]:.2f} |"


MEASURES = {
    averaging: "| task | length of each class's mean | largest logit difference at a cosine of 1 |\n|---|---|---|",
    positions: "| position encoding | R2 of four values | mean |\n|---|---|---|",
    gradients: "| settings | numbers' gradient over the video's | each seed |\n|---|---|---|",
    focal: "| p of the true class | factor |\n|---|---|",
}


def main() -> None:
    """Prints a Markdown table for each measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [measure.__name__ for measure in MEASURES]
    parser.add_argument("measures", nargs="*", help=f"some of {', '.join(known)}; none: all")
    parser.add_argument("--backbone", default="small", help="small, a folder or a hub id")
    options = parser.parse_args()
    if unknown := sorted(set(options.measures) - set(known)):
        parser.error(f"{unknown[0]} is not a measure; use some of {', '.join(known)}")
    torch.set_num_threads(1)
    backbone = load_backbone(options.backbone)
    for measure, head in MEASURES.items():
        if not options.measures or measure.__name__ in options.measures:
            print(f"\n{measure.__name__}\n\n{head}")
            for line in measure(backbone):
                print(line, flush=True)


if __name__ == "__main__":
    main()
