"""The version of what training computes. No torch and no Ray here."""

import hashlib
from pathlib import Path

TRAINING_VERSION = 5
"""Raise it by one in the same commit as any change after which the same configuration, data and seed give another result:
model, losses, optimizer, windows, preprocessing, numerical memory, decoding of words, the meaning or default of a setting,
or how often and in which order random numbers are drawn. Float error is not another result, and neither is speed, a new
setting whose default computes what was computed before, a message, a comment or a docstring.

It is part of every fold's key: results of one version are reused by no other, and a study is continued only by the version
that began it. Version 1 is whatever computed the studies that note no version. tests/trainables/training/test_training_version.py holds what this
version computes on a small fold, and fails where that changes and this number does not."""


def source_hash() -> str:
    """Returns the hash of the source text of trainables, which a study notes as information; it decides nothing."""
    root = Path(__file__).parents[1]
    found = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        contents = path.read_bytes()
        found.update(f"{path.relative_to(root).as_posix()} {len(contents)}\n".encode() + contents)
    return found.hexdigest()[:16]
