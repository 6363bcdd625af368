"""What simpler methods make of a fold: oracles by scikit-learn, gaps in the numbers, classes that are absent."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from transformers import CLIPModel

from tests.errors import coded
from tests.tiny_cohort import CONFIG, PARAMETERS, TinyCohort, make_cohort
from trainables.errors import ConfigurationError
from trainables.inference.class_descriptions import describe_fold
from trainables.model.backbone import PIXEL_MEAN, PIXEL_STD
from trainables.study.records import FoldResult
from trainables.training.fold import train_fold
from trainables.training.job import FoldJob

BASELINES = ("parameters", "linear_probe", "vita_clip")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyCohort:
    return make_cohort(tmp_path_factory.mktemp("baselines"))


def trained(model: str, job: FoldJob) -> FoldResult:
    return train_fold(CONFIG.with_values({"model": model}), job)


def probabilities(result: FoldResult) -> np.ndarray:
    return np.array(result.predictions["probabilities"].to_list())


def with_videos(job: FoldJob, *columns: pl.Expr, classes: tuple[str, ...] | None = None) -> FoldJob:
    videos = job.cohort.videos.with_columns(*columns)
    return replace(job, cohort=replace(job.cohort, videos=videos, classes=classes or job.cohort.classes))


def of(subjects: tuple[str, ...]) -> pl.Expr:
    return pl.col("subject").is_in(list(subjects))


@pytest.mark.parametrize("model", BASELINES)
def test_baseline_has_the_folds_predictions(tiny, tmp_path, model):
    """A baseline gives a row per held-out video or window with probabilities, and its result is kept and read."""
    job = tiny.job(tmp_path)
    result = trained(model, job)
    frame = result.predictions
    assert frame.columns == ["fold", "subject", "video", "window", "true", "probabilities"]
    windows = [0] if model == "parameters" else [0, 30]
    rows = [(s, v, w) for s, v in (("S1", "0.mp4"), ("S1", "1.mp4"), ("S6", "7.mp4")) for w in windows]
    assert frame.sort("video", "window").select("subject", "video", "window").rows() == rows
    assert frame.filter(subject="S6")["true"].unique().to_list() == [1]
    np.testing.assert_allclose(probabilities(result).sum(1), 1, atol=1e-9)
    assert result.trained_parameters > 0
    assert result.config["model"] == model
    assert FoldResult.load(job.folder).predictions.equals(frame)
    assert describe_fold(job).decoded == ()


def test_parameters_by_scikit_learn(tiny, tmp_path):
    """It is a balanced logistic regression on scaled columns, in which a gap is the training median."""
    job = tiny.job(tmp_path)
    train = np.array([[1.1, 118, 58], [1.4, 108, 66], [0.6, 92, 35], [0.8, 85, 48], [0.75, 100, 44]])
    test = np.array([[1.3, 112, 64], [1.25, 110, 48], [0.5, 101, 30]])  # 100 and 48 are medians of the training videos
    scaler = StandardScaler().fit(train)
    labels = [0, 0, 1, 1, 1]
    model = LogisticRegression(max_iter=2000, class_weight="balanced").fit(scaler.transform(train), labels)
    np.testing.assert_allclose(
        probabilities(trained("parameters", job)), model.predict_proba(scaler.transform(test)), atol=1e-6
    )


def test_linear_probe_by_transformers(tiny, tmp_path):
    """It is a logistic regression on the mean of transformers' own image features of a window's frames."""
    job = tiny.job(tmp_path)
    clip = CLIPModel.from_pretrained(tiny.frozen.backbone.name).eval()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (PIXEL_MEAN, PIXEL_STD))

    def features(data) -> np.ndarray:
        rows = []
        for index in range(len(data)):
            pixels = (data[index]["frames"].float() / 255 - mean) / std
            with torch.no_grad():
                rows.append(clip.get_image_features(pixel_values=pixels).pooler_output.mean(0).numpy())
        return np.stack(rows)

    train, test = job.training(CONFIG), job.held_out(CONFIG)
    scaler = StandardScaler().fit(features(train))
    model = LogisticRegression(max_iter=2000, class_weight="balanced")
    model.fit(scaler.transform(features(train)), train.windows["label"].to_numpy())
    expected = model.predict_proba(scaler.transform(features(test)))
    np.testing.assert_allclose(probabilities(trained("linear_probe", job)), expected, atol=1e-3)


def test_parameters_tells_these_groups_apart(tiny, tmp_path):
    """Walking speed alone separates the tiny cohort, so the held-out subjects are right."""
    result = trained("parameters", tiny.job(tmp_path))
    assert probabilities(result).argmax(1).tolist() == result.predictions["true"].to_list()


def test_held_out_subjects_are_not_used(tiny, tmp_path):
    """The held-out subjects' labels change no probability, and one's numbers change only its own."""
    for model in ("parameters", "linear_probe"):
        job = tiny.job(tmp_path / f"{model}-before")
        before = probabilities(trained(model, job))
        label = pl.when(of(job.fold.test)).then(1 - pl.col("label")).otherwise("label").alias("label")
        swapped = with_videos(tiny.job(tmp_path / f"{model}-after"), label)
        assert np.array_equal(probabilities(trained(model, swapped)), before)
    number = pl.when(of(("S6",))).then(9.0).otherwise(PARAMETERS[0]).alias(PARAMETERS[0])
    after = probabilities(trained("parameters", with_videos(tiny.job(tmp_path / "numbers"), number)))
    before = probabilities(trained("parameters", tiny.job(tmp_path / "parameters-before")))
    assert np.array_equal(after[:2], before[:2])
    assert not np.allclose(after[2], before[2])


def test_column_that_no_training_subject_has(tiny, tmp_path):
    """A parameter measured in held-out subjects alone changes nothing."""
    alone = [pl.when(of(("S1", "S6"))).then(key).otherwise(None).alias(key) for key in PARAMETERS[:1]]
    gone = [pl.lit(None, dtype=pl.Float64).alias(key) for key in PARAMETERS[:1]]
    results = [
        probabilities(trained("parameters", with_videos(tiny.job(tmp_path / name), *columns)))
        for name, columns in (("alone", alone), ("gone", gone))
    ]
    np.testing.assert_allclose(results[0], results[1])


def test_cohort_without_numbers(tiny, tmp_path):
    """The baseline of numbers needs numbers; the others do not."""
    job = tiny.job(tmp_path / "none")
    bare = replace(job, cohort=replace(job.cohort, parameters=()))
    with pytest.raises(ConfigurationError, check=coded("baseline.no_numeric_columns", "'parameters'")):
        trained("parameters", bare)
    assert len(trained("linear_probe", bare).predictions) == 6


@pytest.mark.parametrize("model", ["parameters", "linear_probe"])
def test_class_that_no_training_subject_has(tiny, tmp_path, model):
    """A class that is absent from the training side keeps its column, at probability zero."""
    label = pl.when(of(("S6",))).then(2).otherwise("label").alias("label")
    job = with_videos(tiny.job(tmp_path), label, classes=("normal gait", "slow gait", "no gait"))
    result = trained(model, job)
    assert probabilities(result).shape[1] == 3
    assert not probabilities(result)[:, 2].any()
    assert set(result.predictions["true"]) == {0, 2}


@pytest.mark.parametrize("model", ["parameters", "linear_probe"])
def test_single_class_on_the_training_side(tiny, tmp_path, model):
    """With one class to learn from, it is always the answer."""
    result = trained(model, tiny.job(tmp_path, held_out=("S1", "S2", "S3")))
    assert probabilities(result).tolist() == [[0.0, 1.0]] * len(result.predictions)
