"""python -m tests.slurm: slurm/search.sbatch on a real SLURM with two nodes; run by `make slurm-test`, as root.

A search over both nodes whose time limit comes in mid-search: it must end cleanly, be queued again, go on and finish without
training a fold twice; then one on a single node, with a wrong option. Prints what it has seen.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.cluster.hosts import ROOT, Hosts, check_machine, until
from tests.slurm.nodes import NODES, PATIENCE, check_programs, daemon_logs, log, sbatch, start_slurm, state
from tests.tiny import save_tiny_clip, write_tiny_cohort
from trainables.errors import StridefoldError
from trainables.study.leaderboard import read_trials
from trainables.study.records import StudyRecord

SEARCH = [
    "--cohort", "/shared/cohort/cohort.csv", "--backbone", "/shared/clip", "--studies", "/shared/studies", "--cache", "/shared/cache",
    "--folds", "2", "--frames", "2", "--prune", "0", "--baselines", "none", "--trials", "2",
    *(word for setting in ("decoder.width=32", "decoder.layers=1", "decoder.steps=20") for word in ("--set", setting)),
]  # fmt: skip
EPOCHS = 400
"""So that a fold takes some seconds."""


def main() -> int:
    """Makes the hosts, runs everything on them and ends them."""
    try:
        check_machine()
        check_programs()
    except StridefoldError as error:
        print(error, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="stridefold-slurm-") as folder:
        hosts = Hosts(Path(folder))
        try:
            prepare(hosts)
            run_into_time_limit(hosts)
            run_wrong_command(hosts)
        except BaseException:
            print(daemon_logs(hosts), file=sys.stderr)
            for path in sorted((hosts.shared / "project").glob("stridefold-*.log")):
                kept = [line for line in path.read_text(errors="replace").splitlines() if "VINFO" not in line]
                print(f"--- {path.name}", *kept[-80:], sep="\n", file=sys.stderr)
            raise
        finally:
            hosts.close()
    return 0


def say(text: str) -> None:
    """Prints what was seen."""
    print(text, flush=True)


def prepare(hosts: Hosts) -> None:
    """Starts the hosts with SLURM on them, and puts the project and data on the storage that they share."""
    started = time.monotonic()
    (hosts.shared / "cohort").mkdir()
    write_tiny_cohort(hosts.shared / "cohort")
    save_tiny_clip(hosts.shared / "clip")
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            copy = hosts.shared / "project" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy)
    for name in ("laptop", *NODES):
        hosts.start(name)
        hosts.run(
            name,
            "ln -s /shared/project ~/stridefold && ln -s ~/stridefold-venv /shared/project/.venv 2> /dev/null; true",
        )
    start_slurm(hosts)
    say(
        f"a controller and {len(NODES)} nodes, each with its own network and processes: {time.monotonic() - started:.0f} s"
    )


def run_into_time_limit(hosts: Hosts) -> None:
    """Runs a search over two nodes into its time limit, and lets it finish after that."""
    started = time.monotonic()
    study = hosts.shared / "studies" / "first"
    job = sbatch(hosts, "--nodes=2", "--time=30", "--signal=B:USR1@60", "slurm/search.sbatch", *SEARCH,
                 "--study", "first", "--epochs", str(EPOCHS))  # fmt: skip
    until(lambda: finished(study), PATIENCE)
    say(f"the first fold is finished after {time.monotonic() - started:.0f} s")
    until(lambda: all(trains(hosts, node) for node in NODES), 30)
    say("a trial trains on each of the two nodes")
    ran = int(state(hosts, job)["RunTime"].split(":")[1])
    hosts.run("laptop", f"scontrol update JobId={job} TimeLimit={ran + 1}")
    limited = time.monotonic()
    until(lambda: state(hosts, job)["Restarts"] == "1", PATIENCE)
    before = finished(study)
    said = log(hosts, job)
    assert "stopped; the same command goes on from here" in said, said
    assert "is queued again, and goes on from here" in said, said
    assert len(before) < 4, "the search was too fast for its time limit"
    say(
        f"the time limit: stopped cleanly and queued again after {time.monotonic() - limited:.0f} s, {len(before)} of 4 folds finished"
    )
    until(lambda: not any(trains(hosts, node) for node in NODES), 60)
    hosts.run("laptop", f"scontrol update JobId={job} TimeLimit=30")
    until(lambda: state(hosts, job)["JobState"] not in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING"), PATIENCE)
    found, after = state(hosts, job), finished(study)
    assert found["JobState"] == "COMPLETED", found
    assert found["ExitCode"] == "0:0", found
    assert {key: after[key] for key in before} == before, "a finished fold was trained again"
    assert len(after) == 4, after
    trials = [t for t in read_trials(study, "first") if t.state == "COMPLETE"]
    assert len(trials) == 2, trials
    assert StudyRecord.load(study).finished is not None
    assert "finished folds are reused" in log(hosts, job)
    say(
        f"the next run: COMPLETED, 2 trials x 2 folds, no finished fold trained again; {time.monotonic() - started:.0f} s in all"
    )
    left = [
        p for node in NODES for p in hosts.processes(node) if "/ray/" in p or "ray::" in p or "platform.search" in p
    ]
    assert not left, left
    # What PyTorch and Python's multiprocessing keep in /tmp is theirs.
    kept = [
        n
        for node in NODES
        for n in hosts.run(node, "ls -A /tmp").stdout.split()
        if n.startswith(("ray", "stridefold", "tmp."))
    ]
    assert not kept, kept
    say("no process of Ray and no file of it is left on the nodes")


def run_wrong_command(hosts: Hosts) -> None:
    """A search that cannot begin ends its job as failed, on one node, and the job is not queued again."""
    started = time.monotonic()
    job = sbatch(hosts, "slurm/search.sbatch", *SEARCH, "--study", "first", "--epochs", "1")
    until(lambda: state(hosts, job)["JobState"] == "FAILED", PATIENCE)
    assert state(hosts, job)["Restarts"] == "0"
    assert f"was begun with --epochs {EPOCHS}, but now it is 1" in log(hosts, job)
    say(f"a wrong command on one node: FAILED, not queued again, after {time.monotonic() - started:.0f} s")


def finished(study: Path) -> dict[str, int]:
    """Returns the modification time of every finished fold's predictions, which are written once."""
    return {
        path.parent.name: path.with_name("predictions.parquet").stat().st_mtime_ns
        for path in study.glob("folds/*/result.json")
    }


def trains(hosts: Hosts, node: str) -> bool:
    """Returns whether a process of a trial runs on a node."""
    return any("ray::" in process and "IDLE" not in process for process in hosts.processes(node))


if __name__ == "__main__":
    sys.exit(main())
