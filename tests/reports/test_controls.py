"""Warnings and the control of order: each is there where it must be, and only there."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from reports.documents.model_card import model_card
from reports.documents.page import write_report
from reports.figures.curves import draw_curves
from reports.numbers.analysis import Analysis, analyse
from reports.numbers.controls import guess_loss, loss_fall, shuffled
from reports.numbers.training_curves import curve
from tests.make_study import add_baselines, add_outer_folds, change_chosen, make_study
from trainables.config import TrainConfig
from trainables.study.metrics import at_level, score
from trainables.study.records import FoldResult

CODES = ["one_class", "not_better_than_untrained", "order_does_not_matter", "loss_did_not_fall"]


def study(folder: Path, **changes) -> Path:
    """Returns a study of one trial with an untrained model that knows little: nothing to warn of."""
    return add_baselines(make_study(folder, trials=1, **changes), untrained=0.2, frozen_motion=0.8)


def codes(folder: Path) -> list[str]:
    return [w.code for w in analyse(folder).warnings]


def answers(frame: pl.DataFrame, probabilities: list[list[float]]) -> pl.DataFrame:
    return frame.with_columns(probabilities=pl.Series(probabilities, dtype=pl.List(pl.Float64)))


def with_curve(result: FoldResult, losses: list[float]) -> FoldResult:
    """Returns a fold result whose video loss goes through the given points, one a step."""
    base = result.curve[0]
    points = tuple(base | {"step": i + 1, "epoch": (i + 1) / 10, "video": v} for i, v in enumerate(losses))
    return dataclasses.replace(result, curve=points)


def test_a_study_that_learned_has_no_warning(tmp_path):
    """Several classes are named, it beats the untrained model, order matters and the loss fell."""
    assert codes(study(tmp_path / "s")) == []


def name_one(result: FoldResult, others: int) -> FoldResult:
    """Returns a result that names class 1, and class 0 for some subjects of fold 0."""
    kept = result.predictions["subject"].unique().sort()[: others if result.fold == 0 else 0].to_list()
    flat = [[0.6, 0.3, 0.1] if s in kept else [0.2, 0.5, 0.3] for s in result.predictions["subject"]]
    return dataclasses.replace(result, predictions=answers(result.predictions, flat))


@pytest.mark.parametrize(("others", "said"), [(0, True), (1, True), (2, False)])
def test_one_class(tmp_path, others, said):
    """27 of 27 and 26 of 27 subjects in one class are warned of; 25 of 27, below 95 %, are not."""
    folder = change_chosen(study(tmp_path / "s"), lambda r: name_one(r, others))
    warnings = {w.code: w.sentence for w in analyse(folder).warnings}
    assert ("one_class" in warnings) == said
    if said:
        almost = "almost everyone" if others else "everyone"
        assert (
            f"gives {almost} the same answer: {27 - others} of 27 subjects are called “slight impairment”"
            in warnings["one_class"]
        )
        assert "but only 9 are" in warnings["one_class"]


def test_a_class_that_nearly_everyone_is_of_may_be_nearly_every_answer(tmp_path):
    """Where 26 of 27 subjects are of a class and 26 are called so, the model is not blamed."""
    from reports.numbers.controls import study_warnings

    right, blind = np.array([[26, 0], [0, 1]]), np.array([[26, 0], [1, 0]])
    assert study_warnings(right, ("a", "b"), [], None, None) == ()
    assert [w.code for w in study_warnings(blind, ("a", "b"), [], None, None)] == ["one_class"]


def test_not_better_than_untrained(tmp_path):
    """An untrained model of the same score is warned of, with both scores; a better other baseline is not."""
    folder = study(tmp_path / "s")
    analysis = analyse(folder)
    untrained = next(c for c in analysis.results.comparisons if c.other == "untrained")
    assert untrained.difference > 0
    add_baselines(folder, untrained=5.0, frozen_motion=5.0)
    (warning,) = analyse(folder).warnings
    assert warning.code == "not_better_than_untrained"
    value = f"{analysis.results.score:.2f}"
    assert (
        f"the chosen configuration reached macro F1 per subject {value}, and the untrained model 1.00"
        in warning.sentence
    )
    add_baselines(folder, untrained=0.2, frozen_motion=5.0)
    assert codes(folder) == []


def test_nested_estimate_not_better_than_untrained(tmp_path):
    """The choice for outer subjects counts too, where the score that was chosen by is better."""
    folder = study(tmp_path / "s")
    add_baselines(add_outer_folds(folder) / "outer", untrained=5.0)
    (warning,) = analyse(folder).warnings
    assert warning.code == "not_better_than_untrained"
    assert "on subjects that none of them saw" in warning.sentence


@pytest.mark.parametrize(("changed", "said"), [(0, True), (1, True), (2, True), (3, False)])
def test_order_does_not_matter(tmp_path, changed, said):
    """Of 108 windows two are below 2 %, three are not."""

    def other_order(result: FoldResult) -> FoldResult:
        rows = result.predictions["probabilities"].to_list()
        turned = [p[::-1] if p[0] != p[2] and i in unlike(result) else p for i, p in enumerate(rows)]
        return dataclasses.replace(result, shuffled=answers(result.predictions, turned))

    def unlike(result: FoldResult) -> list[int]:
        """Rows of fold 0 whose answer is another one when the classes are turned round."""
        tops = result.predictions["probabilities"].list.arg_max().to_list()
        return [i for i, top in enumerate(tops) if top != 1][: changed if result.fold == 0 else 0]

    folder = change_chosen(study(tmp_path / "s"), other_order)
    analysis = analyse(folder)
    assert analysis.results.shuffled.windows_changed == changed
    assert ([w.code for w in analysis.warnings] == ["order_does_not_matter"]) == said
    if said:
        assert f"{changed} of 108 windows get another answer" in analysis.warnings[0].sentence


def test_shuffled_is_the_same_windows_again(tmp_path):
    """Shares are those of polars on the joined tables, and the difference is that of the two scores."""
    analysis = analyse(study(tmp_path / "s"))
    results = analysis.results.folds_done
    filmed, control = pl.concat([r.predictions for r in results]), pl.concat([r.shuffled for r in results])
    found = analysis.results.shuffled
    for level, units, changed in (("window", 108, found.windows_changed), ("video", 54, found.videos_changed), ("subject", 27, found.subjects_changed)):  # fmt: skip
        one, two = at_level(filmed, level)["predicted"], at_level(control, level)["predicted"]
        assert (len(one), int((one != two).sum())) == (units, changed)
        assert changed > 0
    scores = [score(frame, "subject/macro_f1", 3) for frame in (filmed, control)]
    assert found.order.difference == pytest.approx(scores[0] - scores[1])
    assert found.order.low <= found.order.difference <= found.order.high


def test_without_the_control_nothing_is_said_of_order(tmp_path):
    """A fold that was not scored on shuffled frames, as of a baseline or of an older result, leaves the section out."""
    folder = study(tmp_path / "s")
    results = analyse(folder).results.folds_done
    assert shuffled((*results[:2], dataclasses.replace(results[2], shuffled=None)), "subject/macro_f1", 3) is None
    for result in results:
        (folder / "folds" / result.key / "shuffled.parquet").unlink()
    assert codes(folder) == []
    page = write_report(folder, pdf=False).read_text()
    assert "Does it use motion?" not in page
    assert json.loads((folder / "results.json").read_text())["chosen"]["shuffled"] is None


FLAT, FALLING, RISING = [0.2] * 30, [0.3 - 0.005 * i for i in range(30)], [0.1 + 0.002 * i for i in range(30)]


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        (FLAT, True),
        (RISING, True),
        (FALLING, False),
        ([0.2] * 29 + [0.185], True),  # one lucky step
        ([0.05, *FLAT[1:]], True),
        ([0.01] * 30, False),  # as low from the start as training could make it
        ([0.2 - 0.001 * i / 30 for i in range(30)], True),  # by half a percent
    ],
)
def test_loss_did_not_fall(tmp_path, losses, said):
    """The first fifth of the steps is compared with the last; a loss far below a guess's need not fall."""
    folder = change_chosen(study(tmp_path / "s"), lambda r: with_curve(r, losses))
    analysis = analyse(folder)
    assert ([w.code for w in analysis.warnings] == ["loss_did_not_fall"]) == said
    fall = analysis.results.loss_fall
    assert fall.first == pytest.approx(np.mean(losses[:6]))
    assert fall.last == pytest.approx(np.mean(losses[-6:]))


