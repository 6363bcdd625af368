"""The documents name what is there: files, options and search spaces."""

import dataclasses
import subprocess
from pathlib import Path
from platform.options import SearchOptions

import search_spaces


def test_the_map_has_a_line_for_every_source_file(root: Path) -> None:
    """A new file needs its line in the README."""
    text = (root / "README.md").read_text(encoding="utf-8")
    tracked = subprocess.run(
        ["git", "-C", str(root), "ls-files"], capture_output=True, text=True, check=True
    ).stdout.split()
    rooms = ("platform/", "trainables/", "search_spaces/", "reports/")
    files = [Path(f) for f in tracked if f.startswith(rooms) and f.endswith((".py", ".toml")) and "startup" not in f]
    missing = [str(f) for f in files if f.name != "__init__.py" and f"      {f.name}" not in text]
    assert missing == []


def test_every_search_space_and_command_is_in_the_readme(root: Path) -> None:
    """What --space and `python -m platform` offer is described."""
    text = (root / "README.md").read_text(encoding="utf-8")
    for name in search_spaces.SHIPPED:
        assert f"`{name}`" in text
    for command in ("search", "predict", "report", "cohort", "task"):
        assert f"python -m platform.{command}" in text


def test_options_in_the_readme_exist(root: Path) -> None:
    """No option in an example is a misspelt one."""
    import re

    known = {f.name.replace("_", "-") for f in dataclasses.fields(SearchOptions)} | {"set", "help", "pseudonyms"}
    text = (root / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"--([a-z][a-z-]+)", text)) <= known
