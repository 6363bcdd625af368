"""Labels that change hands between subjects without changing the design of the study."""

import dataclasses
from collections.abc import Iterator

import polars as pl

from trainables.study.records import Cohort


def exchanged(cohort: Cohort, seed: int, *, by_fold: bool) -> Cohort:
    """Returns the cohort with the subjects' labels exchanged at random.

    Whole subjects exchange all their labels, so that labels within a subject stay as alike as they were. With labels per
    video they do so among those with as many videos; who is alone with a number of videos exchanges with the others
    who are, their labels laid end to end. With folds of a column (as of sites) labels stay within their fold. So each
    class keeps its number of subjects, or of videos, in every fold of the column.

    Args:
        by_fold: whether the cohort's column 'fold' bounds the exchange.
    """
    subjects = cohort.videos.sort("subject", "video").group_by("subject", maintain_order=True)
    columns = [pl.col("label"), *([pl.col("fold").first()] if by_fold else [])]
    table = subjects.agg(*columns).with_columns(videos=pl.col("label").list.len())
    given: dict[str, list[int]] = {}
    strata = _strata(table, per_video=cohort.per_video_labels, by_fold=by_fold)
    for number, (names, labels) in enumerate(strata):
        own_seed = seed + 104_729 * number
        order = pl.Series(range(len(names)), dtype=pl.Int64).shuffle(seed=own_seed).to_list()
        lengths = dict(table.filter(pl.col("subject").is_in(names)).select("subject", "videos").iter_rows())
        drawn = [labels[i] for i in order]
        if not cohort.per_video_labels:
            given |= {name: [own[0]] * lengths[name] for name, own in zip(names, drawn, strict=True)}
            continue
        if len(names) == 1:  # nobody to exchange with: among its own videos
            drawn = [pl.Series(labels[0]).shuffle(seed=own_seed).to_list()]
        end_to_end = iter([label for own in drawn for label in own])
        given |= {name: [next(end_to_end) for _ in range(lengths[name])] for name in names}
    new = pl.DataFrame({"subject": list(given), "label": list(given.values())}).explode("label")
    videos = cohort.videos.with_row_index("row").sort("subject", "video").drop("label")
    labelled = videos.with_columns(new.sort("subject", maintain_order=True)["label"].cast(cohort.videos["label"].dtype))
    return dataclasses.replace(cohort, videos=labelled.sort("row").select(cohort.videos.columns))


def _strata(table: pl.DataFrame, *, per_video: bool, by_fold: bool) -> Iterator[tuple[list[str], list[list[int]]]]:
    """Yields the subjects who may exchange labels, sorted, with the labels of each."""
    folds = [part for _, part in table.group_by("fold", maintain_order=True)] if by_fold else [table]
    for fold in folds:
        parts = [p for _, p in fold.group_by("videos", maintain_order=True)] if per_video else [fold]
        alone = [p for p in parts if len(p) == 1]
        for part in [p for p in parts if len(p) > 1] + ([pl.concat(alone).sort("subject")] if alone else []):
            yield part["subject"].to_list(), part["label"].to_list()
