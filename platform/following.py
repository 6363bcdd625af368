"""What became of the walkers of a cohort's videos, in a few lines for the terminal."""

import polars as pl

from trainables.study.walker_flow import walker_flow

NAMED = 3
"""Videos that a line names; the rest are counted."""


def followed(videos: pl.DataFrame) -> list[str]:
    """Returns what the tracker made of an ingested cohort's videos; nothing where no walker was looked for."""
    flow = walker_flow(videos, {})
    if flow is None:
        return []
    lines = [f"walker followed in {flow.followed} of {flow.videos} videos"] if flow.followed else []
    if flow.seconds_unused:
        lines.append(f"  {flow.seconds_unused:.0f} of {flow.seconds:.0f} s show no whole walker and are not used")
    for note, count in flow.whole:
        names = videos.filter(pl.col("follow_note") == note)["video"].to_list()
        which = "all" if count == len(videos) else f"{count} of {len(videos)}"
        named = f" ({', '.join(names[:NAMED])}{', ...' if count > NAMED else ''})" if which != "all" else ""
        lines.append(f"the whole picture is used in {which} videos{named}: {note}")
    return lines
