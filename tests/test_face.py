"""What a visitor meets first: the version, the citation, the workflow."""

import subprocess
import sys
import tomllib
from pathlib import Path

import yaml


def project(root: Path) -> dict:
    """Returns what pyproject.toml says of the project."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_command_says_its_version(root: Path) -> None:
    """`stridefold --version` and `python -m platform --version` print the version of pyproject.toml."""
    done = subprocess.run([sys.executable, "-m", "platform", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"stridefold {project(root)['version']}\n"


def test_the_citation_is_of_this_version(root: Path) -> None:
    """A release raises the version in pyproject.toml and in CITATION.cff."""
    cited = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cited["title"], cited["version"]) == (project(root)["name"], project(root)["version"])
    assert cited["license"] == project(root)["license"]


def test_the_workflow_runs_ci_on_every_supported_python(root: Path) -> None:
    """The classifiers and the workflow name the same versions of Python, and the workflow calls .ci/run."""
    jobs = yaml.safe_load((root / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    prefix = "Programming Language :: Python :: "
    named = [c.removeprefix(prefix) for c in project(root)["classifiers"] if c.startswith(f"{prefix}3.")]
    assert jobs["checks"]["strategy"]["matrix"]["python"] == named
    assert ".ci/run" in [step.get("run") for step in jobs["checks"]["steps"]]


def test_every_group_of_dependencies_is_pinned(root: Path) -> None:
    """What the dev group installs has its version in constraints.txt, so that two installations are alike."""
    groups = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines}
    asked = [name for names in groups.values() for name in names if isinstance(name, str)]
    assert len(asked) > 8
    for name in asked:
        assert name.partition(">=")[0].partition("[")[0].lower() in pinned
