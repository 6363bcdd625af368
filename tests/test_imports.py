"""Which packages a room must do without, tried out in a process where they cannot be imported."""

import json
import subprocess
import sys

import pytest

IMPORT_ALL = """
import importlib, json, pkgutil, sys
blocked, prefixes, excluded = json.loads(sys.argv[1])

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in blocked else self.finder.find_spec(name, path, target)

sys.meta_path = [Hiding(finder) for finder in sys.meta_path]
try:
    importlib.import_module(blocked[0])
except ImportError:
    pass
else:
    raise SystemExit(f"{blocked[0]} is not hidden")

def modules(package):
    yield package
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        yield found.name

roots = {prefix.partition(".")[0] for prefix in prefixes}
names = [
    name
    for root in sorted(roots)
    for name in modules(root)
    if name not in excluded and any((name + ".").startswith(prefix + ".") for prefix in prefixes)
]
failures = {}
for name in names:
    try:
        importlib.import_module(name)
    except ImportError as error:
        failures[name] = str(error)
print(json.dumps([names, failures]))
"""
WITHOUT_TORCH = [
    "trainables.config",
    "trainables.errors",
    "trainables.study.records",
    "trainables.study.metrics",
    "trainables.study.leaderboard",
    "trainables.knowledge",
    "trainables.cohort.manifest",
    "trainables.data.windows",
    "search_spaces",
    "reports",
]


def import_without(blocked: list[str], prefixes: list[str], excluded: list[str]) -> tuple[list[str], dict[str, str]]:
    """Returns the modules that were tried, and the error of each that cannot be imported without the blocked packages."""
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORT_ALL, json.dumps([blocked, prefixes, excluded])],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    names, failures = json.loads(process.stdout.splitlines()[-1])
    return names, failures


@pytest.mark.slow
def test_training_needs_no_ray() -> None:
    """Everything in trainables but ray_loop imports where Ray is not installed."""
    names, failures = import_without(["ray"], ["trainables"], ["trainables.ray_loop"])
    assert {"trainables.config", "trainables.model", "trainables.training"} <= set(names)
    assert failures == {}


def test_pages_spaces_records_and_cohorts_need_no_torch() -> None:
    """Reports, search spaces, records and manifests import where torch, transformers and Ray are not installed."""
    names, failures = import_without(["torch", "transformers", "ray"], WITHOUT_TORCH, [])
    assert {"trainables.study.records", "trainables.knowledge.tasks", "reports", "search_spaces"} <= set(names)
    assert failures == {}


@pytest.mark.parametrize("command", ["search", "predict", "report", "cohort"])
def test_help_imports_nothing_large(command: str) -> None:
    """--help answers at once: what takes seconds to import is imported by whoever needs it."""
    code = (
        "import sys\n"
        f"from platform.{command} import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "large = {'torch', 'transformers', 'ray', 'optuna', 'sklearn', 'scipy', 'polars', 'matplotlib'}\n"
        "sys.exit(', '.join(sorted(large & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "usage: python -m platform." in done.stdout
    assert done.returncode == 0, done.stderr
