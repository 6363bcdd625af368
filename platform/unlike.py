"""Says which new videos are unlike those that a model was trained on."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from trainables.inference.ensemble import Ensemble
from trainables.inference.exported import ExportedModel
from trainables.inference.likeness import FAR, training_likeness, video_feature
from trainables.model.backbone import Backbone


@dataclass(frozen=True, kw_only=True, slots=True)
class Unlike:
    """How far a new video is from the training videos."""

    video: str
    distance: float
    """In standard deviations of the training subjects, over the frozen features."""
    nearer: float
    """Share of the training videos that are nearer to the other training subjects, 0-1."""
    unlike: bool
    """Whether that share is above FAR."""

    def sentence(self) -> str:
        """Returns the caution about a video that is unlike."""
        return (
            f"warning: {self.video} is unlike the videos that the model was trained on: its distance is {self.distance:.2f}, and "
            f"{100 * FAR:.0f} % of the training videos are nearer; the answer is a guess about something that it has not seen"
        )


def distances(ensemble: Ensemble, videos: pl.DataFrame, backbone: Backbone, cache: Path) -> tuple[Unlike, ...]:
    """Returns the distance of each new video; nothing where the training videos' features are not at hand.

    Args:
        videos: Ingested.
        backbone: The frozen one.
        cache: Folder of the frame cache.
    """
    if isinstance(ensemble, ExportedModel):
        known = ensemble.model.likeness
    else:
        known = training_likeness(backbone, ensemble.cohort, cache, ensemble.config.video.window)
    if known is None:
        return ()
    found = []
    for video, cached in videos.select("video", "cached").iter_rows():
        distance = known.distance(video_feature(backbone, cache, cached, known.window))
        found.append(
            Unlike(video=video, distance=distance, nearer=known.nearer(distance), unlike=known.unlike(distance))
        )
    return tuple(found)


def plain(found: tuple[Unlike, ...]) -> list[dict[str, Any]]:
    """Returns the distances as plain JSON values."""
    return [dataclasses.asdict(one) for one in found]
