"""What the classes mean in words: the decoded sentences of all folds, set side by side."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from trainables.study.records import Cohort, DecodedValue, FoldResult


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentence:
    """One fold's words for a class, cut where a recurring term begins and ends."""

    fold: int
    parts: tuple[tuple[str, bool], ...]
    """(text, whether it is a recurring term)."""
    values: tuple[DecodedValue, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassWords:
    """A class over all folds."""

    label: str
    keywords: tuple[str, ...]
    notions: tuple[str, ...]
    sources: tuple[str, ...]
    sentences: tuple[Sentence, ...]
    terms: tuple[tuple[str, int], ...]
    """(parameter, folds that name it), most frequent first."""
    recurring: tuple[str, ...]
    """Parameters named in at least two folds and at least half of them."""
    inside: int
    """Decoded values between the 5 and 95 % quantiles of the class's training videos."""
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Reconstruction:
    """How far the decoder is off for one parameter, on held-out subjects."""

    parameter: str
    unit: str
    mean: float
    """Mean over the folds of the mean absolute error, in the unit."""
    low: float
    high: float
    deviation: float | None
    """Standard deviation of the parameter over the cohort's videos, in the same unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """Section 6 of the page."""

    classes: tuple[ClassWords, ...]
    reconstruction: tuple[Reconstruction, ...]
    similarity: tuple[tuple[float, ...], ...] | None
    """Mean over the folds of the cosines between class features, [C, C]."""
    notes: tuple[str, ...]


def words(cohort: Cohort, task: dict[str, Any], results: tuple[FoldResult, ...]) -> Words:
    """Returns what the folds' decoders said about each class, beside what the task file says.

    Args:
        cohort: The classes and the measured parameters.
        task: StudyRecord.task: a class has its descriptions (notion, keywords, sources) in the order of the cohort's classes.
        results: The chosen configuration's folds; without any, only the task's own words are returned.
    """
    known = list(task.get("classes") or [])
    classes = [
        _class_words(label, known[index] if index < len(known) else {}, results)
        for index, label in enumerate(cohort.classes)
    ]
    notes = [f"Fold {r.fold}: {note}" for r in results for note in (*r.notes, *same_words(r))]
    matrices = [r.class_similarity for r in results if r.class_similarity is not None]
    similarity = np.mean(np.array(matrices), axis=0).tolist() if matrices else None
    return Words(
        classes=tuple(classes),
        reconstruction=_reconstruction(cohort, results),
        similarity=None if similarity is None else tuple(tuple(row) for row in similarity),
        notes=tuple(dict.fromkeys(notes)),
    )


def as_read(config: dict[str, Any], words: Words) -> dict[str, Any]:
    """Returns a flat configuration in which keywords and notions that the task file does not have are off."""
    has = {
        "text.keywords": any(c.keywords for c in words.classes),
        "text.knowledge": any(c.notions for c in words.classes),
    }
    return config | {name: False for name, there in has.items() if not there}


def recurring_terms(terms: list[list[str]]) -> tuple[tuple[tuple[str, int], ...], tuple[str, ...]]:
    """Returns (parameter, folds) by frequency, and those named in at least two folds and at least half of them.

    Args:
        terms: The parameters that each fold's sentence names.
    """
    named = sorted({t for fold in terms for t in fold})
    counts = sorted(((t, sum(t in fold for fold in terms)) for t in named), key=lambda c: (-c[1], c[0]))
    return tuple(counts), tuple(t for t, n in counts if n >= 2 and 2 * n >= len(terms))


def same_words(result: FoldResult) -> tuple[str, ...]:
    """Returns a note for each sentence that a fold's decoder gives to more than one class: it tells them not apart."""
    classes: dict[str, list[str]] = {}
    for decoded in result.decoded:
        classes.setdefault(decoded.sentence, []).append(decoded.label)
    shared = [labels for labels in classes.values() if len(labels) > 1]
    return tuple(f"{', '.join(labels)} have the same words, which do not tell them apart" for labels in shared)


def split_at_terms(sentence: str, terms: tuple[str, ...]) -> tuple[tuple[str, bool], ...]:
    """Returns the sentence in (text, is a term) parts; of two terms at one place the longer wins."""
    if not terms:
        return ((sentence, False),)
    longest_first = sorted(terms, key=lambda t: (-len(t), t))
    pattern = re.compile("(" + "|".join(rf"(?<!\w){re.escape(t)}(?!\w)" for t in longest_first) + ")")
    return tuple((part, part in terms) for part in pattern.split(sentence) if part)


def _class_words(label: str, about: dict[str, Any], results: tuple[FoldResult, ...]) -> ClassWords:
    decoded = [(r.fold, d) for r in results for d in r.decoded if d.label == label]
    terms, recurring = recurring_terms([[v.parameter for v in d.values] for _, d in decoded])
    # Sentences are cut at every decoded term, so that 'step time' is not found inside 'step time difference'.
    every = tuple(t for t, _ in terms)
    sentences = [
        Sentence(
            fold=fold,
            parts=tuple((text, term and text in recurring) for text, term in split_at_terms(d.sentence, every)),
            values=d.values,
        )
        for fold, d in decoded
    ]
    values = [v for _, d in decoded for v in d.values]
    descriptions = about.get("descriptions") or []
    return ClassWords(
        label=label,
        keywords=tuple(dict.fromkeys(k for d in descriptions for k in d.get("keywords") or ())),
        notions=tuple(d["notion"] for d in descriptions if d.get("notion")),
        sources=tuple(dict.fromkeys(s for d in descriptions for s in d.get("sources") or ())),
        sentences=tuple(sentences),
        terms=terms,
        recurring=recurring,
        inside=sum(v.low <= v.value <= v.high for v in values),
        total=len(values),
    )


def _reconstruction(cohort: Cohort, results: tuple[FoldResult, ...]) -> tuple[Reconstruction, ...]:
    rows = []
    for parameter in cohort.parameters:
        errors = [
            r.reconstruction[parameter.name] for r in results if r.reconstruction and parameter.name in r.reconstruction
        ]
        if not errors:
            continue
        measured = cohort.videos[parameter.key].cast(pl.Float64).drop_nulls()
        deviation = measured.std() if len(measured) > 1 else None
        rows.append(
            Reconstruction(
                parameter=parameter.name,
                unit=parameter.unit,
                mean=float(np.mean(errors)),
                low=min(errors),
                high=max(errors),
                deviation=float(deviation) if isinstance(deviation, float) and deviation > 0 else None,
            )
        )
    return tuple(rows)
