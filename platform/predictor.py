"""A study's models, loaded once, that score one list of new videos after another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from platform.unlike import Unlike, distances

import polars as pl

from trainables.cohort.new_videos import Seen, seen_in_study
from trainables.data.cache import ingest_cohort
from trainables.errors import ConfigurationError
from trainables.inference.ensemble import Ensemble, score_videos
from trainables.inference.predictions import Prediction, predictions
from trainables.inference.video_parameters import Estimate, estimate_videos
from trainables.study.records import Cohort
from trainables.study.vocabulary import READERS, tracker_of
from trainables.training.frozen import FrozenFeatures

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a study's models say of some videos."""

    videos: pl.DataFrame
    """One row per video, as `ingest_cohort` returns them."""
    found: list[Prediction]
    seen: list[Seen]
    """Videos and subjects that the study's cohort has too."""
    far: tuple[Unlike, ...]
    """How unlike the training videos each is; empty where that cannot be known."""
    estimated: dict[str, tuple[Estimate, ...]]
    """Gait parameters estimated from each video, by its name."""


def check_where(device: str, reader: str) -> None:
    """Raises ConfigurationError where the device or the reader is not one that there is."""
    for name, value, allowed in (("device", device, DEVICES), ("reader", reader, READERS)):
        if value not in allowed:
            raise ConfigurationError(
                f"{name} is {value!r}, but must be one of {', '.join(allowed)}", code="option.choice"
            )


class Predictor:
    """The chosen configuration's folds with their frozen backbone, ready to score."""

    def __init__(self, ensemble: Ensemble, frozen: FrozenFeatures, *, cache: Path, device: str, reader: str = "pyav",
                 workers: int = 1):  # fmt: skip
        """Takes what scores, and where.

        Args:
            cache: folder of decoded frames.
            device: cpu or cuda.
            reader: what decodes videos, one of READERS.
            workers: processes that decode.
        """
        self.ensemble, self.frozen = ensemble, frozen
        self.cache, self.device, self.reader, self.workers = cache, device, reader, workers

    def score(
        self,
        videos: pl.DataFrame,
        levels: Sequence[str],
        on_video: Callable[[int, int], None] = lambda done, total: None,
    ) -> Scored:
        """Returns the predictions for every video.

        Args:
            videos: one row per video, as `read_videos` and `read_manifest_videos` return them.
            levels: of LEVELS, those that are wanted; 'subject' needs videos that name theirs.
            on_video: is called with (done, total) as videos are decoded.

        Raises:
            CohortError: Lists the videos that cannot be read.
        """
        videos = self._ingested(videos, on_video)
        scores = score_videos(self.ensemble, videos, self.frozen, cache=self.cache, device=self.device)
        return Scored(
            videos=videos,
            found=[p for level in levels for p in predictions(self.ensemble, scores, level)],
            seen=list(seen_in_study(self.ensemble.cohort, self.ensemble.splits, self.ensemble.folds, videos)),
            far=distances(self.ensemble, videos, self.frozen.backbone, self.cache),
            estimated=estimate_videos(self.ensemble, videos, self.frozen, self.cache),
        )

    def _ingested(self, videos: pl.DataFrame, on_video: Callable[[int, int], None]) -> pl.DataFrame:
        """Returns the videos with their frames in the cache, after the study's own tracker has looked for the walkers."""
        new = Cohort(
            name="the list of videos",
            simulated=False,
            label=self.ensemble.cohort.label,
            classes=self.ensemble.cohort.classes,
            parameters=(),
            videos=videos,
        )
        size, folder = self.frozen.backbone.image_size, self.cache
        tracker = tracker_of(self.ensemble.record.options)
        return ingest_cohort(
            new, size=size, folder=folder, workers=self.workers, reader=self.reader, tracker=tracker, on_video=on_video
        ).videos
