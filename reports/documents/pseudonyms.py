"""Replaces subject ids and file names by pseudonyms, in an analysis whose pages are given to others."""

import dataclasses
import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from reports.numbers.analysis import Analysis, Results
from reports.numbers.detail import Detail
from reports.numbers.ledger import Ledger
from reports.numbers.nested import Nested
from trainables.study.leaderboard import TrialRecord
from trainables.study.records import Cohort, Fold, Splits, StudyRecord

KEY = "pseudonyms.key"
"""In the study folder. Whoever has it and a list of ids can tell who is who."""
SHORTEST, LONGEST = 8, 64
"""Hexadecimal digits of a pseudonym: as few as tell all of a study's names apart."""
WITHHELD = "withheld"
FILES = ("cohort", "study", "studies", "cache", "task", "parameters", "space", "allow_duplicate", "knowledge_encoder")
"""Options that may name the user's own files."""


@dataclass(frozen=True, kw_only=True)
class Pseudonyms:
    """What each name of a study is called outside."""

    subjects: dict[str, str]
    videos: dict[str, str]

    def subject(self, name: str) -> str:
        return self.subjects[name]

    def frame(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Returns a frame with its columns subject and video replaced; its rows keep their order."""
        columns = [c for c in ("subject", "video") if c in frame.columns]
        named = {"subject": self.subjects, "video": self.videos}
        return frame.with_columns(pl.col(c).replace_strict(named[c], return_dtype=pl.String) for c in columns)

    def text(self, text: str) -> str:
        """Returns a sentence in which names are replaced.

        An id of digits alone is replaced where it stands in quotes: 'fold 1' is not subject 1.
        """
        for name, other in sorted((self.videos | self.subjects).items(), key=lambda item: -len(item[0])):
            bare = re.escape(name)
            loose = rf"|(?<![\w.]){bare}(?!\w)" if len(name) > 2 and not name.isdigit() else ""
            text = re.sub(rf"(?<=['\"]){bare}(?=['\"]){loose}", other, text)
        return text


def pseudonyms(folder: Path, cohort: Cohort) -> Pseudonyms:
    """Returns the pseudonyms of a study: a keyed hash of each name, the same every time while the key is there.

    Raises:
        OSError: The key cannot be written into the study folder.
    """
    key = _key(folder)
    videos = sorted({*cohort.videos["video"].to_list(), *(video for video, _ in cohort.excluded)})
    return Pseudonyms(
        subjects=_named(key, "subject", sorted(set(cohort.videos["subject"].to_list()))),
        videos=_named(key, "video", videos),
    )


def _key(folder: Path) -> bytes:
    path = folder / KEY
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
    return bytes.fromhex(path.read_text(encoding="ascii").strip())


def _named(key: bytes, kind: str, names: list[str]) -> dict[str, str]:
    hashes = {name: hmac.new(key, f"{kind}:{name}".encode(), hashlib.sha256).hexdigest() for name in names}
    digits = next(
        n for n in range(SHORTEST, LONGEST + 1) if len({h[:n] for h in hashes.values()}) == len(hashes) or n == LONGEST
    )
    return {name: f"{kind}-{found[:digits]}" for name, found in hashes.items()}


def pseudonymised(analysis: Analysis, folder: Path) -> Analysis:
    """Returns the analysis with pseudonyms for subjects and videos, and without the names of the user's own files."""
    names = pseudonyms(folder, analysis.cohort)
    return dataclasses.replace(
        analysis,
        study=_study(analysis.study),
        cohort=_cohort(analysis.cohort, names),
        splits=_splits(analysis.splits, names),
        ledger=_ledger(analysis.ledger, names),
        leaderboard=tuple(_trial(t, names) for t in analysis.leaderboard),
        front=tuple(_trial(t, names) for t in analysis.front),
        results=None if analysis.results is None else _results(analysis.results, names),
        nested=None if analysis.nested is None else _nested(analysis.nested, names),
        words=dataclasses.replace(analysis.words, notes=tuple(names.text(n) for n in analysis.words.notes)),
        notices=tuple(names.text(n) for n in analysis.notices),
    )


def _study(study: StudyRecord) -> StudyRecord:
    options = {name: _withheld(name, value) for name, value in study.options.items()}
    backbone = study.backbone | {"name": _withheld("cohort", study.backbone.get("name"))}
    return dataclasses.replace(study, name="study", options=options, backbone=backbone)


def _withheld(name: str, value: Any) -> Any:
    """Returns an option without what could be a file's name: a path, or anything where only a file can stand."""
    is_path = isinstance(value, str) and (Path(value).is_absolute() or value.startswith((".", "~")) or "\\" in value)
    own = name in FILES and isinstance(value, str) and ("." in value or os.sep in value)
    several = name == "allow_duplicate" and bool(value)
    return WITHHELD if is_path or own or several else value


def _cohort(cohort: Cohort, names: Pseudonyms) -> Cohort:
    videos = names.frame(cohort.videos).with_columns(path=pl.lit(""), cached=pl.lit("")).sort("subject", "video")
    excluded = sorted((names.videos[video], names.text(reason)) for video, reason in cohort.excluded)
    return dataclasses.replace(cohort, name="cohort", videos=videos, excluded=tuple(excluded))


def _splits(splits: Splits, names: Pseudonyms) -> Splits:
    def renamed(subjects: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(map(names.subject, subjects)))

    folds = (Fold(index=f.index, train=renamed(f.train), test=renamed(f.test)) for f in splits.folds)
    return dataclasses.replace(splits, folds=tuple(folds))


def _ledger(ledger: Ledger, names: Pseudonyms) -> Ledger:
    folds = (dataclasses.replace(f, names=tuple(sorted(map(names.subject, f.names)))) for f in ledger.folds)
    never = tuple(sorted(map(names.subject, ledger.never_tested)))
    return dataclasses.replace(ledger, folds=tuple(folds), never_tested=never)


def _trial(trial: TrialRecord, names: Pseudonyms) -> TrialRecord:
    return dataclasses.replace(trial, problem=names.text(trial.problem))


def _results(results: Results, names: Pseudonyms) -> Results:
    return dataclasses.replace(
        results,
        trial=_trial(results.trial, names),
        folds_done=tuple(
            dataclasses.replace(
                r,
                predictions=names.frame(r.predictions),
                shuffled=None if r.shuffled is None else names.frame(r.shuffled),
                by_seed=None if r.by_seed is None else names.frame(r.by_seed),
            )
            for r in results.folds_done
        ),
        predictions=names.frame(results.predictions).sort("fold", "subject", "video", "window"),
        detail=_detail(results.detail, names),
        mistakes=names.frame(results.mistakes),
    )


def _nested(nested: Nested, names: Pseudonyms) -> Nested:
    said = None if nested.detail is None else _detail(nested.detail, names)
    return dataclasses.replace(nested, detail=said, outdated=names.text(nested.outdated))


def _detail(detail: Detail, names: Pseudonyms) -> Detail:
    return dataclasses.replace(
        detail, predictions=names.frame(detail.predictions), mistakes=names.frame(detail.mistakes)
    )
