"""What can be scored without the gait: a cohort whose labels hang on the site is caught, one whose do not is not."""

import dataclasses
from pathlib import Path
from platform.splits import make_splits, splits_of_column

import numpy as np
import polars as pl
import pytest

from reports.numbers.comparisons import compare
from reports.numbers.controls import study_warnings
from reports.numbers.subgroups import subgroups
from tests.errors import coded
from tests.tiny import save_tiny_clip
from trainables.cohort.manifest import read_manifest
from trainables.config import TrainConfig
from trainables.data.cache import ingest_cohort
from trainables.errors import ConfigurationError, StridefoldError
from trainables.knowledge.parameters import load_parameters
from trainables.model.backbone import load_backbone
from trainables.model_kinds import SHORTCUTS
from trainables.simulation.cohort import simulate_cohort
from trainables.study.metrics import FUNCTIONS, at_level
from trainables.study.records import Attribute, Cohort, Fold, FoldResult, Splits
from trainables.training.fold import train_fold
from trainables.training.frozen import FrozenFeatures
from trainables.training.job import FoldJob
from trainables.training.shortcuts import attribute_values, read_in_features, recording_facts, subject_features

CONFIG = TrainConfig().with_values({"video.frames": 2})


class Sites:
    """A simulated cohort of several sites, ingested, and what baselines make of its folds."""

    def __init__(self, folder: Path, bias: float, *, subjects: int = 36, sites: int = 3, seed: int = 4):
        path = simulate_cohort(folder / "walkers", subjects=subjects, videos_per_subject=(1, 1), seconds=4, size=32, seed=seed,
                               sites=sites, site_bias=bias)  # fmt: skip
        cohort, task = read_manifest(path, task=None, label="diagnosis", parameters=load_parameters(), folds=3,
                                     attributes=("site",), own_parameters=True, simulated=True)  # fmt: skip
        self.backbone = load_backbone(str(save_tiny_clip(folder / "clip")))
        self.cache = folder / "cache"
        self.cohort = ingest_cohort(cohort, size=32, folder=self.cache)
        self.frozen = FrozenFeatures(self.backbone, task, [p.name for p in cohort.parameters])
        self.folder = folder

    def predictions(self, model: str, splits: Splits | None = None) -> pl.DataFrame:
        """Returns the held-out predictions of a baseline over three random folds, or over others."""
        splits = splits or make_splits(self.cohort, folds=3, seed=0)
        return pl.concat(self.result(model, fold).predictions for fold in splits.folds)

    def result(self, model: str, fold: Fold) -> FoldResult:
        key = f"{model}-{len(fold.test)}-{fold.test[0]}"
        job = FoldJob(
            cohort=self.cohort, fold=fold, frozen=self.frozen, cache=self.cache, folder=self.folder / key, key=key
        )
        return train_fold(CONFIG.with_values({"model": model}), job)

    def score(self, predictions: pl.DataFrame) -> float:
        units = at_level(predictions, "subject")
        return FUNCTIONS["balanced_accuracy"](units["true"].to_numpy(), units["predicted"].to_numpy(), 3)


@pytest.fixture(scope="module")
def biased(tmp_path_factory) -> Sites:
    return Sites(tmp_path_factory.mktemp("biased"), 1.0)


@pytest.fixture(scope="module")
def fair(tmp_path_factory) -> Sites:
    return Sites(tmp_path_factory.mktemp("fair"), 0.0)


def warned(sites: Sites, ours: str) -> list[str]:
    """Returns the warnings' codes of a model, here one of the simple ones, beside all shortcuts."""
    others = {name: sites.predictions(name) for name in SHORTCUTS}
    compared = compare(sites.predictions(ours), others, "subject/balanced_accuracy", 3)
    found = study_warnings(np.eye(3, dtype=int), ("a", "b", "c"), [("the model", c) for c in compared], None, None)
    return [w.code for w in found]


