"""Where a Ray session of one's own machine keeps its sockets, and its token where the home folder takes none."""

import functools
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainables.errors import StridefoldError

LONGEST_SOCKET = 103
"""Bytes of a Unix socket's path that every system takes; Linux takes 107."""
BELOW = len("/ray/session_2026-11-27_02-54-39_123456_4194304/sockets/dash_MetricsHead")
"""Characters of the longest socket under the folder that Ray is given."""
PLAIN = re.compile(r"/[\w./+-]*", re.ASCII)
"""Paths that Ray's own command lines take; a blank would end one."""
SHORT = ("/tmp", "/var/tmp", "/dev/shm")
REMOVALS = 30
"""Attempts to remove a folder, a tenth of a second apart."""


@contextmanager
def temporary_folder() -> Iterator[str | None]:
    """Yields the folder for a local session's sockets and logs, removed afterwards; None where Ray's own choice will do.

    Raises:
        StridefoldError: No folder can be written whose path is short enough.
    """
    own = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    if _usable(own):
        yield None
        return
    short = next((folder for folder in SHORT if _usable(folder)), None)
    if short is None:
        raise StridefoldError(
            f"Ray needs a folder that can be written, for sockets, with a path of at most {LONGEST_SOCKET - BELOW} plain characters; "
            f"neither {own} nor {', '.join(SHORT)} is one, so set RAY_TMPDIR to one that is",
            code="ray.no_short_folder",
        )
    tempfile.gettempdir()  # looked up once in a process: not while TMPDIR is what will be removed
    folder = tempfile.mkdtemp(prefix="ray-", dir=short)
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = folder  # Ray's processes have sockets of their own there
    try:
        yield folder
    finally:
        os.environ.pop("TMPDIR")
        if before is not None:
            os.environ["TMPDIR"] = before
        _remove(Path(folder))


def _remove(folder: Path) -> None:
    """Removes a folder in which processes that are ending may still write."""
    for _ in range(REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


def _usable(folder: str) -> bool:
    """Returns whether Ray can keep its sockets below a folder."""
    if not PLAIN.fullmatch(folder) or len(folder) + BELOW > LONGEST_SOCKET:
        return False
    return _writable(Path(folder))


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def token_environment() -> dict[str, str]:
    """Returns the variable with a token for a local session, where Ray has none and cannot write one to the home folder."""
    if "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        return {}
    token = token_file()
    if token is not None and (token.is_file() or _writable(token.parent)):
        return {}
    return {"RAY_AUTH_TOKEN": _own_token()}


def token_file() -> Path | None:
    """Returns where Ray keeps its token; None where this user has no home."""
    try:
        return Path.home() / ".ray" / "auth_token"
    except RuntimeError:
        return None


@functools.cache
def _own_token() -> str:
    """Returns a token that is the same for every session of this process, because Ray reads it once."""
    return secrets.token_hex(32)
