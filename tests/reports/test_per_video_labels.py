"""With labels per video nothing puts a subject's videos together by their true class, which nobody knows beforehand."""

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from reports.documents.evaluation_page import render
from reports.documents.summary import summary
from reports.numbers.analysis import analyse
from reports.numbers.comparisons import compare, nadeau_bengio
from reports.numbers.evaluation import Source, as_results_json, evaluation
from reports.numbers.statistics import fold_scores
from reports.numbers.subgroups import subgroups
from tests.make_study import make_study
from trainables.study.metrics import at_level, score
from trainables.study.records import Attribute, Cohort

SUBJECTS, VIDEOS = 24, 4


def answers(seed: int) -> pl.DataFrame:
    """Returns predictions of subjects with two videos of each of two classes; averaging two of a class improves answers."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(SUBJECTS):
        for video in range(VIDEOS):
            true = video % 2
            first = 1 / (1 + np.exp(rng.normal() * 1.5 - 0.5 * (1 - 2 * true)))
            rows.append((i % 3, f"P{i:02}", f"P{i:02}/{video}", 0, true, [first, 1 - first]))
    return pl.DataFrame(rows, schema=["fold", "subject", "video", "window", "true", "probabilities"], orient="row")


def cohort_of(predictions: pl.DataFrame) -> Cohort:
    videos = predictions.select("subject", "video", sha256="video", label="true")
    return Cohort(
        name="c", simulated=True, label="state", classes=("on", "off"), parameters=(), videos=videos, per_video_labels=True
    )  # fmt: skip


def test_methods_are_compared_over_folds_by_video():
    """The test over folds takes scores per video, and a subject counts as right where every video is."""
    ours, other = answers(1), answers(2)
    (found,) = compare(ours, {"other": other}, "video/macro_f1", 2)
    seconds = dict.fromkeys(range(3), 1.0)
    (one, _), (two, _) = (fold_scores(p, seconds, 2, ("macro_f1",), "video") for p in (ours, other))
    differences = [a.scores["macro_f1"] - b.scores["macro_f1"] for a, b in zip(one, two, strict=True)]
    assert found.folds_p_value == pytest.approx(nadeau_bengio(differences, 1 / 3))
    videos = [at_level(p, "video").filter(pl.col("true") != pl.col("predicted"))["subject"] for p in (ours, other)]
    wrong, other_wrong = (set(v) for v in videos)
    assert (found.only_ours, found.only_other) == (len(other_wrong - wrong), len(wrong - other_wrong))


def test_subgroups_are_scored_by_video():
    """A group that holds everyone has the score of the videos; its gap's test exchanges subjects as before."""
    predictions = answers(3)
    videos = predictions.select("subject", "video").with_columns(pl.lit("all").alias("attribute sex"))
    (found,) = subgroups(predictions, videos, (Attribute(name="sex", kind="category"),), 2, "video")
    assert found.groups[0].score.value == pytest.approx(score(predictions, "video/balanced_accuracy", 2))
    assert np.sum(found.groups[0].confusion) == SUBJECTS * VIDEOS
    assert found.unit == "video"


def test_a_second_cohort_is_scored_by_video():
    """There is no level of subjects, the matrix holds videos, and classes count the people who have them."""
    predictions = answers(4)
    source = Source(
        name="s", simulated=True, subjects=9, models="the mean", metric="video/macro_f1", ordinal=False, kind=None
    )  # fmt: skip
    found = evaluation(cohort_of(predictions), predictions, source, ())
    assert [level.level for level in found.levels] == ["video", "window"]
    assert (np.sum(found.counts), found.subjects) == (SUBJECTS * VIDEOS, (SUBJECTS, SUBJECTS))
    assert as_results_json(found)["cohort"]["subjects"] == SUBJECTS
    page = render(found)
    assert f"{SUBJECTS} subjects, {SUBJECTS * VIDEOS} videos" in page
    assert "per subject" not in page.lower()


def test_a_notebook_shows_scores_by_video(tmp_path: Path):
    """The summary has the first level that there is."""
    analysis = analyse(make_study(tmp_path / "s", trials=1))
    levels = tuple(level for level in analysis.results.levels if level.level != "subject")
    by_video = dataclasses.replace(analysis, results=dataclasses.replace(analysis.results, levels=levels))
    assert "<th>per video</th>" in summary(by_video)
