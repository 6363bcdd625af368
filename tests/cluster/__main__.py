"""python -m tests.cluster: cluster.yaml on hosts that are really separate; run by `make cluster-test`, as root.

`ray up`, a search over two nodes that are lost in mid-fold one after the other, `ray job submit`, `ray rsync-down`, `ray down`, each as a
user runs it, and who may talk to the cluster. Prints what it has seen, and ends with status 0 if all of it was as it must be.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from tests.cluster.hosts import ADDRESSES, ROOT, Hosts, check_machine, until
from tests.cluster.security import check_closed, check_listeners, check_tokens
from tests.tiny import save_tiny_clip, write_tiny_cohort
from trainables.errors import StridefoldError

WORKERS = ("w1", "w2", "w3")
PATIENCE = 600
"""Seconds for one step; ten times what it takes on a machine that does nothing else."""
SEARCH = (
    "python -m platform.search --address auto --plain --cohort /shared/cohort/cohort.csv --backbone /shared/clip "
    "--studies /shared/studies --folds 2 --frames 2 --prune 0 --set decoder.width=32 --set decoder.layers=1 --set decoder.steps=20"
)
LONG = "--study first --trials 4 --workers 2 --epochs 24 --set optimizer.batch_size=2"
RAY = "cd ~/stridefold && RAY_AUTH_MODE=token ~/stridefold-venv/bin/ray"


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


def say(text: str) -> None:
    """Prints what was seen."""
    print(text, flush=True)


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


def on_premises() -> str:
    """Returns cluster.yaml with what docs/cluster.md says to change for one's own machines, and these hosts' addresses."""
    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    (changes,) = re.findall(
        r"```yaml\n(provider: \{type: local.*?)```", (ROOT / "docs" / "cluster.md").read_text(), re.DOTALL
    )
    config.update(yaml.safe_load(changes))
    config["provider"] |= {"head_ip": ADDRESSES["head"], "worker_ips": [ADDRESSES[w] for w in WORKERS]}
    config["auth"] = {"ssh_user": "root", "ssh_private_key": "~/.ssh/id"}
    del config["available_node_types"], config["head_node_type"]
    return yaml.safe_dump(config, sort_keys=False, width=10_000)


def bring_up(hosts: Hosts) -> None:
    """Runs `ray up` and waits for all workers."""
    started = time.monotonic()
    hosts.run("laptop", f"{RAY} up -y on-premises.yaml")
    say(f"ray up: {time.monotonic() - started:.0f} s")
    until(lambda: all(raylet(hosts, w) for w in WORKERS), PATIENCE)
    until(lambda: len(re.findall(r"'node:10", cluster_resources(hosts))) == 1 + len(WORKERS), PATIENCE)
    say(f"all workers have joined: {time.monotonic() - started:.0f} s after its start")


def raylet(hosts: Hosts, name: str) -> bool:
    """Returns whether a host is part of the cluster."""
    return any("raylet/raylet" in p for p in hosts.processes(name))


def cluster_resources(hosts: Hosts) -> str:
    """Returns what the cluster offers, as its head says."""
    ask = "import ray; ray.init('auto', logging_level='ERROR', log_to_driver=False); print(ray.cluster_resources())"
    return hosts.run("head", f'python -c "{ask}"', check=False).stdout


def search_and_lose_hosts(hosts: Hosts) -> None:
    """Runs a search whose workers sit on two hosts; one is lost in mid-fold and joins again, then another is lost."""
    started = time.monotonic()
    search = Search(hosts, "first", f"{RAY} exec on-premises.yaml 'cd ~/stridefold && {SEARCH} {LONG}'")
    until(lambda: search.finished_folds() >= 1, PATIENCE)
    first = search.lose(of=WORKERS)
    began = time.monotonic()
    hosts.start(first)
    until(lambda: raylet(hosts, first), PATIENCE)
    say(f"{first} is switched on again; the head has started Ray there after {time.monotonic() - began:.0f} s")
    second = search.lose(of=tuple(w for w in WORKERS if w != first))
    training = until(search.training, PATIENCE)
    assert first in training, training
    say(f"{first} trains again, with {' and '.join(w for w in training if w != first)}")
    hosts.start(second)
    for line in search.end().splitlines():
        say(f"    {line}")
    say(f"the search of 4 trials x 2 folds has ended with status 0 after {time.monotonic() - started:.0f} s")


class Search:
    """A search that was begun on the laptop."""

    def __init__(self, hosts: Hosts, study: str, command: str):
        self.hosts, self.folds = hosts, hosts.shared / "studies" / study / "folds"
        self.process = hosts.begin("laptop", command)

    def finished_folds(self) -> int:
        """Returns how many folds are done.

        Raises:
            AssertionError: The search has ended.
        """
        assert self.process.poll() is None, self.process.communicate()[0]
        return len(list(self.folds.glob("*/result.json")))

    def training(self) -> list[str]:
        """Returns the hosts of a trial's two Train workers, once both are there."""
        living = [w for w in WORKERS if w in self.hosts.first]
        found = [w for w in living if any("RayTrainWorker" in p for p in self.hosts.processes(w))]
        return found if len(found) == 2 else []

    def lose(self, of: tuple[str, ...]) -> str:
        """Kills one of some hosts while it trains a fold, waits until the fold goes on, and returns which it was."""

        def in_mid_fold() -> Path | None:
            self.finished_folds()
            return next(
                (c for c in self.folds.glob("*/checkpoint.pt") if not c.with_name("result.json").exists()), None
            )

        checkpoint = until(in_mid_fold, PATIENCE)
        training = until(self.training, 20)
        lost = next(w for w in reversed(training) if w in of)
        self.hosts.kill(lost)
        killed, fold = time.time(), checkpoint.parent
        assert not (fold / "result.json").exists()
        say(f"the Train workers of a trial sit on {' and '.join(training)}; {lost} is killed in mid-fold")

        def goes_on() -> bool:
            self.finished_folds()
            return any(written(fold / name) > killed + 2 for name in ("checkpoint.pt", "result.json"))

        until(goes_on, PATIENCE)
        say(f"the fold goes on, on other hosts: {time.time() - killed:.0f} s after the kill")
        return lost

    def end(self) -> str:
        """Waits for a search that must succeed, and returns what it printed."""
        said, _ = self.process.communicate(timeout=1200)
        assert self.process.returncode == 0, said
        _, begins, own = said.partition("cohort cohort.csv")  # `ray exec` says much of itself before and after
        return begins + own.partition("\x1b")[0].rstrip()


