"""`import stridefold`: quick, small, complete."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import stridefold

LARGE = ("torch", "transformers", "ray", "optuna", "polars", "numpy", "sklearn", "matplotlib")


def test_the_import_loads_nothing_large() -> None:
    """Notebooks and scripts pay for torch, Ray and Optuna when they use them."""
    code = f"import sys, stridefold; sys.exit(', '.join(set({LARGE}) & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_import_takes_less_than_a_fifth_of_a_second() -> None:
    """In CPU time of a process of its own, since the machine may be busy."""
    code = "import time; began = time.process_time(); import stridefold; print(time.process_time() - began)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert float(done.stdout) < 0.2


@pytest.mark.parametrize("name", stridefold.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """What __all__ promises can be imported, and has a docstring."""
    value = getattr(stridefold, name)
    assert name in dir(stridefold)
    assert isinstance(value, str) or value.__doc__


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="'stridefold' has no attribute 'train'"):
        stridefold.train  # noqa: B018


def test_the_version_is_the_installed_one() -> None:
    """The tag decides it when the package is built; nothing else has a copy."""
    assert stridefold.__version__ == version("stridefold")


def test_the_package_says_that_it_is_typed() -> None:
    """Else a type checker reads none of its annotations (PEP 561)."""
    assert (Path(stridefold.__file__).parent / "py.typed").is_file()
