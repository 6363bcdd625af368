"""The same evaluation on Ray: videos are decoded and scored by tasks, a few videos in each."""

from pathlib import Path
from platform.console import Console
from platform.evaluate_options import EvaluateOptions
from platform.options import SearchOptions
from platform.predict_options import device_of
from platform.resources import ray_session
from platform.session import Session
from platform.tuner import in_ray_tasks
from typing import Any

import polars as pl

from search_spaces import load_space
from trainables.data.cache import ingest_cohort
from trainables.inference.ensemble import Ensemble
from trainables.inference.second_cohort import refuse_copies
from trainables.ray_loop import score_new
from trainables.study.metrics import mean_of_folds
from trainables.study.records import Cohort

VIDEOS = 32
"""Of a task: loading the backbone and the folds takes as long as scoring a few videos."""


def on_ray(
    options: EvaluateOptions, ensemble: Ensemble, cohort: Cohort, trained: Cohort | None, cache: Path, on_video: Any
) -> tuple[Cohort, pl.DataFrame, tuple[str, ...]]:
    """Returns the ingested cohort, the answers, and what was checked of copies."""
    gpus = 1.0 if device_of(options.device) == "cuda" else 0.0
    asked = SearchOptions(address=options.address, cache=options.cache, gpus_per_worker=gpus)
    with ray_session(asked) as machines:
        session = Session(options=asked, space=load_space(asked.space), machines=machines, console=Console(plain=True))
        size = int(ensemble.record.backbone["image_size"])
        cohort = ingest_cohort(
            cohort, size=size, folder=cache, reader=options.reader, run=in_ray_tasks, on_video=on_video
        )
        copies = refuse_copies(cohort, trained, cache) if trained else ()
        model, parts = str(options.model.absolute()), cohort.videos.iter_slices(VIDEOS)
        calls = [(model, str(cache), part, options.backbone, options.knowledge_encoder) for part in parts]
        scores = pl.concat(session.tasks(score_new, calls))
    return cohort, mean_of_folds(scores, cohort.videos), copies
