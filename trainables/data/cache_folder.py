"""The folder of decoded frames and of the simulated cohort: where it lies, and that nobody else may look into it.

Frames show recognisable patients. Whoever makes the folder, a search, a prediction, the demo or a Ray worker, makes it
here. No torch and no Ray.
"""

import os
import stat
from pathlib import Path

from trainables.errors import StridefoldError

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def user_cache() -> Path:
    """Returns where this user's cache lies unless another folder is asked for.

    Raises:
        StridefoldError: The user has no home folder, as in a container that runs under a number.
    """
    given = os.environ.get("XDG_CACHE_HOME")
    if not given and os.path.expanduser("~") == "~":
        raise StridefoldError(
            "this user has no home folder for the cache; choose one with --cache, or set XDG_CACHE_HOME",
            code="cache.no_home",
        )
    return Path(given or os.path.expanduser("~/.cache")) / "stridefold"


def open_cache(given: str) -> Path:
    """Returns the cache's folder, absolute, made and closed to others if need be.

    A folder that the user named and that was there already may hold other things, and stays as open as it is.

    Args:
        given: The folder that was asked for; '' is this user's own.

    Raises:
        StridefoldError: It cannot be made, or cannot be closed to others.
    """
    folder = (Path(given) if given else user_cache()).absolute()
    if not given or not folder.exists():
        _close(folder)
    return folder


def open_frames(given: str) -> Path:
    """Returns the cache's folder of decoded frames, which is always closed to others; see `open_cache`."""
    folder = open_cache(given) / "frames"
    _close(folder)
    return folder


def close_folder(folder: Path) -> None:
    """Makes a folder, if need be, and closes it to everyone but this user (0700).

    Raises:
        OSError: It cannot be made.
        StridefoldError: It belongs to another user, or lies where there are no access rights.
    """
    folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    try:
        if folder.stat().st_mode & OTHERS:
            folder.chmod(stat.S_IRWXU)
        closed = not folder.stat().st_mode & OTHERS
    except PermissionError:
        closed = False
    if not closed:
        raise StridefoldError(
            f"the cache {folder} would show patients' frames to other users, and its access rights cannot be changed; "
            "choose a folder of your own with --cache",
            code="cache.open_to_others",
        )


def _close(folder: Path) -> None:
    try:
        close_folder(folder)
    except OSError as error:
        raise StridefoldError(
            f"the cache {folder} cannot be made ({error.strerror}); choose another folder with --cache, or set XDG_CACHE_HOME",
            code="cache.not_writable",
        ) from None
