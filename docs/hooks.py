"""Pages of the site that are made from the code when it is built: options, settings, decisions, the notebook, files of the root."""

import argparse
import ast
import dataclasses
import importlib
import json
import posixpath
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from platform.__main__ import COMMANDS
from platform.arguments import search_parser
from platform.declared import Declaration, declarations
from platform.options import SearchOptions
from typing import Any

from code_places import missing_places  # mkdocs puts this folder on the path
from error_codes import errors_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from results_schema_page import results_schema_page

from reports.numbers.json_schema import results_schema
from trainables.config import TrainConfig

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = re.compile(r"\]\(((?:\.\./)+[^)#\s]+)")
"""A link that leaves its folder."""
SHIM = "https://unpkg.com/iframe-worker/shim"
"""What the theme would load to search a site that is opened from a folder."""
SEARCH = "assets/javascripts/offline-search.js"
STATUS = re.compile(r"(\d{4}-\d\d-\d\d)[,.] (.+?)[.;]\s")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages, and the files of the root that pages link to."""
    pages = {
        "options.md": options_page(),
        "settings.md": settings_page(),
        "errors.md": errors_page(ROOT),
        "results-schema.md": results_schema_page(results_schema()),
        "results.schema.json": json.dumps(results_schema(), indent=1, ensure_ascii=False),
        "decisions/index.md": decisions_page(),
        "notebook.md": notebook_page(ROOT / "docs" / "tutorial.ipynb"),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    for name in sorted(_linked()):
        files.append(File.generated(config, f"files/{name}", abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Points links at files outside docs to their copies in the site; a page that names code that is not there fails."""
    if missing := missing_places(ROOT, markdown):
        raise SystemExit(f"{page.file.src_uri} names {', '.join(missing)}, which the code does not have")
    here = page.file.src_uri
    within = f"docs/{here}" if not here.startswith("files/") else here.removeprefix("files/")

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(within), link[1]))
        if target.startswith("docs/"):
            inside = target.removeprefix("docs/")
        elif (ROOT / target).is_file():
            inside = f"files/{target}"
        else:
            return link[0]
        return f"]({posixpath.relpath(inside, posixpath.dirname(here) or '.')}"

    pattern = re.compile(r"\]\(([^)#\s:]+)") if here.startswith("files/") else OUTSIDE
    return pattern.sub(moved, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Takes the script that searches without a server from the site, and not from elsewhere."""
    return output.replace(SHIM, posixpath.relpath(SEARCH, posixpath.dirname(page.file.dest_uri) or "."))


def on_post_build(config: MkDocsConfig) -> None:
    """Writes that script: browsers start no worker from a file, but they do from the text of one."""
    site = Path(config.site_dir)
    for page in site.glob("404.html"):
        page.write_text(page.read_text(encoding="utf-8").replace(SHIM, SEARCH), encoding="utf-8")
    (worker,) = site.glob("assets/javascripts/workers/search.*.min.js")
    source = json.dumps(worker.read_text(encoding="utf-8"))
    (site / SEARCH).write_text(
        f"if (location.protocol === 'file:') {{\n  const text = {source};\n  const FileWorker = window.Worker;\n"
        "  window.Worker = function (url) {\n    const blob = new Blob([text], { type: 'text/javascript' });\n"
        "    return new FileWorker(/workers\\/search/.test(url) ? URL.createObjectURL(blob) : url);\n  };\n}\n",
        encoding="utf-8",
    )


def _linked() -> set[str]:
    """Returns the files outside docs that pages link to, and those of the navigation, by their path from the root."""
    found = {"benchmarks/RESULTS.md", "CONTRIBUTING.md", "SECURITY.md"}
    for page in (ROOT / "docs").rglob("*.md"):
        for link in OUTSIDE.findall(page.read_text(encoding="utf-8")):
            target = (page.parent / link).resolve()
            if target.is_file() and not target.is_relative_to(ROOT / "docs"):
                found.add(target.relative_to(ROOT).as_posix())
    return found


def options_page() -> str:
    """Returns a table of the options of every command, in the parsers' own words."""
    parts = ["# Options of the commands", ""]
    for name, summary in COMMANDS.items():
        module = importlib.import_module(f"platform.{name}")
        made = (
            search_parser if name == "search" else getattr(module, "parser", None) or getattr(module, "_parser", None)
        )
        if made is None:
            continue
        parts += [f"## python -m platform.{name}", "", f"{summary[0].upper()}{summary[1:]}.", ""]
        about = declarations(SearchOptions) if name == "search" else {}
        if about:
            parts += [
                "A study is continued by its own command; options in whose last column something stands may have another value then.",
                "",
            ]
        parts += [line for group in made()._action_groups for line in _group(group, about)]
    return "\n".join(parts)


CONTINUED = {"same": "", "recorded": "may change", "free": "may change, is not noted"}


def _group(group: argparse._ArgumentGroup, about: dict[str, Declaration]) -> Iterator[str]:
    """Yields the table of a group of options; those that are declared say whether they may change when a study is continued."""
    shown = [action for action in group._group_actions if action.help != argparse.SUPPRESS and action.dest != "help"]
    if not shown:
        return
    more = (" when continued |", "---|") if about else ("", "")
    yield from ("", f"### {str(group.title).capitalize()}", "")
    yield from (f"| option | what it does | default |{more[0]}", f"|---|---|---|{more[1]}")
    for action in shown:
        names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{action.metavar or action.dest}`"
        choices = f" One of {', '.join(map(str, action.choices))}." if action.choices else ""
        silent = action.default is None or action.default in ("", False, [], ())
        row = f"| {names} | {_cell((action.help or '') + choices)} | {'' if silent else f'`{action.default}`'} |"
        declared = about.get(action.dest)
        continued = f" {CONTINUED[declared.when_continued] if declared else ''} |" if about else ""
        yield row + continued
    yield ""


def settings_page() -> str:
    """Returns a table of every setting: type, default, and what the configuration says of it."""
    parts = [
        "# Settings",
        "",
        "`--set NAME=VALUE`, or `settings={NAME: VALUE}` from Python; search spaces draw some of them.",
        "",
    ]
    words, hints = (
        _docstrings(ROOT / "trainables" / "config.py") | _docstrings(ROOT / "trainables" / "settings.py"),
        typing.get_type_hints(TrainConfig),
    )
    sections = {name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)}
    plain = [f for f in dataclasses.fields(TrainConfig) if f.name not in sections]
    parts += ["## The configuration", *_table("", plain, hints, words["TrainConfig"])]
    for section, cls in sections.items():
        about = (typing.cast("type", cls).__doc__ or "").splitlines()[0]
        fields = dataclasses.fields(typing.cast("Any", cls))
        parts += [f"## {section}", "", about]
        parts += _table(f"{section}.", fields, typing.get_type_hints(cls), words[typing.cast("type", cls).__name__])
    return "\n".join(parts)


def _table(
    prefix: str, fields: typing.Iterable[dataclasses.Field[Any]], hints: dict[str, Any], words: dict[str, str]
) -> Iterator[str]:
    yield from ("", "| setting | type | default | what it is |", "|---|---|---|---|")
    for field in fields:
        hint = hints[field.name]
        kind = hint.__name__ if isinstance(hint, type) else re.sub(r"typing\.", "", str(hint))
        yield f"| `{prefix}{field.name}` | {_cell(kind)} | `{field.default!r}` | {_cell(words.get(field.name, ''))} |"
    yield ""


def _docstrings(path: Path) -> dict[str, dict[str, str]]:
    """Returns the text under each field of each class of a module."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            pairs = zip(node.body, node.body[1:], strict=False)
            found[node.name] = {
                field.target.id: str(text.value.value)
                for field, text in pairs
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
                if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
            }
    return found


def decisions_page() -> str:
    """Returns the index of decisions: number, title, date and status, as the records' own first lines have them."""
    parts = ["# Decisions", "", "| | decision | date | status |", "|---|---|---|---|"]
    for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")):
        text = path.read_text(encoding="utf-8")
        number, title = re.match(r"# (\d+):? (.+)", text).groups()  # type: ignore[union-attr]
        found = STATUS.search(text)
        if found is None:
            raise SystemExit(f"{path.name} has no date and status, as '2026-11-27, in force.', under its title")
        parts.append(f"| {number} | [{_cell(title)}]({path.name}) | {found[1]} | {found[2].lower()} |")
    return "\n".join(parts)


def notebook_page(path: Path) -> str:
    """Returns a notebook's cells as a page; what they print is seen by running it."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    shown = [
        text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
        for cell, text in zip(cells, texts, strict=True)
    ]
    return "\n\n".join(shown)


def _cell(text: str) -> str:
    """Returns text as the cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("%%", "%").replace("<", "&lt;")
