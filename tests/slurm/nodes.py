"""A real SLURM on simulated hosts: munge, a controller on the laptop, and a daemon on each of two nodes."""

import re
import shlex
import shutil
from pathlib import Path

from tests.cluster.hosts import ADDRESSES, Hosts, until
from trainables.errors import StridefoldError

NODES = ("w1", "w2")
PATIENCE = 150
"""Seconds for one step; many times what it takes on a machine that does nothing else."""
PROGRAMS = {"slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "munged": "munge"}
CONFIGURATION = f"""ClusterName=test
SlurmctldHost=laptop({ADDRESSES["laptop"]})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=10
StateSaveLocation=/var/slurm
SlurmdSpoolDir=/var/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/var/log/slurmctld.log
SlurmdLogFile=/var/log/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
KillWait=20
{"".join(f"NodeName={name} NodeAddr={ADDRESSES[name]} CPUs=1 RealMemory=2000 State=UNKNOWN{chr(10)}" for name in NODES)}\
PartitionName=main Nodes={",".join(NODES)} Default=YES MaxTime=INFINITE State=UP
"""
"""cred_expire is also how long a job waits that was queued again. Credentials of 10 s are enough on one machine."""


def check_programs() -> None:
    """Checks that SLURM is installed.

    Raises:
        StridefoldError: Says what is missing.
    """
    if missing := sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)}):
        raise StridefoldError(f"SLURM is missing; apt-get install -y --no-install-recommends {' '.join(missing)}")


def start_slurm(hosts: Hosts) -> None:
    """Starts SLURM's daemons as its pages say, and waits until both nodes are idle."""
    (hosts.shared / "slurm.conf").write_text(CONFIGURATION)
    shutil.copy("/etc/munge/munge.key", hosts.shared / "munge.key")
    for name in ("laptop", *NODES):
        hosts.run(
            name,
            "mkdir -p /etc/slurm /var/slurm /var/slurmd /run/munge && cp /shared/slurm.conf /etc/slurm/ && "
            "chown munge /run/munge && setpriv --reuid munge --regid munge --clear-groups munged",
        )
        hosts.run(name, "slurmctld" if name == "laptop" else f"slurmd -N {name}")
    until(lambda: sinfo(hosts).count("idle") == len(NODES), PATIENCE)


def sinfo(hosts: Hosts) -> str:
    """Returns the state of every node, one a line."""
    return hosts.run("laptop", "sinfo -h -N -o '%N %t'", check=False).stdout


def sbatch(hosts: Hosts, *words: str) -> int:
    """Submits a job from the project's folder and returns its number."""
    said = hosts.run("laptop", f"cd ~/stridefold && sbatch --parsable {shlex.join(words)}").stdout
    return int(said.strip())


def state(hosts: Hosts, job: int) -> dict[str, str]:
    """Returns what the controller says of a job, as {'JobState': 'RUNNING', 'Restarts': '0', ...}."""
    said = hosts.run("laptop", f"scontrol -o show job {job}").stdout
    return dict(re.findall(r"(\w+)=(\S*)", said))


def log(hosts: Hosts, job: int) -> str:
    """Returns what a job has printed so far."""
    path = hosts.shared / "project" / f"stridefold-{job}.log"
    return path.read_text(errors="replace") if path.exists() else ""


def daemon_logs(hosts: Hosts) -> str:
    """Returns the ends of the daemons' logs."""
    parts = []
    for name in ("laptop", *NODES):
        kept = Path("/var/log") / ("slurmctld.log" if name == "laptop" else "slurmd.log")
        parts.append(f"--- {name}\n" + hosts.run(name, f"tail -n 15 {kept}", check=False).stdout)
    return "\n".join(parts)
