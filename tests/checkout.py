"""The project's own files, in a checkout and in a copy of it on a machine without git."""

import shutil
import subprocess
from pathlib import Path

MADE = {"site", "studies", "evaluations", "dist", "build"}
"""Folders that commands write; those whose name begins with a dot are not the project's either."""


def project_files(root: Path) -> list[str]:
    """Returns the paths of the project's files: what git tracks, and without git everything that no command has written."""
    if (root / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(["git", "-C", root, "ls-files"], capture_output=True, text=True, check=True)
        return listed.stdout.split()
    paths = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    return sorted(
        path.as_posix()
        for path in paths
        if not any(part in MADE or part == "__pycache__" or part.startswith(".") for part in path.parts[:-1])
    )
