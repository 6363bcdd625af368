"""The documentation as a site, and the notebook as a user runs it."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from platform.options import SearchOptions

import nbformat
import pytest
from nbclient import NotebookClient

import stridefold
from docs.code_places import PLACE, missing_places
from trainables.config import TrainConfig


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """Returns the folder of the built site; a warning, as of a link to nowhere, fails the build."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, timeout=120, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    """It opens from a folder, on a machine without a network: no fonts, scripts, styles or pictures of others."""
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    loaded = re.compile(
        r'<(?:script|img|iframe)[^>]+src="?(https?:)?//|<link[^>]+rel="?(?:stylesheet|preload|icon)[^>]+https?://'
    )
    assert [page.name for page in pages if loaded.search(page.read_text(encoding="utf-8"))] == []


def test_every_option_and_setting_has_its_row(site: Path) -> None:
    """The reference is made from the parsers and the configuration."""
    options = (site / "options.html").read_text(encoding="utf-8")
    for field in dataclasses.fields(SearchOptions):
        name = {"settings": "set"}.get(field.name, field.name).replace("_", "-")
        assert f"<code>--{name}</code>" in options
    settings = (site / "settings.html").read_text(encoding="utf-8")
    for name in TrainConfig().flat():
        assert f"<code>{name}</code>" in settings


def test_the_method_page_names_code_that_is_there(root: Path) -> None:
    """Every equation has its function; one that is renamed is noticed, in a class as well."""
    page = (root / "docs" / "method.md").read_text(encoding="utf-8")
    assert len(set(PLACE.findall(page))) > 40
    assert missing_places(root, page) == []
    gone = "`trainables/training/step.py:GaitTask.forward`", "`trainables/training/steps.py:GaitTask`"
    assert missing_places(root, " ".join(gone)) == sorted(name.strip("`") for name in gone)


def test_every_decision_is_in_the_index(site: Path, root: Path) -> None:
    """With its date and status."""
    index = (site / "decisions" / "index.html").read_text(encoding="utf-8")
    for record in (root / "docs" / "decisions").glob("[0-9]*.md"):
        assert f'href="{record.stem}.html"' in index
    assert 'replaced by <a href="0017-learning-from-motion.html">0017</a>' in index


def test_the_schema_of_results_is_a_page_and_a_file(site: Path) -> None:
    """Each record with its table, and the schema itself to download."""
    page = (site / "results-schema.html").read_text(encoding="utf-8")
    schema = json.loads((site / "results.schema.json").read_text(encoding="utf-8"))
    assert schema == stridefold.results_schema()
    assert [name for name in schema["$defs"] if f'id="{name.lower()}"' not in page] == []


@pytest.mark.parametrize("name", [name for name in stridefold.__all__ if name != "__version__"])
def test_every_public_name_is_in_the_reference(name: str, site: Path) -> None:
    """What can be imported from stridefold is documented."""
    assert f'id="stridefold.{name}"' in (site / "python.html").read_text(encoding="utf-8")


def test_examples_name_options_that_there_are(root: Path) -> None:
    """No option in a page for users is a misspelt one."""
    known = {f.name.replace("_", "-") for f in dataclasses.fields(SearchOptions)} | {"set", "help", "pseudonyms", "out"}
    for page in ("tutorial", "task-file", "search-space"):
        text = (root / "docs" / f"{page}.md").read_text(encoding="utf-8")
        assert set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", text)) <= known


@pytest.mark.slow
def test_the_notebook_runs(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From simulated walkers to a prediction, with its plots, in the kernel of this environment."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(root / "docs" / "tutorial.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "the notebook is kept without its outputs"
    NotebookClient(
        notebook, timeout=400, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    kinds = [kind for output in shown for kind in output.get("data", {})]
    assert kinds.count("image/png") == 2
    html = "".join("".join(output.get("data", {}).get("text/html", "")) for output in shown)
    assert "Study cohort-diagnosis" in html
    assert "not a medical device" in html
    assert "is in the study" in html
    assert (tmp_path / "studies" / "cohort-diagnosis" / "report.html").exists()
