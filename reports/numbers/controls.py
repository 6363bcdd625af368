"""Controls of the chosen configuration: what shuffled frames change, and warnings where nothing was learned."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from reports.numbers.comparisons import SAME, Comparison, compare
from reports.numbers.statistics import Array
from reports.wording import BASELINES
from reports.wording import metric as metric_in_words
from trainables.config import TrainConfig
from trainables.model_kinds import SHORTCUTS
from trainables.study.metrics import at_level, score
from trainables.study.records import FoldResult

ONE_CLASS = 0.95
"""Share of the subjects who get the same answer, from which the model is said to tell nobody apart."""
FEW_CHANGES = 0.02
"""Share of the windows whose answer must change with the order of frames for that order to count."""
FALL = 0.98
"""A loss that ends above this share of where it began has not fallen: less is within the noise of the windows drawn."""
LEARNED = 0.5
"""A loss below this share of a guess's has little left to fall, as when the read-out starts from its closed form."""
ENDS_SHARE = 0.2
"""Of the steps, over which the loss is averaged at the beginning and at the end of training."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shuffled:
    """The answers for the same held-out windows with their frames in random order, beside those as filmed."""

    windows: int
    windows_changed: int
    """Windows that get another answer."""
    videos: int
    videos_changed: int
    subjects: int
    subjects_changed: int
    order: Comparison
    """The study's metric as filmed and shuffled; the difference is what order in time is worth."""

    @property
    def share(self) -> float:
        """Returns the share of the windows whose answer changes."""
        return self.windows_changed / self.windows


@dataclass(frozen=True, kw_only=True, slots=True)
class LossFall:
    """The video loss at the beginning and at the end of training, mean over the folds."""

    first: float
    last: float
    guess: float
    """Of the same probability for every class."""

    @property
    def fell(self) -> bool:
        """Returns whether training lowered the loss, or it was low from the start."""
        return self.last < FALL * self.first or self.last < LEARNED * self.guess


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyWarning:
    """Something that a reader must know before believing a score."""

    code: str
    """not_better_than_shortcut, one_class, not_better_than_untrained, order_does_not_matter or loss_did_not_fall; these names stay."""
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedScores:
    """The study's metric of each training seed alone, over all folds."""

    seeds: tuple[int, ...]
    scores: tuple[float, ...]

    @property
    def deviation(self) -> float:
        """Returns the standard deviation between seeds."""
        return float(np.std(self.scores, ddof=1))


def seed_scores(results: tuple[FoldResult, ...], metric: str, classes: int) -> SeedScores | None:
    """Returns the score of each training seed; None where folds were trained once.

    Args:
        results: the folds of one configuration.
        metric: of the study, as 'subject/macro_f1'.
        classes: C.
    """
    tables = [r.by_seed for r in results if r.by_seed is not None]
    if len(tables) < len(results) or not tables:
        return None
    everything = pl.concat(tables)
    seeds = sorted(everything["seed"].unique().to_list())
    scores = tuple(score(everything.filter(seed=seed).drop("seed"), metric, classes) for seed in seeds)
    return SeedScores(seeds=tuple(seeds), scores=scores)


def shuffled(results: tuple[FoldResult, ...], metric: str, classes: int) -> Shuffled | None:
    """Returns what shuffling the frames of each held-out window changes; None where a fold was not scored so.

    Args:
        results: the folds of one configuration.
        metric: of the study, as 'subject/macro_f1'.
        classes: C.
    """
    controls = [r.shuffled for r in results if r.shuffled is not None]
    if len(controls) < len(results) or not controls:
        return None
    filmed, control = pl.concat([r.predictions for r in results]), pl.concat(controls)
    counts = {level: _changed(filmed, control, level) for level in ("window", "video", "subject")}
    (order,) = compare(filmed, {"frames in random order": control}, metric, classes)
    return Shuffled(
        windows=counts["window"][0],
        windows_changed=counts["window"][1],
        videos=counts["video"][0],
        videos_changed=counts["video"][1],
        subjects=counts["subject"][0],
        subjects_changed=counts["subject"][1],
        order=order,
    )


def _changed(filmed: pl.DataFrame, control: pl.DataFrame, level: str) -> tuple[int, int]:
    """Returns the units of a level, and how many of them get another answer."""
    keys = {"window": ["subject", "true", "video", "window"], "video": ["subject", "true", "video"]}
    one, two = at_level(filmed, level), at_level(control, level)
    both = one.join(two, on=["fold", *keys.get(level, ["subject", "true"])], how="inner", validate="1:1")
    return len(both), int((both["predicted"] != both["predicted_right"]).sum())


def loss_fall(results: tuple[FoldResult, ...], *, ordinal: bool, classes: int) -> LossFall | None:
    """Returns the video loss in the first and the last fifth of the steps; None where nothing was trained in steps.

    Results of before have a mean per epoch alone; then the first and the last epoch are compared.
    """
    ends = [_ends(r) for r in results]
    known = [e for e in ends if e is not None]
    if not known or len(known) < len(ends):
        return None
    first, last = np.mean(known, axis=0)
    return LossFall(first=float(first), last=float(last), guess=guess_loss(results[0].config, ordinal, classes))


