"""How strongly a baseline's logistic regression is regularised, chosen inside a fold.

An untuned baseline is at a disadvantage against the best of many trials. Here it gets a choice of its own, by inner
cross-validation over the training subjects of the fold; the held-out subjects have no part in it.
"""

import warnings
from typing import Any

import numpy as np

INVERSE_PENALTIES = tuple(10.0**power for power in range(-4, 3))
"""Values of C that are tried: the smaller, the stronger the penalty. Untuned it is 1."""
UNTUNED = 1.0
MOST_FOLDS = 5
LEAST_PROBABILITY = 1e-12
"""Probability that a class counts as having which the inner training side lacks, and under which no logarithm is taken."""


def logistic_regression(inverse_penalty: float = UNTUNED) -> Any:
    """Returns the classifier of the baselines, not fitted: median imputation, scaling, balanced logistic regression."""
    # Imported where it is used: scikit-learn costs every worker that trains something else 1.5 s at its start.
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=inverse_penalty, max_iter=2000, class_weight="balanced"),
    )


def tuned_inverse_penalty(features: np.ndarray, labels: np.ndarray, subjects: np.ndarray) -> float:
    """Returns the C with the least log loss on training subjects that were left out of an inner fit, whole subjects each.

    Of equal ones the strongest penalty; UNTUNED where a class has fewer than two training subjects.

    Args:
        features: [N, P] of the fold's training rows, NaN where not measured.
        labels: [N] class indices.
        subjects: [N] whose rows they are.
    """
    inner = inner_folds(labels, subjects)
    if not inner:
        return UNTUNED
    losses = [_held_out_loss(c, features, labels, inner) for c in INVERSE_PENALTIES]
    return INVERSE_PENALTIES[int(np.argmin(losses))]


def inner_folds(labels: np.ndarray, subjects: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns (training rows, held-out rows) of up to five stratified folds by subject; none where a class has one subject."""
    from sklearn.model_selection import StratifiedGroupKFold

    classes = np.unique(labels)
    fewest = min(len(np.unique(subjects[labels == c])) for c in classes)
    count = min(MOST_FOLDS, fewest)
    if count < 2 or len(classes) < 2:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds, which has been looked at
        splitter = StratifiedGroupKFold(count, shuffle=True, random_state=0)
        folds = list(splitter.split(np.zeros(len(labels)), labels, subjects))
    return [(train, test) for train, test in folds if len(np.unique(labels[train])) > 1 and len(test)]


def _held_out_loss(
    inverse_penalty: float, features: np.ndarray, labels: np.ndarray, inner: list[tuple[np.ndarray, np.ndarray]]
) -> float:
    """Returns the mean negative log probability of the true class over all inner held-out rows, in nats."""
    total = count = 0.0
    for train, test in inner:
        model = logistic_regression(inverse_penalty).fit(features[train], labels[train])
        columns = {label: index for index, label in enumerate(model[-1].classes_)}
        probabilities = model.predict_proba(features[test])
        for row, label in zip(probabilities, labels[test], strict=True):
            total -= float(np.log(max(row[columns[label]] if label in columns else 0.0, LEAST_PROBABILITY)))
            count += 1
    return total / count
