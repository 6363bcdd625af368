"""Writes the table of a cohort from a folder of videos, for its labels to be filled in."""

import csv
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.cohort.new_videos import expanded
from trainables.cohort.problems import SHOWN
from trainables.errors import CohortError, ConfigurationError
from trainables.study.files import write_text


@dataclass(frozen=True, kw_only=True, slots=True)
class NewManifest:
    """A table that was written."""

    path: Path
    videos: int
    subjects: int
    """0 where the column is to be filled in by hand."""


def write_manifest(folder: Path, label: str, *, subject: str | None = None, out: Path | None = None) -> NewManifest:
    """Writes a manifest with a row for each video in a folder and in those inside it.

    The subject is what a pattern finds in the video's path, or else the first folder inside `folder`, where every video lies
    in one. It is never guessed from file names: a wrong guess puts one patient on both sides of a fold. The
    label stays empty.

    Args:
        folder: of the videos.
        label: name of the label column.
        subject: regular expression that is searched in the path relative to the folder; its first group is the subject, or
            the whole match where it has no group.
        out: new file, .csv; by default cohort.csv in the folder.

    Raises:
        ConfigurationError: The file is there already, or the pattern or the column's name cannot be used.
        StridefoldError: The folder holds no video.
        CohortError: The pattern finds nothing in some paths, or a path is not UTF-8.
    """
    path = out or folder / "cohort.csv"
    pattern = _pattern(subject)
    _check(folder, path, label)
    root = folder.resolve()
    names = [Path(v).relative_to(root).as_posix() for v in expanded((str(root),))]
    subjects = _subjects(folder, names, pattern)
    place = Path(os.path.relpath(root, path.resolve().parent))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["subject", "video", label])
    table.writerows([who, (place / name).as_posix(), ""] for who, name in zip(subjects, names, strict=True))
    write_text(path, text.getvalue())
    return NewManifest(path=path, videos=len(names), subjects=len(set(subjects) - {""}))


def _check(folder: Path, path: Path, label: str) -> None:
    if not folder.is_dir():
        raise ConfigurationError(
            f"{str(folder)!r} is not a folder; name the folder of the videos", code="cohort.no_folder"
        )
    if path.suffix != ".csv":
        raise ConfigurationError(
            f"--out {path} ends in {path.suffix or 'nothing'!r}, but a new table ends in '.csv'", code="output.ending"
        )
    if os.path.lexists(path):
        raise ConfigurationError(
            f"{path} is there already and may hold someone's work; choose another with --out FILE", code="output.exists"
        )
    if label.strip() in ("", "subject", "video"):
        raise ConfigurationError(
            f"--label {label!r} cannot name the label's column; a name as 'diagnosis' can", code="cohort.label_name"
        )


def _pattern(subject: str | None) -> re.Pattern[str] | None:
    if subject is None:
        return None
    try:
        return re.compile(subject)
    except re.error as error:
        raise ConfigurationError(
            f"--subject {subject!r} is not a regular expression: {error}; '(P[0-9]+)' would find P01",
            code="cohort.pattern",
        ) from error


def _subjects(folder: Path, names: Sequence[str], pattern: re.Pattern[str] | None) -> list[str]:
    """Returns each video's subject, '' where it is to be filled in."""
    problems = [
        f"{name!r} has characters that cannot be printed or are not UTF-8; rename it"
        for name in names
        if not name.isprintable()
    ]
    found = ["" for _ in names]
    if pattern is not None:
        matches = [pattern.search(name) for name in names]
        found = [((m[1] if pattern.groups else m[0]) or "").strip() if m else "" for m in matches]
        problems += [
            f"--subject {pattern.pattern!r} finds nothing in {name!r}"
            for name, who in zip(names, found, strict=True)
            if not who
        ]
    elif all("/" in name for name in names):
        found = [name.split("/", 1)[0] for name in names]
    if problems:
        shown = problems[:SHOWN]
        shown += [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        raise CohortError(str(folder), shown, count=len(problems), code="cohort.problems")
    return found
