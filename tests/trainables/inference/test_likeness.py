"""How unlike the training videos a new one is: what is usual is not called unlike, what is far is."""

import numpy as np
import pytest

from trainables.inference.likeness import FEWEST_SUBJECTS, fit_likeness


def people(rng: np.random.Generator, subjects: int, videos: int = 2) -> tuple[np.ndarray, list[str]]:
    """Returns features of people's videos, [N, 6], and whose they are."""
    own = rng.normal(size=(subjects, 6))
    features = np.concatenate([own[i] + 0.3 * rng.normal(size=(videos, 6)) for i in range(subjects)])
    return features, [f"P{i}" for i in range(subjects) for _ in range(videos)]


def test_new_people_of_the_same_kind_are_rarely_unlike():
    """About 5 % of new people are further away than 95 % of the training, within what 40 draws of 30 people vary."""
    unlike = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        known = fit_likeness(*people(rng, 30), window=30)
        assert known is not None
        unlike += [known.unlike(known.distance(f)) for f in people(rng, 20)[0]]
    assert np.mean(unlike) == pytest.approx(0.05, abs=0.04)


def test_another_kind_of_video_is_unlike():
    """Three standard deviations in every direction are further away than any training video."""
    known = fit_likeness(*people(np.random.default_rng(0), 30), window=30)
    assert known is not None
    distance = known.distance(np.full(6, 4.0))
    assert known.nearer(distance) == 1.0
    assert known.unlike(distance)
    assert not known.unlike(known.distance(np.zeros(6)))


def test_few_subjects_say_nothing():
    """Many videos of few people do not tell what is usual."""
    rng = np.random.default_rng(0)
    assert fit_likeness(*people(rng, FEWEST_SUBJECTS - 1, 10), window=30) is None
    assert fit_likeness(*people(rng, FEWEST_SUBJECTS), window=30) is not None


def test_a_feature_that_never_changes_does_not_count():
    """A constant coordinate would make every distance infinite."""
    features, subjects = people(np.random.default_rng(0), 12)
    features[:, 0] = 2.0
    known = fit_likeness(features, subjects, window=30)
    assert known is not None
    assert np.isfinite(known.distance(features[0] + [5, 0, 0, 0, 0, 0]))
