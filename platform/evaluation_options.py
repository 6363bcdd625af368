"""The options of a search that say how its scores are estimated, and what they are compared with."""

from dataclasses import dataclass
from platform.cohort_arguments import names
from platform.declared import option

from reports.wording import BASELINES as BASELINES_IN_WORDS
from trainables.model_kinds import BASELINES
from trainables.study.vocabulary import COVERAGE


def read_folds(text: str) -> int:
    """Returns the number of folds of a text; 0 of 'subjects'."""
    return 0 if text == "subjects" else int(text)


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Folds, nested folds, baselines and controls."""

    folds: int = option(
        3,
        group="evaluation",
        read=read_folds,
        words={"subjects": 0},
        help="subject-wise folds of each trial; 'subjects' leaves one subject out at a time",
    )
    """0: one for each subject."""
    repeats: int = option(1, group="evaluation", help="times the folds are drawn again")
    fold_column: str | None = option(
        group="evaluation", metavar="COLUMN", help="column that names the fold in which a subject is held out"
    )
    fold: int | None = option(group="evaluation", metavar="K", help="run fold K alone, from 0, to try something out")
    outer_folds: int = option(
        0,
        group="evaluation",
        when_continued="recorded",
        help="nested cross-validation: the whole search is run again without each outer fold's subjects, who are scored "
        "once by its choice; 0 is off",
    )
    learning_curve: bool = option(
        False,
        group="evaluation",
        when_continued="recorded",
        help="train the chosen configuration on 0.4, 0.6 and 0.8 of each fold's training subjects too: would more patients help?",
    )
    coverage: float = option(
        COVERAGE,
        group="evaluation",
        metavar="SHARE",
        when_continued="recorded",
        help="share of new people whose prediction set is to hold their true class; sets are calibrated by the outer folds",
    )
    baselines: tuple[str, ...] = option(
        ("untrained", "frozen_motion"),
        group="evaluation",
        read=names,
        words={"none": ()},
        together=True,
        metavar="A,B",
        when_continued="free",
        help="simpler methods on the same folds, compared subject by subject: none, or some of "
        + ", ".join(f"{name} ({BASELINES_IN_WORDS[name]})" for name in BASELINES),
    )
    permutations: int = option(
        0,
        group="evaluation",
        when_continued="recorded",
        help="times the whole search is run again on permuted subject labels, as a control",
    )
    permutation_trials: int | None = option(
        group="evaluation",
        when_continued="recorded",
        help="trials of each of those searches; none: as many as the search has",
    )
