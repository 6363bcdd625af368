"""What the page says of outer folds: whose estimate it is, how optimistic the searches were, and what it details."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from reports.documents.page import write_report
from reports.numbers.analysis import analyse
from reports.numbers.calibration import calibration, expected_error
from reports.numbers.detail import detail
from reports.numbers.ledger import check_everything
from reports.numbers.nested import expected_agreement
from reports.numbers.recalibration import calibration_line, temperature, tempered
from tests.errors import coded
from tests.make_study import add_baselines, add_outer_folds, make_study
from trainables.errors import LeakageError
from trainables.study.metrics import at_level
from trainables.study.outer_records import OuterResult
from trainables.study.records import Cohort, FoldResult, StudyRecord


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study with outer folds whose answers are not those of the search: of one subject in three another class is named."""
    folder = add_outer_folds(make_study(tmp_path / "s", trials=2))
    for fold in range(3):
        result = OuterResult.load(folder / "outer", fold)
        wrong = sorted(result.predictions["subject"].unique())[::3]
        turned = pl.when(pl.col("subject").is_in(wrong)).then(pl.col("probabilities").list.reverse())
        changed = result.predictions.with_columns(probabilities=turned.otherwise(pl.col("probabilities")))
        dataclasses.replace(result, predictions=changed).save(folder / "outer")
    return folder


def reported(folder: Path) -> tuple[str, dict]:
    page = write_report(folder, pdf=False).read_text(encoding="utf-8")
    return page, json.loads((folder / "results.json").read_text())


def test_details_are_of_the_nested_predictions(study: Path):
    """Classes, confusion, calibration, mistakes and predictions.parquet are nested; selection data are folded and labelled."""
    page, results = reported(study)
    nested = pl.concat([OuterResult.load(study / "outer", f).predictions for f in range(3)])
    written = pl.read_parquet(study / "predictions.parquet").sort("subject", "video", "window")
    assert written["probabilities"].to_list() == nested.sort("subject", "video", "window")["probabilities"].to_list()
    selection = pl.read_parquet(study / "selection_predictions.parquet").sort("subject", "video", "window")
    assert selection["probabilities"].to_list() != written["probabilities"].to_list()
    units = at_level(nested, "subject")
    assert np.trace(results["nested"]["detail"]["confusion"]) == (units["true"] == units["predicted"]).sum()
    assert results["nested"]["detail"]["confusion"] != results["chosen"]["confusion"]
    assert page.index("These are the nested predictions") < page.index("selection data, optimistic</summary>")
    wrong = at_level(nested, "video").filter(pl.col("true") != pl.col("predicted"))
    assert f"{len(wrong)} of 54 videos" in page


def test_without_outer_folds_details_say_that_they_are_selection_data(tmp_path: Path):
    """A page without a nested estimate says so above its details, and writes one file of predictions."""
    folder = make_study(tmp_path / "s", trials=2)
    assert "These are selection data" in reported(folder)[0]
    assert not (folder / "selection_predictions.parquet").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trials": 40}, "The outer folds were searched with 12 trials and the study with 40"),
        ({"refit": "all"}, "made with --refit all, and the outer folds were scored with --refit folds"),
    ],
)
def test_an_estimate_of_another_procedure_does_not_lead(study: Path, options: dict, said: str):
    """After more trials, or a refit, the old outer folds are no estimate: the page says why and has no nested headline."""
    record = StudyRecord.load(study)
    assert analyse(study).nested.estimate is not None
    dataclasses.replace(record, options=record.options | options).save(study)
    page, results = reported(study)
    assert (results["nested"]["estimate"], results["nested"]["detail"]) == (None, None)
    assert said in results["nested"]["outdated"]
    assert "There is no nested estimate of this study" in page
    assert "per subject, nested" not in page
    assert "These are selection data" in page


def test_baselines_that_outer_folds_lack_are_named(study: Path):
    """A baseline that was added later is on the search's folds alone, which is said."""
    add_baselines(study, untrained=0.2)
    assert any("The outer folds have no baseline untrained" in notice for notice in analyse(study).notices)


