"""Where numerical texts and class features lie on the page's maps."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

from reports.figures.embedding_maps import draw_numbers, draw_plane
from reports.numbers.analysis import analyse
from reports.numbers.embedding_maps import lay_out
from tests.errors import coded
from tests.make_study import CLASSES, make_study
from trainables.errors import StridefoldError
from trainables.study.fold_embeddings import FILE, FoldMaps

HOSTILE = ("</script><img src=x onerror=alert(1)>", r"$\bad{")


@pytest.fixture
def found() -> FoldMaps:
    """Returns two groups of records that are apart along one axis after the projection alone."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    projected = rng.normal(0, 0.1, (40, 5))
    projected[:, 2] += 4.0 * labels
    return FoldMaps(
        labels=labels,
        written=rng.normal(0, 1, (40, 6)),
        projected=projected,
        class_written=np.full((2, 6), 50.0),
        class_projected=np.eye(5)[2] * [[0.0], [4.0]],
        numbers=np.array([-1.0, 0.0, 1.0]),
        similarity=np.array([[1, 0.9, 0.8], [0.9, 1, 0.9], [0.8, 0.9, 1]]),
    )


def test_planes_by_scikit_learn(found: FoldMaps) -> None:
    """Records are where PCA puts them, and the class features in the same plane; the axes say what they are."""
    maps = lay_out(found, 1, ("a", "b"), "continuous")
    written, projected = (p for p in maps.planes if p.method == "PCA")
    oracle = PCA(2).fit(found.projected)
    np.testing.assert_allclose(np.abs(projected.points), np.abs(oracle.transform(found.projected)), atol=1e-9)
    np.testing.assert_allclose(np.abs(projected.classes), np.abs(oracle.transform(found.class_projected)), atol=1e-9)
    assert projected.axes[0] == f"first component ({100 * oracle.explained_variance_ratio_[0]:.0f} % of the variance)"
    assert written.separation is not None
    assert projected.separation is not None
    assert written.separation < 0.1
    assert projected.separation > 0.8


def test_what_is_saved_is_read(found: FoldMaps, tmp_path: Path) -> None:
    """A fold's maps survive the disk; a damaged file is said in one sentence."""
    found.save(tmp_path)
    again = FoldMaps.load(tmp_path)
    assert again is not None
    np.testing.assert_allclose(again.projected, found.projected, atol=1e-6)
    assert again.labels.tolist() == found.labels.tolist()
    (tmp_path / FILE).write_bytes(b"no")
    with pytest.raises(StridefoldError, check=coded("study.file_damaged", FILE)):
        FoldMaps.load(tmp_path)


def test_drawings_are_inert_and_the_same_twice(found: FoldMaps) -> None:
    """Class names stay text, the table has a row per class and the matrix a row per number."""
    maps = lay_out(found, 0, HOSTILE, "continuous")
    first, again = draw_plane(maps, 0), draw_plane(maps, 0)
    assert first.svg == again.svg
    assert "<img" not in first.svg
    assert "&lt;img" in first.svg
    assert [row[0] for row in first.rows] == list(HOSTILE)
    numbers = draw_numbers(maps)
    assert [len(row) for row in numbers.rows] == [4, 4, 4]
    assert numbers.rows[0][3] == "0.8000"
    assert "from 0.800" in numbers.description


def test_a_study_has_the_maps_of_its_chosen_configuration(tmp_path: Path) -> None:
    """They are in the analysis and in results.json as plain numbers."""
    analysis = analyse(make_study(tmp_path / "study"))
    assert analysis.results is not None
    maps = analysis.results.maps
    assert maps is not None
    points = maps.rounded()
    assert maps.names == CLASSES
    assert len(points.planes[0].records) == len(points.labels) == 60
    assert len(points.planes[0].classes) == len(CLASSES)
