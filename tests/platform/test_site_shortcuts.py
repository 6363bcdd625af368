"""Whole searches of two simulated cohorts: labels that hang on the site are caught, labels that do not are not."""

import json
import subprocess
import sys
from typing import Any

import pytest

SCRIPT = """
import sys
from pathlib import Path

import polars as pl
import ray
import stridefold
from trainables.simulation.cohort import simulate_cohort

place = Path(sys.argv[1])
ray.init(num_cpus=1, log_to_driver=False, logging_level="ERROR")
alike = {"hung": ("videos/S10_1.mp4=videos/S36_1.mp4", "videos/S18_1.mp4=videos/S19_1.mp4"),
         "even": ("videos/S18_1.mp4=videos/S19_1.mp4",)}  # of one room
runs = {"folds": dict(folds=3, attribute="site", baselines="attributes,recording,single_frame"),
        "sites": dict(fold_column="held_out", outer_folds=4, baselines="none")}
for name, bias in (("hung", 0.8), ("even", 0.0)):
    cohort = simulate_cohort(place / name, subjects=48, videos_per_subject=(1, 1), seconds=4, size=64, seed=5, sites=4,
                             site_bias=bias)
    table = pl.read_csv(cohort)
    table.with_columns(held_out="site").write_csv(cohort)  # under another name, as the site is read from the features once
    for kind, options in runs.items():
        stridefold.search(str(cohort), label="diagnosis", trials=1, settings={"model": "linear_probe"},
                          study=f"{name}-{kind}", studies=str(place / "studies"), cache=str(place / "cache"),
                          allow_duplicate=alike[name], **options)
"""
"""The model is a linear read-out of the frozen video features: it takes whatever the pictures offer, and trains in a second."""

Results = dict[str, Any]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Results]:
    """Returns results.json of both cohorts, with random folds and with one site held out at a time."""
    place = tmp_path_factory.mktemp("shortcuts")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(place)], capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folders = sorted((place / "studies").iterdir())
    assert [f.name for f in folders] == ["even-folds", "even-sites", "hung-folds", "hung-sites"]
    pages = {f.name: json.loads((f / "results.json").read_text()) for f in folders}
    for folder in folders:
        pages[folder.name]["page"] = (folder / "report.html").read_text()
    return pages


def own(found: Results) -> float:
    """Returns the model's score per subject with random folds."""
    return float(found["chosen"]["comparisons"][0]["value"])


def shortcuts(found: Results) -> dict[str, float]:
    """Returns the shortcuts' scores on the same folds."""
    return {c["other"]: c["other_value"] for c in found["chosen"]["comparisons"]}


def fall(results: dict[str, Results], cohort: str) -> float:
    """Returns how much lower the model scores at sites that it has not seen than at sites that it has."""
    return own(results[f"{cohort}-folds"]) - float(results[f"{cohort}-sites"]["nested"]["estimate"]["value"])


@pytest.mark.long
def test_labels_that_hang_on_the_site_are_caught(results: dict[str, Results]) -> None:
    """Site and file alone do as well as the model, which the page says first; held-out sites take away what the site gave."""
    found = results["hung-folds"]
    scores = shortcuts(found)
    assert min(scores["attributes"], scores["recording"]) > 0.7
    warnings = [w for w in found["warnings"] if w["code"] == "not_better_than_shortcut"]
    assert found["warnings"][: len(warnings)] == warnings
    assert {"attributes", "recording"} <= {c["other"] for c in found["chosen"]["comparisons"] if c["low"] <= 0}
    assert warnings[0]["sentence"] in found["page"]
    assert found["page"].index(warnings[0]["sentence"]) < found["page"].index("<table")
    assert found["chosen"]["readable"][0]["p_value"] < 0.05
    assert len(results["hung-sites"]["nested"]["folds"]) == 4
    assert fall(results, "hung") > 0.15


@pytest.mark.long
def test_labels_that_do_not_are_not(results: dict[str, Results]) -> None:
    """Neither site nor file is near the model, no warning names them, and held-out sites are scored as well as others."""
    found = results["even-folds"]
    scores = shortcuts(found)
    assert max(scores["attributes"], scores["recording"]) < 0.4
    said = " ".join(w["sentence"] for w in found["warnings"])
    assert "attributes" not in said
    assert "recording" not in said
    assert own(found) > 0.5
    assert fall(results, "even") < 0.1
