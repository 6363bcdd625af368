"""The documents name what is there: files, options and search spaces."""

import dataclasses
from pathlib import Path
from platform.options import SearchOptions

import search_spaces
from tests.checkout import project_files


def test_the_map_has_a_line_for_every_room(root: Path) -> None:
    """A new folder needs its line in docs/architecture.md."""
    text = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    files = [
        Path(f) for f in project_files(root) if f.startswith(("platform/", "trainables/", "search_spaces/", "reports/"))
    ]
    rooms = {f.parent.name for f in files if f.name == "__init__.py"}
    assert {"platform", "cohort", "figures"} <= rooms
    assert [room for room in sorted(rooms) if f" {room}/" not in text] == []


def test_the_readme_is_short(root: Path) -> None:
    """What a newcomer reads first fits two screens; the rest has pages of its own."""
    assert len((root / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


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

    known = {f.name.replace("_", "-") for f in dataclasses.fields(SearchOptions)} | {
        "set",
        "help",
        "pseudonyms",
        "serve",
        "config",
        "no-tensorboard",
        "dry-run",
    }
    text = "".join((root / page).read_text(encoding="utf-8") for page in ("README.md", "docs/estimates.md"))
    assert set(re.findall(r"--([a-z][a-z-]+)", text)) <= known
