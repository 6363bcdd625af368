"""A search, its study and its models from Python, in the caller's own Ray session."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import stridefold
from tests.tiny import write_place
from tests.videos import write_video

SCRIPT = """
import json, sys
import ray
import stridefold

place = sys.argv[1]
ray.init(num_cpus=2, log_to_driver=False, logging_level="ERROR")
kept = ray.put("still there")
options = dict(label="diagnosis", trials=1, folds=2, epochs=1, frames=2, baselines="none", backbone=f"{place}/clip",
               studies=f"{place}/studies", cache=f"{place}/cache", study="api",
               settings={"decoder.width": 32, "decoder.layers": 1, "decoder.steps": 5})
study = stridefold.search(f"{place}/videos/cohort.csv", **options)
predictor = study.predictor(device="cpu", cache=f"{place}/cache")
answers = predictor.predict(f"{place}/new.mp4")
again = predictor.predict([f"{place}/new.mp4", f"{place}/videos/S0_0.mp4"])
table = predictor.predict(f"{place}/videos/cohort.csv")
found = {
    "kept": ray.get(kept),
    "works": ray.get(ray.remote(lambda: 7).remote()),
    "folder": str(study.folder),
    "finished": study.record.finished is not None,
    "trials": len(study.trials),
    "held_out": sorted(study.predictions["subject"].unique()),
    "classes": predictor.classes,
    "answers": answers.videos.rows(named=True),
    "again": again.videos["class"].to_list(),
    "cautions": [answers.cautions, again.cautions],
    "levels": sorted(table.table["level"].unique()),
    "shown": answers._repr_html_(),
    "document": sorted(answers.document),
    "results": study.results,
}
open(f"{place}/found.json", "w").write(json.dumps(found))
"""


@pytest.mark.slow
def test_a_search_and_its_models_in_the_callers_own_ray_session(tmp_path: Path) -> None:
    """Values come back, nothing is printed, the session lives; the models answer, and name a subject of the training."""
    place = write_place(tmp_path)
    write_video(place / "new.mp4", frames=60, seed=777)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(place)], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == ""
    found = json.loads((place / "found.json").read_text())
    assert (found["kept"], found["works"]) == ("still there", 7)
    assert found["folder"] == str(place / "studies" / "api")
    assert (found["finished"], found["trials"]) == (True, 1)
    with (place / "videos" / "cohort.csv").open() as file:
        assert found["held_out"] == sorted({row["subject"] for row in csv.DictReader(file)})
    [answer] = found["answers"]
    assert answer["class"] in found["classes"]
    assert sum(answer[f"probability of {name}"] for name in found["classes"]) == pytest.approx(1.0)
    assert found["again"][0] == answer["class"]
    assert not any("warning: " in line and "S0" in line for line in found["cautions"][0])
    assert any("is in the study's cohort (subject S0)" in line for line in found["cautions"][1])
    assert found["levels"] == ["subject", "video", "window"]
    assert "not a medical device" in found["shown"]
    assert {"notice", "windows", "videos"} <= set(found["document"])
    Draft202012Validator(stridefold.results_schema()).validate(found["results"])
