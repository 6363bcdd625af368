"""The search command as a user runs it: real videos, real Ray, real Optuna, killed and continued."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests import WALKERS
from tests.tiny import write_place, write_tiny_cohort
from tests.trainables.training.test_progress import read_events, scalars
from trainables.config import TrainConfig
from trainables.ray_loop import open_jobs
from trainables.study.leaderboard import TrialRecord, best, read_trials
from trainables.study.learning_records import LearningRecord, point_predictions
from trainables.study.metrics import mean_of_models, score
from trainables.study.outer_records import OuterResult
from trainables.study.progress import FILE
from trainables.study.records import FoldResult, Splits, StudyRecord
from trainables.training.fold import train_fold

FAST = ["--plain", "--epochs", "1", "--folds", "2", "--frames", "2", "--set", "decoder.width=32", "--set", "decoder.layers=1",
        "--set", "decoder.steps=20"]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a tiny cohort and a tiny backbone."""
    return write_place(tmp_path_factory.mktemp("search"))


def command(place: Path, *options: str) -> list[str]:
    """Returns the command line of a search on the tiny cohort."""
    given = ["--cohort", str(place / "videos" / "cohort.csv"), "--backbone", str(place / "clip")]
    return [sys.executable, "-m", "platform.search", *given, "--studies", str(place / "studies"),
            "--cache", str(place / "cache"), *FAST, *options]  # fmt: skip


