"""The wheel in an environment of its own: what users install."""

import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.tiny import write_place

SEARCH = ["--plain", "--label", "diagnosis", "--trials", "1", "--folds", "2", "--frames", "2", "--epochs", "1", "--baselines", "none",
          "--set", "decoder.width=32", "--set", "decoder.layers=1", "--set", "decoder.steps=5"]  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """Returns the wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, root], check=True, timeout=300
    )
    (built,) = folder.glob("stridefold-*.whl")
    return built


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of commands of an environment that has the wheel.

    Its dependencies are those of this environment, whose folder comes last on its path. The checkout is not on it: a .pth file
    of a folder that is on the path for another's .pth file is not read.
    """
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", str(python)]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", wheel], check=True, timeout=300)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return folder / "bin"


@pytest.mark.slow
def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    """No tests, no benchmarks; data files and the mark of typed packages are in it."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    packages = {"stridefold", "platform", "trainables", "search_spaces", "reports"}
    assert tops == packages | {"platform_precedence.py", "platform-precedence.pth"}
    for needed in ("stridefold/py.typed", "trainables/knowledge/diagnosis.toml", "reports/documents/study.html.j2",
                   "reports/documents/summary.html.j2", "reports/documents/model_card.md.j2", "reports/documents/tripod.toml",
                   "reports/wording.toml", "trainables/backbones/small/model.safetensors"):  # fmt: skip
        assert needed in names


@pytest.mark.slow
def test_a_search_runs_from_the_wheel(fresh: Path, tmp_path: Path) -> None:
    """In another folder: the command says its version, searches and reports; the Python API loads what it made."""
    place = write_place(tmp_path)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    where = run(
        fresh / "python", "-c", "import stridefold, trainables; print(stridefold.__file__, trainables.__file__)"
    )
    assert where.count(str(fresh.parent)) == 2
    assert run(fresh / "stridefold", "--version").startswith("stridefold ")
    given = ["--cohort", place / "videos" / "cohort.csv", "--backbone", place / "clip", "--cache", place / "cache"]
    assert "report: studies/wheel/report.html" in run(
        fresh / "stridefold", "search", *given, "--study", "wheel", *SEARCH
    )
    assert (
        run(fresh / "python", "-c", "import stridefold; print(len(stridefold.load('studies/wheel').trials))") == "1\n"
    )
