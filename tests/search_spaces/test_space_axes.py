"""No search space has a dead axis: every value of every axis changes what training computes."""

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch

from search_spaces import SHIPPED, load_space
from tests.tiny_cohort import RECIPE, TinyCohort, make_cohort
from trainables.config import TrainConfig
from trainables.training.distributed import Workers
from trainables.training.fold import prepare, train, train_fold
from trainables.training.scoring import score

REFERENCE = RECIPE.with_values(
    {"video.window": 40, "optimizer.steps": 4, "optimizer.epochs": 1, "optimizer.lr": 3e-3, "numeracy.subset_size": 2}
)
"""Four steps: an anchor has no gradient at the first. Windows of 40 leave a tail of the 60 frames."""
DRAWS = 200


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyCohort:
    return make_cohort(tmp_path_factory.mktemp("axes"))


def axes(name: str) -> list[tuple[str, Any, dict[str, Any]]]:
    """Returns (axis, value, what else must be drawn for the axis to be there) for the values of every axis of a space."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = load_space(name)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trials = []
    for _ in range(DRAWS):
        trial = study.ask()
        space.suggest(trial, REFERENCE)
        trials.append((trial.params, trial.distributions))
    found = []
    for axis in sorted({axis for params, _ in trials for axis in params}):
        having = [(params, distributions) for params, distributions in trials if axis in params]
        first = having[0][0]
        needed = {
            other: first[other]
            for other in first
            if other != axis
            and isinstance(having[0][1][other], optuna.distributions.CategoricalDistribution)
            and {repr(p.get(other)) for p, _ in having} < {repr(p.get(other)) for p, _ in trials}
        }
        distribution = having[0][1][axis]
        if isinstance(distribution, optuna.distributions.CategoricalDistribution):
            values = list(distribution.choices)
        else:
            values = [distribution.low, distribution.high]
        found += [(axis, value, needed) for value in values]
    return found


def computed(config: TrainConfig, tiny: TinyCohort, folder: Path) -> list[np.ndarray]:
    """Returns the trained weights of a fold and its held-out probabilities."""
    job = tiny.job(folder)
    if config.model in ("parameters", "linear_probe"):
        return [np.array(train_fold(config, job).predictions["probabilities"].to_list())]
    task = prepare(config.effective(), job, Workers(), torch.device("cpu"))
    train(task, job, None)
    weights = torch.cat([weight.flatten() for weight in task.model.trained_state().values()])
    return [weights.numpy(), np.array(score(task, job)[0]["probabilities"].to_list())]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SHIPPED if name not in ("full", "paper")])
def test_every_value_of_every_axis_changes_training(tiny, tmp_path, name):
    """Beside the reference, with what the axis needs, each other value gives other weights or other answers."""
    known: dict[str, list[np.ndarray]] = {}

    def once(config: TrainConfig) -> list[np.ndarray]:
        key = repr(config)
        if key not in known:
            known[key] = computed(config, tiny, tmp_path / str(len(known)))
        return known[key]

    dead = []
    for axis, value, needed in axes(name):
        if name == "ablation":
            from search_spaces.ablation import VARIANTS

            before, after = REFERENCE, REFERENCE.with_values(VARIANTS[value])
        else:
            before = REFERENCE.with_values(needed)
            after = before.with_values({axis: value})
        if before == after:
            continue
        ours, others = once(before), once(after)
        if len(ours) == len(others) and all(np.array_equal(a, b) for a, b in zip(ours, others, strict=True)):
            dead.append((axis, value))
    assert not dead
    assert len(known) > 3