def written(path: Path) -> float:
    """Returns when a file was written; 0 where there is none."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


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
        done = hosts.run("laptop", f"{submit} --study second --trials 1 --epochs 1")
        assert "report: /shared/studies/second/report.html" in done.stdout, done.stdout
        say(f"ray job submit: status 0 after {time.monotonic() - started:.0f} s")
        wrong = hosts.run("laptop", f"{submit} --study second --trials 1 --epochs 2", check=False)
        assert wrong.returncode != 0, wrong.stdout
        assert "was begun with --epochs 1, but now it is 2" in wrong.stdout + wrong.stderr
        say(f"ray job submit of a wrong command: status {wrong.returncode}")
    finally:
        hosts.run("laptop", "kill -- -$(cat /tmp/forward)")


def fetch_report(hosts: Hosts) -> None:
    """Fetches the reports by `ray rsync-down`."""
    hosts.run("laptop", f"{RAY} rsync-down on-premises.yaml /shared/studies/first/ ~/first/")
    size = int(hosts.run("laptop", "stat -c %s ~/first/report.html").stdout)
    assert size > 10_000
    say(f"ray rsync-down: report.html of {size} bytes is on the laptop")


def bring_down(hosts: Hosts) -> None:
    """Runs `ray down` and, with provider local, `ray stop` on the workers; no process of Ray may be left."""
    started = time.monotonic()
    hosts.run("laptop", f"{RAY} down -y on-premises.yaml")
    for worker in WORKERS:
        stop = "'. ~/.stridefold_environment; ray stop'"
        hosts.run("laptop", f"ssh -n -i ~/.ssh/id -o StrictHostKeyChecking=accept-new {ADDRESSES[worker]} {stop}")
    seconds = time.monotonic() - started

    def left() -> list[str]:
        running = [p for name in ("head", *WORKERS) for p in hosts.processes(name)]
        return [p for p in running if "/ray/" in p or "ray::" in p]

    until(lambda: not left(), 60)
    say(f"ray down: {seconds:.0f} s, and no process of Ray is left on any host")


def keep_logs(hosts: Hosts) -> None:
    """Prints the end of what the hosts said, after something went wrong."""
    for log in sorted(hosts.folder.glob("*.log")):
        lines = [line for line in log.read_text().splitlines() if "syslogin_perform_logout" not in line]
        print(f"--- {log.name}", *lines[-20:], sep="\n", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
