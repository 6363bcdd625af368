"""What the search varied, and what its scores say about each axis."""

import math
import random
from dataclasses import dataclass
from typing import Any

import optuna

from trainables.study.leaderboard import TrialRecord, best

NUMERACY_OFF = "off"
ONLY_WHERE = (
    ("numeracy.", "numeracy.enabled", "numeracy.enabled"),
    ("decoder.", "decoder.enabled", "decoder.enabled"),
    ("text.notions", "text.knowledge", "text.knowledge"),
    ("text.projector", "text.knowledge", "text.knowledge"),
    ("text.bottleneck", "text.knowledge", "text.knowledge"),
)
"""Settings (by beginning) that mean nothing where another setting is off."""
TRIALS_PER_SETTING = 10
"""Complete trials for each varied setting from which an importance is shown: of 6 trials of pure noise the top share is .63-.68."""
SHUFFLES = 10
"""Times that the scores are shuffled among the trials, for what the importance of noise would be."""
TREES = 16
"""Of each fANOVA; with 64, the shares of 100 trials differ by at most 0.012, and the page takes half as long again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """The score against one setting, over trials that finished every fold."""

    name: str
    numeric: bool
    log: bool
    """Whether the axis is best drawn by its logarithm."""
    points: tuple[tuple[Any, float, int], ...]
    """(value, score, trial), sorted by value."""
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchStory:
    """The search as a whole."""

    counts: dict[str, int]
    """Trials by state."""
    folds_run: int
    slices: tuple[Slice, ...]
    importance: tuple[tuple[str, float], ...]
    """(setting, share of the score's variance that it explains), largest first; empty with too few trials."""
    importance_note: str
    importance_noise: float | None
    """Mean largest share when the same scores are shuffled among the trials; None where no importance is shown."""
    best_so_far: tuple[tuple[int, float], ...]
    """(trial, best score up to it)."""


def tell_search(trials: tuple[TrialRecord, ...], folds: int) -> SearchStory:
    """Returns the history, slices and importances of a search on `folds` folds."""
    whole = tuple(t for t in trials if t.scored and len(t.folds) == folds)
    states = [t.state for t in trials]
    importance, note, noise = _importance(whole)
    return SearchStory(
        counts={state: states.count(state) for state in sorted(set(states))},
        folds_run=sum(len(t.folds) for t in trials),
        slices=tuple(s for name in axes(whole) if (s := _slice(whole, name)).points),
        importance=importance,
        importance_note=note,
        importance_noise=noise,
        best_so_far=_best_so_far(whole, folds),
    )


def axes(trials: tuple[TrialRecord, ...]) -> tuple[str, ...]:
    """Returns the settings that differ between trials: prompt length first, numeracy next, then by name.

    'numeracy.enabled' is left out where the weight varies too: the slice of the weight shows both. Where every trial is
    named by something that is not a setting, as the variants of an ablation are, that name stands for all settings.
    """
    own = set.intersection(*(set(t.params) - set(t.config) for t in trials)) if trials else set()
    if own:
        return tuple(sorted(own))
    names = sorted({name for t in trials for name in t.config})
    varied = [n for n in names if n != "seed" and len({repr(t.config[n]) for t in trials if n in t.config}) > 1]
    if "numeracy.weight" in varied and "numeracy.enabled" in varied:
        varied.remove("numeracy.enabled")
    first = ("text.n_ctx", "numeracy.enabled", "numeracy.weight")
    return tuple(sorted(varied, key=lambda n: (first.index(n) if n in first else len(first), n)))


def drawn(trial: TrialRecord, name: str) -> Any:
    """Returns a trial's value of a setting, or of what the space has named it by; None where it has neither."""
    return trial.config.get(name, trial.params.get(name))


def _slice(trials: tuple[TrialRecord, ...], name: str) -> Slice:
    points: list[tuple[Any, float, int]] = []
    left_out = ""
    for trial in trials:
        value = drawn(trial, name)
        switch = next((s for start, s, _ in ONLY_WHERE if name.startswith(start) and name != s), None)
        off = switch is not None and not trial.config.get(switch, True)
        if off and name == "numeracy.weight":
            value = NUMERACY_OFF
        elif off:
            left_out = f"only trials with {switch} on"
            continue
        if value is not None and trial.value is not None:
            points.append((value, trial.value, trial.number))
    numbers = [v for v, _, _ in points if v != NUMERACY_OFF]
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in numbers) and bool(numbers)
    drawn_by_log = any(getattr(t.distributions.get(name), "log", False) for t in trials)
    log = numeric and min(numbers) > 0 and (drawn_by_log or max(numbers) / min(numbers) > 20)
    key = (lambda p: (p[0] != NUMERACY_OFF, 0 if p[0] == NUMERACY_OFF else p[0])) if numeric else (lambda p: str(p[0]))
    return Slice(name=name, numeric=numeric, log=log, points=tuple(sorted(points, key=key)), note=left_out)


def _best_so_far(whole: tuple[TrialRecord, ...], folds: int) -> tuple[tuple[int, float], ...]:
    ordered = sorted(whole, key=lambda t: t.number)
    leaders = (best(tuple(ordered[: i + 1]), folds) for i in range(len(ordered)))
    return tuple(
        (t.number, lead.value) for t, lead in zip(ordered, leaders, strict=True) if lead and lead.value is not None
    )


def _importance(whole: tuple[TrialRecord, ...]) -> tuple[tuple[tuple[str, float], ...], str, float | None]:
    """Returns the settings' shares, or why there are none, and the largest share that noise would have."""
    varied = _comparable(whole)
    needed = TRIALS_PER_SETTING * max(len(varied), 2)
    if len(whole) < needed or len(varied) < 2:
        why = (
            f"To weigh settings against each other takes two varied settings and {TRIALS_PER_SETTING} complete trials for each: "
            f"{needed} here, and there are {len(whole)}. With fewer, noise alone gives one setting most of the weight."
        )
        return (), why, None
    values = [t.value or 0.0 for t in whole]
    if max(values) - min(values) < 1e-9:
        return (), "All complete trials have the same score, so no setting can be said to matter.", None
    shares = {name: share for name, share in _fanova(whole, varied, values).items() if math.isfinite(share)}
    rng = random.Random(0)
    noise = [max(_fanova(whole, varied, rng.sample(values, len(values))).values()) for _ in range(SHUFFLES)]
    return tuple(sorted(shares.items(), key=lambda s: (-s[1], s[0]))), "", sum(noise) / len(noise)


def _comparable(whole: tuple[TrialRecord, ...]) -> list[str]:
    """Returns the suggested names that every trial has, drawn from the same range, with more than one value."""
    names = sorted(set.intersection(*(set(t.params) for t in whole))) if whole else []
    one_range = [n for n in names if len({repr(t.distributions.get(n)) for t in whole}) == 1]
    return [n for n in one_range if len({repr(t.params[n]) for t in whole}) > 1]


def _fanova(whole: tuple[TrialRecord, ...], varied: list[str], values: list[float]) -> dict[str, float]:
    """Returns the share of the differences between values, one for each trial, that each setting explains."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else Optuna announces the study below on the user's screen
    try:
        study = optuna.create_study(study_name="importance", direction="maximize")
    finally:
        optuna.logging.set_verbosity(verbosity)
    study.add_trials(
        [
            optuna.trial.create_trial(
                value=value,
                params={n: t.params[n] for n in varied},
                distributions={n: t.distributions[n] for n in varied},
            )
            for t, value in zip(whole, values, strict=True)
        ]
    )
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=TREES, seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=varied)
    return {name: float(share) for name, share in found.items()}
