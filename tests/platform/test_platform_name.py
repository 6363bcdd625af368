"""Our package `platform` stands in for the standard library's module: each sentence of docs/decisions/0001, proven in a subprocess."""

import importlib.util
import json
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from platform.__main__ import COMMANDS

import pytest

BOTH = """
import json, platform
print(json.dumps([platform.__file__, platform.system(), platform.python_version()]))
"""


def run(
    command: Sequence[str | Path], folder: Path, timeout: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Returns the finished process of a command run in a folder, without PYTHONPATH of the caller."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=timeout, env=inherited | environment
    )


def python(code: str, folder: Path, timeout: float = 120, interpreter: str | Path = sys.executable) -> str:
    """Returns what a program prints; a failing one fails the test with its own words."""
    process = run([interpreter, "-c", code], folder, timeout)
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.fixture(params=["the root", "another folder"])
def folder(request: pytest.FixtureRequest, root: Path, tmp_path: Path) -> Path:
    return root if request.param == "the root" else tmp_path


def test_import_platform_gives_our_package_with_the_standard_functions(folder: Path, root: Path) -> None:
    """`import platform` finds our package, and platform.system() answers as ever."""
    file, system, version = json.loads(python(BOTH, folder))
    assert Path(file) == root / "platform" / "__init__.py"
    assert (system, version) == (os.uname().sysname, ".".join(map(str, sys.version_info[:3])))


def test_our_package_is_a_superset_of_the_standard_module(tmp_path: Path) -> None:
    """Every name of the standard library's platform.py is in our package too."""
    code = """
import importlib.util, platform, sysconfig
spec = importlib.util.spec_from_file_location("standard", sysconfig.get_path("stdlib") + "/platform.py")
standard = importlib.util.module_from_spec(spec)
spec.loader.exec_module(standard)
names = {name for name in vars(standard) if not name.startswith("__")}
assert len(names) > 40, names
print(sorted(names - set(vars(platform))))
"""
    assert python(code, tmp_path).strip() == "[]"


def test_modules_that_import_platform_work(folder: Path) -> None:
    """uuid, numpy, torch and ray import, and find the functions that they look for."""
    code = "import uuid, numpy, torch, ray, platform; print(uuid.uuid4().version, torch.ones(2).sum().item(), platform.machine())"
    assert python(code, folder).split() == ["4", "2.0", os.uname().machine]


def test_another_module_named_platform_is_left_alone(tmp_path: Path) -> None:
    """The finder answers for the top-level name `platform` alone."""
    package = tmp_path / "theirs"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "platform.py").write_text("system = 'theirs'")
    assert python("from theirs import platform; print(platform.system)", tmp_path).strip() == "theirs"


@pytest.mark.slow
def test_a_ray_worker_finds_both(tmp_path: Path, root: Path) -> None:
    """In a Ray worker `import platform` gives our package with the standard functions."""
    code = """
import json, ray
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")

@ray.remote
def look():
    import platform, torch
    return platform.__file__, platform.system(), platform.python_version()

print(json.dumps(ray.get(look.remote())))
ray.shutdown()
"""
    file, system, version = json.loads(python(code, tmp_path, timeout=180).splitlines()[-1])
    assert Path(file) == root / "platform" / "__init__.py"
    assert (system, version) == (os.uname().sysname, ".".join(map(str, sys.version_info[:3])))


@pytest.mark.parametrize("command", [["pytest"], ["python", "-m", "pytest"]], ids=" ".join)
def test_plain_pytest_finds_both(command: list[str], tmp_path: Path, root: Path) -> None:
    """Under `pytest` and `python -m pytest` a test sees our package with the standard functions."""
    (tmp_path / "test_name.py").write_text(
        "import platform\n\n"
        "def test_name():\n"
        f"    assert platform.__file__ == {str(root / 'platform' / '__init__.py')!r}\n"
        f"    assert platform.system() == {os.uname().sysname!r}\n"
    )
    interpreter = Path(sys.executable)
    process = run([interpreter.with_name(command[0]), *command[1:], "-p", "no:cacheprovider"], tmp_path)
    assert "1 passed" in process.stdout, process.stdout + process.stderr


def test_python_m_platform_prints_our_commands(folder: Path) -> None:
    """`python -m platform` lists search, predict, report, cohort and task."""
    process = run([sys.executable, "-m", "platform"], folder)
    assert process.returncode == 0, process.stderr
    for name in ("search", "predict", "report", "cohort", "task"):
        assert f"python -m platform.{name} " in process.stdout


def test_an_unknown_command_is_one_sentence(tmp_path: Path) -> None:
    """`stridefold train` names the commands that exist and exits with 2."""
    process = run([Path(sys.executable).with_name("stridefold"), "train"], tmp_path)
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr == f"'train' is not a command; use one of {', '.join(COMMANDS)}\n"


@pytest.mark.parametrize("name", ["search", "predict", "report", "cohort", "task"])
def test_every_listed_command_is_there(name: str, tmp_path: Path) -> None:
    """Each command on the list shows its options, from any folder."""
    process = run([sys.executable, "-m", f"platform.{name}", "--help"], tmp_path)
    assert process.returncode == 0, process.stderr
    assert f"platform.{name}" in process.stdout


@pytest.mark.slow
def test_a_wheel_brings_the_name_into_a_fresh_environment(tmp_path: Path, root: Path) -> None:
    """A wheel holds the finder and its .pth file, and once installed elsewhere answers for the name there."""
    isolation = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    built = run([*pip, "wheel", "--no-deps", *isolation, "--wheel-dir", tmp_path / "wheels", root], tmp_path, 300)
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "wheels").glob("stridefold-*.whl")

    venv.create(tmp_path / "fresh", with_pip=False, symlinks=True)
    fresh = tmp_path / "fresh" / "bin" / "python"
    installed = run([*pip, "--python", fresh, "install", "--no-deps", "--no-index", wheel], tmp_path, 300)
    assert installed.returncode == 0, installed.stderr
    (site,) = (tmp_path / "fresh").glob("lib/python*/site-packages")
    assert (site / "platform-precedence.pth").read_text() == "import platform_precedence\n"
    assert (site / "platform_precedence.py").is_file()

    file, system, _ = json.loads(python(BOTH, tmp_path, interpreter=fresh))
    assert Path(file) == site / "platform" / "__init__.py"
    assert system == os.uname().sysname
    assert "python -m platform.search " in run([fresh, "-m", "platform"], tmp_path).stdout
