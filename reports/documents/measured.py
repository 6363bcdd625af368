"""What the page's intervals held on simulated studies of known truth, as docs/decisions/0020 has it."""

from dataclasses import dataclass

NOMINAL = (92.0, 97.0)
"""Percent: between them an interval of 95 % is taken to be what it says, within the noise of 200 studies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One kind of interval, over studies of 24 and 60 subjects with and without signal."""

    what: str
    low: float
    """Least share of studies, in percent, in which it held the truth; high is the most."""
    high: float
    rows: tuple[str, ...]
    """Of the decision's tables."""

    def worth(self) -> str:
        """Returns how often the interval held the truth, and what follows where that is not about 95 %, as a sentence."""
        said = f"In simulated studies of 24 and 60 subjects the interval held the truth in {self.low:g} to {self.high:g} % of cases"
        narrow, wide = self.low < NOMINAL[0], self.high > NOMINAL[1]
        if narrow and wide:
            return f"{said}, so it may be too narrow or wider than need be."
        if narrow:
            return f"{said}, so it is somewhat too narrow."
        return f"{said}, so it may be wider than need be." if wide else f"{said}."


MEASURED = {
    "nested": Measured(
        what="Nested scores per subject",
        low=93.5,
        high=98.0,
        rows=(
            "coverage of the nested macro f1",
            "coverage of the nested balanced accuracy",
            "coverage of the nested accuracy",
        ),
    ),
    "optimism": Measured(what="Optimism", low=92.5, high=98.5, rows=("coverage of optimism 0, no search",)),
    "methods": Measured(
        what="Difference between two methods",
        low=98.0,
        high=100.0,
        rows=(
            "coverage, methods: interval of the t-test",
            "coverage, methods, folds once: interval of the t-test",
        ),
    ),
    "models": Measured(
        what="Difference between two sets of trained models",
        low=94.5,
        high=95.5,
        rows=("coverage, fixed answers: interval of the difference",),
    ),
    "ranking": Measured(
        what="AUROC and average precision",
        low=91.7,
        high=100.0,
        rows=(
            "AUROC of a class",
            "average precision of a class",
            "coverage: AUROC, one class",
            "coverage: AUROC, mean of the classes",
            "coverage: average precision, one class",
            "coverage: average precision, mean of the classes",
        ),
    ),
    "video": Measured(
        what="Scores per video, and those of ordered classes",
        low=93.3,
        high=98.3,
        rows=("quadratic kappa per subject", "mean absolute error per subject", "macro f1 per video"),
    ),
    "right": Measured(what="Share answered right", low=93.3, high=98.3, rows=("accuracy per subject",)),
    "class": Measured(
        what="Recall, precision and F1 of a class",
        low=88.3,
        high=100.0,
        rows=("recall (Wilson) of a class", "precision (Wilson) of a class", "F1 of a class"),
    ),
    "bin": Measured(
        what="Share right in a bin of the calibration",
        low=95.0,
        high=98.3,
        rows=("share right in a bin of the calibration",),
    ),
    "operating": Measured(
        what="Sensitivity, specificity and predictive values, for their own thresholds",
        low=93.0,
        high=100.0,
        rows=(
            *(f"{name} (Wilson), these thresholds" for name in ("sensitivity", "specificity", "PPV", "NPV")),
            "coverage: sensitivity at the threshold of other folds",
            "coverage: specificity at the threshold of other folds",
        ),
    ),
    "sets": Measured(
        what="Share of people whose prediction set holds their class",
        low=90.5,
        high=95.5,
        rows=("coverage: share of people whose set holds the class",),
    ),
    "kappa": Measured(
        what="Kappa of raters and model, and their difference",
        low=94.0,
        high=98.5,
        rows=(
            "coverage: kappa of the two raters",
            "coverage: kappa of the model and the label",
            "coverage: kappa of the model less that of the raters",
        ),
    ),
    "own_videos": Measured(
        what="Agreement of a subject's own videos",
        low=94.0,
        high=96.0,
        rows=("coverage: agreement of a subject's own videos",),
    ),
    "subgroup": Measured(
        what="Balanced accuracy of a subgroup",
        low=99.0,
        high=100.0,
        rows=("coverage: balanced accuracy of a subgroup",),
    ),
}


def worth(kind: str) -> str:
    """Returns the sentence on a kind of interval, a key of MEASURED."""
    return MEASURED[kind].worth()
