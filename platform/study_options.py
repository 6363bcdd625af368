"""The options of a search that say which study it is, and how configurations are searched."""

from dataclasses import dataclass
from platform.declared import option

from search_spaces import SHIPPED
from trainables.study.vocabulary import COSTS, RULES

REFITS = ("folds", "all")
SAMPLERS = ("tpe", "gp", "random", "grid")


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """Where a study is kept, and its seeds."""

    study: str | None = option(
        group="study", path=True, help="name of the study, or its folder; none: made from cohort and label"
    )
    studies: str = option("studies", group="study", path=True, when_continued="free", help="folder of all studies")
    seed: int = option(0, group="study", help="seed of splits, sampler and training")
    split_seed: int | None = option(group="study", metavar="SEED", help="seed of the folds alone (default: --seed)")
    """None: `seed`; so is the sampler's."""
    sampler_seed: int | None = option(group="study", metavar="SEED", help="seed of Optuna alone (default: --seed)")
    training_seeds: int = option(
        1,
        group="study",
        metavar="N",
        help="train each fold N times with other seeds, average the probabilities, and show the spread",
    )
    """Trainings of each fold, whose probabilities are averaged."""


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """What is searched, and by what."""

    space: str = option("smoke", group="search", path=True, help=f"{', '.join(SHIPPED)}, or my_space.py:suggest")
    trials: int | None = option(
        group="search",
        when_continued="recorded",
        help="configurations in all, the reference first; none: all of a space that is a list (ablation, paper), else 8",
    )
    """None: as many as the space lists, or 8."""
    sampler: str | None = option(
        group="search",
        choices=SAMPLERS,
        help="how Optuna draws; none: grid for a space that is a list, else tpe",
    )
    """None: grid for a space that is a list, else tpe."""
    metric: str = option(
        "subject/macro_f1",
        group="search",
        help="macro_f1, balanced_accuracy, accuracy or quadratic_kappa, at subject/, video/ or window/ level",
    )
    cost: str | None = option(
        group="search",
        choices=COSTS,
        help="a second objective, to be small: the report then shows the Pareto front",
    )
    choose: str = option(
        "best",
        group="search",
        choices=RULES,
        help="best score, or one_se: the cheapest configuration within one standard error of it",
    )
    refit: str = option(
        "folds",
        group="search",
        choices=REFITS,
        when_continued="recorded",
        help="what predicts: folds, the mean of the chosen configuration's folds; or all, one model trained again on every subject",
    )
    prune: float = option(
        0.1,
        group="search",
        metavar="P",
        help="stop a trial after a fold when its subjects' scores are below the best trial's at this p-value (Wilcoxon); "
        "0 is never; never with --cost or --choose one_se",
    )
    concurrency: int = option(
        0,
        group="search",
        when_continued="free",
        help="trials side by side at most; 0: as many as the CPUs, GPUs and memory hold that this process may use",
    )
    """0: as many trials side by side as fit the machines."""
