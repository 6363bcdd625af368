"""What training computes, held against what this version of it is on record to compute.

`python -m tests.trainables.training.test_training_version` puts what it computes now on record, after TRAINING_VERSION was raised.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pytest

from tests import DATA
from tests.tiny import save_tiny_clip
from tests.tiny_cohort import CONFIG, TASK
from trainables.config import TrainConfig
from trainables.inference.class_descriptions import describe_fold
from trainables.model.backbone import load_backbone
from trainables.study.records import Cohort, Fold, Parameter
from trainables.study.training_version import TRAINING_VERSION, source_hash
from trainables.training.fold import train_fold
from trainables.training.frozen import FrozenFeatures
from trainables.training.job import FoldJob

RECORD = DATA / "training-version.json"
PARAMETERS = tuple(Parameter(key=name, name=name, unit="") for name in ("speed", "cadence", "step length"))
TOLERANCE = 1e-3
"""Of every number, and of its size. Between processors the numbers below differ by less than 1e-5."""


def cohort_of_arrays(folder: Path) -> Cohort:
    """Returns six subjects whose frames are drawn without any video, so that no codec's version is in them."""
    draws, rows = np.random.default_rng(0), []
    for number in range(8):
        label = int(number >= 4)
        frames = draws.integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
        frames[:, :, : 12 + 8 * label] //= 4
        np.save(folder / f"{number}.npy", frames)
        values = draws.normal([1.2 - 0.5 * label, 110 - 15 * label, 60 - 20 * label], [0.1, 5, 4])
        rows.append(
            {"subject": f"S{number % 4 + 4 * label}", "video": f"{number}.mp4", "path": "", "sha256": f"{number}",
             "label": label, "frames": 60, "cached": f"{number}.npy"} | dict(zip([p.key for p in PARAMETERS], values, strict=True))
        )  # fmt: skip
    return Cohort(
        name="arrays",
        simulated=True,
        label="gait",
        classes=tuple(c.name for c in TASK.classes),
        parameters=PARAMETERS,
        videos=pl.DataFrame(rows),
    )


def computed(folder: Path, config: TrainConfig = CONFIG) -> dict[str, object]:
    """Returns what training and describing a fold of a tiny model come to."""
    frozen = FrozenFeatures(load_backbone(str(save_tiny_clip(folder / "clip"))), TASK, [p.name for p in PARAMETERS])
    cohort = cohort_of_arrays(folder)
    subjects = cohort.subjects()["subject"].to_list()
    fold = Fold(index=0, train=tuple(s for s in subjects if s not in ("S0", "S7")), test=("S0", "S7"))
    job = FoldJob(cohort=cohort, fold=fold, frozen=frozen, cache=folder, folder=folder / "fold", key="fold")
    result = train_fold(config, job)
    describe_fold(job)
    losses = [{name: value for name, value in epoch.items() if name != "seconds"} for epoch in result.history]
    return {
        "version": TRAINING_VERSION,
        "losses": losses,
        "probabilities": result.predictions["probabilities"].to_list(),
        "class_similarity": result.class_similarity,
        "trained_parameters": result.trained_parameters,
        "reconstruction": type(result).load(job.folder).reconstruction,
        "words": sorted({value.parameter for words in type(result).load(job.folder).decoded for value in words.values}),
    }


def differences(now: object, recorded: object, where: str = "") -> list[str]:
    """Returns the places at which two nested records differ by more than another processor explains."""
    if isinstance(now, dict) and isinstance(recorded, dict):
        found = [] if now.keys() == recorded.keys() else [f"{where}: {sorted(now)} instead of {sorted(recorded)}"]
        return found + [
            d
            for name in now.keys() & recorded.keys()
            for d in differences(now[name], recorded[name], f"{where} {name}")
        ]
    if isinstance(now, list | tuple) and isinstance(recorded, list):
        found = [] if len(now) == len(recorded) else [f"{where}: {len(now)} instead of {len(recorded)}"]
        return found + [
            d for i, (a, b) in enumerate(zip(now, recorded, strict=False)) for d in differences(a, b, f"{where} {i}")
        ]
    if isinstance(now, float) and isinstance(recorded, int | float):
        return (
            []
            if abs(now - recorded) <= TOLERANCE * max(1.0, abs(recorded))
            else [f"{where}: {now} instead of {recorded}"]
        )
    return [] if now == recorded else [f"{where}: {now} instead of {recorded}"]


def test_what_training_computes_is_what_its_version_computed(tmp_path: Path) -> None:
    """A change of results without a new version would mix old folds with new ones in one study."""
    recorded = json.loads(RECORD.read_text())
    found = differences(json.loads(json.dumps(computed(tmp_path))), recorded)
    assert not found, (
        "training computes something else than it is on record to compute: raise TRAINING_VERSION in "
        "trainables/study/training_version.py, unless it was raised since the last release, and run "
        f"python -m tests.trainables.training.test_training_version; {found}"
    )


@pytest.mark.parametrize(
    "change", [{"optimizer.lr": 2e-3}, {"numeracy.weight": 0.2}, {"seed": 1}, {"optimizer.focal_gamma": 0.0}]
)
def test_a_change_of_what_is_computed_is_seen(change: dict[str, float], tmp_path: Path) -> None:
    """The tolerance for processors is not so wide that another rate, scale, draw or loss would pass."""
    recorded = json.loads(RECORD.read_text())
    assert differences(json.loads(json.dumps(computed(tmp_path, CONFIG.with_values(change)))), recorded)


def test_the_hash_of_the_source_is_of_all_of_it() -> None:
    """It is as long as it is noted, and the same each time."""
    assert source_hash() == source_hash()
    assert len(source_hash()) == 16


if __name__ == "__main__":
    with TemporaryDirectory() as name:
        RECORD.write_text(json.dumps(computed(Path(name)), indent=1) + "\n")
    print(f"{RECORD} has what version {TRAINING_VERSION} computes", file=sys.stderr)
