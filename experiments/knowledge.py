"""Prints where the content of clinical knowledge helps: without training, with few subjects, and for a class never seen.

    python -m experiments.knowledge --label diagnosis
    python -m experiments.knowledge --label updrs_gait --hide-names --backbone FOLDER --knowledge-encoder FOLDER
    python -m experiments.knowledge --label diagnosis --cohort cohort.csv

Video features are frozen CLIP's, computed once, and only the text side is trained: what is asked is what the texts are
worth, and nothing else moves. Each seed has a simulated cohort of its own (or, with --cohort, its own draw of subjects),
and its own permutation, random vectors, start and order of windows. Letters: N windows, C classes, D joint width.
"""

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from platform.options import SearchOptions

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import normalize

from trainables.cohort.manifest import read_manifest
from trainables.config import TrainConfig
from trainables.data.cache import ingest_cohort
from trainables.data.cache_folder import user_cache
from trainables.data.dataset import WindowDataset
from trainables.knowledge.parameters import load_parameters
from trainables.knowledge.tasks import Task
from trainables.model.backbone import load_backbone
from trainables.model.gait_clip import GaitCLIP, build
from trainables.simulation.cohort import VERSION, simulate_cohort
from trainables.training.frozen import FrozenFeatures
from trainables.training.losses import video_loss

TEXT_ALONE = {
    "motion.readout": "off",
    "video.n_global": 0,
    "video.local": False,
    "video.summary": False,
    "numeracy.enabled": False,
}
NO_KEYWORDS: dict[str, object] = {"text.keywords": False}
ROWS: dict[str, dict[str, object]] = {
    "own knowledge": {},
    "own, notions raw": {"text.notions": "raw"},
    "own, notions centred": {"text.notions": "centred"},
    "own, a projector for each class, raw (published)": {"text.notions": "raw", "text.projector": "per_class"},
    "own keywords, no notions": {"text.knowledge": False},
    "swapped knowledge": {"text.knowledge_source": "swapped"},
    "random knowledge": {"text.knowledge_source": "random"},
    "class names alone": {"text.knowledge": False} | NO_KEYWORDS,
    "notions alone": NO_KEYWORDS,
    "notions alone, centred": {"text.notions": "centred"} | NO_KEYWORDS,
    "notions alone, raw": {"text.notions": "raw"} | NO_KEYWORDS,
    "swapped notions alone": {"text.knowledge_source": "swapped"} | NO_KEYWORDS,
    "random vectors alone": {"text.knowledge_source": "random"} | NO_KEYWORDS,
}
FIRST_SEED = 500
"""Of the simulated cohorts: nothing was tuned on these."""
BATCH, RATE = 12, 1e-3


@dataclass(frozen=True, kw_only=True)
class Windows:
    """One cohort as frozen CLIP sees it."""

    task: Task
    frozen: FrozenFeatures
    features: Tensor
    """[N, D], unit length."""
    labels: np.ndarray
    """[N]."""
    subjects: np.ndarray
    """[N]."""


def read(options: argparse.Namespace, seed: int) -> Windows:
    """Returns the windows of a seed's cohort."""
    path = options.cohort
    if path is None:
        name = f"simulated-{options.subjects}-subjects-seed-{FIRST_SEED + seed}-version-{VERSION}"
        path = simulate_cohort(user_cache() / name, subjects=options.subjects, seed=FIRST_SEED + seed)
    cohort, task = read_manifest(path, task=None, label=options.label, parameters=load_parameters(), folds=2)
    backbone = load_backbone(options.backbone)
    cohort = ingest_cohort(cohort, size=backbone.image_size, folder=user_cache() / "frames")
    config = reference(options, seed)
    if options.hide_names:
        classes = tuple(dataclasses.replace(c, name="person walking") for c in task.classes)
        task = dataclasses.replace(task, classes=classes)
    frozen = FrozenFeatures(backbone, task, [], knowledge_encoder=options.knowledge_encoder)
    data = WindowDataset(cohort.videos, user_cache() / "frames", config.video, training=False)
    model = build(backbone, task, config.with_values({"text.knowledge": False}), None, seed=0)
    with torch.inference_mode():
        parts = [
            model.encode(torch.stack([data[i]["frames"] for i in range(start, min(start + 16, len(data)))])).video
            for start in range(0, len(data), 16)
        ]
    return Windows(
        task=task,
        frozen=frozen,
        features=normalize(torch.cat(parts), dim=-1).clone(),
        labels=data.windows["label"].to_numpy(),
        subjects=data.windows["subject"].to_numpy(),
    )


