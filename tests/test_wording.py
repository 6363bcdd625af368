"""Wordings that are mended everywhere: English that is not idiomatic, and the words to write instead."""

import re
from pathlib import Path

import pytest

from tests.checkout import project_files

AVOIDED = {
    r"(?i)\banew\b": "again",
    r"(?i)\bfor ever\b": "forever",
    r"(?i)\btold as\b": "reported as",
    r"(?i)\bexchanged labels\b": "permuted labels",
    r"(?i)\bbehind the last layer\b": "after the last layer",
    r"(?i)\bended without a word\b": "ended silently",
    r"(?i)(?<!there )\bis no (class|(valid )?TOML|(finite |negative )?number|study|setting|error|command|model|medical|regular)\b":
        "is not a ...",
}  # fmt: skip
"""What is not written, as a pattern, and what is written instead."""
HISTORY = ("CHANGELOG.md", "README.md", "tests/test_wording.py")


@pytest.fixture(scope="module")
def texts(root: Path) -> dict[str, str]:
    """Returns the text of every source file and page, by its path."""
    files = [f for f in project_files(root) if f.endswith((".py", ".md", ".j2")) and f not in HISTORY]
    return {f: (root / f).read_text(encoding="utf-8") for f in files}


@pytest.mark.parametrize("pattern", AVOIDED, ids=AVOIDED.values())
def test_an_avoided_wording_is_nowhere(pattern: str, texts: dict[str, str]) -> None:
    """Names file, line and what to write."""
    assert len(texts) > 200
    found = [
        f"{file}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]!r}; write {AVOIDED[pattern]!r}"
        for file, text in texts.items()
        for match in re.finditer(pattern, text)
    ]
    assert found == []
