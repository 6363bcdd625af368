"""Finds the videos that a manifest names, and looks into each: where it lies, its hash, its frames and its size."""

import difflib
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from trainables.data.decode import VideoError, VideoInfo, probe
from trainables.errors import StridefoldError
from trainables.files import file_sha256

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
) -> list[VideoFile | str]:
    """Returns for each name the video in `folder`, or a sentence on why it cannot be used; 8 files at a time.

    Args:
        names: Paths relative to the folder.
        rates: Frames per second that replace a file's own, None where they do not.
        on_file: Called with (files done, files in all) after each.
    """
    results: list[VideoFile | str] = []
    with ThreadPoolExecutor(THREADS) as pool:
        for result in pool.map(lambda pair: _inspect(folder, *pair), zip(names, rates, strict=True)):
            results.append(result)
            if on_file:
                on_file(len(results), len(names))
    return results


def _inspect(folder: Path, name: str, fps: float | None) -> VideoFile | str:
    try:
        path = locate(folder, name)
        return VideoFile(path=path, info=probe(path, fps=fps), sha256=file_sha256(path))
    except VideoError as error:
        return f"{name!r} {error.problem}"
    except StridefoldError as error:
        return str(error)
    except OSError as error:
        return f"{name!r} cannot be read ({error.strerror})"


def locate(folder: Path, name: str) -> Path:
    """Returns the absolute path of a video that lies in the cohort's folder.

    Raises:
        StridefoldError: It is missing, no file, or lies outside the folder.
    """
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute():
        raise StridefoldError(f"{name!r} is an absolute path; write it relative to the manifest's folder")
    if ".." in PureWindowsPath(name).parts:  # which knows both kinds of slashes
        raise StridefoldError(f"{name!r} leaves the manifest's folder; put the manifest above all its videos")
    try:
        path = (folder / name).resolve(strict=True)
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise StridefoldError(f"there is no file {name!r} in {folder}{_hint(folder, name)}") from None
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StridefoldError(f"{name!r} cannot be opened ({reason.lower()})") from None
    if not path.is_relative_to(folder.resolve()):
        raise StridefoldError(
            f"{name!r} is a link to {path}, outside the manifest's folder; put the video itself there"
        )
    if not stat.S_ISREG(mode):
        raise StridefoldError(
            f"{name!r} is {'a folder' if stat.S_ISDIR(mode) else 'no regular file'}; name a video file"
        )
    return path


def _hint(folder: Path, name: str) -> str:
    slashed = name.replace("\\", "/")
    if slashed != name and (folder / slashed).is_file():
        return f"; write {slashed}, with forward slashes"
    parent = (folder / slashed).parent
    try:
        files = [file.name for file in parent.iterdir()]
    except OSError:
        return f": its folder {parent} cannot be listed"
    near = difflib.get_close_matches(Path(slashed).name.lower(), [file.lower() for file in files], n=1, cutoff=0.8)
    match = next((file for file in files if near and file.lower() == near[0]), None)
    return f"; did you mean {str((parent / match).relative_to(folder))!r}?" if match else ""
