"""What the tracker left of a cohort, in numbers."""

import polars as pl

from trainables.study.walker_flow import walker_flow


def table(*rows) -> pl.DataFrame:
    schema = {"video": pl.String, "frames": pl.Int64, "passes": pl.List(pl.List(pl.Int64)), "followed": pl.String,
              "follow_note": pl.String}  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_windows_and_seconds_that_are_not_used_are_counted():
    """A window counts as used only if all of it is in one pass."""
    flow = walker_flow(
        table(
            ("a", 150, [[30, 150]], "followed", ""),
            ("b", 120, [[0, 50], [60, 120]], "followed", ""),
            ("c", 90, None, "whole picture", "the camera moves"),
            ("d", 90, None, "not followed", ""),
        ),
        {"video.window": 30},
    )
    assert (flow.videos, flow.followed, flow.several_walks) == (3, 2, 1)
    assert (flow.windows, flow.windows_unused) == (5 + 4 + 3, 1 + 1)
    assert (flow.seconds, flow.seconds_unused) == (12, (30 + 10) / 30)
    assert flow.whole == (("the camera moves", 1),)


def test_without_a_tracker_there_is_nothing_to_say():
    """A cohort from before walkers were followed, and one in which nobody was, have no such numbers."""
    videos = table(("a", 90, None, "not followed", ""))
    assert walker_flow(videos, {}) is None
    assert walker_flow(videos.drop("followed"), {}) is None
