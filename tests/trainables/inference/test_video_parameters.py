"""Errors of the video heads, which are computed from the videos' products alone."""

import numpy as np
import pytest
import torch

from trainables.inference.video_parameters import PENALTIES, _held_out_errors, _ridge


def test_errors_from_products_are_those_of_the_regression_itself():
    """For every penalty, the errors are what fitting weights without each part and reading the part with them gives."""
    draws = np.random.default_rng(0)
    inputs = torch.from_numpy(draws.normal(size=(23, 60)) + 3)
    values, parts = draws.normal(5, 2, 23), draws.permutation(np.arange(23) % 4)
    values[[2, 7, 11]] = np.nan
    measured = np.isfinite(values)
    found = _held_out_errors(inputs @ inputs.T / 60, values, parts)
    for penalty, (error, median) in zip(PENALTIES, found, strict=True):
        off, median_off = [], []
        for part in range(4):
            fitted, held = measured & (parts != part), measured & (parts == part)
            weight, bias = _ridge(inputs[fitted], values[fitted], penalty)
            off += np.abs((inputs[held] @ weight).numpy() + bias - values[held]).tolist()
            median_off += np.abs(np.median(values[fitted]) - values[held]).tolist()
        assert error == pytest.approx(np.mean(off), rel=1e-9)
        assert median == pytest.approx(np.mean(median_off), rel=1e-12)


def test_a_part_without_measured_videos_is_left_out():
    """Parts in which nothing is measured, or beside which nothing is left to fit, count for nothing."""
    gram, parts = torch.eye(6, dtype=torch.float64), np.array([0, 0, 0, 1, 1, 2])
    values = np.array([1.0, 2.0, 4.0, 1.0, 3.0, np.nan])
    whole = _held_out_errors(gram, values, parts)
    assert whole == _held_out_errors(gram[:5, :5], values[:5], parts[:5])
