"""`--dry-run`: what a search comes to, in numbers and as a user sees it."""

import re
import subprocess
import sys
from pathlib import Path
from platform.next_step import next_line
from platform.options import SearchOptions
from platform.search import in_earnest
from platform.workload import average_fold, fold_seconds, frame_bytes, training_seconds, workload

import pytest

from tests.tiny import write_place
from trainables.config import TrainConfig
from trainables.inference.timing import Times

TIMES = Times(
    decode=0.0, frozen=0.0, prepare=2.0, step=0.5, window=0.1, decoder_step=0.25, trained_parameters=1000, peak_memory=0
)


def test_every_training_is_counted():
    """Trials x folds x seeds of the search, of each outer fold and of each permutation; baselines on outer folds too."""
    options = SearchOptions(trials=10, training_seeds=2, outer_folds=3, permutations=4, permutation_trials=5, refit="all",
                            baselines=("untrained", "parameters"))  # fmt: skip
    work = workload(options, 5, [5, 5, 4])
    assert (work.search, work.nested, work.permuted, work.refits) == (100, 280, 200, 2)
    assert work.clips == 582
    assert work.baselines == {"untrained": 8, "parameters": 8}
    assert work.described == 5 + 14 + 1


def test_a_fold_of_average_size():
    """Steps are the budget, or passes over the training windows; windows are those of the held-out videos."""
    config = TrainConfig().with_values({"optimizer.steps": 300})
    assert average_fold(config, [140] * 10, 5).windows == 4  # two windows each of two videos
    assert average_fold(config, [140] * 10, 5).steps == 300
    passes = config.with_values({"optimizer.steps": 0, "optimizer.epochs": 3, "optimizer.batch_size": 4})
    assert average_fold(passes, [140] * 10, 5).steps == 3 * 8  # 8 videos of 4 training windows, in eights of 4


def test_seconds_and_bytes():
    """Times add up as a fold does its work, are shared among trials at a time, and baselines without steps take none."""
    config = TrainConfig().with_values({"optimizer.steps": 100, "decoder.steps": 8})
    fold = average_fold(config, [140] * 10, 5)
    assert fold_seconds(fold, TIMES) == pytest.approx(2 + 100 * 0.5 + 4 * 0.1)
    assert fold_seconds(fold, TIMES, workers=2) == pytest.approx(2 + 50 * 0.5 + 2 * 0.1)
    work = workload(SearchOptions(trials=3, baselines=("untrained", "parameters")), 5, [])
    alone = 15 * 52.4 + 5 * 2.4 + 5 * (2 + 8 * 0.25)
    assert training_seconds(work, fold, {"clip": TIMES}, config, workers=1, concurrent=1) == pytest.approx(alone)
    assert training_seconds(work, fold, {"clip": TIMES}, config, workers=1, concurrent=4) == pytest.approx(alone / 4)
    assert frame_bytes(600, 10) == 600 * 300 * 7 // 6


def test_the_same_command_in_earnest(tmp_path: Path):
    """What comes after a dry run is its command line without --dry-run, whether that was written out, shortened or in a file."""
    assert in_earnest(["--dry-run", "--trials", "4"]) == ["--trials", "4"]
    assert in_earnest(["--dry-r", "--trials", "4"]) == ["--dry-r", "--trials", "4", "--no-dry-run"]
    (tmp_path / "gait.toml").write_text("dry-run = true")
    config = ["--config", str(tmp_path / "gait.toml")]
    assert in_earnest(config) == [*config, "--no-dry-run"]


@pytest.mark.slow
def test_the_command_trains_nothing(tmp_path: Path):
    """It checks the cohort, times a step, prints what would be done and how to begin, and leaves no study and no frames."""
    write_place(tmp_path)
    line = [sys.executable, "-m", "platform.search", "--dry-run", "--cohort", str(tmp_path / "videos" / "cohort.csv"),
            "--backbone", str(tmp_path / "clip"), "--studies", str(tmp_path / "studies"), "--cache", str(tmp_path / "cache"),
            "--plain", "--epochs", "1", "--folds", "2", "--frames", "2", "--trials", "4", "--outer-folds", "3"]  # fmt: skip
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    for part in ("to train: 4 trials x 2 folds = 8 folds", "nested: 4 trials x 2 folds x 3 outer folds = 24 folds more",
                 "5 folds of untrained", "where: this machine with", "s an optimiser step", "memory:", "GiB are free there",
                 ):  # fmt: skip
        assert part in done.stdout, done.stdout
    again = [word for word in line[3:] if word != "--dry-run"]
    assert done.stdout.splitlines()[-1] == next_line("search", *again)
    assert not (tmp_path / "studies").exists()
    assert list((tmp_path / "cache").rglob("*.npy")) == []
    wrong = subprocess.run([*line, "--folds", "9"], capture_output=True, text=True, timeout=300, check=False)
    assert wrong.returncode == 1
    assert "--folds 9" in wrong.stderr
    assert "6" in wrong.stderr
    assert "[cohort.problems]" in wrong.stderr


ON_A_CLUSTER = """
import sys
from platform.search import main
from ray.cluster_utils import Cluster

cluster = Cluster()
cluster.add_node(num_cpus=0, resources={"tune_driver": 4}, include_dashboard=False)
cluster.add_node(num_cpus=1, include_dashboard=False)
status = main([*sys.argv[1:], "--address", cluster.address])
cluster.shutdown()
sys.exit(status)
"""


@pytest.mark.slow
def test_a_step_is_timed_on_a_machine_of_the_cluster(tmp_path: Path):
    """The head has no CPU for it, so the worker takes the steps; what comes next has the address too."""
    write_place(tmp_path)
    line = ["--dry-run", "--cohort", str(tmp_path / "videos" / "cohort.csv"), "--backbone", str(tmp_path / "clip"),
            "--studies", str(tmp_path / "studies"), "--cache", str(tmp_path / "cache"), "--plain", "--epochs", "1",
            "--folds", "2", "--frames", "2", "--trials", "1", "--baselines", "none"]  # fmt: skip
    command = [sys.executable, "-c", ON_A_CLUSTER, *line]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"where: the cluster at \S+ with 1 CPU and 0 GPUs runs 1 trial", done.stdout), done.stdout
    assert "s an optimiser step" in done.stdout
    assert "--address" in done.stdout.splitlines()[-1]
    assert not (tmp_path / "studies").exists()
