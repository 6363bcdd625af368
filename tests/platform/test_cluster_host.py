"""A simulated host of tests/cluster starts wherever the checkout lies; as root, where the kernel allows it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.hosts import until

# $1 is the script, $2 its first argument, $3 the disk.
BEGIN = 'mount -t tmpfs -o mode=755 host "$3" && exec unshare -n -m -p -u --fork --kill-child sh "$@"'


def allowed() -> bool:
    """Returns whether this process may make namespaces and mount an overlay."""
    if os.geteuid() or "overlay" not in Path("/proc/filesystems").read_text():
        return False
    tried = ["unshare", "-n", "-m", "-p", "-u", "--fork", "mount", "-t", "tmpfs", "x", "/mnt"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def first_child(process: int) -> int:
    """Returns the number of a process's first child, or 0."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return int(children[0]) if children else 0


@pytest.mark.skipif(not allowed(), reason="needs root, namespaces and overlayfs")
def test_checkout_in_the_temporary_folder(tmp_path: Path, root: Path) -> None:
    """A host has an empty folder where this machine has the checkout, though its own /tmp is new, and runs its Python."""
    for folder in ("checkout", "disk", "known/laptop", "shared"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "checkout" / "file").touch()
    (tmp_path / "known" / "laptop" / "id").touch()
    (tmp_path / "shared" / "here").touch()
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    script = root / "tests" / "cluster" / "host.sh"
    given = [
        "laptop",
        *(str(tmp_path / f) for f in ("disk", "known", "shared", "checkout")),
        sys.prefix,
        sys.base_prefix,
    ]
    with (tmp_path / "log").open("wb") as log:
        host = subprocess.Popen(["unshare", "-m", "sh", "-c", BEGIN, "sh", script, *given], stdout=log, stderr=log)
    try:
        up = "test -e /shared/here && test ! -e /old/root && test -s ~/.bashrc"
        until(lambda: first_child(host.pid) and inside(first_child(host.pid), up).returncode == 0, 30)
        seen = inside(
            first_child(host.pid), f"ls {tmp_path}/checkout && ~/stridefold-venv/bin/python -c 'print(6 * 7)'"
        )
        assert seen.stdout.split() == ["42"], seen
    except AssertionError:
        print((tmp_path / "log").read_text())
        raise
    finally:
        host.kill()
        host.wait()


def inside(process: int, command: str) -> subprocess.CompletedProcess[str]:
    """Runs a shell command among a host's files."""
    enter = ["nsenter", "-t", str(process), "-m", "-p", "env", "HOME=/root", "sh", "-c", command]
    return subprocess.run(enter, capture_output=True, text=True, timeout=60, check=False)
