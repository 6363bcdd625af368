"""Missing gait parameters are counted by class and by fold, to the video."""

import dataclasses

import polars as pl

from reports.documents.page import render
from reports.numbers.analysis import analyse
from reports.numbers.missing import missing
from tests.make_study import make_study
from trainables.study.records import Cohort, Fold, Parameter, Splits

SPEED, CADENCE, BASE = (Parameter(key=name, name=name, unit="") for name in ("speed", "cadence", "base"))
COHORT = Cohort(
    name="c",
    simulated=True,
    label="gait",
    classes=("0", "1"),
    parameters=(SPEED, CADENCE, BASE),
    videos=pl.DataFrame(
        {
            "subject": ["A", "A", "B", "C", "D"],
            "video": ["a1", "a2", "b", "c", "d"],
            "label": [0, 0, 0, 1, 1],
            "speed": [1.0, None, 1.0, 1.0, 1.0],
            "cadence": [None, None, 100.0, float("nan"), 90.0],
            "base": [8.0, 8.0, 9.0, 9.0, 7.0],
        }
    ),
)
SPLITS = Splits(
    method="by hand",
    folds=(Fold(index=0, train=("B", "D"), test=("A", "C")), Fold(index=1, train=("A", "C"), test=("B", "D"))),
)


def test_values_are_counted_by_class_and_by_fold():
    """Nulls and NaN count; the most incomplete parameter comes first, and a complete one is only counted."""
    found = missing(COHORT, SPLITS)
    assert [(p.parameter, p.videos, p.by_class, p.by_fold) for p in found.parameters] == [
        ("cadence", 3, (2, 1), (3, 0)),
        ("speed", 1, (1, 0), (1, 0)),
    ]
    assert (found.complete, found.by_class, found.by_fold) == (1, (3, 2), (3, 2))
    assert found.share == 4 / 15


def test_a_cohort_without_parameters_has_nothing_to_miss():
    """No table is made where nothing was to be measured."""
    assert missing(dataclasses.replace(COHORT, parameters=()), SPLITS) is None


def test_the_page_shows_what_is_missing(tmp_path):
    """The counts of the cohort's table stand folded away on the page."""
    analysis = analyse(make_study(tmp_path / "s"))
    page = render(analysis)
    worst = analysis.missing.parameters[0]
    lacking = analysis.cohort.videos[next(p.key for p in analysis.cohort.parameters if p.name == worst.parameter)]
    assert worst.videos == lacking.null_count()
    assert "Gait parameters that were not measured" in page
    assert f'<tr><th scope="row">{worst.parameter}</th><td class="n">{worst.videos}' in page
