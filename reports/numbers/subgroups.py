"""Scores by subgroup of the people and recordings: how well each is answered, and whether the gaps are more than chance.

Letters: U units (subjects, or subjects under one condition), G groups, C classes, B permutations.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from reports.numbers.comparisons import holm
from reports.numbers.statistics import Array, Score, confusion, level_scores, metric_values
from trainables.study.metrics import at_level
from trainables.study.records import Attribute

FEWEST_SUBJECTS = 5
"""Subjects below which a group has no score of its own, and is in no test."""
PERMUTATIONS = 2000
METRIC = "balanced_accuracy"
"""Of a group: it is over the classes that the group has, where macro F1 would count a class that is absent as missed."""
BANDS: dict[str, tuple[float, ...]] = {
    "age": (65.0, 75.0, 85.0),
    "mmse": (10.0, 21.0, 27.0),
    "moca": (10.0, 18.0, 26.0),
    "bmi": (18.5, 25.0, 30.0),
}
"""Lower edges of clinical bands, by a word of the attribute's name. MMSE: NICE guideline NG97 (severe, moderate, mild); MoCA:
mocacognition.com; BMI: WHO."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subgroup:
    """The people or recordings that share a value of an attribute."""

    value: str
    """A category, or a band as '65 to 75'."""
    subjects: int
    videos: int
    score: Score | None
    """Balanced accuracy; None for fewer than FEWEST_SUBJECTS subjects."""
    confusion: tuple[tuple[int, ...], ...]
    """[C, C] of subjects, or of videos where labels are per video; row: true class."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subgroups:
    """One attribute's groups, and the gap between the best and the worst of them."""

    attribute: str
    unit: str
    """What is answered: subject, or video where labels are per video."""
    groups: tuple[Subgroup, ...]
    missing: int
    """Subjects with a video of which the value is not known."""
    within: bool
    """Whether the attribute changes within subjects, as the view of a camera does."""
    smallest: int
    """Subjects of the smallest group."""
    gap: float | None
    """Best minus worst balanced accuracy; None for fewer than two groups with a score."""
    p_value: float | None
    """Of a gap this large where the groups are drawn at random: among the subjects of a class, or of one subject."""
    adjusted: float | None
    """p_value after Holm's correction for all attributes that were looked at."""


def subgroups(
    predictions: pl.DataFrame,
    videos: pl.DataFrame,
    attributes: Sequence[Attribute],
    classes: int,
    unit: str = "subject",
) -> tuple[Subgroups, ...]:
    """Returns the groups of each attribute, in their order; their p-values are corrected together.

    Args:
        predictions: One row per held-out window, as PREDICTIONS.
        videos: Of the cohort, with subject, video and the attributes' columns.
        attributes: What to look at.
        classes: C.
        unit: What is answered: subject, or video where one subject's videos have several labels.
    """
    scored = videos.join(predictions.select("subject", "video").unique(), on=["subject", "video"], how="semi")
    found = [_subgroups(predictions, scored, attribute, classes, unit) for attribute in attributes]
    tested = [one.p_value for one in found if one.p_value is not None]
    adjusted = iter(holm(tested))
    return tuple(one if one.p_value is None else dataclasses.replace(one, adjusted=next(adjusted)) for one in found)


def _subgroups(
    predictions: pl.DataFrame, videos: pl.DataFrame, attribute: Attribute, classes: int, unit: str
) -> Subgroups:
    named = videos.select("subject", "video", group=grouped(videos[attribute.column], attribute))
    known = named.drop_nulls("group")
    parts = {
        value: predictions.join(known.filter(group=value), on=["subject", "video"], how="semi")
        for value in ordered(known["group"].unique().to_list())
    }
    groups = tuple(_subgroup(value, part, classes, unit) for value, part in parts.items())
    within = bool((known.group_by("subject").agg(pl.col("group").n_unique())["group"] > 1).any())
    large = {g.value: parts[g.value] for g in groups if g.score is not None}
    gap = p_value = None
    if len(large) > 1:
        gap, p_value = gap_test(large, classes, within=within, unit=unit)
    return Subgroups(
        attribute=attribute.name,
        unit=unit,
        groups=groups,
        missing=named.filter(pl.col("group").is_null())["subject"].n_unique(),
        within=within,
        smallest=min((g.subjects for g in groups), default=0),
        gap=gap,
        p_value=p_value,
        adjusted=p_value,
    )