def test_an_extended_search_leaves_a_trace(study: Path):
    """Each command is noted, and more trials after a look are said on the page."""
    record = StudyRecord.load(study)
    sessions = tuple({"started": "2026-03-14T09:00:00+00:00", "trials": n} for n in (8, 8, 12))
    dataclasses.replace(record, sessions=sessions).save(study)
    assert any(
        "The search was extended after its results could be seen: 8, then 12 trials" in n
        for n in analyse(study).notices
    )
    dataclasses.replace(record, sessions=sessions[:2]).save(study)
    assert not any("extended" in n for n in analyse(study).notices)


def test_optimism_is_of_the_same_models(study: Path):
    """Models that answer outer subjects as well as inner ones have no optimism, whatever the search's score and the ensemble's."""
    nested = analyse(study).nested
    assert nested.folds[0].inner_score == 0.9
    assert nested.optimism == 0
    assert nested.optimism_low < 0 < nested.optimism_high
    result = OuterResult.load(study / "outer", 1)
    dataclasses.replace(result, by_model=None).save(study / "outer")
    assert analyse(study).nested.optimism is None


def test_optimism_grows_with_what_models_lose_on_outer_subjects(study: Path):
    """Where every model alone is wrong on the outer subjects, optimism is the whole inner score."""
    for fold in range(3):
        result = OuterResult.load(study / "outer", fold)
        wrong = pl.concat_list(*[((pl.col("true") + 1) % 3 == c).cast(pl.Float64) for c in range(3)])
        dataclasses.replace(result, by_model=result.by_model.with_columns(probabilities=wrong)).save(study / "outer")
    analysis = analyse(study)
    inner = next(s for s in analysis.results.levels[0].scores if s.metric == "macro_f1")
    assert analysis.nested.optimism == pytest.approx(inner.value)
    assert analysis.nested.optimism_low > 0.3


def test_every_fold_on_disk_is_checked(study: Path):
    """A fold of a trial that was not chosen, scored on a training subject, is leakage; so is one inside an outer study."""
    assert check_everything(study) == 6
    trial = analyse(study).leaderboard[-1]
    place = study / "folds" / trial.folds[0]
    result = FoldResult.load(place)
    other = analyse(study).splits.folds[0].train[0]
    wrong = result.predictions.with_columns(subject=pl.lit(other))
    dataclasses.replace(result, predictions=wrong).save(place)
    with pytest.raises(LeakageError, check=coded("leakage.scored_outside_test", "fold 0")):
        analyse(study)


def test_agreement_by_chance():
    """Three folds that each take one of two values at random agree on 2.25 on average; all alike always agree."""
    assert expected_agreement([[("a",), ("b",)]] * 3, draws=4000) == pytest.approx(2.25, abs=0.03)
    assert expected_agreement([[("a",)]] * 3) == 3


def test_temperature_is_scikit_learns():
    """The temperature is that of scikit-learn's calibration of a frozen classifier on the same held-out subjects."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 4)), rng.integers(0, 3, 300)
    x[np.arange(300), y] += 0.8
    model = LogisticRegression(C=1e4).fit(6 * x[:60], y[:60])
    shares = model.predict_proba(6 * x[60:])
    oracle = CalibratedClassifierCV(FrozenEstimator(model), method="temperature").fit(6 * x[60:], y[60:])
    rows = {"fold": 0, "window": 0, "subject": [f"s{i:03}" for i in range(240)], "video": "v", "true": y[60:]}
    frame = pl.DataFrame(
        rows | {"probabilities": shares.tolist()}, schema_overrides={"fold": pl.Int64, "window": pl.Int64}
    )
    after = np.array(tempered(frame, temperature(frame))["probabilities"].to_list())
    assert after == pytest.approx(oracle.predict_proba(6 * x[60:]), abs=2e-3)


def certain(seed: int, sharper: float) -> pl.DataFrame:
    """Returns 400 subjects with three probabilities each, from which the truth is drawn, and which are then sharpened."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(3), 400)
    true = (rng.random(400)[:, None] > np.cumsum(shares, 1)[:, :2]).sum(1)
    sharp = shares**sharper / (shares**sharper).sum(1, keepdims=True)
    rows = {"fold": 0, "window": 0, "subject": [f"s{i:03}" for i in range(400)], "video": "v", "true": true}
    return pl.DataFrame(
        rows | {"probabilities": sharp.tolist()}, schema_overrides={"fold": pl.Int64, "window": pl.Int64}
    )


