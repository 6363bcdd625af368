"""What a study may be asked for by name. Read by every command line, so nothing large is imported here."""

from collections.abc import Mapping
from typing import Any

from trainables.errors import ConfigurationError

LEVELS = ("subject", "video", "window")
METRICS = ("macro_f1", "balanced_accuracy", "accuracy", "quadratic_kappa")
RULES = ("best", "one_se")
"""How a trial is chosen: the best score, or the cheapest within one standard error of it."""
COSTS = ("trained_parameters", "seconds")
"""What a configuration costs: weights that are trained, or seconds of training and scoring over all folds."""
COVERAGE = 0.9
"""Share of new people whose prediction set is to hold their true class, where nothing else was asked for."""
READERS = ("pyav", "decord")
"""What reads videos; decord runs in a process of its own, checked against PyAV."""
TRACKERS = ("none", "motion", "pose")
"""What looks for the walker in a video: nothing, what moves before a fixed camera, or landmarks of the body."""
UNTRACKED = "none"
TRACK_VERSION = 2
"""Counts up whenever the same video would get another track, and so other frames."""


def tracker_of(options: Mapping[str, Any]) -> str:
    """Returns what looked for the walkers of a study with these options; before there was a tracker nobody did."""
    return str(options.get("track", UNTRACKED))


def parse_metric(text: str) -> tuple[str, str]:
    """Returns (level, name) of a metric written as 'macro_f1' (subject level) or 'video/macro_f1'.

    Raises:
        ConfigurationError: There is no such level or metric.
    """
    level, _, name = text.rpartition("/")
    level = level or "subject"
    if level not in LEVELS or name not in METRICS:
        raise ConfigurationError(
            f"--metric {text} is not known; use one of {', '.join(METRICS)}, with subject/ (the default), video/ or window/ before it",
            code="option.metric.unknown",
        )
    return level, name
