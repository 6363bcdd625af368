"""A study whose labels hang on the site is caught by shortcuts and held-out sites, one whose labels do not is not.

`python -m tests.trainables.training.test_site_contrast 0 1 2 3 4` prints the same of other seeds, a row each.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from platform.splits import splits_of_column

import numpy as np
import pytest

from reports.numbers.comparisons import compare
from reports.numbers.controls import study_warnings
from tests.trainables.training.test_shortcuts import Sites, by_site
from trainables.errors import ConfigurationError

SUBJECTS, PLACES, BIAS, SEED = 48, 4, 0.8, 2
PICTURES, GAIT = "linear_probe", "parameters"
"""A model that takes whatever the pictures offer, and one that sees nothing but measured gait. Both train in a second."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the checks say of one model on one cohort; scores are balanced accuracies per subject, 1/3 by chance."""

    attributes: float
    recording: float
    own: float
    """The model's, on random folds."""
    held_out: float | None
    """The model's, one site held out at a time; None where that is refused, because one site has all of a class."""
    not_better_than: tuple[str, ...]
    """The shortcuts that the first warnings of the page name."""


def look(sites: Sites, model: str) -> Found:
    """Returns what the shortcuts and the held-out sites say of a model."""
    own = sites.predictions(model)
    others = {name: sites.predictions(name) for name in ("attributes", "recording")}
    compared = compare(own, others, "subject/balanced_accuracy", 3)
    warnings = study_warnings(np.eye(3, dtype=int), ("a", "b", "c"), [("the model", c) for c in compared], None, None)
    named = tuple(c.other for c in compared if c.low <= 0)
    assert [w.code for w in warnings[: len(named)]] == ["not_better_than_shortcut"] * len(named)
    try:
        held_out = sites.score(sites.predictions(model, splits_of_column(by_site(sites.cohort))))
    except ConfigurationError as error:
        if error.code != "splits.class_missing":
            raise
        held_out = None
    alone = {name: sites.score(predictions) for name, predictions in others.items()}
    return Found(**alone, own=sites.score(own), held_out=held_out, not_better_than=named)


def cohort(folder: Path, bias: float, seed: int = SEED) -> Sites:
    """Returns walkers at four sites."""
    return Sites(folder, bias, subjects=SUBJECTS, sites=PLACES, seed=seed)


@pytest.fixture(scope="module")
def even(tmp_path_factory: pytest.TempPathFactory) -> Sites:
    """Returns walkers whose sites say nothing of their group."""
    return cohort(tmp_path_factory.mktemp("even"), 0.0)


def test_labels_that_hang_on_the_site_are_caught(tmp_path: Path) -> None:
    """Site and file alone do as well as the model, which warnings say first; held-out sites take away what the site gave."""
    found = look(cohort(tmp_path, BIAS), PICTURES)
    assert min(found.attributes, found.recording) > 0.7
    assert found.not_better_than == ("attributes", "recording")
    assert found.held_out is not None
    assert found.own - found.held_out > 0.2


def test_labels_that_do_not_are_not(even: Sites) -> None:
    """The site is worth nothing, a model of the gait is better than site and file, and as good at sites that it has not seen."""
    found = look(even, GAIT)
    assert found.attributes < 0.4
    assert found.not_better_than == ()
    assert found.held_out is not None
    assert found.own - found.held_out < 0.1


def table(seeds: list[int]) -> None:
    """Prints a row for each seed and bias."""
    print(
        "| seed | bias | attributes | recording | model | own | held-out sites | not better than |\n|---|---|---|---|---|---|---|---|"
    )
    for seed in seeds:
        for bias, model in ((BIAS, PICTURES), (0.0, GAIT)):
            with tempfile.TemporaryDirectory() as folder:
                one = look(cohort(Path(folder), bias, seed), model)
            held_out = "refused" if one.held_out is None else f"{one.held_out:.2f}"
            print(
                f"| {seed} | {bias} | {one.attributes:.2f} | {one.recording:.2f} | {model} | {one.own:.2f} | {held_out} | "
                f"{', '.join(one.not_better_than) or 'none'} |",
                flush=True,
            )


if __name__ == "__main__":
    table([int(seed) for seed in sys.argv[1:]])
