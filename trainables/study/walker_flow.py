"""What the tracker left of a cohort's videos, in numbers: for the terminal and for the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from trainables.study.passes import Span, spans_of

UNFOLLOWED = "not followed"
WHOLE = "whole picture"
WINDOW = 70
RATE = 30
"""Frames per second of every video in the frame cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WalkerFlow:
    """What became of the videos in which a walker was looked for."""

    videos: int
    followed: int
    """Videos of which a square around the walker is used."""
    seconds: float
    seconds_unused: float
    """Without a whole walker who walks."""
    windows: int
    """Side by side, that the whole videos would have given."""
    windows_unused: int
    """Of them, those that show a frame that is not used."""
    several_walks: int
    """Videos with more than one walk through the picture."""
    whole: tuple[tuple[str, int], ...]
    """(why the whole picture is used, in how many videos)."""


def walker_flow(videos: pl.DataFrame, config: Mapping[str, Any]) -> WalkerFlow | None:
    """Returns what the tracker made of an ingested cohort's videos; None where no walker was looked for.

    Args:
        config: Flat configuration whose windows are counted; one without `video.window` has WINDOW frames.
    """
    if "followed" not in videos.columns:
        return None
    looked = videos.filter(pl.col("followed") != UNFOLLOWED)
    if looked.is_empty():
        return None
    window = int(config.get("video.window", WINDOW))
    found = list(zip(looked["frames"], spans_of(looked), strict=True))
    used = sum(last - first for _, spans in found for first, last in spans)
    noted = looked.filter(pl.col("follow_note") != "").group_by("follow_note", maintain_order=True).len()
    return WalkerFlow(
        videos=len(looked),
        followed=int((looked["followed"] != WHOLE).sum()),
        seconds=sum(frames for frames, _ in found) / RATE,
        seconds_unused=(sum(frames for frames, _ in found) - used) / RATE,
        windows=sum(frames // window for frames, _ in found),
        windows_unused=sum(_unused(frames, spans, window) for frames, spans in found),
        several_walks=sum(len(spans) > 1 for _, spans in found),
        whole=tuple(noted.rows()),
    )


def _unused(frames: int, spans: list[Span], window: int) -> int:
    starts = range(0, frames - window + 1, window)
    return sum(not any(first <= start and start + window <= last for first, last in spans) for start in starts)