def test_the_loss_of_a_guess():
    """Of two unordered classes a focal loss costs (1/4)(1/2)^2 ln 2; ordered classes add the mean distance of all pairs."""
    config = TrainConfig().flat()
    assert guess_loss(config, ordinal=False, classes=2) == pytest.approx(0.25 * 0.25 * np.log(2))
    pairs = np.abs(np.subtract.outer(np.arange(4), np.arange(4))).mean() / 3
    assert guess_loss({}, ordinal=True, classes=4) == pytest.approx((0.25 * 0.75**2 + 0.2 * pairs) * np.log(4))


def test_results_of_before_are_judged_by_their_epochs(tmp_path):
    """Without a curve the first and the last epoch are compared and drawn; with one epoch or none there is nothing to say."""
    results = analyse(study(tmp_path / "s")).results.folds_done
    old = tuple(dataclasses.replace(r, curve=()) for r in results)
    fall = loss_fall(old, ordinal=True, classes=3)
    assert (fall.first, fall.last) == pytest.approx((0.16, 0.16 / 3))
    assert [p["epoch"] for p in curve(old[0])] == [1, 2, 3]
    assert len(draw_curves(old)) == 2
    one = tuple(dataclasses.replace(r, history=r.history[:1]) for r in old)
    none = tuple(dataclasses.replace(r, history=()) for r in old)
    for few in (one, none):
        assert loss_fall(few, ordinal=True, classes=3) is None
        assert draw_curves(few) == ()