def test_a_calibrated_model_has_the_error_that_is_printed_beside_it():
    """Over 30 cohorts of a perfect model the mean error is the perfect one's; of a sharpened model it is larger."""
    found = [calibration(certain(seed, 1.0)) for seed in range(30)]
    assert np.mean([c.expected_error for c in found]) == pytest.approx(
        np.mean([c.perfect_error for c in found]), abs=0.006
    )
    inside = np.mean([c.perfect_low <= c.expected_error <= c.perfect_high for c in found])
    assert inside >= 0.8
    sure = calibration(certain(0, 3.0))
    assert sure.expected_error > sure.perfect_high
    assert sure.slope < 0.7 < found[0].slope
    assert temperature(certain(0, 3.0)) == pytest.approx(3, abs=0.6)
    assert expected_error(certain(0, 3.0)) == sure.expected_error


def test_calibration_line_is_a_logistic_regression():
    """Slope and intercept are those of scikit-learn's regression without penalty; where all are right there is no line."""
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.4, 0.98, 500)
    right = rng.random(500) < 0.6 * confidence
    x = np.log(confidence / (1 - confidence))[:, None]
    slope, _ = calibration_line(confidence, right)
    assert slope == pytest.approx(LogisticRegression(C=np.inf).fit(x, right).coef_[0, 0], abs=1e-3)
    assert calibration_line(confidence, np.ones(500, bool)) == (None, None)


def test_labels_per_video_are_counted_by_video(tmp_path: Path):
    """A subject's videos of two classes are not averaged by their true class: there is no subject level, and video leads."""
    folder = make_study(tmp_path / "s", trials=1)
    cohort = dataclasses.replace(Cohort.load(folder), per_video_labels=True)
    predictions = analyse(folder).results.predictions
    said = detail(predictions, cohort, ("macro_f1", "accuracy"))
    assert [level.level for level in said.levels] == ["video", "window"]
    assert (said.unit, said.units) == ("video", 54)
    assert said.score("subject/macro_f1") == said.levels[0].scores[0]
    assert said.classes[0].subjects == 9


def test_a_subject_counts_once_however_often_it_is_held_out(tmp_path: Path):
    """Five repeats of the same answers change no interval, of a score, of a class or of the share answered right."""
    folder = make_study(tmp_path / "s", trials=1)
    cohort, once = Cohort.load(folder), analyse(folder).results.predictions
    five = pl.concat([once.with_columns(fold=pl.col("fold") + 3 * r) for r in range(5)])
    one, many = (detail(p, cohort, ("accuracy", "macro_f1")) for p in (once, five))
    assert (one.held_out, many.held_out) == (1, 5)
    assert many.right_interval == pytest.approx(one.right_interval)
    for a, b in zip(one.levels[0].scores, many.levels[0].scores, strict=True):
        assert (b.value, b.low, b.high) == pytest.approx((a.value, a.low, a.high))
    for a, b in zip(one.classes, many.classes, strict=True):
        assert b.recall_interval == pytest.approx(a.recall_interval)
        assert b.f1_interval == pytest.approx(a.f1_interval)


def test_rare_classes_are_said_to_have_no_usable_interval(tmp_path: Path):
    """With five subjects of each class the page says that means over the classes have no interval to rely on."""
    few = analyse(make_study(tmp_path / "few", trials=1, per_class=5))
    assert any("normal gait has 5" in n and "no interval that can be relied on" in n for n in few.notices)
    assert {c.f1_interval for c in few.results.classes} == {None}
    enough = analyse(make_study(tmp_path / "enough", trials=1))
    assert not any("relied on" in n for n in enough.notices)
