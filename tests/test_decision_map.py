"""The tests that decision 0020 names for each of its rows exist, and its measured coverages are those that the page prints."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
DECISION = TESTS.parent / "docs" / "decisions" / "0020-inference-on-known-truth.md"
ROW = re.compile(r"^\| (\d+) \|.*$", re.MULTILINE)
NAMED = re.compile(r"`((?:\w+/)*test_\w+\.py)(?:::(\w+))?`")


def test_every_test_that_is_named_exists():
    """All 18 rows stand there in order with at least one test each, and each test is a function of its file."""
    text = DECISION.read_text(encoding="utf-8")
    rows = [(int(found[1]), found[0]) for found in ROW.finditer(text)]
    assert [number for number, _ in rows] == list(range(1, 19))
    assert all(NAMED.search(row) for _, row in rows)
    named = NAMED.findall(text)
    assert len(named) > 60
    functions: dict[str, set[str]] = {}
    for file, function in named:
        if file not in functions:
            tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
            functions[file] = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not function or function in functions[file], f"{file} has no {function}"
