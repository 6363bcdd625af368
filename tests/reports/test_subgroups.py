"""Scores by subgroup: bands, counts, gaps, and a test that keeps its level and finds what is there."""

import numpy as np
import polars as pl
import pytest

from reports.documents.model_card import model_card
from reports.documents.page import render
from reports.numbers.analysis import analyse
from reports.numbers.subgroups import gap_test, grouped, ordered, subgroups
from tests.make_study import make_study
from trainables.study.metrics import FUNCTIONS, at_level
from trainables.study.records import Attribute, Cohort

AGE, SEX, VIEW = (Attribute(name=n, kind=k) for n, k in (("age", "number"), ("sex", "category"), ("view", "category")))


def answered(rng: np.random.Generator, subjects: int, right: dict[str, float]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Returns predictions and videos of subjects of two classes, right with a probability by their sex."""
    rows, videos = [], []
    for i in range(subjects):
        sex, true = "fm"[i % 2], i // 2 % 2
        answer = true if rng.random() < right[sex] else 1 - true
        rows.append((0, f"P{i}", f"{i}.mp4", 0, true, [1.0 - answer, float(answer)]))
        videos.append((f"P{i}", f"{i}.mp4", sex, 50.0 + i))
    predictions = pl.DataFrame(
        rows, schema=["fold", "subject", "video", "window", "true", "probabilities"], orient="row"
    )
    return predictions, pl.DataFrame(
        videos, schema=["subject", "video", "attribute sex", "attribute age"], orient="row"
    )


def test_each_group_has_its_own_score():
    """Counts, confusion and balanced accuracy of a group are those of its subjects alone; the gap is between best and worst."""
    predictions, videos = answered(np.random.default_rng(0), 40, {"f": 0.95, "m": 0.6})
    (found,) = subgroups(predictions, videos, (SEX,), 2)
    assert [(g.value, g.subjects) for g in found.groups] == [("f", 20), ("m", 20)]
    for g in found.groups:
        own = videos.filter(pl.col("attribute sex") == g.value)
        units = at_level(predictions.join(own, on=["subject", "video"], how="semi"), "subject")
        expected = FUNCTIONS["balanced_accuracy"](units["true"].to_numpy(), units["predicted"].to_numpy(), 2)
        assert g.score is not None
        assert g.score.value == pytest.approx(expected)
        assert np.array(g.confusion).sum() == 20
    values = [g.score.value for g in found.groups if g.score]
    assert found.gap == pytest.approx(max(values) - min(values))
    assert found.smallest == 20
    assert not found.within


def test_the_test_of_a_gap_keeps_its_level_and_finds_one():
    """Without a difference about 5 % of cohorts give p < .05; with a large one most do."""
    found = {}
    for name, right in {"none": {"f": 0.75, "m": 0.75}, "large": {"f": 0.95, "m": 0.45}}.items():
        hits = 0
        for seed in range(60):
            predictions, videos = answered(np.random.default_rng(seed), 40, right)
            (one,) = subgroups(predictions, videos, (SEX,), 2)
            hits += one.p_value is not None and one.p_value < 0.05
        found[name] = hits / 60
    assert found["none"] <= 0.15  # 5 % of 60, with three standard deviations
    assert found["large"] >= 0.7


def test_classes_that_are_mixed_otherwise_are_no_gap():
    """A model that knows one class only has no gap by sex, though nearly all women are of that class."""
    rows, videos = [], []
    for i in range(60):
        true = 0 if i < 30 else 1
        sex = "f" if (i % 30 < 25) == (true == 0) else "m"
        rows.append((0, f"P{i}", f"{i}.mp4", 0, true, [0.9, 0.1]))
        videos.append((f"P{i}", f"{i}.mp4", sex))
    predictions = pl.DataFrame(
        rows, schema=["fold", "subject", "video", "window", "true", "probabilities"], orient="row"
    )
    (found,) = subgroups(
        predictions, pl.DataFrame(videos, schema=["subject", "video", "attribute sex"], orient="row"), (SEX,), 2
    )
    assert found.p_value == 1.0


def test_an_attribute_that_changes_within_subjects():
    """The view of a camera is exchanged within each subject, who stands in both groups."""
    rows, videos = [], []
    for i in range(12):
        for view in ("side", "front"):
            true = i % 2
            answer = true if view == "side" or i % 3 == 0 else 1 - true
            rows.append((0, f"P{i}", f"{i}{view}", 0, true, [1.0 - answer, float(answer)]))
            videos.append((f"P{i}", f"{i}{view}", view))
    predictions = pl.DataFrame(
        rows, schema=["fold", "subject", "video", "window", "true", "probabilities"], orient="row"
    )
    (found,) = subgroups(
        predictions, pl.DataFrame(videos, schema=["subject", "video", "attribute view"], orient="row"), (VIEW,), 2
    )
    assert found.within
    assert [g.subjects for g in found.groups] == [12, 12]
    assert found.gap == pytest.approx(2 / 3)
    assert found.p_value is not None
    assert found.p_value < 0.05
    parts = {v: predictions.filter(pl.col("video").str.ends_with(v)) for v in ("side", "front")}
    assert gap_test(parts, 2, within=True)[0] == pytest.approx(2 / 3)


def test_small_groups_have_no_score_and_missing_values_are_counted():
    """Four people are shown as four people, without a score; those without a value are in no group."""
    predictions, videos = answered(np.random.default_rng(0), 24, {"f": 0.9, "m": 0.9})
    sexes = ["x"] * 4 + [None] * 3 + videos["attribute sex"].to_list()[7:]
    (found,) = subgroups(predictions, videos.with_columns(pl.Series("attribute sex", sexes)), (SEX,), 2)
    by = {g.value: g for g in found.groups}
    assert by["x"].score is None
    assert (found.smallest, found.missing) == (4, 3)
    assert found.gap is not None


def test_p_values_know_how_many_were_looked_at():
    """Two attributes make Holm's correction of two."""
    predictions, videos = answered(np.random.default_rng(1), 40, {"f": 0.95, "m": 0.5})
    one = subgroups(predictions, videos, (SEX,), 2)[0]
    two = subgroups(predictions, videos, (SEX, AGE), 2)
    assert one.adjusted == one.p_value
    assert min(t.adjusted for t in two) == pytest.approx(min(1.0, 2 * min(t.p_value for t in two)))


def test_bands():
    """Ages and MMSE have clinical bands, other numbers thirds of the cohort; bands stand from low to high."""
    ages = grouped(pl.Series([40.0, 65.0, 74.9, 75.0, 90.0, None]), AGE)
    assert ages.to_list() == ["below 65", "65 to 75", "65 to 75", "75 to 85", "85 and above", None]
    scores = grouped(pl.Series([9.0, 20.0, 26.0, 30.0]), Attribute(name="MMSE score", kind="number"))
    assert scores.to_list() == ["below 10", "10 to 21", "21 to 27", "27 and above"]
    thirds = grouped(pl.Series([float(i) for i in range(9)]), Attribute(name="years ill", kind="number"))
    assert thirds.value_counts()["count"].to_list() == [3, 3, 3]
    assert ordered(["85 and above", "65 to 75", "below 65", "75 to 85"]) == [
        "below 65",
        "65 to 75",
        "75 to 85",
        "85 and above",
    ]
    assert ordered(["90", "45"]) == ["45", "90"]


def test_the_page_and_the_card_say_it(tmp_path):
    """A study whose cohort has attributes shows them as a section of the page, in results.json and on the card."""
    folder = make_study(tmp_path / "s", simulated=False)
    cohort = Cohort.load(folder)
    import dataclasses

    sexes = pl.Series([hash_free(s) for s in cohort.videos["subject"]], dtype=pl.String)
    described = dataclasses.replace(
        cohort, attributes=(SEX,), videos=cohort.videos.with_columns(sexes.alias("attribute sex"))
    )
    described.save(folder)
    analysis = analyse(folder)
    page = render(analysis)
    assert '<section id="subgroups"' in page
    assert "<h3>sex</h3>" in page
    section = page[page.index('<section id="subgroups"') :].partition("</section>")[0]
    assert "The smallest group has" in section
    assert (
        section.count('<table class="matrix">')
        == section.partition("<details>")[2].count('<table class="matrix">')
        == 2
    )
    assert "By sex, balanced accuracy differs by" in model_card(analysis)
    assert "were not examined" not in model_card(analysis)
    assert '<section id="subgroups"' not in render(analyse(make_study(tmp_path / "t")))


def hash_free(subject: str) -> str:
    """Returns f or m by the last digit of a subject's number."""
    return "fm"[int(subject[-1]) % 2]
