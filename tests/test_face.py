"""What a visitor meets first: the version, the citation, the workflow."""

import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml


def project(root: Path) -> dict:
    """Returns what pyproject.toml says of the project."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def built_version(folder: Path) -> str:
    """Returns the version that a build of a folder would have."""
    environment = {name: value for name, value in os.environ.items() if "SCM_PRETEND" not in name}
    command = [sys.executable, "-P", "-m", "hatchling", "version"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """Returns a repository of what decides the version, with one commit that has the tag v4.5.6."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("pyproject.toml", ".gitattributes", ".git_archival.txt"):
        shutil.copy(root / name, folder)
    git(folder, "init", "--quiet")
    commit(folder, "tagged")
    git(folder, "tag", "v4.5.6")
    return folder


def git(folder: Path, *words: str) -> bytes:
    """Returns what git says in a folder."""
    about = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", *about, *words], cwd=folder, capture_output=True, check=True).stdout


def commit(folder: Path, text: str) -> None:
    """Commits a file with a text."""
    (folder / "file").write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", text)


def test_the_command_says_its_version() -> None:
    """`stridefold --version` and `python -m platform --version` print the version that was installed."""
    done = subprocess.run([sys.executable, "-m", "platform", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"stridefold {version('stridefold')}\n"


def test_the_version_is_the_tag(checkout: Path) -> None:
    """Of a tagged commit the tag itself; after it a development version that names the commit."""
    assert built_version(checkout) == "4.5.6"
    commit(checkout, "after")
    head = git(checkout, "rev-parse", "--short=7", "HEAD").decode().strip()
    assert built_version(checkout).startswith(f"4.5.7.dev1+g{head}")


def test_a_checkout_without_tags_has_a_version(checkout: Path, tmp_path: Path) -> None:
    """A shallow clone, as CI makes one."""
    git(tmp_path, "clone", "--quiet", "--depth", "1", "--no-tags", f"file://{checkout}", "shallow")
    assert built_version(tmp_path / "shallow").startswith("0.1.0.dev")


def test_an_archive_has_the_version_of_its_tag(checkout: Path, tmp_path: Path) -> None:
    """As GitHub offers one for download; a copy without git has the fallback."""
    folder = tmp_path / "archive"
    folder.mkdir()
    subprocess.run(["tar", "-x"], cwd=folder, input=git(checkout, "archive", "v4.5.6"), check=True)
    assert built_version(folder) == "4.5.6"
    (folder / ".git_archival.txt").unlink()
    assert built_version(folder) == "0.1.0.dev0"


def test_no_file_has_a_version_of_its_own(root: Path) -> None:
    """A release is a tag: the citation names no version, and containers take the fallback unless they are told another."""
    fallback = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["version"]
    cited = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cited["title"], cited["license"]) == (project(root)["name"], project(root)["license"])
    assert "version" not in cited
    for name in ("Dockerfile", "apptainer.def"):
        assert f"VERSION={fallback['fallback-version']}\n" in (root / name).read_text(encoding="utf-8")


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
