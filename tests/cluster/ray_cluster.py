"""A Ray cluster on the simulated hosts, brought up and down by the commands that docs/cluster.md gives."""

import re
import time

import yaml

from tests.cluster.hosts import ADDRESSES, ROOT, Hosts, until

WORKERS = ("w1", "w2", "w3")
PATIENCE = 600
"""Seconds for one step; ten times what it takes on a machine that does nothing else."""
RAY = "cd ~/stridefold && RAY_AUTH_MODE=token ~/stridefold-venv/bin/ray"


def say(text: str) -> None:
    """Prints what was seen."""
    print(text, flush=True)


def on_premises() -> str:
    """Returns cluster.yaml with what docs/cluster.md says to change for one's own machines, and these hosts' addresses."""
    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    (changes,) = re.findall(
        r"```yaml\n(provider: \{type: local.*?)```", (ROOT / "docs" / "cluster.md").read_text(), re.DOTALL
    )
    config.update(yaml.safe_load(changes))
    config["provider"] |= {"head_ip": ADDRESSES["head"], "worker_ips": [ADDRESSES[w] for w in WORKERS]}
    config["auth"] = {"ssh_user": "root", "ssh_private_key": "~/.ssh/id"}
    del config["available_node_types"], config["head_node_type"], config["max_workers"]
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
