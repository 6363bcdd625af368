"""The machines: one Ray session, how many trials fit it, and what a killed search left behind."""

import logging
import os
import socket
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from platform.options import SearchOptions
from typing import Any

import yaml  # type: ignore[import-untyped]

from trainables.allocator import KEEP_MEMORY
from trainables.errors import StridefoldError

DRIVER_SLOTS = 64
"""Trial drivers that a local session may hold; they wait for their workers and need no CPU of their own."""

ANSWER_SECONDS = 10.0
"""In which a cluster's head must take a connection."""

ENVIRONMENT = {
    **KEEP_MEMORY,
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing leaves the machine
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # the poll interval: 4 s less per trial of several workers than the default of 2
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "60",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the newer display prints a header even where nothing was asked for
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # else Ctrl-C ends Tune as if all trials were done
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}


@dataclass(frozen=True, kw_only=True)
class Machines:
    """What a Ray session offers to trials."""

    cpus: float
    gpus: float
    concurrent: int
    """Trials that run side by side."""


@contextmanager
def ray_session(options: SearchOptions) -> Iterator[Machines]:
    """Starts or joins Ray, and leaves it again.

    Raises:
        StridefoldError: No cluster at that address, or a trial's workers can never fit it.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning, module="ray")
    if options.address == "local":  # one process less per trial; a single machine is not taken away as a spot node is
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    import ray  # after its environment: it reads some of it at import
    from ray._private import worker

    # The raylet's warnings (that it started many processes, say) are printed past log_to_driver; they stay in Ray's logs.
    worker.print_to_stdstream = lambda data, ignore_prefix: None
    for name in ("ray", "ray.tune", "ray.train", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    _start(options.address)
    try:
        _keep_token_private()
        release_dead_jobs()
        yield _machines(options)
    finally:
        ray.shutdown()


def _start(address: str) -> None:
    """Starts or joins Ray; on one's own machine a second time where the first was too slow.

    Raises:
        StridefoldError: No cluster at that address, or Ray does not start here.
    """
    import ray

    _require_answer(address)
    own: dict[str, Any] = {"resources": {"tune_driver": DRIVER_SLOTS}, "dashboard_host": "127.0.0.1"}
    for last in (False, True):
        try:
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **(own if address == "local" else {}),
            )
            return
        except OSError as error:
            if not isinstance(error, ConnectionError):
                raise  # a full disk, or a folder that cannot be written: it says which
            reason = _first_line(error)
        except Exception as error:  # a node that is not up after 30 s is a plain Exception
            reason = _first_line(error)
        ray.shutdown()
        if address != "local":
            raise _no_cluster(address, reason)
        if last:
            raise StridefoldError(
                f"Ray does not start on this machine, which may be too busy ({reason}); the same command tries again"
            )


def _require_answer(address: str) -> None:
    """Raises where nothing listens at host:port; Ray itself would wait there for minutes, and then end the process."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and port.isdigit()):
        return  # 'local', 'auto' and the like
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, _first_line(error)) from None


def _no_cluster(address: str, reason: str) -> StridefoldError:
    return StridefoldError(f"--address {address}: no Ray cluster answers there ({reason}); use local, or start one")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _machines(options: SearchOptions) -> Machines:
    import ray

    offered = ray.cluster_resources()
    if options.address != "local":
        offered = when_all_started(offered, Path.home() / "ray_bootstrap_config.yaml")
    cpus, gpus = offered.get("CPU", 0.0), offered.get("GPU", 0.0)
    need_cpus, need_gpus = options.workers * options.cpus_per_worker, options.workers * options.gpus_per_worker
    if need_cpus > cpus or need_gpus > gpus:
        raise StridefoldError(
            f"a trial of {options.workers} workers needs {need_cpus} CPUs and {need_gpus:g} GPUs, but the cluster has {cpus:g} and "
            f"{gpus:g}; lower --workers, --cpus-per-worker or --gpus-per-worker"
        )
    if not offered.get("tune_driver"):
        raise StridefoldError(
            "the cluster offers no 'tune_driver', on which trials wait for their workers; start its head with "
            f"ray start --head --resources='{{\"tune_driver\": {DRIVER_SLOTS}}}'"
        )
    fit = cpus // need_cpus if not need_gpus else min(cpus // need_cpus, gpus // need_gpus)
    most = min(int(fit), DRIVER_SLOTS, options.concurrency or DRIVER_SLOTS)
    return Machines(cpus=cpus, gpus=gpus, concurrent=max(1, most))


def when_all_started(offered: dict[str, float], bootstrap: Path) -> dict[str, float]:
    """Returns what a cluster offers once its autoscaler has started every machine that it may; trials wait for theirs.

    Args:
        offered: by the machines that run now.
        bootstrap: cluster.yaml as `ray up` left it on the head, with what each type of machine has. None: all machines run.
    """
    if not bootstrap.exists():
        return offered
    config = yaml.safe_load(bootstrap.read_text())
    workers = [node for name, node in config["available_node_types"].items() if name != config["head_node_type"]]

    def at_most(kind: str) -> float:
        return sum(node["resources"].get(kind, 0) * min(node["max_workers"], config["max_workers"]) for node in workers)

    return offered | {kind: max(offered.get(kind, 0.0), at_most(kind)) for kind in ("CPU", "GPU")}


def release_dead_jobs() -> None:
    """Removes the placement groups of jobs that were killed on a living cluster; else their CPUs stay taken for ever."""
    from ray._private import state
    from ray._raylet import PlacementGroupID
    from ray.util.placement_group import PlacementGroup, placement_group_table, remove_placement_group

    dead = {job["JobID"] for job in state.jobs() if job.get("IsDead")}
    for identifier, group in placement_group_table().items():
        # A placement group's id ends with the id of the job that made it.
        if group["state"] in ("CREATED", "PENDING", "RESCHEDULING") and identifier[-8:] in dead:
            remove_placement_group(PlacementGroup(PlacementGroupID(bytes.fromhex(identifier))))


def _keep_token_private() -> None:
    """Ray writes its token readable by everyone on the machine; nobody else needs it."""
    token = Path.home() / ".ray" / "auth_token"
    if token.is_file() and token.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        token.chmod(0o600)
