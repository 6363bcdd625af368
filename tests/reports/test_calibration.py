"""The reliability of the answer's probability against scikit-learn and cases worked out by hand."""

import dataclasses
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from reports.figures.calibration import draw_calibration
from reports.numbers.calibration import FEWEST_UNITS, MOST_BINS, calibration, share_interval
from reports.numbers.statistics import wilson
from trainables.study.metrics import at_level
from trainables.study.records import PREDICTIONS


def _predictions(units: list[tuple[str, int, list[float]]]) -> pl.DataFrame:
    """Returns one video of one window per (subject, true, probabilities)."""
    rows = [
        {"fold": 0, "subject": subject, "video": f"v{i}", "window": 0, "true": true, "probabilities": probabilities}
        for i, (subject, true, probabilities) in enumerate(units)
    ]
    return pl.DataFrame(rows, schema=PREDICTIONS)


def _binary(confidences: list[float], right: list[bool]) -> pl.DataFrame:
    """Returns one subject per confidence of class 1, which is right or not."""
    units = [(f"s{i:03}", int(ok), [1 - c, c]) for i, (c, ok) in enumerate(zip(confidences, right, strict=True))]
    return _predictions(units)


def _random(seed: int, units: int, classes: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(classes), units)
    return _predictions([(f"s{i % 7}", int(rng.integers(classes)), p.tolist()) for i, p in enumerate(probabilities)])


def test_two_bins_by_hand():
    """Five at 0.6 with three right and five at 0.9 with four right: error 0.05, Brier 0.41, each bin as it was made."""
    frame = _binary([0.6] * 5 + [0.9] * 5, [True] * 3 + [False] * 2 + [True] * 4 + [False])
    found = calibration(frame)
    assert [(b.low, b.high, b.units, b.subjects) for b in found.bins] == [(0.6, 0.6, 5, 5), (0.9, 0.9, 5, 5)]
    assert [b.confidence for b in found.bins] == pytest.approx([0.6, 0.9])
    assert [b.right for b in found.bins] == pytest.approx([0.6, 0.8])
    assert found.expected_error == pytest.approx((5 * 0.0 + 5 * 0.1) / 10)
    assert found.brier == pytest.approx(2 * (3 * 0.16 + 2 * 0.36 + 4 * 0.01 + 0.81) / 10)
    chosen = 3 * [0.6] + 2 * [0.4] + 4 * [0.9] + [0.1]
    assert found.log_loss == pytest.approx(-sum(math.log(p) for p in chosen) / 10)
    assert (found.bins[0].right_low, found.bins[0].right_high) == pytest.approx(wilson(3, 5))
    assert (found.bins[1].right_low, found.bins[1].right_high) == pytest.approx(wilson(4, 5))


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_brier_and_log_loss_equal_scikit_learn(classes):
    """Both scores of random probabilities are scikit-learn's."""
    frame = _random(classes, 43, classes)
    true, probabilities = frame["true"].to_numpy(), np.array(frame["probabilities"].to_list())
    found = calibration(frame)
    expected = sk.brier_score_loss(true, probabilities, labels=range(classes), scale_by_half=False)
    assert found.brier == pytest.approx(expected)
    assert found.log_loss == pytest.approx(sk.log_loss(true, probabilities, labels=range(classes)))


def test_bins_equal_scikit_learns_quantile_bins():
    """Without ties and with bins of one size they are those of calibration_curve(strategy='quantile')."""
    rng = np.random.default_rng(5)
    confidences = rng.uniform(0.5, 1, 60)
    right = rng.random(60) < confidences
    found = calibration(_binary(confidences.tolist(), right.tolist()))
    share, mean = calibration_curve(right, confidences, n_bins=10, strategy="quantile")
    assert [b.right for b in found.bins] == pytest.approx(share)
    assert [b.confidence for b in found.bins] == pytest.approx(mean)
    assert found.expected_error == pytest.approx(np.abs(share - mean).mean())


@given(st.lists(st.tuples(st.sampled_from([0.5, 0.6, 0.61, 0.75, 0.9, 1.0]), st.booleans()), min_size=5, max_size=120))
def test_bins_hold_every_unit_once_and_part_no_tie(units):
    """Bins follow each other without overlap, none is too small, none are too many, and together they are all units."""
    found = calibration(_binary([c for c, _ in units], [ok for _, ok in units]))
    assert sum(b.units for b in found.bins) == found.units == len(units)
    assert 1 <= len(found.bins) <= MOST_BINS
    assert min(b.units for b in found.bins) >= FEWEST_UNITS
    for below, above in zip(found.bins, found.bins[1:], strict=False):
        assert below.high < above.low
    assert all(b.low <= b.confidence + 1e-12 <= b.high + 2e-12 for b in found.bins)
    assert all(b.right_low <= b.right <= b.right_high for b in found.bins)


