"""Search spaces: functions of an Optuna trial that return the configuration it should try.

A space is `suggest(trial, reference)`; it draws from the trial under the dotted names of the settings and returns the
reference configuration with those settings replaced. A user's own is named as my_space.py:suggest.
"""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.config import TrainConfig
from trainables.errors import ConfigurationError

if TYPE_CHECKING:
    import optuna

SHIPPED = ("smoke", "prompts", "motion", "numeracy", "optimizer", "full", "ablation", "paper")


@dataclass(frozen=True, kw_only=True)
class Space:
    """A search space, and where a search of it begins."""

    name: str
    suggest: "Callable[[optuna.Trial, TrainConfig], TrainConfig]"
    reference: dict[str, Any] = field(default_factory=dict)
    """What the reference configuration is among the names that the space draws, beside the settings' own."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Settings of the reference configuration that the space begins with, unless the user gives others."""
    cells: int | None = None
    """Configurations of a space that is a short list; None for any other."""

    def first(self, reference: TrainConfig) -> dict[str, Any]:
        """Returns the values that trial 0 draws, so that it is the reference configuration."""
        return reference.flat() | self.reference


def load_space(name: str) -> Space:
    """Returns a shipped space by name, or a function of the user's own as 'path/to/file.py:function'.

    Raises:
        ConfigurationError: No such space, file or function.
    """
    if name in SHIPPED:
        module = importlib.import_module(f"search_spaces.{name}")
        return Space(
            name=name,
            suggest=module.suggest,
            reference=getattr(module, "REFERENCE", {}),
            settings=getattr(module, "SETTINGS", {}),
            cells=getattr(module, "CELLS", None),
        )
    file, _, function = name.rpartition(":")
    if not file.endswith(".py"):
        raise ConfigurationError(
            f"--space {name} is not known; use one of {', '.join(SHIPPED)}, or a file and function as my_space.py:suggest",
            code="space.unknown",
        )
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if spec is None or spec.loader is None or not Path(file).is_file():
        raise ConfigurationError(f"--space {name}: there is no file {file}", code="space.no_file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's own code may raise anything
        raise ConfigurationError(
            f"--space {name}: {file} cannot be imported ({type(error).__name__}: {error})", code="space.not_importable"
        ) from None
    suggest = getattr(module, function, None)
    if not callable(suggest):
        raise ConfigurationError(f"--space {name}: {file} has no function {function!r}", code="space.no_function")
    return Space(name=name, suggest=suggest)
