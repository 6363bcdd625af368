"""What every test stands on: a quiet, offline, one-threaded process."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests import ROOT

# Read by libraries when they are first imported, in this process and in the workers and subprocesses of tests.
QUIET = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "MPLBACKEND": "Agg",
}
for name, value in QUIET.items():
    os.environ.setdefault(name, value)

settings.register_profile("stridefold", deadline=None)  # a shared machine is slow at times; that is not a failure
settings.load_profile("stridefold")


@pytest.fixture(scope="session")
def root() -> Path:
    """Returns the repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def pose_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of the landmark networks' weights; skips the test where they cannot be fetched."""
    from tests.pose_weights import fetch  # NumPy is imported after what it reads was set

    return fetch(tmp_path_factory.mktemp("pose-weights"))