@given(st.integers(5, 300))
def test_bins_without_ties_are_of_one_size(units):
    """Distinct confidences fill as many bins as are allowed, which differ by one unit at most."""
    found = calibration(_binary(np.linspace(0.5, 1, units).tolist(), [True] * units))
    sizes = [b.units for b in found.bins]
    assert len(sizes) == min(MOST_BINS, units // FEWEST_UNITS)
    assert max(sizes) - min(sizes) <= 1


def test_ties_but_for_the_last_digit_are_ties():
    """Means of the same windows in another order count as one confidence."""
    found = calibration(_binary([0.7, math.nextafter(0.7, 1)] * 5, [True] * 10))
    assert [b.units for b in found.bins] == [10]


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_of_one_unit_per_subject_is_wilsons(counts):
    """With subjects of one unit each nothing is dependent, and the interval is scipy's."""
    hits, units = counts
    expected = stats.binomtest(hits, units).proportion_ci(method="wilson")
    assert share_interval(hits / units, [f"s{i}" for i in range(units)]) == pytest.approx(tuple(expected), abs=1e-12)


def test_interval_counts_subjects_and_not_their_videos():
    """Ten videos of each of six subjects say as much as six; one long subject among short ones says less than all."""
    assert share_interval(0.5, [f"s{i % 6}" for i in range(60)]) == pytest.approx(wilson(3, 6))
    assert share_interval(0.5, ["a", "a", "b", "c"]) == pytest.approx(share_interval(0.5, ["a"] * 12 + ["b", "c"] * 6))
    low, high = share_interval(0.5, ["a", "a", "b", "c"])  # 16 / 6 of a unit
    assert wilson(1, 2)[0] < low < wilson(2, 4)[0]
    assert wilson(2, 4)[1] < high < wilson(1, 2)[1]


def test_windows_are_averaged_before_they_are_binned():
    """The probability of a video is the mean over its windows, and a subject's that over its videos."""
    windows = [
        {"fold": 0, "subject": f"s{i}", "video": f"s{i}{v}", "window": w, "true": 0, "probabilities": [p, 1 - p]}
        for i in range(6)
        for v, w, p in (("a", 0, 0.9), ("a", 30, 0.7), ("b", 0, 0.6))
    ]
    frame = pl.DataFrame(windows, schema=PREDICTIONS)
    videos, subjects = calibration(frame), calibration(frame, "subject")
    assert [b.confidence for b in videos.bins] == pytest.approx([0.6, 0.8])
    assert [(b.units, b.subjects) for b in videos.bins] == [(6, 6), (6, 6)]
    assert [b.confidence for b in subjects.bins] == pytest.approx([0.7])
    assert (videos.level, subjects.level, subjects.units) == ("video", "subject", 6)


def test_too_few_units_have_no_calibration():
    """Four videos fill no bin, and no prediction has none."""
    assert calibration(_binary([0.6] * 4, [True] * 4)) is None
    assert calibration(pl.DataFrame(schema=PREDICTIONS)) is None
    assert len(calibration(_binary([0.6] * 5, [True] * 5)).bins) == 1


def test_right_answers_are_those_of_at_level():
    """The shares of all bins together are the accuracy."""
    frame = _random(1, 80, 3)
    units = at_level(frame, "video")
    found = calibration(frame)
    accuracy = (units["true"] == units["predicted"]).mean()
    assert sum(b.units * b.right for b in found.bins) / found.units == pytest.approx(accuracy)


@pytest.mark.filterwarnings("error")
def test_drawing_shows_every_bin():
    """Every bin is a row and a dot, the words carry the scores, and the bytes are the same twice."""
    found = calibration(_random(2, 64, 3))
    drawing = draw_calibration(found)
    assert drawing.name == "calibration-video"
    assert len(drawing.rows) == len(found.bins) == 10
    assert drawing.header == ("Probabilities", "Mean", "Right", "95 % interval", "Videos", "Subjects")
    first = found.bins[0]
    assert drawing.rows[0][1:3] == (f"{first.confidence:.3f}", f"{first.right:.3f}")
    assert drawing.rows[0][4:] == (str(first.units), str(first.subjects))
    assert f"Expected calibration error {found.expected_error:.3f}" in drawing.description
    for svg in (drawing.svg, drawing.narrow):
        assert svg.count("<use ") >= 10
        assert "right less often than said" in svg
        assert len(svg) < 60_000
    assert draw_calibration(found) == drawing


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("confidence", [0.5, 1.0])
def test_drawing_of_one_confidence(confidence):
    """A model that always says the same, wholly sure or wholly unsure, is drawn too."""
    drawing = draw_calibration(calibration(_binary([confidence] * 6, [True] * 6)))
    assert drawing.rows[0][0] == f"{confidence:.3f} – {confidence:.3f}"


def test_records_cannot_be_changed():
    """What was computed stays as it was."""
    found = calibration(_binary([0.6] * 5, [True] * 5))
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.brier = 0.0
