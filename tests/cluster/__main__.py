"""python -m tests.cluster: cluster.yaml on hosts that are really separate; run by `make cluster-test`, as root.

`ray up`, a search over two nodes that are lost in mid-fold one after the other, another whose head is lost, `ray job submit`,
`ray rsync-down`, `ray down`, each as a user runs it, and who may talk to the cluster. Prints what it has seen, and ends with
status 0 if all of it was as it must be.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.cluster.hosts import ADDRESSES, ROOT, Hosts, check_machine, until
from tests.cluster.losses import SEARCH, search_and_lose_head, search_and_lose_hosts
from tests.cluster.ray_cluster import RAY, WORKERS, bring_down, bring_up, on_premises, say
from tests.cluster.security import check_closed, check_listeners, check_tokens
from tests.tiny import save_tiny_clip, write_tiny_cohort
from trainables.errors import StridefoldError


def main() -> int:
    """Makes the hosts, runs everything on them and ends them."""
    try:
        check_machine()
    except StridefoldError as error:
        print(error, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="stridefold-cluster-") as folder:
        hosts = Hosts(Path(folder))
        try:
            prepare(hosts)
            bring_up(hosts)
            check_tokens(hosts, ("head", *WORKERS))
            check_closed(hosts)
            check_listeners(hosts, ("head", *WORKERS))
            search_and_lose_hosts(hosts)
            search_and_lose_head(hosts)
            submit_job(hosts)
            fetch_report(hosts)
            bring_down(hosts)
        except BaseException:
            keep_logs(hosts)
            raise
        finally:
            hosts.close()
        until(lambda: not [p for p in hosts.processes_one if Path(f"/proc/{p}").exists()], 60)
    say("nothing is left running")
    return 0


def prepare(hosts: Hosts) -> None:
    """Starts the hosts, and puts data on the shared storage and the project on the laptop."""
    started = time.monotonic()
    for name in ADDRESSES:
        hosts.start(name)
    (hosts.shared / "cohort").mkdir()
    write_tiny_cohort(hosts.shared / "cohort")
    save_tiny_clip(hosts.shared / "clip")
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    )
    project = hosts.shared / "project"
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, project / name)
    (project / "on-premises.yaml").write_text(on_premises())
    hosts.run(
        "laptop",
        "mv /shared/project ~/stridefold && ~/stridefold-venv/bin/ray get-auth-token --generate && chmod 600 ~/.ray/auth_token",
    )
    say(f"{len(ADDRESSES)} hosts, each with its own network, processes and files: {time.monotonic() - started:.0f} s")


def submit_job(hosts: Hosts) -> None:
    """Runs a search by `ray job submit` through `ray dashboard`, and a wrong one."""
    hosts.run(
        "laptop",
        f"(setsid bash -c 'echo $$ > /tmp/forward; {RAY} dashboard on-premises.yaml' > /tmp/forward.log 2>&1 &)",
    )
    try:
        until(lambda: hosts.run("laptop", "ss -Hltn | grep -q 127.0.0.1:8265", check=False).returncode == 0, 60)
        started = time.monotonic()
        submit = f"{RAY} job submit --address http://127.0.0.1:8265 --working-dir . -- {SEARCH}"
        done = hosts.run("laptop", f"{submit} --study third --trials 1 --epochs 1")
        assert "report: /shared/studies/third/report.html" in done.stdout, done.stdout
        say(f"ray job submit: status 0 after {time.monotonic() - started:.0f} s")
        wrong = hosts.run("laptop", f"{submit} --study third --trials 1 --epochs 2", check=False)
        assert wrong.returncode != 0, wrong.stdout
        assert "was begun with --epochs 1, but now it is 2" in wrong.stdout + wrong.stderr
        say(f"ray job submit of a wrong command: status {wrong.returncode}")
    finally:
        hosts.run("laptop", "kill -- -$(cat /tmp/forward)")


def fetch_report(hosts: Hosts) -> None:
    """Fetches a report by `ray rsync-down`."""
    hosts.run("laptop", f"{RAY} rsync-down on-premises.yaml /shared/studies/first/ ~/first/")
    size = int(hosts.run("laptop", "stat -c %s ~/first/report.html").stdout)
    assert size > 10_000
    say(f"ray rsync-down: report.html of {size} bytes is on the laptop")


def keep_logs(hosts: Hosts) -> None:
    """Prints the end of what the hosts said, after something went wrong."""
    for log in sorted(hosts.folder.glob("*.log")):
        lines = [line for line in log.read_text().splitlines() if "syslogin_perform_logout" not in line]
        print(f"--- {log.name}", *lines[-20:], sep="\n", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