def test_curves_have_a_line_for_each_fold(tmp_path):
    """Every number that was not always zero has a panel, and the table holds each point of each fold."""
    results = analyse(study(tmp_path / "s")).results.folds_done
    losses, rates = draw_curves(results)
    assert losses.header == ("Fold", "Epoch", "Sum of the losses", "Video loss", "Numeric loss, before its weight", "Distance from the start (anchors)")  # fmt: skip
    assert rates.header[2:] == ("Learning rate of the class texts", "Gradient norm, class texts", "Gradient norm, video prompts")  # fmt: skip
    assert len(losses.rows) == 3 * 30
    assert losses.rows[0] == ("0", "0.1", "2.6", "1.6", "10", "0.002")
    for colour in ("var(--blue)", "var(--vermillion)", "var(--green)"):
        assert losses.svg.count(f"stroke: {colour}") == 4 + 1  # four panels and the legend


def told(folder: Path) -> tuple[Analysis, str, dict, str]:
    """Returns the analysis of a study, its page, its results.json and its card."""
    page = write_report(folder, pdf=False).read_text(encoding="utf-8")
    analysis = analyse(folder)
    return analysis, page, json.loads((folder / "results.json").read_text()), model_card(analysis)


def test_warnings_lead_the_page_and_stand_in_results_and_card(tmp_path):
    """All four at once: in their order, above the answer, by code in results.json, and among the card's limitations."""
    folder = study(tmp_path / "s")

    def blind(result: FoldResult) -> FoldResult:
        flat = answers(result.predictions, [[0.2, 0.5, 0.3]] * len(result.predictions))
        return dataclasses.replace(with_curve(result, FLAT), predictions=flat, shuffled=flat)

    analysis, page, results, card = told(change_chosen(folder, blind))
    assert [w.code for w in analysis.warnings] == CODES
    assert results["warnings"] == [{"code": w.code, "sentence": w.sentence} for w in analysis.warnings]
    places = [page.index(w.sentence) for w in analysis.warnings]
    assert places == sorted(places)
    assert places[-1] < page.index('id="answer-heading"')
    limits = card.split("## Limitations")[1]
    assert "The training loss did not fall: the video loss was 0.2 at the beginning and 0.2 at the end" in limits
    assert "The answers do not depend on the order of frames" in limits


def test_baselines_and_order_are_shown_in_plain_words(tmp_path):
    """The untrained model comes first in the table, with its explanation; page, card and results.json have the control's numbers."""
    analysis, page, results, card = told(study(tmp_path / "s"))
    assert [c["other"] for c in results["chosen"]["comparisons"]] == ["untrained", "frozen_motion"]
    assert "The untrained model: the same model before its first step of training" in page
    assert page.index('<th scope="row">the untrained model</th>') < page.index(
        "the motion read-out without training</th>"
    )
    assert "| The untrained model |" in card
    found = results["chosen"]["shuffled"]
    assert found["windows_share"] == found["windows_changed"] / 108
    assert "Does it use motion?" in page
    worth = f"{found['order']['difference']:+.2f}".replace("-", "−")
    assert f"the order of frames in time is worth {worth} (95 % interval" in page
    assert "With the frames of each held-out window in random order" in card
    assert len(results["chosen"]["curves"][0]["points"]) == 30
    assert analysis.warnings == ()