def run(place: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs a search to its end."""
    return subprocess.run(command(place, *options), capture_output=True, text=True, timeout=900, check=False)


def results(study: Path) -> dict[str, int]:
    """Returns the modification time of every finished fold's predictions, which are written once."""
    return {
        p.parent.name: p.with_name("predictions.parquet").stat().st_mtime_ns for p in study.glob("folds/*/result.json")
    }


@pytest.mark.slow
def test_a_killed_search_goes_on_and_finishes_without_training_a_fold_twice(place: Path) -> None:
    """SIGKILL in mid-search; the same command completes the study and trains no finished fold again."""
    study = place / "studies" / "killed"
    options = ("--study", "killed", "--trials", "2", "--permutations", "1")
    process = subprocess.Popen(
        command(place, *options), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    until = time.monotonic() + 200
    while not results(study) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    assert process.poll() is None, process.communicate()[0]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = results(study)
    assert 1 <= len(before) < 4

    again = run(place, *options)

    assert again.returncode == 0, again.stdout + again.stderr
    assert "finished folds are reused" in again.stdout
    after = results(study)
    assert {key: after[key] for key in before} == before
    trials = read_trials(study, "killed")
    assert sum(t.state == "COMPLETE" for t in trials) == 2
    assert trials[0].params == {"motion.share": 0.5, "motion.penalty": 10.0}  # the reference comes first
    record = StudyRecord.load(study)
    assert len(record.permutations) == 1
    assert record.finished is not None
    chosen = best(trials, 2)
    assert chosen is not None
    assert (study / "report.html").stat().st_size > 10_000
    words = json.loads((study / "results.json").read_text())["words"]["classes"]
    assert [c["label"] for c in words] == ["healthy", "Alzheimer's disease"]
    # Two subjects of a class are too few to describe it, and each fold says so.
    assert all("a description needs at least 3" in said for c in words for said in c["evidence"]["refusals"])
    assert all(c["evidence"]["refusals"] for c in words)
    splits = Splits.load(study / "splits.json")
    held_out = pl.concat([pl.read_parquet(study / "folds" / key / "predictions.parquet") for key in chosen.folds])
    assert sorted(held_out["subject"].unique()) == sorted(s for fold in splits.folds for s in fold.test)
    trained_alike(study, place / "cache" / "frames", tuple(t for t in trials if t.state == "COMPLETE"))
    seen_training(study, tuple(t for t in trials if t.state == "COMPLETE"))
    found = json.loads((study / "results.json").read_text())
    assert [c["other"] for c in found["chosen"]["comparisons"]][:2] == ["untrained", "frozen_motion"]
    assert "vs. the untrained model: " in again.stdout
    assert f"of {found['chosen']['shuffled']['windows']} window answers; order in time is worth" in again.stdout
    assert [line for line in again.stdout.splitlines() if line.startswith("  warning: ")] == [
        f"  warning: {warning['sentence']}" for warning in found["warnings"]
    ]
    for noise in ("ray::", "(raylet)", "INFO", "WARNING", "Traceback", "experiment", "Tune", "tune-"):
        assert noise not in again.stdout + again.stderr

    other = run(place, "--study", "killed", "--trials", "2", "--epochs", "2")
    assert other.returncode == 1
    assert "--epochs 1" in other.stderr
    assert "[study.option_changed]" in other.stderr


def seen_training(study: Path, trials: tuple[TrialRecord, ...]) -> None:
    """Every fold of a trial has its curve as TensorBoard events, whichever session trained it, and none is in progress."""
    for trial in trials:
        for fold, key in enumerate(trial.folds):
            events = read_events(study / "tensorboard" / f"trial-{trial.number}" / f"fold-{fold}")
            losses = [value for _, value in scalars(events)["loss/total"]]
            assert losses == pytest.approx([p["loss"] for p in FoldResult.load(study / "folds" / key).curve], rel=1e-6)
    assert list(study.glob(f"folds/*/{FILE}")) == []


def trained_alike(study: Path, cache: Path, trials: tuple[TrialRecord, ...]) -> None:
    """Trains every fold of the trials here, one after the other: what a process keeps from trial to trial changes no result."""
    for trial in reversed(trials):
        for fold, key in enumerate(trial.folds):
            job = open_jobs(study, cache, [""] * fold + [key], "cpu")[fold]
            here = train_fold(TrainConfig.from_flat(trial.config), replace(job, folder=study / "again" / key))
            there = FoldResult.load(study / "folds" / key)
            assert_frame_equal(here.predictions, there.predictions, abs_tol=1e-4)


@pytest.mark.slow
def test_everything_a_search_can_be_asked_for_comes_together(place: Path) -> None:
    """A user's space with a bad configuration in it, pruning, baselines, nested folds and a refit, in one study."""
    space = place / "space.py"
    space.write_text(
        "def suggest(trial, reference):\n"
        "    model = trial.suggest_categorical('model', ['parameters', 'clip'])\n"
        "    return reference.with_values({'model': model})\n"
    )
    study = place / "studies" / "all"
    asked = ("--space", f"{space}:suggest", "--sampler", "grid", "--trials", "5", "--concurrency", "1", "--folds", "2")
    more = ("--baselines", "parameters,linear_probe,tuned_parameters", "--outer-folds", "2", "--choose", "one_se")
    done = run(place, "--study", "all", *asked, *more, "--cohort", str(large_cohort(place)))
    assert done.returncode == 0, done.stdout + done.stderr
    reference, *others = read_trials(study, "all")
    assert (reference.state, reference.params) == ("COMPLETE", {"model": "clip"})
    assert [t.params for t in others] == [
        {"model": "parameters"}
    ]  # the grid has two configurations, and five were asked for
    assert all(t.costs["trained_parameters"] > 0 for t in (reference, *others))
    found = json.loads((study / "results.json").read_text())
    chosen = found["chosen"]
    assert [c["other"] for c in chosen["comparisons"]][:2] == ["parameters", "linear_probe"]
    parameters = next(c for c in chosen["comparisons"] if c["other"] == "parameters")
    assert parameters["value"] == pytest.approx(chosen["score"])
    nested = found["nested"]
    splits = Splits.load(study / "outer" / "splits.json")
    assert [f["subjects"] for f in nested["folds"]] == [len(f.test) for f in splits.folds]
    for fold in splits.folds:
        scored = OuterResult.load(study / "outer", fold.index)
        assert (scored.trials, scored.refit) == (5, "folds")
        models = 2 if scored.config["model"] == "clip" else 0
        assert (0 if scored.by_model is None else scored.by_model["model"].n_unique()) == models
    assert (nested["outdated"], nested["detail"]["unit"]) == ("", "subject")
    for fold in splits.folds:
        inner = pl.read_parquet(study / "outer" / str(fold.index) / "cohort.parquet")
        scored = pl.read_parquet(study / "outer" / str(fold.index) / "predictions.parquet")
        assert set(scored["subject"]) == set(fold.test)
        assert not set(inner["subject"]) & set(fold.test)
    assert (
        f"nested estimate, subjects that no search saw: subject/macro_f1 {nested['estimate']['value']:.3f}"
        in done.stdout
    )
    assert json.loads((study / "best" / "configuration.json").read_text())["trial"] == chosen["trial"]
    assert (study / "best" / "predict.txt").read_text() == f"python -m platform.predict {study} VIDEO ...\n"


@pytest.mark.slow
def test_outer_subjects_are_scored_as_the_study_predicts(place: Path) -> None:
    """Each inner model's answers are kept beside their mean; with --refit all one model of all inner subjects scores again."""
    options = ("--study", "outer", "--trials", "1", "--folds", "2", "--outer-folds", "2", "--baselines", "none")
    done = run(place, *options, "--cohort", str(large_cohort(place)))
    assert done.returncode == 0, done.stdout + done.stderr
    outer = place / "studies" / "outer" / "outer"
    for fold in range(2):
        scored = OuterResult.load(outer, fold)
        assert scored.by_model["model"].unique().sort().to_list() == [0, 1]
        assert_frame_equal(scored.predictions, mean_of_models(scored.by_model))
    nested = json.loads((outer.parent / "results.json").read_text())["nested"]
    assert nested["optimism_low"] <= nested["optimism"] <= nested["optimism_high"]
    again = run(place, *options, "--refit", "all", "--learning-curve", "--cohort", str(large_cohort(place)))
    assert again.returncode == 0, again.stdout + again.stderr
    refitted = [OuterResult.load(outer, fold) for fold in range(2)]
    assert [(r.refit, r.by_model, len(r.scorings)) for r in refitted] == [("all", None, 2)] * 2
    assert not refitted[0].predictions.equals(mean_of_models(scored.by_model))
    results = json.loads((outer.parent / "results.json").read_text())
    assert results["nested"]["estimate"] is not None
    assert [session["refit"] for session in results["sessions"]] == ["folds", "all"]
    shares_of_the_subjects(outer.parent, results, again.stdout)


def shares_of_the_subjects(study: Path, results: dict[str, Any], said: str) -> None:
    """The learning curve has a point for each share, scored on the study's own held-out subjects by models of fewer subjects."""
    points = results["learning_curve"]["points"]
    # Of three subjects of a class 60 and 80 % are the same two, so that 60 % is not a point of its own.
    assert [p["share"] for p in points] == [40, 80, 100]
    assert [p["subjects"] for p in points] == [2, 4, 6]
    assert points[-1]["score"]["value"] == pytest.approx(results["chosen"]["score"])
    record, splits = LearningRecord.load(study), Splits.load(study / "splits.json")
    for point in record.points:
        held_out = point_predictions(study, (0, 1), point)
        assert set(held_out["subject"]) == {s for fold in splits.folds for s in fold.test}
        assert f"learning curve: {score(held_out, 'subject/macro_f1', 2):.3f} with " in said
    assert len({key for point in record.points for key in point.keys}) == 6
    assert "Would more patients help?" in (study / "report.html").read_text(encoding="utf-8")


def large_cohort(place: Path) -> Path:
    """Returns a cohort of twelve subjects, enough for folds inside folds."""
    folder = place / "large"
    if not folder.exists():
        folder.mkdir()
        write_tiny_cohort(folder, subjects=12, videos=1)
    return folder / "cohort.csv"


@pytest.mark.slow
def test_a_bad_trial_is_stopped_at_a_folds_end_and_the_next_one_runs(place: Path) -> None:
    """A trial that is behind on the first fold's subjects is PRUNED without a score, and its workers are free again."""
    space = place / "worse.py"
    space.write_text(
        "def suggest(trial, reference):\n"
        "    seed = trial.suggest_int('seed', 0, 9)\n"
        "    return reference.with_values({'seed': seed} if trial.number == 0 else {'seed': seed, 'model': 'clip'})\n"
    )
    asked = ("--space", f"{space}:suggest", "--set", "model=parameters", "--trials", "3", "--concurrency", "1")
    longer = ("--epochs", "6", "--frames", "8", "--prune", "0.5")  # the workers are a fold ahead of who stops them
    done = run(place, "--study", "pruned", *asked, *longer, "--cohort", str(large_cohort(place)))
    assert done.returncode == 0, done.stdout + done.stderr
    first, *others = read_trials(place / "studies" / "pruned", "pruned")
    assert first.scored
    pruned = [t for t in others if t.state == "PRUNED"]
    assert pruned, [(t.state, t.value) for t in others]
    for trial in pruned:
        assert trial.value is None
        assert len(trial.folds) == 1
        assert "to trial 0 on the same 6 subjects (p = " in trial.problem
        assert f"search, trial {trial.number} stopped after fold 1 of 2: {trial.problem}" in done.stdout
    assert best((first, *others), 2) == first


@pytest.mark.slow
def test_a_trial_that_diverges_fails_with_its_step_and_the_exit_status_says_so(place: Path) -> None:
    """A learning rate without sense: the trial is FAIL in the study, with the step, and there is no best."""
    done = run(place, "--study", "diverged", "--trials", "1", "--set", "optimizer.lr=1e30")
    assert done.returncode == 1
    assert "fold 0, step" in done.stderr
    assert "[search.no_finished_trial]" in done.stderr
    (trial,) = read_trials(place / "studies" / "diverged", "diverged")
    assert trial.state == "FAIL"
    assert best((trial,), 2) is None


@pytest.mark.slow
def test_workers_that_can_never_fit_end_with_a_sentence(place: Path) -> None:
    """More workers than the machine has CPUs is said at once instead of waiting forever."""
    done = run(place, "--study", "large", "--workers", "500")
    assert done.returncode == 1
    assert "500" in done.stderr
    assert "[ray.workers_do_not_fit]" in done.stderr


def test_a_second_search_in_the_same_folder_names_the_holder(place: Path) -> None:
    """The lock says which process works in the folder."""
    from platform.study import lock

    with lock(place / "studies" / "held"):
        done = run(place, "--study", "held")
    assert done.returncode == 1
    assert f"process {os.getpid()} on " in done.stderr
    assert "[study.in_use]" in done.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--folds", "1"), "--folds is 1, but must be at least 2"),
        (("--trials", "0"), "--trials is 0, but must be at least 1"),
        (("--metric", "auc"), "--metric auc is not known; use one of macro_f1, balanced_accuracy"),
        (
            ("--space", "huge"),
            "--space huge is not known; use one of smoke, prompts, motion, numeracy, optimizer, full",
        ),
        (("--sampler", "grid"), "--space smoke: a configuration cannot be drawn"),
        (("--outer-folds", "1"), "--outer-folds is 1, but must be at least 2, or 0 for none"),
        (("--prune", "0.9"), "--prune is 0.9, but must be a p-value from 0 (never) to 0.5"),
        (
            ("--baselines", "svm"),
            "--baselines svm is not known; use none alone, or some of untrained, frozen_motion, parameters, linear_probe, tuned_parameters",
        ),
        (("--fold", "2"), "--fold 2 asked for, but the study has 2 folds (0-1)"),
        (
            ("--fold", "0", "--repeats", "2"),
            "--fold runs one fold alone, so it does not go with --outer-folds or --repeats",
        ),
        (("--fold-column", "site"), "there is no column 'site'"),
        (("--outer-folds", "2"), "--outer-folds 2 leaves too few subjects in outer fold 0: class"),
        (("--set", "lr"), "--set lr is not NAME=VALUE"),
        (("--set", "optimizer.rate=1"), "'optimizer.rate' is not a setting"),
        (("--set", "text.n_ctx=80"), "the longest prompt length (n_ctx) that fits is"),
        (("--column", "subject"), "--column subject is not OURS=YOURS"),
        (("--backbone", "/nowhere"), "--backbone /nowhere is neither 'small' nor a folder"),
    ],
)
def test_a_wrong_option_is_one_sentence(place: Path, options: tuple[str, ...], sentence: str,
                                        capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    """Nothing is trained, nothing is a traceback."""
    from platform.search import main

    assert main(command(place, "--study", "wrong", *options)[3:]) == 1
    assert sentence in capsys.readouterr().err


def test_every_option_has_its_default_in_the_help() -> None:
    """--help explains each option of the search."""
    import dataclasses
    from platform.options import SearchOptions

    shown = subprocess.run(
        [sys.executable, "-m", "platform.search", "--help"], capture_output=True, text=True, check=True
    )
    for field in dataclasses.fields(SearchOptions):
        name = {"settings": "set"}.get(field.name, field.name).replace("_", "-")
        assert f"--{name} " in shown.stdout or f"--{name}\n" in shown.stdout
    assert "(default: smoke)" in " ".join(shown.stdout.split())


@pytest.mark.slow
@pytest.mark.skipif(not WALKERS.exists(), reason="the real-motion cohort is not on this machine")
def test_real_motion_runs_to_its_report_with_the_embedded_backbone(place: Path) -> None:
    """Real people, four classes that no task file knows, and numeric columns that are not among the 29."""
    table = pl.read_csv(WALKERS)
    measured = table.columns[table.columns.index("walking_speed_m_per_s") :]
    asked = [word for column in measured for word in ("--parameter", column)]
    quick = ["--trials", "1", "--epochs", "1", "--frames", "4", "--set", "decoder.steps=20"]
    given = ["--cohort", str(WALKERS), "--label", "diagnosis", "--folds", "2", "--plain", *quick, *asked]
    where = ["--studies", str(place / "studies"), "--cache", str(place / "cache")]
    done = subprocess.run(
        [sys.executable, "-m", "platform.search", *given, *where],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    people = table.group_by("diagnosis").agg(pl.col("subject").n_unique()).sort("diagnosis").rows()
    counts = ", ".join(f"{count} {name}" for name, count in people)
    assert f"{len(table)} videos of {table['subject'].n_unique()} subjects ({counts})" in done.stdout
    page = (place / "studies" / "cohort-diagnosis" / "report.html").read_text()
    assert "Neurological Defect" in page
    assert "walkers of this cohort are simulated" not in page.lower()
    assert "Simulated cohort" not in page
    names = [
        p["name"]
        for p in json.loads((place / "studies" / "cohort-diagnosis" / "cohort.json").read_text())["parameters"]
    ]
    assert {"walking speed", "toe clearance", "knee range left right difference"} <= set(names)
    assert len(names) == 12  # those that were asked for; view_degree was not
