"""Scaling, correlations and subsets against oracles by hand and by brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trainables.model.scaling import Scaler, correlations, from_bin, subsets, to_bin

NAN = float("nan")


def fit(values, *, subjects=None, healthy=None, clip=2.5) -> Scaler:
    values = np.array(values, dtype=float)
    subjects = np.arange(len(values)) if subjects is None else np.array(subjects)
    healthy = np.zeros(len(values), dtype=bool) if healthy is None else np.array(healthy, dtype=bool)
    return Scaler.fit(values, subjects, healthy, clip)


def test_scaler_by_hand():
    """v is (x - mean) / std times clip / max|z|, so the farthest training value is at the clip limit."""
    values = np.array([[1.0], [2.0], [3.0], [10.0]])
    scaler = fit(values)
    z = (values - 4.0) / values.std()
    w = 2.5 / np.abs(z).max()
    np.testing.assert_allclose(scaler.transform(values), w * z)
    assert scaler.transform(values).max() == pytest.approx(2.5)
    assert scaler.centre[0] == 4.0
    assert scaler.in_units(2.5, 0) == pytest.approx(10.0)
    assert scaler.in_units(-1.0, 0) == pytest.approx(4.0 - 6.0 / 2.5)


def test_healthy_centring():
    """The centre is the healthy subjects' mean; the scale is all subjects'."""
    scaler = fit([[1.0], [3.0], [9.0], [0.0]], healthy=[True, True, False, False])
    assert scaler.centre[0] == 2.0
    np.testing.assert_allclose(scaler.transform(np.array([[2.0], [9.0], [0.0]])), [[0.0], [2.5], [-2.5 * 2 / 7]])


def test_each_subject_counts_once():
    """A subject's many videos weigh on the centre as one subject's do."""
    scaler = fit([[1.0], [1.0], [1.0], [5.0]], subjects=["a", "a", "a", "b"])
    assert scaler.centre[0] == 3.0


def test_parameter_not_measured_in_healthy_subjects():
    """Such a parameter is centred on everybody who has it."""
    scaler = fit([[1.0, NAN], [3.0, NAN], [9.0, 4.0], [0.0, 8.0]], healthy=[True, True, False, False])
    np.testing.assert_array_equal(scaler.centre, [2.0, 6.0])


def test_values_beyond_the_training_range_are_clipped():
    """Held-out values lie in [-clip, clip], and missing ones stay missing."""
    scaler = fit([[0.0], [1.0], [2.0]], clip=1.0)
    np.testing.assert_array_equal(scaler.transform(np.array([[-7.0], [1.0], [99.0], [NAN]])), [[-1], [0], [1], [NAN]])


def test_parameters_that_do_not_vary_are_not_usable():
    """A constant column, an empty one and one with a single value have no scale."""
    scaler = fit([[5.0, NAN, NAN, 1.0], [5.0, NAN, 3.0, 2.0]])
    assert scaler.usable.tolist() == [False, False, False, True]
    assert np.isnan(scaler.transform(np.full((1, 4), 5.0))).tolist() == [[True, True, True, False]]


@given(
    arrays(np.float64, st.tuples(st.integers(2, 8), st.integers(1, 3)), elements=st.floats(-1e3, 1e3) | st.just(NAN)),
    st.sampled_from([1.0, 2.5, 5.0]),
)
def test_scaled_values_are_in_range_and_go_back(values, clip):
    """Every usable training value scales into [-clip, clip] and comes back from it."""
    scaler = fit(values, clip=clip)
    scaled = scaler.transform(values)
    for row, column in zip(*np.nonzero(np.isfinite(scaled)), strict=True):
        assert abs(scaled[row, column]) <= clip
        assert scaler.in_units(scaled[row, column], column) == pytest.approx(values[row, column], abs=1e-6)
    assert np.array_equal(np.isfinite(scaled), np.isfinite(values) & scaler.usable)


def test_bins():
    """201 bins of clip / 100 go from -clip to clip; at clip 2.5 a bin is 0.025; missing is -1."""
    np.testing.assert_array_equal(
        to_bin(np.array([-2.5, -0.013, 0.0, 0.025, 2.5, NAN]), 2.5), [0, 99, 100, 101, 200, -1]
    )
    assert from_bin(np.array(101), 2.5) == pytest.approx(0.025)
    every = np.arange(201)
    for clip in (1.0, 2.5, 5.0):
        np.testing.assert_array_equal(to_bin(from_bin(every, clip), clip), every)


def test_correlations_by_numpy():
    """Correlations are numpy's over the videos that have both; two videos are too few."""
    values = np.random.default_rng(0).normal(size=(12, 4))
    values[:, 1] += values[:, 0]
    values[:3, 1] = NAN
    values[2:, 3] = NAN
    matrix = correlations(values)
    assert matrix[0, 1] == pytest.approx(np.corrcoef(values[3:, 0], values[3:, 1])[0, 1])
    assert matrix[0, 2] == matrix[2, 0] == pytest.approx(np.corrcoef(values[:, 0], values[:, 2])[0, 1])
    assert matrix[0, 3] == 0.0
    np.testing.assert_array_equal(np.diag(matrix), 1.0)


@st.composite
def symmetric(draw):
    size = draw(st.integers(1, 7))
    half = draw(arrays(np.float64, (size, size), elements=st.floats(-1, 1)))
    matrix = np.triu(half, 1)
    return matrix + matrix.T + np.eye(size), draw(arrays(bool, size))


@given(symmetric(), st.integers(1, 5), st.floats(0.05, 1.0))
def test_subsets_are_brute_force(drawn, size, largest):
    """They are all sets of usable parameters whose pairs all have |r| <= the limit, of the largest size there is."""
    matrix, usable = drawn
    found = subsets(matrix, usable, size=size, largest=largest, limit=10_000, seed=0)

    def qualify(count: int) -> list[tuple[int, ...]]:
        return [
            s
            for s in itertools.combinations(np.flatnonzero(usable).tolist(), count)
            if all(abs(matrix[a, b]) <= largest for a, b in itertools.combinations(s, 2))
        ]

    expected = next((q for count in range(size, 0, -1) if (q := qualify(count))), [])
    assert [tuple(row) for row in found.tolist()] == expected


def test_subsets_are_limited_by_the_seed():
    """More than the limit are drawn by the seed: the same seed draws the same, and none twice."""
    matrix, usable = np.eye(10), np.ones(10, dtype=bool)
    draw = {"size": 3, "largest": 0.4, "limit": 20}
    first = subsets(matrix, usable, **draw, seed=0)
    assert first.shape == (20, 3)
    assert len({tuple(row) for row in first.tolist()}) == 20
    np.testing.assert_array_equal(first, subsets(matrix, usable, **draw, seed=0))
    assert not np.array_equal(first, subsets(matrix, usable, **draw, seed=1))
    assert len(subsets(matrix, usable, **(draw | {"limit": 120}), seed=0)) == 120
