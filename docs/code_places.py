"""Looks up the places in the code that pages name, as `trainables/training/step.py:GaitTask.backward`."""

import ast
import re
from pathlib import Path

PLACE = re.compile(r"`([a-z_]+(?:/[a-z_]+)+\.py):([A-Za-z_][\w.]*)`")


def missing_places(root: Path, markdown: str) -> list[str]:
    """Returns the places that a page names and the code does not have."""
    places = sorted(set(PLACE.findall(markdown)))
    return [f"{path}:{name}" for path, name in places if name not in _names(root / path)]


def _names(path: Path) -> set[str]:
    """Returns the classes, functions, methods and constants of a file; none of one that is not there."""
    if not path.is_file():
        return set()
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
            found |= {
                f"{node.name}.{inner.name}"
                for inner in ast.iter_child_nodes(node)
                if isinstance(inner, ast.FunctionDef)
            }
    return found