def reference(options: argparse.Namespace, seed: int) -> TrainConfig:
    """Returns the configuration that every row changes."""
    return SearchOptions(backbone=options.backbone, seed=seed).reference().with_values(TEXT_ALONE)


def new_model(cohort: Windows, config: TrainConfig) -> GaitCLIP:
    """Returns an untrained model."""
    notions = cohort.frozen.notions(config.text, config.seed)
    return build(cohort.frozen.backbone, cohort.task, config, notions, seed=config.seed)


def train(model: GaitCLIP, cohort: Windows, subjects: np.ndarray, classes: list[int], steps: int, seed: int) -> None:
    """Trains the text side on windows drawn class, then subject, then window.

    Args:
        classes: the cohort's classes that the model has, in its order.
    """
    rng = np.random.default_rng(seed)
    own = [[np.flatnonzero(cohort.subjects == s) for s in subjects if _label(cohort, s) == c] for c in classes]
    optimizer = torch.optim.AdamW(model.prompts.parameters(), lr=RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
    for _ in range(steps):
        labels = np.resize(rng.permutation(len(classes)), BATCH)
        rows = [rng.choice(own[c][rng.integers(len(own[c]))]) for c in labels]
        logits = model.logits(cohort.features[rows], model.class_features())
        loss = video_loss(logits, torch.from_numpy(labels), gamma=2.0, alpha=0.25, beta=0.0).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.prompts.parameters(), 1.0)
        optimizer.step()
        schedule.step()


