"""Every error that a user can meet carries a code, the site lists it, and tests compare it."""

import ast
import pickle
import re
import subprocess
import sys
from pathlib import Path

from docs.error_codes import error_sites, errors_page
from trainables.cohort.video_files import locate
from trainables.errors import CohortError, StridefoldError
from trainables.recordings.containers import VideoError

CODE = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z_]*){1,3}")
WITHOUT_CODE = {
    "AttributeError",
    "KeyError",
    "OSError",
    "TypeError",
    "ValueError",
    "ValidationError",
    "ReaderDisagrees",
}
"""Errors of Python and of jsonschema, and one that `decode` catches: they have no code, so their text may be compared."""


def test_every_error_has_a_code(root: Path) -> None:
    """A new error says which: give it code="room.what", one that is in docs/errors or a new one."""
    sites = error_sites(root)
    assert len(sites) > 200
    assert [f"{site.place} needs code='...'" for site in sites if not CODE.fullmatch(site.code or "")] == []


def test_a_code_is_not_taken_away(root: Path) -> None:
    """Scripts compare codes: those that were released stay."""
    released = (root / "tests" / "data" / "error_codes.txt").read_text(encoding="utf-8").split()
    assert sorted(set(released) - {site.code for site in error_sites(root)}) == []


def test_tests_compare_codes(root: Path) -> None:
    """A test that matches an error's sentence breaks when it is reworded: write check=coded("room.what", value)."""
    places = [
        f"{path.relative_to(root)}:{node.lineno}"
        for path in sorted((root / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and any(keyword.arg == "match" for keyword in node.keywords)
        and not {n.split(".")[-1] for n in map(ast.unparse, node.args[:1])} <= WITHOUT_CODE
    ]
    assert places == []


def test_the_page_lists_every_code(root: Path) -> None:
    """Each with what it says."""
    page = errors_page(root)
    assert sorted({s.code or "" for s in error_sites(root)}) == sorted(re.findall(r"^\| `([^`]+)` \| \S", page, re.M))


def test_a_command_ends_its_message_with_the_code(tmp_path: Path) -> None:
    """In brackets, after the sentence."""
    done = subprocess.run(
        [sys.executable, "-m", "platform.report", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip().endswith("[study.file_missing]")


def test_codes_follow_what_is_wrong(tmp_path: Path) -> None:
    """A path out of the manifest's folder is told from an absolute one."""
    codes = []
    for name in ("../a.mp4", str(tmp_path / "a.mp4"), "a.mp4"):
        try:
            locate(tmp_path, name)
        except StridefoldError as error:
            codes.append(error.code)
    assert codes == ["cohort.path.outside", "cohort.path.absolute", "cohort.path.missing"]


def test_a_code_crosses_processes() -> None:
    """Ray and pools of processes pickle what they raise."""
    for error in (StridefoldError("no", code="a.b"), VideoError(Path("a.mp4"), "is empty", code="video.empty")):
        assert pickle.loads(pickle.dumps(error)).code == error.code
    assert CohortError("a.csv", ["row 2: no"]).code == "cohort.problems"
