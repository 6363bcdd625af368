"""Lays a fold's numerical texts and class features out on a plane.

Letters: M records, C classes, K numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score

from trainables.study.fold_embeddings import FoldMaps

Array = np.ndarray[Any, Any]
NEIGHBOURS = 15
"""umap-learn's own default."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Plane:
    """Points of one space on a plane."""

    space: str
    """'as written' or 'after projection'."""
    method: str
    """PCA or UMAP."""
    axes: tuple[str, str]
    points: Array
    """[M, 2] records."""
    classes: Array
    """[C, 2] class features."""
    separation: float | None
    """Silhouette of the classes' records in the whole space, -1 to 1; None with records of one class alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanePoints:
    """A plane as results.json has it."""

    space: str
    """'as written' or 'after projection'."""
    method: str
    """PCA or UMAP."""
    axes: tuple[str, str]
    separation: float | None
    """Silhouette of the classes' records in the whole space, -1 to 1; null with records of one class alone."""
    records: tuple[tuple[float, ...], ...]
    """[M, 2]"""
    classes: tuple[tuple[float, ...], ...]
    """[C, 2]"""


@dataclass(frozen=True, kw_only=True, slots=True)
class MapPoints:
    """One fold's planes and number embeddings as results.json has them."""

    fold: int
    labels: tuple[int, ...]
    """Class of each record, [M]."""
    planes: tuple[PlanePoints, ...]
    encoding: str
    """Of numbers, as `numeracy.encoding`."""
    numbers: tuple[float, ...]
    """[K]"""
    similarity: tuple[tuple[float, ...], ...]
    """Cosines of the number embeddings, [K, K]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Maps:
    """One fold's planes and its number embeddings."""

    fold: int
    labels: Array
    """[M]"""
    names: tuple[str, ...]
    planes: tuple[Plane, ...]
    encoding: str
    numbers: Array
    """[K]"""
    similarity: Array
    """[K, K]"""

    def rounded(self) -> MapPoints:
        """Returns everything for results.json, coordinates with four decimals."""
        planes = tuple(
            PlanePoints(
                space=plane.space,
                method=plane.method,
                axes=plane.axes,
                separation=plane.separation,
                records=_rows(plane.points, 4),
                classes=_rows(plane.classes, 4),
            )
            for plane in self.planes
        )
        return MapPoints(
            fold=self.fold,
            labels=tuple(self.labels.tolist()),
            planes=planes,
            encoding=self.encoding,
            numbers=tuple(self.numbers.round(4).tolist()),
            similarity=_rows(self.similarity, 5),
        )


def lay_out(found: FoldMaps, fold: int, names: tuple[str, ...], encoding: str) -> Maps:
    """Returns the planes of one fold: PCA, and UMAP where umap-learn is installed."""
    spaces = (
        ("as written", found.written, found.class_written),
        ("after projection", found.projected, found.class_projected),
    )
    methods: list[Callable[[str, Array, Array, Array], Plane]] = [_pca]
    installed = find_spec("umap")
    if installed is not None and installed.origin is not None and len(found.labels) > NEIGHBOURS:  # no mere folder umap
        methods.append(_umap)
    return Maps(
        fold=fold,
        labels=found.labels,
        names=names,
        planes=tuple(method(*space, found.labels) for method in methods for space in spaces),
        encoding=encoding,
        numbers=found.numbers,
        similarity=found.similarity,
    )


def _pca(space: str, records: Array, classes: Array, labels: Array) -> Plane:
    """Returns the plane in which the records differ most; the class features are put into the same plane."""
    found = PCA(2, svd_solver="full").fit(records)
    shares = [f"{100 * share:.0f} %" for share in found.explained_variance_ratio_]
    return Plane(
        space=space,
        method="PCA",
        axes=(f"first component ({shares[0]} of the variance)", f"second component ({shares[1]})"),
        points=found.transform(records),
        classes=found.transform(classes),
        separation=_separation(records, labels),
    )


def _umap(space: str, records: Array, classes: Array, labels: Array) -> Plane:
    found = import_module("umap").UMAP(n_neighbors=NEIGHBOURS, metric="cosine", random_state=0, n_jobs=1).fit(records)
    return Plane(
        space=space,
        method="UMAP",
        axes=("UMAP 1 (no unit)", "UMAP 2 (no unit)"),
        points=found.embedding_.astype(float),
        classes=found.transform(classes).astype(float),
        separation=_separation(records, labels),
    )


def _rows(matrix: Array, decimals: int) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, matrix.round(decimals).tolist()))


def _separation(records: Array, labels: Array) -> float | None:
    kinds = len(set(labels.tolist()))
    return float(silhouette_score(records, labels)) if 2 <= kinds < len(labels) else None
