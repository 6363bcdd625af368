"""Stridefold from Python.

    study = stridefold.search("cohort.csv", label="diagnosis", trials=20)
    study.best, study.trials, study.predictions
    stridefold.load("studies/cohort-diagnosis").predictor().predict("walk.mp4").table

Nothing is computed here: these are the functions that the commands call. Each is imported at its first use, so that
`import stridefold` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.numbers.json_schema import results_schema as results_schema
    from stridefold.predictor import Predictions as Predictions
    from stridefold.predictor import Predictor as Predictor
    from stridefold.study import Study as Study
    from stridefold.study import load as load
    from stridefold.study import search as search
    from trainables.errors import StridefoldError as StridefoldError
    from trainables.simulation.cohort import simulate_cohort as simulate_cohort

    __version__: str

_MODULES = {
    "Predictions": "stridefold.predictor",
    "Predictor": "stridefold.predictor",
    "StridefoldError": "trainables.errors",
    "Study": "stridefold.study",
    "load": "stridefold.study",
    "results_schema": "reports.numbers.json_schema",
    "search": "stridefold.study",
    "simulate_cohort": "trainables.simulation.cohort",
}
"""Where each name comes from."""

__all__ = [
    "Predictions",
    "Predictor",
    "StridefoldError",
    "Study",
    "__version__",
    "load",
    "results_schema",
    "search",
    "simulate_cohort",
]


def __getattr__(name: str) -> Any:
    """Imports a name of this package at its first use."""
    if name == "__version__":
        from importlib.metadata import version

        return version("stridefold")
    if name not in _MODULES:
        raise AttributeError(f"module 'stridefold' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