def scores(model: GaitCLIP, cohort: Windows, subjects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean probabilities of each subject, [S, C], and their true classes, [S]."""
    with torch.inference_mode():
        p = model.logits(cohort.features, model.class_features()).softmax(-1).numpy()
    means = np.stack([p[cohort.subjects == s].mean(0) for s in subjects])
    return means, np.array([_label(cohort, s) for s in subjects])


def balanced_accuracy(probabilities: np.ndarray, true: np.ndarray) -> float:
    """Returns the mean over classes of the share of subjects that are called by their class."""
    right = probabilities.argmax(1) == true
    return float(np.mean([right[true == c].mean() for c in np.unique(true)]))


def few_subjects(cohort: Windows, config: TrainConfig, shots: int, steps: int, draws: int) -> float:
    """Returns the balanced accuracy on all others after training on `shots` subjects of each class; 0 trains nothing.

    Args:
        draws: of the training subjects; the value is their mean.
    """
    everyone = np.unique(cohort.subjects)
    if not shots:
        return balanced_accuracy(*scores(new_model(cohort, config), cohort, everyone))
    values = []
    for draw in range(draws):
        chosen = _drawn(cohort, shots, np.random.default_rng([config.seed, draw, shots]))
        model = new_model(cohort, config)
        train(model, cohort, chosen, list(range(len(cohort.task.classes))), steps, seed=config.seed + 1000 * draw)
        values.append(balanced_accuracy(*scores(model, cohort, np.setdiff1d(everyone, chosen))))
    return float(np.mean(values))


def unseen_class(cohort: Windows, config: TrainConfig, steps: int) -> float:
    """Returns how well a class that was never trained on is told from the others, as an area under the ROC curve.

    Half of the subjects train, without the class and without its text; then the class is given its text through the
    trained projector, and a context that is the mean of the others'. Its logit less the others' mean ranks the held-out
    subjects. The value is the mean over all classes; .5 is chance.
    """
    everyone, count = np.unique(cohort.subjects), len(cohort.task.classes)
    areas = []
    for unseen in range(count):
        half = max(1, len(everyone) // count // 2)
        chosen = _drawn(cohort, half, np.random.default_rng([config.seed, unseen, 77]))
        seen = [c for c in range(count) if c != unseen]
        full = new_model(cohort, config)
        part = new_model(cohort, config)
        _keep_classes(part, seen)
        train(part, cohort, chosen[[_label(cohort, s) != unseen for s in chosen]], seen, steps, seed=config.seed)
        with torch.no_grad():
            full.prompts.context[seen] = part.prompts.context
            full.prompts.context[unseen] = part.prompts.context.mean(0)
            if full.prompts.projector is not None and part.prompts.projector is not None:
                full.prompts.projector.load_state_dict(part.prompts.projector.state_dict())
            held_out = np.setdiff1d(everyone, chosen)
            logits = model_logits(full, cohort, held_out)
        margin = logits[:, unseen] - logits[:, seen].mean(1)
        areas.append(roc_auc_score([_label(cohort, s) == unseen for s in held_out], margin))
    return float(np.mean(areas))


def model_logits(model: GaitCLIP, cohort: Windows, subjects: np.ndarray) -> np.ndarray:
    """Returns the mean logits of each subject, [S, C]."""
    logits = model.logits(cohort.features, model.class_features()).numpy()
    return np.stack([logits[cohort.subjects == s].mean(0) for s in subjects])


def _keep_classes(model: GaitCLIP, classes: list[int]) -> None:
    """Takes the other classes' prompts out of an untrained model."""
    prompts = model.prompts
    rows = [row for row, owner in enumerate(prompts.owner) if owner in classes]
    prompts.owner = [classes.index(prompts.owner[row]) for row in rows]
    prompts.rows = torch.tensor(prompts.owner)
    prompts.classes = len(classes)
    prompts.context = torch.nn.Parameter(prompts.context.detach()[classes].clone())
    prompts.words, prompts.end = prompts.words[rows], prompts.end[rows]
    if prompts.projector is not None:
        prompts.notions = prompts.notions[rows]


def _label(cohort: Windows, subject: str) -> int:
    return int(cohort.labels[cohort.subjects == subject][0])


def _drawn(cohort: Windows, shots: int, rng: np.random.Generator) -> np.ndarray:
    """Returns `shots` subjects of each class, and at most all but one."""
    everyone = np.unique(cohort.subjects)
    labels = np.array([_label(cohort, s) for s in everyone])
    drawn = [
        rng.choice(everyone[labels == c], size=min(shots, int((labels == c).sum()) - 1), replace=False)
        for c in np.unique(labels)
    ]
    return np.concatenate(drawn)


def main() -> None:
    """Measures every row and prints a Markdown table with each seed's value."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--label", default="diagnosis", help="diagnosis or updrs_gait of simulated walkers, or a column"
    )
    parser.add_argument("--cohort", type=Path, help="manifest; none: a simulated cohort for each seed")
    parser.add_argument("--subjects", type=int, default=48, help="subjects of a simulated cohort (default 48)")
    parser.add_argument("--backbone", default="small", help="small, a folder or a hub id")
    parser.add_argument("--knowledge-encoder", default="clip", help="as in platform.search")
    parser.add_argument(
        "--hide-names", action="store_true", help="call every class 'person walking': texts alone tell them apart"
    )
    parser.add_argument("--shots", type=int, nargs="+", default=[0, 1, 2, 4], help="training subjects a class; 0: none")
    parser.add_argument("--draws", type=int, default=3, help="draws of training subjects in a seed (default 3)")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)), help="seeds (default 0 1 2 3 4)")
    parser.add_argument("--steps", type=int, default=100, help="steps of 12 windows (default 100)")
    parser.add_argument("--rows", nargs="+", help=f"some of: {'; '.join(ROWS)}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = {name: ROWS[name] for name in options.rows or ROWS}
    columns = [*(f"{n} subjects a class" for n in options.shots), "a class never seen (AUC)"]
    values: dict[str, list[list[float]]] = {name: [[] for _ in columns] for name in rows}
    for seed in options.seeds:
        cohort = read(options, seed)
        for name, changes in rows.items():
            config = reference(options, seed).with_values(dict(changes))
            found = [few_subjects(cohort, config, shots, options.steps, options.draws) for shots in options.shots]
            per_class = config.text.knowledge and config.text.projector == "per_class"  # it has none for a new class
            found.append(float("nan") if per_class else unseen_class(cohort, config, options.steps))
            for column, value in zip(values[name], found, strict=True):
                column.append(value)
            print(f"seed {seed}, {name}: {' '.join(f'{v:.3f}' for v in found)}", flush=True)
    about = {k: str(v) for k, v in vars(options).items() if k != "rows"}
    print(f"\n{about}\n\n| knowledge | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for name, of_columns in values.items():
        cells = [
            "-" if np.isnan(v).any() else f"{np.mean(v):.3f} ({' '.join(f'{x:.2f}' for x in v)})" for v in of_columns
        ]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
