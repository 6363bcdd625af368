"""Agreement between a subject's own videos, counted by hand."""

import numpy as np
import polars as pl
import pytest

from reports.numbers.analysis import analyse
from reports.numbers.as_json import numbers
from reports.numbers.own_videos import own_videos
from tests.make_study import make_study


def predicted(*rows: tuple[int, str, int, int]) -> pl.DataFrame:
    """Returns one window per video, of (fold, subject, true class, answer)."""
    return pl.DataFrame(
        [
            {"fold": fold, "subject": subject, "video": f"v{i}", "window": 0, "true": true,
             "probabilities": np.eye(3)[answer].tolist()}
            for i, (fold, subject, true, answer) in enumerate(rows)
        ]
    )  # fmt: skip


def test_pairs_are_counted_as_by_hand():
    """A has answers 0 0 1 (one of three pairs agrees), B 1 1 (one of one), C one video, which makes no pair."""
    found = own_videos(predicted((0, "A", 0, 0), (0, "A", 0, 0), (0, "A", 0, 1), (0, "B", 1, 1), (0, "B", 1, 1), (1, "C", 1, 0)))  # fmt: skip
    assert (found.subjects, found.pairs) == (2, 4)
    assert found.share == pytest.approx((1 / 3 + 1) / 2)
    # A-B: 1 x 2 of 6 agree; A-C: 2 of 3; B-C: 0 of 2.
    assert found.chance == pytest.approx(4 / 11)
    assert found.chance_in_class == 0  # B and C alone share a class
    assert found.low < found.share < found.high


def test_repeats_are_pairs_of_one_fold_each():
    """Two folds that each hold A out make two pairs, and none across folds, whose models differ."""
    found = own_videos(predicted((0, "A", 0, 0), (0, "A", 0, 0), (1, "A", 0, 1), (1, "A", 0, 1)))
    assert (found.pairs, found.share, found.chance) == (2, 1.0, None)
    assert found.low < 1


def test_random_answers_agree_as_chance_says():
    """Answers that have nothing to do with the subject agree as often within as between subjects, and intervals hold chance."""
    draws = np.random.default_rng(0)
    found = []
    for _ in range(60):
        answers = draws.choice(3, 80, p=[0.6, 0.3, 0.1])
        found.append(own_videos(predicted(*((0, f"S{i // 4:02}", i // 40, int(a)) for i, a in enumerate(answers)))))
    assert np.mean([one.share for one in found]) == pytest.approx(0.46, abs=0.025)
    assert np.mean([one.chance for one in found]) == pytest.approx(0.46, abs=0.025)
    assert np.mean([one.low < 0.46 < one.high for one in found]) > 0.85


def test_one_video_a_subject_says_nothing():
    """There are no pairs, and so no agreement."""
    assert own_videos(predicted((0, "A", 0, 0), (0, "B", 1, 1))) is None


def test_results_json_has_it(tmp_path):
    """The agreement stands in results.json as computed from the chosen predictions."""
    analysis = analyse(make_study(tmp_path / "s"))
    written = numbers(analysis)["chosen"]["own_videos"]
    assert written["share"] == own_videos(analysis.results.predictions).share
    assert written["subjects"] == analysis.ledger.subjects