def _ends(result: FoldResult) -> tuple[float, float] | None:
    """Returns the mean video loss of a fold's first and last steps, or None."""
    if len(result.curve) < 2:
        epochs = [epoch["video"] for epoch in result.history if "video" in epoch]
        return (epochs[0], epochs[-1]) if len(epochs) > 1 else None
    losses, steps = (np.array([point[name] for point in result.curve]) for name in ("video", "step"))
    begins = np.concatenate([[0], steps[:-1]])
    early = steps <= max(ENDS_SHARE * steps[-1], steps[0])
    late = begins >= min((1 - ENDS_SHARE) * steps[-1], begins[-1])
    first, last = (float(np.average(losses[part], weights=(steps - begins)[part])) for part in (early, late))
    return first, last


def guess_loss(config: dict[str, Any], ordinal: bool, classes: int) -> float:
    """Returns the video loss of giving every class the same probability, and of ordered classes a random one the first place.

    Args:
        config: flat; missing settings take their defaults.
        ordinal: whether the distance between classes counts.
        classes: C.
    """
    c = TrainConfig().flat() | config
    focal = c["optimizer.focal_alpha"] * (1 - 1 / classes) ** c["optimizer.focal_gamma"]
    distance = (classes + 1) / (3 * classes) if ordinal else 0.0  # mean |i - j| / (C - 1) over all pairs of classes
    return float((focal + c["optimizer.ordinal_beta"] * distance) * np.log(classes))


def study_warnings(
    counts: Array,
    classes: tuple[str, ...],
    compared: Iterable[tuple[str, Comparison]],
    order: Shuffled | None,
    fall: LossFall | None,
) -> tuple[StudyWarning, ...]:
    """Returns a sentence for each sign that the chosen configuration has learned nothing, or nothing of motion.

    Args:
        counts: confusion matrix of the subjects, [C, C].
        classes: their names.
        compared: what is compared, in words, and its comparison with another; those with a shortcut or 'untrained' count.
        order: what shuffled frames change, if that was scored.
        fall: the loss of training, if there was any.
    """
    compared = tuple(compared)
    found = [
        *(("not_better_than_shortcut", sentence) for sentence in _shortcuts(compared)),
        ("one_class", _one_class(counts, classes)),
        ("not_better_than_untrained", _not_better(compared)),
        ("order_does_not_matter", _order(order)),
        ("loss_did_not_fall", _loss(fall)),
    ]
    return tuple(StudyWarning(code=code, sentence=sentence) for code, sentence in found if sentence)


def _one_class(counts: Array, classes: tuple[str, ...]) -> str:
    """Says that (almost) everyone gets one class, unless as many subjects are of that class."""
    named, true, units = counts.sum(0), counts.sum(1), int(counts.sum())
    top = int(named.argmax())
    if named[top] < ONE_CLASS * units or named[top] <= true[top]:
        return ""
    almost = "everyone" if named[top] == units else "almost everyone"
    return (
        f"The model gives {almost} the same answer: {named[top]} of {units} subjects are called “{classes[top]}”, "
        f"but only {true[top]} are."
    )


def _not_better(compared: Iterable[tuple[str, Comparison]]) -> str:
    for what, c in compared:
        if c.other == "untrained" and c.difference <= SAME:
            words = metric_in_words(f"{c.level}/{c.metric}")
            return f"Training has not helped: {what} reached {words} {c.value:.2f}, and the untrained model {c.other_value:.2f}."
    return ""


def _shortcuts(compared: Iterable[tuple[str, Comparison]]) -> Iterator[str]:
    """Says of each shortcut that the model is not shown to be better than it: the interval of the difference reaches 0."""
    for what, c in compared:
        if c.other in SHORTCUTS and c.low <= SAME:
            words = metric_in_words(f"{c.level}/{c.metric}")
            not_better = "not better" if c.difference <= SAME else "not shown to be better"
            yield (
                f"{what[0].upper()}{what[1:]} is {not_better} than {BASELINES[c.other]}: {words} {c.value:.2f} and "
                f"{c.other_value:.2f}, difference {c.difference:+.2f} ({c.low:+.2f} to {c.high:+.2f}). It may have learned that in "
                "place of the gait."
            )


def _order(order: Shuffled | None) -> str:
    if order is None or order.share >= FEW_CHANGES:
        return ""
    return (
        f"The answers do not depend on the order of frames: with the frames of each window shuffled, "
        f"{order.windows_changed} of {order.windows} windows get another answer."
    )


def _loss(fall: LossFall | None) -> str:
    if fall is None or fall.fell:
        return ""
    return (
        f"The training loss did not fall: the video loss was {fall.first:.3g} at the beginning and {fall.last:.3g} at the end "
        f"(mean over the folds), where guessing gives {fall.guess:.3g}."
    )
