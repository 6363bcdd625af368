"""Simulated hosts: each with its own network, processes and files, all but the laptop with an sshd, joined by a bridge.

Everything about a host lives in namespaces that end with its first process, so there is nothing to clean up after a kill.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainables.errors import StridefoldError

ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = {"head": "10.77.0.1", "w1": "10.77.0.11", "w2": "10.77.0.12", "w3": "10.77.0.13", "laptop": "10.77.0.100"}
GATEWAY = "10.77.0.254"
NEEDED = {"ip": "iproute2", "ss": "iproute2", "rsync": "rsync", "/usr/sbin/sshd": "openssh-server",
          "ssh-keygen": "openssh-client", "unshare": "util-linux", "nsenter": "util-linux"}  # fmt: skip
SSHD = """Port 22
HostKey /root/.ssh/host_key
AuthorizedKeysFile /root/.ssh/authorized_keys
PasswordAuthentication no
PermitRootLogin yes
UsePAM no
StrictModes no
PidFile none
MaxSessions 100
MaxStartups 100
"""


def check_machine() -> None:
    """Checks that hosts can be made here.

    Raises:
        StridefoldError: Says what is missing.
    """
    if os.geteuid():
        raise StridefoldError("hosts are made of namespaces, which needs root; run make cluster-test as root")
    if missing := sorted({package for program, package in NEEDED.items() if not shutil.which(program)}):
        raise StridefoldError(f"hosts need {', '.join(missing)}; apt-get install -y {' '.join(missing)}")
    done = subprocess.run(["unshare", "-n", "-m", "-p", "-u", "--fork", "true"], capture_output=True, check=False)
    if done.returncode or "overlay" not in Path("/proc/filesystems").read_text():
        raise StridefoldError("hosts need namespaces and overlayfs, which this kernel or container does not allow")


class Hosts:
    """The hosts of ADDRESSES. `folder` is on a disk; its folder `shared` is /shared on all of them."""

    def __init__(self, folder: Path):
        self.folder, self.shared = folder, folder / "shared"
        self.first: dict[str, subprocess.Popen[bytes]] = {}
        """Of each living host the process that made it."""
        self.processes_one: list[int] = []
        """Process 1 of every host that was ever started."""
        self.shared.mkdir(mode=0o700)
        (folder / "hosts").write_text(
            "127.0.0.1 localhost\n" + "".join(f"{a} {name}\n" for name, a in ADDRESSES.items())
        )
        for key in ("id", "host_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
        # Holds the bridge, and the hosts' disks while they are off.
        self.switch = subprocess.Popen(["unshare", "-n", "-m", "sleep", "infinity"])
        until(lambda: os.readlink(f"/proc/{self.switch.pid}/ns/net") != os.readlink("/proc/self/ns/net"), 10)
        self._ip("link set lo up", "link add bridge type bridge", "link set bridge up")
        self._ip(f"addr add {GATEWAY}/24 dev bridge")

    def start(self, name: str) -> None:
        """Starts a host, or starts one again that was killed, with the disk that it had."""
        disk, known = self.folder / "disks" / name, self.folder / "known"
        if not disk.exists():
            disk.mkdir(parents=True)
            self._on_switch("mount", "-t", "tmpfs", "-o", "mode=755", "host", str(disk))
            (known / name).mkdir(parents=True)
            (known / name / "sshd_config").write_text(SSHD)
            shutil.copy(self.folder / "host_key", known / name / "host_key")
            shutil.copy(self.folder / "id.pub", known / name / "authorized_keys")
            if name == "laptop":
                shutil.copy(self.folder / "id", known / name / "id")
        script = [
            "sh",
            ROOT / "tests" / "cluster" / "host.sh",
            name,
            disk,
            known,
            self.shared,
            ROOT,
            sys.prefix,
            sys.base_prefix,
        ]
        alone = ["unshare", "-n", "-m", "-p", "-u", "--fork", "--kill-child"]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.first[name] = subprocess.Popen(
                ["nsenter", "-t", str(self.switch.pid), "-m", *alone, *script], stdout=log, stderr=log
            )
        process = until(lambda: self.process(name), 10)
        self.processes_one.append(process)
        until(lambda: os.readlink(f"/proc/{process}/ns/net") != os.readlink("/proc/self/ns/net"), 10)
        self._ip(
            f"link add to-{name} type veth peer name eth0 netns {process}",
            f"link set to-{name} master bridge up",
        )
        for line in ("link set lo up", f"addr add {ADDRESSES[name]}/24 dev eth0", "link set eth0 up", f"route add default via {GATEWAY}"):  # fmt: skip
            subprocess.run(["nsenter", "-t", str(process), "-n", "ip", *line.split()], check=True)
        until(lambda: self.run(name, "test ! -e /old/root && test -s ~/.bashrc", check=False).returncode == 0, 20)

    def process(self, name: str) -> int:
        """Returns the number of a host's process 1, as this machine sees it; 0 where the host is gone."""
        first = self.first[name].pid
        try:
            children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        except OSError:
            return 0
        return int(children[0]) if children else 0

    def enter(self, name: str, command: str) -> list[str]:
        """Returns the command line that runs a shell command on a host, with an environment of its own."""
        environment = ["env", "-i", "HOME=/root", "USER=root", "LANG=C.UTF-8", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        return ["nsenter", "-t", str(self.process(name)), "-m", "-n", "-p", "-u", *environment, "bash", "-c",
                f"cd ~ && . ~/.bashrc && {command}"]  # fmt: skip

    def run(
        self, name: str, command: str, *, check: bool = True, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Runs a shell command on a host to its end."""
        done = subprocess.run(
            self.enter(name, command),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if check and done.returncode:
            raise AssertionError(
                f"on {name}, status {done.returncode}: {command}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
            )
        return done

    def begin(self, name: str, command: str) -> "subprocess.Popen[str]":
        """Starts a shell command on a host."""
        return subprocess.Popen(
            self.enter(name, command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def kill(self, name: str) -> None:
        """Ends a host at once, as if its power had failed: nobody is told."""
        first = self.first.pop(name)
        first.kill()  # the kernel ends process 1 with it, and all others with process 1
        first.wait()

    def processes(self, name: str) -> list[str]:
        """Returns the command lines of a host's processes."""
        listed = self.run(name, "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2> /dev/null; echo; done").stdout
        return [line.strip() for line in listed.splitlines() if line.strip()]

    def close(self) -> None:
        """Ends every host and the bridge."""
        for name in list(self.first):
            self.kill(name)
        self.switch.kill()
        self.switch.wait()

    def _ip(self, *lines: str) -> None:
        for line in lines:
            self._on_switch("ip", *line.split())

    def _on_switch(self, *command: str) -> None:
        subprocess.run(["nsenter", "-t", str(self.switch.pid), "-n", "-m", *command], check=True)


def until(condition: Callable[[], Any], seconds: float) -> Any:
    """Returns what a condition comes to, once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"it did not happen within {seconds:.0f} s")