def test_labels_that_hang_on_the_site_are_caught(biased):
    """The site alone gives every class, the file's light too: the first warning is that the model is not better than they."""
    assert biased.score(biased.predictions("attributes")) == 1.0
    assert biased.score(biased.predictions("recording")) > 0.9
    assert warned(biased, "linear_probe")[0] == "not_better_than_shortcut"
    with pytest.raises(ConfigurationError, check=coded("splits.class_missing", "--fold-column")):
        splits_of_column(by_site(biased.cohort))


def test_labels_that_do_not_are_not(fair):
    """Where sites have the same mix of classes, neither site nor file scores above chance, and a model of the gait is better."""
    for name in ("attributes", "recording"):
        assert fair.score(fair.predictions(name)) < 0.55
    assert fair.score(fair.predictions("parameters")) > 0.75
    assert "not_better_than_shortcut" not in warned(fair, "parameters")
    assert [len(f.test) for f in splits_of_column(by_site(fair.cohort)).folds] == [12, 12, 12]
    (found,) = subgroups(fair.predictions("parameters"), fair.cohort.videos, fair.cohort.attributes, 3)
    assert [(g.value, g.subjects) for g in found.groups] == [("site A", 12), ("site B", 12), ("site C", 12)]


def by_site(cohort: Cohort) -> Cohort:
    """Returns the cohort with its sites as the manifest's own folds."""
    return dataclasses.replace(cohort, videos=cohort.videos.with_columns(fold=pl.col("attribute site")))


def test_the_site_is_read_from_the_features_where_rooms_differ(fair):
    """Rooms and lights differ, so frozen features tell the site; names drawn at random are not read."""
    features = subject_features(fair.backbone, fair.cohort, fair.cache, CONFIG.video.window)
    sites = (
        fair.cohort.videos.group_by("subject")
        .agg(pl.col("attribute site").first())
        .sort("subject")["attribute site"]
        .to_list()
    )
    found = read_in_features(features, sites, seed=0, permutations=40)
    assert found["balanced_accuracy"] > 0.8
    assert found["p_value"] < 0.05
    assert found["null_mean"] == pytest.approx(1 / 3, abs=0.12)
    names = [str(n) for n in np.random.default_rng(3).integers(0, 3, len(sites))]
    assert read_in_features(features, names, seed=0, permutations=40)["p_value"] > 0.05
    with pytest.raises(StridefoldError, check=coded("shortcuts.too_few_groups")):
        read_in_features(features, ["one"] * len(sites), seed=0)


def test_attributes_as_numbers():
    """Numbers stay, a category is one column of 0 and 1, what is not known is NaN in all of them."""
    videos = pl.DataFrame(
        {"subject": ["A", "B", "C"], "attribute age": [60.0, None, 80.0], "attribute sex": ["m", "f", None]}
    )
    attributes = (Attribute(name="age", kind="number"), Attribute(name="sex", kind="category"))
    cohort = Cohort(
        name="c", simulated=False, label="l", classes=("x", "y"), parameters=(), videos=videos, attributes=attributes
    )
    expected = [[60, 0, 1], [np.nan, 1, 0], [80, np.nan, np.nan]]
    np.testing.assert_array_equal(attribute_values(cohort, videos), expected)
    with pytest.raises(ConfigurationError, check=coded("baseline.no_attributes", "--attribute")):
        attribute_values(dataclasses.replace(cohort, attributes=()), videos)


def test_facts_of_a_recording(fair, tmp_path):
    """Size, rate and light are the file's; of a file that is gone only the pictures are known."""
    row = fair.cohort.videos.row(0, named=True)
    facts = recording_facts(Path(row["path"]), fair.cache, row["cached"])
    assert facts[:4] == (4.0, 32.0, 32.0, pytest.approx(30.0, abs=0.5))
    assert facts[4] == pytest.approx(Path(row["path"]).stat().st_size / 4)
    gone = recording_facts(tmp_path / "gone.mp4", fair.cache, row["cached"])
    assert np.isnan(gone[1:5]).all()
    assert gone[5:] == facts[5:]
