"""Reads every error that the source raises, with its code, from the source itself; hooks.py makes the page of them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("stridefold", "platform", "reports", "search_spaces", "trainables")
LONGEST = 160


@dataclass(frozen=True, kw_only=True)
class ErrorSite:
    """One place that makes an error."""

    place: str
    """File and line."""
    code: str | None
    """None where the place gives none, or one that is not a literal."""
    says: str
    """The sentence, with '...' for what is filled in."""


def error_sites(root: Path) -> list[ErrorSite]:
    """Returns every place that makes a StridefoldError or one of its subclasses."""
    trees = {
        path.relative_to(root).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
    }
    classes = _error_classes(list(trees.values()))
    return [
        ErrorSite(place=f"{path}:{node.lineno}", code=_code(node), says=_sentence(node))
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes
    ]


def errors_page(root: Path) -> str:
    """Returns the table of codes, each with the sentences that carry it."""
    said: dict[str, list[str]] = {}
    for site in error_sites(root):
        if site.code is not None and site.says not in said.setdefault(site.code, []):
            said[site.code].append(site.says)
    parts = [
        "# Error codes",
        "",
        "Every problem that a command reports ends in a code in brackets. The code stays the same when the sentence is",
        "reworded, so scripts and tests should compare the code. From Python it is the attribute `code` of a",
        "`StridefoldError`. In the sentences below, `...` stands for what is filled in.",
    ]
    rooms = sorted({code.partition(".")[0] for code in said})
    for room in rooms:
        parts += ["", f"## {room}", "", "| code | what it says |", "|---|---|"]
        for code in sorted(code for code in said if code.partition(".")[0] == room):
            parts.append(f"| `{code}` | {'<br>'.join(_cell(text) for text in said[code])} |")
    return "\n".join(parts) + "\n"


def _error_classes(trees: list[ast.Module]) -> set[str]:
    """Returns the names of StridefoldError and of every class below it."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {"StridefoldError"}
    while more := {name for name, of in bases.items() if of & found} - found:
        found |= more
    return found


def _code(node: ast.Call) -> str | None:
    values = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
    return values[0].value if values and isinstance(values[0], ast.Constant) else None


def _sentence(node: ast.Call) -> str:
    """Returns the words of the message; of several arguments, those of the one with the most literal text."""
    texts = [" ".join("".join(_pieces(argument)).split()) for argument in node.args]
    text = max(texts, key=len, default="...")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3].rstrip()}..."


def _pieces(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        for value in node.values:
            yield from _pieces(value)
    elif isinstance(node, ast.BinOp):
        yield from _pieces(node.left)
        yield from _pieces(node.right)
    else:
        yield "..."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
