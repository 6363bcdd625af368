"""Attention that no subject dominates, and numbers read from mixes of records."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.inference.subject_records import capped
from trainables.model.number_head import NumberHead, Sums
from trainables.study.descriptions import class_range, group_median, inside_ranges, subject_means


@given(
    st.lists(st.tuples(st.integers(0, 7), st.floats(1e-12, 1.0)), min_size=3, max_size=20).filter(
        lambda rows: len({s for s, _ in rows}) >= 3
    )
)
def test_no_subject_exceeds_the_cap(rows: list[tuple[int, float]]) -> None:
    """Capped weights sum to 1, no subject's sum exceeds the cap, and the order of subjects stays."""
    subjects, weights = np.array([s for s, _ in rows]), np.array([w for _, w in rows])
    found = capped(weights / weights.sum(), subjects, 1 / 3)
    before, after = (np.bincount(subjects, w, 8) for w in (weights, found))
    assert found.sum() == pytest.approx(1.0)
    assert (after <= 1 / 3 + 1e-9).all()
    order = np.argsort(before, kind="stable")
    assert (np.diff(after[order]) >= -1e-9).all()


def test_weights_below_the_cap_stay() -> None:
    """Where no subject has too much, nothing changes."""
    weights = np.array([0.3, 0.25, 0.2, 0.25])
    np.testing.assert_allclose(capped(weights, np.arange(4), 1 / 3), weights)


def test_two_subjects_cannot_share_what_three_must() -> None:
    """Fewer subjects than the cap needs are an error, whatever their number of videos."""
    with pytest.raises(ValueError, match="2 subjects"):
        capped(np.array([0.5, 0.3, 0.2]), np.array(["a", "b", "b"]), 1 / 3)


def records(rng: np.random.Generator, directions: torch.Tensor, count: int) -> tuple[torch.Tensor, ...]:
    """Returns features, shares and values of records of two of five parameters, as a sum of lines in feature space."""
    shares, values = (torch.zeros(count, 5, dtype=torch.float64) for _ in range(2))
    for row in range(count):
        for p in rng.choice(5, 2, replace=False):
            shares[row, p], values[row, p] = 0.5, rng.uniform(-1, 1)
    return torch.cat([shares, shares * values], dim=1) @ directions, shares, values


def test_a_head_reads_records_and_every_mix_of_them() -> None:
    """Fitted to records of two parameters, it reads shares and values of new records and of mixes exactly."""
    rng = np.random.default_rng(0)
    directions = torch.from_numpy(rng.normal(size=(10, 16)))
    head = Sums.of(*records(rng, directions, 400)).head(1e-10)
    features, shares, values = records(rng, directions, 50)
    read, said = head.read(features)
    torch.testing.assert_close(read, shares, atol=1e-5, rtol=0)
    held = shares > 0
    torch.testing.assert_close(said[held], values[held], atol=1e-4, rtol=0)
    mix = torch.from_numpy(rng.dirichlet(np.ones(50), 20))
    expected = (mix @ (shares * values)) / (mix @ shares)
    torch.testing.assert_close(head.read(mix @ features)[1], expected, atol=1e-3, rtol=0)


def test_sums_of_parts_are_those_of_the_whole() -> None:
    """Cross-validation adds the sums of parts; the head is that of all their records."""
    rng = np.random.default_rng(1)
    directions = torch.from_numpy(rng.normal(size=(10, 16)))
    whole = records(rng, directions, 60)
    parts = [Sums.of(*(t[i::3] for t in whole)) for i in range(3)]
    together, at_once = Sums.total(parts).head(1e-6), Sums.of(*whole).head(1e-6)
    torch.testing.assert_close(together.weight, at_once.weight, atol=1e-6, rtol=1e-6)


def test_what_the_language_model_is_told() -> None:
    """Its inputs are the unit feature, relative shares within [0, 1], and values where there is a share."""
    head = NumberHead(weight=torch.zeros(5, 6, dtype=torch.float64))
    inputs = head.decoder_inputs(torch.ones(2, 4))
    assert inputs.shape == (2, 10)
    torch.testing.assert_close(inputs[:, :4].norm(dim=1), torch.ones(2))
    assert not inputs[:, 4:].any()


@given(st.integers(3, 12), st.integers(0, 100))
def test_ranges_of_a_class_are_of_no_one(count: int, seed: int) -> None:
    """Neither limit nor median of distinct values is one of them, and the median lies between the limits."""
    values = np.random.default_rng(seed).normal(size=(count, 2))
    found = class_range(values)
    assert (found[0] < found[1]).all()
    assert (found[1] < found[2]).all()
    for p in range(2):
        assert np.abs(values[:, p, None] - found[:, p]).min() > 1e-9


def test_ranges_of_two_subjects_do_not_exist() -> None:
    """Two measured values have no median and no range."""
    assert np.isnan(class_range(np.array([[1.0], [2.0], [np.nan]]))).all()
    assert np.isnan(group_median(np.array([[1.0], [2.0]]))).all()


def test_inside_the_own_range_and_others() -> None:
    """A value counts for its own class, and for the share of the other classes that have a range and hold it."""
    ranges = np.array([[[0.0], [1.0]], [[0.5], [2.0]], [[3.0], [4.0]], [[np.nan], [np.nan]]])
    own, others = inside_ranges(np.array([0.7]), ranges, 0)
    assert own.tolist() == [True]
    assert others.tolist() == [0.5]


def test_a_subjects_videos_are_averaged() -> None:
    """Means are per subject in order of its name, over the videos in which a parameter was measured."""
    values = np.array([[1.0, np.nan], [3.0, np.nan], [5.0, 2.0]])
    np.testing.assert_array_equal(subject_means(values, np.array(["b", "b", "a"])), [[5.0, 2.0], [2.0, np.nan]])
