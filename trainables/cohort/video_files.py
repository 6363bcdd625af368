"""Finds the videos that a manifest names, and looks into each: where it lies, its hash, its frames and its size."""

import difflib
import os
import stat
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from trainables.cohort.pointers import dangling, pointer, text_link
from trainables.cohort.spelling import drawn_alike, told_apart
from trainables.errors import StridefoldError
from trainables.recordings.decode import VideoError, VideoInfo, probe
from trainables.study.files import file_sha256

THREADS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoFile:
    """A video of a manifest that can be read."""

    path: Path
    """Absolute, without symbolic links."""
    sha256: str
    info: VideoInfo


def inspect(
    folder: Path,
    names: list[str],
    rates: list[float | None],
    on_file: Callable[[int, int], None] | None = None,
    follow_links: bool = False,
) -> list[VideoFile | str]:
    """Returns for each name the video in `folder`, or a sentence on why it cannot be used; 8 files at a time.

    Args:
        names: Paths relative to the folder.
        rates: Frames per second that replace a file's own, None where they do not.
        on_file: Called with (files done, files in all) after each.
        follow_links: Whether a link may lead out of the folder.
    """
    results: list[VideoFile | str] = []
    with ThreadPoolExecutor(THREADS) as pool:
        for result in pool.map(
            lambda pair: _inspect(folder, pair[0], pair[1], follow_links), zip(names, rates, strict=True)
        ):
            results.append(result)
            if on_file:
                on_file(len(results), len(names))
    return results


def _inspect(folder: Path, name: str, fps: float | None, follow_links: bool) -> VideoFile | str:
    try:
        path = locate(folder, name, follow_links=follow_links)
        if stands_for := pointer(path) or text_link(path):
            return f"{name!r} {stands_for}"
        return VideoFile(path=path, info=probe(path, fps=fps), sha256=file_sha256(path))
    except VideoError as error:
        return f"{name!r} {error.problem}"
    except StridefoldError as error:
        return str(error)
    except OSError as error:
        return f"{name!r} cannot be read ({error.strerror})"


def locate(folder: Path, name: str, *, follow_links: bool = False) -> Path:
    """Returns the absolute path of a video that lies in the cohort's folder; accents may be composed or decomposed.

    Args:
        follow_links: Whether a link may lead out of the folder.

    Raises:
        StridefoldError: It is missing, not a file, or lies outside the folder.
    """
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute():
        raise StridefoldError(
            f"{name!r} is an absolute path; write it relative to the manifest's folder", code="cohort.path.absolute"
        )
    if ".." in PureWindowsPath(name).parts:  # which knows both kinds of slashes
        raise StridefoldError(
            f"{name!r} leaves the manifest's folder; put the manifest above all its videos", code="cohort.path.outside"
        )
    try:
        path = _as_spelled(folder, name).resolve(strict=True)
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise StridefoldError(_why_missing(folder, name), code="cohort.path.missing") from None
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StridefoldError(f"{name!r} cannot be opened ({reason.lower()})", code="cohort.path.unreadable") from None
    if not follow_links and not path.is_relative_to(folder.resolve()):
        raise StridefoldError(
            f"{name!r} is a link to {path}, outside the manifest's folder; put the video itself there, or pass "
            "--follow-links if links may lead to any file that you may read",
            code="cohort.path.link_outside",
        )
    if not stat.S_ISREG(mode):
        raise StridefoldError(
            f"{name!r} is {'a folder' if stat.S_ISDIR(mode) else 'not a regular file'}; name a video file",
            code="cohort.path.not_a_file",
        )
    return path


def _as_spelled(folder: Path, name: str) -> Path:
    """Returns the path with each part as the disk spells it, where that differs in how accents are encoded only."""
    path = folder
    for part in PurePosixPath(name).parts:
        if not os.path.lexists(path / part) and not part.isascii() and path.is_dir():
            same = [
                n for n in os.listdir(path) if unicodedata.normalize("NFC", n) == unicodedata.normalize("NFC", part)
            ]
            part = same[0] if len(same) == 1 else part
        path = path / part
    return path


def _why_missing(folder: Path, name: str) -> str:
    path = _as_spelled(folder, name)
    if link := dangling(path):
        return f"{name!r} {link}"
    missing = f"there is no file {name!r} in {folder}"
    if path.with_name(f"{path.name}.dvc").exists():
        return f"{missing}, only its DVC file; fetch it with 'dvc pull {name}.dvc'"
    if path.with_name(f".{path.name}.icloud").exists():
        return f"{missing}, only its place holder: it is still in iCloud; download it"
    return f"{missing}{_hint(folder, name)}"


def _hint(folder: Path, name: str) -> str:
    slashed = name.replace("\\", "/")
    if slashed != name and (folder / slashed).is_file():
        return f"; write {slashed}, with forward slashes"
    parent = (folder / slashed).parent
    try:
        files = [file.name for file in parent.iterdir()]
    except OSError:
        return f": its folder {parent} cannot be listed"
    wanted = Path(slashed).name
    if twin := next((file for file in files if drawn_alike(file, wanted)), None):
        there, given = told_apart([twin, wanted])
        return f"; there is {there}, which looks the same as {given} and is spelled otherwise; copy the file's own name"
    near = difflib.get_close_matches(wanted.lower(), [file.lower() for file in files], n=1, cutoff=0.8)
    match = next((file for file in files if near and file.lower() == near[0]), None)
    return f"; did you mean {str((parent / match).relative_to(folder))!r}?" if match else ""
