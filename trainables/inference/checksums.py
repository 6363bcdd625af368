"""SHA256SUMS of a model that is given away: shows whether its files are still those that were written.

The file is what `sha256sum -c SHA256SUMS` reads. README.md and LICENSE-NOTE.md are not in it: whoever trained the model completes them.
"""

from pathlib import Path

from trainables.errors import StridefoldError
from trainables.study.files import file_sha256, write_text

NAME = "SHA256SUMS"
SEALED = ("*.json", "*.toml", "*.safetensors")
"""Files whose contents decide what the model answers."""


def write_checksums(folder: Path) -> None:
    """Writes the sha256 of every file that decides what a model answers."""
    paths = sorted(path for pattern in SEALED for path in folder.rglob(pattern))
    lines = (f"{file_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in paths)
    write_text(folder / NAME, "".join(lines))


def check_files(folder: Path) -> None:
    """Passes where every file is as it was written.

    Raises:
        StridefoldError: A file is missing or has changed, or SHA256SUMS has.
    """
    for line in _lines(folder / NAME):
        sha256, _, name = line.partition("  ")
        path = folder / name
        if not name or not path.is_file():
            raise StridefoldError(
                f"{path} is missing, though {NAME} lists it; copy or unpack the model again", code="model.file_missing"
            )
        if file_sha256(path) != sha256:
            raise StridefoldError(
                f"{path} is not as it was given away: its sha256 is not the one in {NAME}; copy or unpack the model again",
                code="model.file_changed",
            )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise StridefoldError(
            f"{path} is missing or cannot be read, so the model's files cannot be checked; copy or unpack the model again",
            code="model.file_missing",
        ) from None
