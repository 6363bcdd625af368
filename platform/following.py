"""What became of the walkers of a cohort's videos, in a few lines for the terminal."""

import polars as pl

from trainables.recordings.decode import RATE
from trainables.tracking.passes import spans_of

NAMED = 3
"""Videos that a line names; the rest are counted."""


def followed(videos: pl.DataFrame) -> list[str]:
    """Returns what the tracker made of an ingested cohort's videos; nothing where no walker was looked for."""
    if "followed" not in videos.columns:
        return []
    looked = videos.filter(pl.col("followed") != "not followed")
    if looked.is_empty():
        return []
    moved = looked.filter(pl.col("followed") != "whole picture")
    lines = [f"walker followed in {len(moved)} of {len(looked)} videos"] if len(moved) else []
    used = sum(last - first for spans in spans_of(looked) for first, last in spans)
    if unused := looked["frames"].sum() - used:
        lines.append(
            f"  {unused / RATE:.0f} of {looked['frames'].sum() / RATE:.0f} s show no whole walker and are not used"
        )
    for note, some in looked.filter(pl.col("follow_note") != "").group_by("follow_note", maintain_order=True):
        which = "all" if len(some) == len(videos) else f"{len(some)} of {len(videos)}"
        named = (
            f" ({', '.join(some['video'].head(NAMED))}{', ...' if len(some) > NAMED else ''})" if which != "all" else ""
        )
        lines.append(f"the whole picture is used in {which} videos{named}: {note[0]}")
    return lines
