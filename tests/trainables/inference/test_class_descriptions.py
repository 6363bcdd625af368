"""What a described fold says of its classes, and what it must not say."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.tiny_cohort import CONFIG, TinyCohort, make_cohort
from trainables.inference.class_descriptions import describe_fold
from trainables.inference.predictions import holds
from trainables.study.descriptions import CLASS_MEAN, CONTROLS, LEAST_SUBJECTS, OTHER_CLASS
from trainables.study.records import FoldResult
from trainables.training.fold import train_fold

NORMAL, SLOW = "normal gait", "slow gait"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyCohort:
    return make_cohort(tmp_path_factory.mktemp("descriptions"))


def described(tiny: TinyCohort, folder: Path, held_out: tuple[str, ...]) -> FoldResult:
    """Returns a trained and described fold, as it is read back from its folder."""
    job = tiny.job(folder, held_out=held_out)
    train_fold(CONFIG, job)
    describe_fold(job)
    return FoldResult.load(folder)


@pytest.fixture(scope="module")
def whole(tiny: TinyCohort, tmp_path_factory: pytest.TempPathFactory) -> FoldResult:
    """Returns a fold of all six subjects, three of each class."""
    return described(tiny, tmp_path_factory.mktemp("whole"), ())


@pytest.fixture(scope="module")
def partial(tiny: TinyCohort, tmp_path_factory: pytest.TempPathFactory) -> FoldResult:
    """Returns a fold that holds S1 out, so that two subjects of normal gait are left."""
    return described(tiny, tmp_path_factory.mktemp("partial"), ("S1",))


def test_numbers_are_read_better_than_the_median(whole: FoldResult, partial: FoldResult) -> None:
    """On held-out training subjects, their mixes and held-out subjects the skill is far above 0, and records are named whole."""
    for found in (whole.descriptions, partial.descriptions):
        assert found is not None
        assert {s.parameter for s in found.training} == {"walking speed", "cadence", "step length left"}
        for s in found.training:
            assert s.skill > 0.5
            assert s.mixed is not None
            assert s.mixed > 0.5
            assert s.named is not None
            assert s.named >= 0.9
            assert s.skill == pytest.approx(1 - s.error / s.median_error)
    assert partial.descriptions is not None
    assert all(s.skill > 0.5 and s.named == 1 for s in partial.descriptions.held_out)
    assert partial.reconstruction == {s.parameter: s.error for s in partial.descriptions.held_out}


def test_no_subject_has_more_than_its_part_of_a_query(whole: FoldResult) -> None:
    """Weights are capped at 1/k, and the effective number of subjects is at least k."""
    assert whole.descriptions is not None
    for c in whole.descriptions.classes:
        assert c.attention is not None
        assert c.attention.largest <= 1 / LEAST_SUBJECTS + 1e-9
        assert c.attention.effective >= LEAST_SUBJECTS - 1e-6
        assert c.attention.chance == pytest.approx(0.5)


def test_a_class_of_too_few_subjects_is_refused(partial: FoldResult) -> None:
    """Two subjects are not described: no words, a sentence that says why, and nothing beside a prediction."""
    assert [d.label for d in partial.decoded] == [SLOW]
    assert partial.descriptions is not None
    refused = partial.descriptions.of(NORMAL)
    assert refused is not None
    assert "2 of its training subjects" in refused.refusal
    assert f"at least {LEAST_SUBJECTS}" in refused.refusal
    assert not refused.values
    assert not holds(partial, NORMAL)
    assert holds(partial, SLOW)


def test_without_a_class_of_enough_subjects_nothing_is_trained(tiny: TinyCohort, tmp_path: Path) -> None:
    """A fold with two subjects in each class refuses both."""
    found = described(tiny, tmp_path / "fold", ("S1", "S6"))
    assert found.decoded == ()
    assert found.descriptions is not None
    assert all(c.refusal for c in found.descriptions.classes)
    assert found.descriptions.training == ()


def test_controls_stand_beside_every_class(whole: FoldResult) -> None:
    """Each class has all controls with a sentence; the class mean looks at its own subjects alone, another query does not."""
    assert whole.descriptions is not None
    for c in whole.descriptions.classes:
        assert tuple(k.name for k in c.controls) == CONTROLS
        assert all(re.match(r".+ is -?[\d.]+", k.sentence) for k in c.controls)
        by_name = {k.name: k for k in c.controls}
        assert by_name[CLASS_MEAN].own == pytest.approx(1.0)
        assert c.attention is not None
        assert c.attention.own > by_name[OTHER_CLASS].own


def test_differences_lead_with_what_departs_most(whole: FoldResult) -> None:
    """Only parameters inside the own range and outside another one, in order of their distance from all subjects, times skill."""
    assert whole.descriptions is not None
    slow = whole.descriptions.of(SLOW)
    assert slow is not None
    found = slow.differences()
    assert found
    assert all(v.inside and v.others < 1 for v in found)
    skills = {s.parameter: s.mixed for s in whole.descriptions.training}
    assert all(v.skill == skills[v.parameter] for v in slow.values)
    sizes = [abs(v.departure) * v.skill for v in found]
    assert sizes == sorted(sizes, reverse=True)
    badly_read = dataclasses.replace(found[0], skill=0.0)
    assert dataclasses.replace(slow, values=(badly_read, *found[1:])).differences()[-1] == badly_read
    speed = next(v for v in slow.values if v.parameter == "walking speed")
    assert speed.value < speed.pooled


def test_one_subjects_values_are_nowhere(tiny: TinyCohort, tmp_path: Path) -> None:
    """No number of a description is a subject's own, even of one that is unlike all others and draws the attention.

    A mean of several may by chance be near a value of one whose neighbours lie on both sides: four digits there, three of the one.
    """
    keys = [p.key for p in tiny.cohort.parameters]
    strange = {"walking_speed_m_per_s": 0.317, "cadence_steps_per_min": 61.73, "step_length_left_cm": 17.39}
    videos = tiny.cohort.videos.with_columns(
        pl.when(pl.col("subject") == "S6").then(strange[key]).otherwise(pl.col(key)).alias(key) for key in keys
    )
    cohort = dataclasses.replace(tiny.cohort, videos=videos)
    found = described(dataclasses.replace(tiny, cohort=cohort), tmp_path / "fold", ())
    assert found.descriptions is not None
    assert len(found.decoded) == 2
    values = [n for d in found.decoded for v in d.values for n in (v.value, v.low, v.median, v.high)]
    values += [n for c in found.descriptions.classes for v in c.values for n in (v.value, v.pooled)]
    for key in keys:
        for own in videos[key].drop_nulls().unique().to_list():
            digits = 3 if own == strange[key] else 4
            assert not any(f"{v:.{digits}g}" == f"{own:.{digits}g}" for v in values), (key, own)


def test_a_described_value_moves_by_a_third_of_a_subject_at_most(tiny: TinyCohort, tmp_path: Path) -> None:
    """A parameter that one of three subjects lacks would be a mean of two: the class has no value of it."""
    key = "cadence_steps_per_min"
    videos = tiny.cohort.videos.with_columns(
        pl.when(pl.col("subject") == "S6").then(None).otherwise(pl.col(key)).alias(key)
    )
    cohort = dataclasses.replace(tiny.cohort, videos=videos)
    found = described(dataclasses.replace(tiny, cohort=cohort), tmp_path / "fold", ()).descriptions
    assert found is not None
    slow, normal = found.of(SLOW), found.of(NORMAL)
    assert slow is not None
    assert normal is not None
    assert "cadence" not in {v.parameter for v in slow.values}
    assert "cadence" in {v.parameter for v in normal.values}


def test_held_out_numbers_do_not_change_a_word(tiny: TinyCohort, tmp_path: Path, partial: FoldResult) -> None:
    """With other numbers of the held-out subject, words and what they rest on stay the same to the bit."""
    keys = [p.key for p in tiny.cohort.parameters]
    videos = tiny.cohort.videos.with_columns(
        pl.when(pl.col("subject") == "S1").then(pl.col(key) * 0.7).otherwise(pl.col(key)).alias(key) for key in keys
    )
    cohort = dataclasses.replace(tiny.cohort, videos=videos)
    other = described(dataclasses.replace(tiny, cohort=cohort), tmp_path / "fold", ("S1",))
    assert other.decoded == partial.decoded
    assert other.descriptions is not None
    assert partial.descriptions is not None
    assert other.descriptions.classes == partial.descriptions.classes
    assert other.descriptions.held_out != partial.descriptions.held_out


def test_what_was_measured_is_in_the_folds_file(whole: FoldResult) -> None:
    """result.json has it all as plain values, and reads back equal."""
    assert whole.descriptions is not None
    plain = json.loads(json.dumps(dataclasses.asdict(whole.descriptions)))
    assert [c["label"] for c in plain["classes"]] == [NORMAL, SLOW]
    assert np.isfinite([s["skill"] for s in plain["training"]]).all()
