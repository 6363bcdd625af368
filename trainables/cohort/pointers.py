"""Files that stand for a content that was not fetched: links to nowhere, and the pointers of Git LFS, git-annex and DVC."""

import os
import re
from pathlib import Path

LARGEST = 4096
"""Bytes; Git LFS writes at most 1024."""
ANNEX = re.compile(rb"/?(?:\.\./)*(?:\.git/)?annex/objects/\S+\s*")
LINK = re.compile(rb"(?:\.{0,2}/)?[^\s/][^\n\r\0]*/[^\n\r\0]*[^\s/]\s*")


def dangling(path: Path) -> str | None:
    """Returns 'is a link to ..., which is not there' for a path whose last link or a folder's link leads nowhere."""
    link = next((part for part in (*reversed(path.parents), path) if part.is_symlink() and not part.exists()), None)
    if link is None:
        return None
    place, target = link, ""
    for _ in range(40):  # as many as Linux follows
        target = os.readlink(place)
        place = place.parent / target
        if not place.is_symlink():
            break
    else:
        return None  # a circle, of which the operating system tells
    about = "is a link" if link == path else f"lies in {link.name!r}, which is a link"
    return f"{about} to {target}, which is not there{_fetch(place, path)}"


def _fetch(target: Path, path: Path) -> str:
    if ".git/annex/" in str(target):
        return f"; fetch it with 'git annex get {path.name}' or 'datalad get {path.name}'"
    if ".dvc/cache" in str(target) or path.with_name(f"{path.name}.dvc").exists():
        return f"; fetch it with 'dvc pull {path.name}'"
    return "; fetch the file, or mount the drive that holds it"


def pointer(path: Path) -> str | None:
    """Returns 'is a Git LFS pointer ...' where a file holds only where its content is to be found, else None."""
    content = _short(path)
    if re.match(rb"version https://(git-lfs|hawser)\.github\.com/", content):
        size = re.search(rb"^size (\d+)", content, re.MULTILINE)
        of = f" to a file of {int(size[1]):,} bytes" if size else ""
        return f"is a Git LFS pointer{of}, not the file itself; fetch it with 'git lfs pull'"
    if ANNEX.fullmatch(content):
        return f"is a git-annex pointer, not the file itself; fetch it with 'git annex get {path.name}'"
    if content.startswith(b"outs:") and b"md5" in content:
        return (
            "is a DVC file, which only says where the file is kept; fetch it with 'dvc pull', and name the file itself"
        )
    return None


def text_link(path: Path) -> str | None:
    """Returns what is said of a file that holds a path and nothing else, as a link where links are not supported."""
    content = _short(path)
    if not LINK.fullmatch(content):
        return None
    try:
        target = content.decode().strip()
    except UnicodeDecodeError:
        return None
    return (
        f"is a text file that holds the path {target!r}, as a link becomes where links are not supported; "
        "put the file itself there"
    )


def _short(path: Path) -> bytes:
    """Returns the content of a small file, nothing of a larger one."""
    if path.stat().st_size > LARGEST:
        return b""
    return path.read_bytes()
