"""The versions in constraints.txt install on every Python that the project names."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

from packaging.specifiers import SpecifierSet


def test_every_version_takes_every_python(root: Path) -> None:
    """Debian 12 has Python 3.11.2, so a version that asks for a later 3.11 would end `make demo` there."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert named[0] == "3.11"
    wanted = ["3.11.2", *(f"{version}.0" for version in named[1:])]
    lines = (root / "constraints.txt").read_text(encoding="utf-8").split()
    versions = dict(line.lower().replace("_", "-").split("==") for line in lines)
    seen, refused = 0, []
    for package in importlib.metadata.distributions():
        name = package.metadata["Name"].lower().replace("_", "-")
        if versions.get(name) != package.version.partition("+")[0]:
            continue  # another version is installed than the one that the file names
        seen += 1
        asked = SpecifierSet(package.metadata.get("Requires-Python") or "")
        refused += [f"{name} {package.version}: {asked}, not {one}" for one in wanted if one not in asked]
    assert seen > 100
    assert refused == []
