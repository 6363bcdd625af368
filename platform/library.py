"""What `import stridefold` calls: a search whose options come from Python, and which prints nothing unless it is asked to."""

import difflib
import logging
import os
import typing
from collections.abc import Mapping
from pathlib import Path
from platform.arguments import model_path
from platform.console import Console
from platform.options import SearchOptions
from platform.surroundings import as_found
from typing import Any

from trainables.config import TrainConfig
from trainables.errors import ConfigurationError
from trainables.setting_types import checked
from trainables.study.vocabulary import parse_metric

PATHS = ("cohort", "task", "parameters", "study", "studies", "space", "cache", "prompts_from", "pose_weights")
"""Options that may be a path; ~ stands for the home folder."""
WORDS = {("folds", "subjects"): 0, ("baselines", "none"): ()}
"""Values that the command line has a word for."""
OF_THE_COMMAND = ("plain", "dry_run")


def options_from(given: Mapping[str, Any]) -> SearchOptions:
    """Returns the options of a search that were given by name, as `trials=20` for --trials 20.

    Args:
        given: `settings` is {'optimizer.lr': 0.001, ...} for --set, `column` {'subject': 'patient_id', ...}; an option that may be
            repeated takes a sequence.

    Raises:
        ConfigurationError: There is no such option, or its value is not allowed.
    """
    kinds = {name: kind for name, kind in typing.get_type_hints(SearchOptions).items() if name not in OF_THE_COMMAND}
    if unknown := sorted(set(given) - set(kinds)):
        near = difflib.get_close_matches(unknown[0], kinds, n=1)
        meant = f"did you mean {near[0]!r}?" if near else f"options are {', '.join(sorted(kinds))}"
        raise ConfigurationError(f"{unknown[0]!r} is not an option of a search; {meant}", code="option.unknown")
    return SearchOptions(**{name: _value(name, value, kinds[name]) for name, value in given.items()})


def _value(name: str, value: Any, kind: Any) -> Any:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str) and (name, value) in WORDS:
        return WORDS[name, value]
    if name == "settings":
        return TrainConfig.checked(value)
    value = checked(name, value, kind)
    if name == "metric":
        return "/".join(parse_metric(value))
    if name in ("backbone", "knowledge_encoder"):
        return model_path(value, embedded=getattr(SearchOptions(), name))
    return os.path.expanduser(value) if name in PATHS and isinstance(value, str) else value


def run_search(options: SearchOptions, *, verbose: bool = False) -> Path:
    """Runs a search, or what is missing of it, and returns the study's folder; the process is afterwards as it was.

    Args:
        verbose: whether the lines of `python -m platform.search --plain` are printed.

    Raises:
        StridefoldError: Something is wrong with the options, the cohort, the machine or the study's folder; it says what.
    """
    with as_found(quiet=logging.ERROR):
        from platform.pipeline import search  # torch, Ray and Optuna take seconds: a wrong option is told before

        return search(options, Console(plain=True, quiet=not verbose))