def _subgroup(value: str, part: pl.DataFrame, classes: int, unit: str) -> Subgroup:
    units = at_level(part, unit)
    counts = confusion(units["true"].to_numpy(), units["predicted"].to_numpy(), classes)
    subjects = part["subject"].n_unique()
    enough = subjects >= FEWEST_SUBJECTS
    return Subgroup(
        value=value,
        subjects=subjects,
        videos=part.select("subject", "video").n_unique(),
        score=level_scores(part, unit, classes, (METRIC,)).scores[0] if enough else None,
        confusion=tuple(map(tuple, counts.tolist())),
    )


def grouped(column: pl.Series, attribute: Attribute) -> pl.Series:
    """Returns each video's group: its category, its clinical band, or its third of the cohort's videos."""
    if attribute.kind == "category":
        return column.cast(pl.String)
    words = attribute.name.lower().replace("_", " ").split()
    edges: tuple[float, ...] = next((BANDS[word] for word in words if word in BANDS), ())
    if not edges:
        edges = tuple(sorted({float(q) for q in np.quantile(column.drop_nulls().to_numpy(), [1 / 3, 2 / 3])}))
    names = [
        f"below {edges[0]:g}",
        *(f"{low:g} to {high:g}" for low, high in itertools.pairwise(edges)),
        f"{edges[-1]:g} and above",
    ]
    places = [None if value is None else int(np.searchsorted(edges, value, side="right")) for value in column]
    return pl.Series([None if place is None else names[place] for place in places], dtype=pl.String)


def ordered(values: list[str]) -> list[str]:
    """Returns bands from low to high, numbers by size, and other categories by the alphabet."""

    def place(value: str) -> tuple[int, float, str]:
        word = value.removeprefix("below ").split(" ")[0]
        try:
            return (0, float(word) - 1e-9 * value.startswith("below "), value)
        except ValueError:
            return (1, 0.0, value)

    return sorted(values, key=place)


def gap_test(
    groups: dict[str, pl.DataFrame], classes: int, *, within: bool, unit: str = "subject"
) -> tuple[float, float]:
    """Returns the gap between the best and the worst group, and how often chance makes one as large.

    Which group a unit is in is exchanged among the subjects of one class, so that groups with another mix of classes are
    compared fairly; where the attribute changes within subjects, among the units of one subject.

    Args:
        groups: Predictions of each group.
        classes: C.
        within: Whether subjects are in several groups.
        unit: What is answered.
    """
    units = pl.concat(
        at_level(part, unit).select("subject", "true", "predicted", pl.lit(i).alias("group"))
        for i, part in enumerate(groups.values())
    )
    strata = units["subject" if within else "true"].rank("dense").to_numpy()
    cells = (units["true"] * classes + units["predicted"]).to_numpy()
    group = units["group"].to_numpy()
    observed = _gap(group[None], cells, len(groups), classes)[0]
    rng = np.random.default_rng(0)
    drawn = np.tile(group, (PERMUTATIONS, 1))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        drawn[:, members] = rng.permuted(drawn[:, members], axis=1)
    hits = int((_gap(drawn, cells, len(groups), classes) >= observed - 1e-12).sum())
    return float(observed), (1 + hits) / (1 + PERMUTATIONS)


def _gap(group: Array, cells: Array, groups: int, classes: int) -> Array:
    """Returns the gap in balanced accuracy of each division into groups, [B], of groups [B, U] and confusion cells [U]."""
    draws, size = len(group), groups * classes**2
    places = np.arange(draws)[:, None] * size + group * classes**2 + cells
    counts = np.bincount(places.ravel(), minlength=draws * size).reshape(draws, groups, classes, classes)
    values: Array = metric_values(counts, METRIC)
    gap: Array = values.max(1) - values.min(1)
    return gap
