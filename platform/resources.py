"""The machines: one Ray session, how many trials fit it, and what a killed search left behind."""

import dataclasses
import logging
import os
import signal
import socket
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from platform.memory import GIB
from platform.options import SearchOptions
from platform.ray_places import temporary_folder, token_environment, token_file
from platform.surroundings import LOGGERS, as_found, put_back
from platform.worker_shares import with_shares
from typing import Any

import yaml  # type: ignore[import-untyped]

from trainables.allocator import KEEP_MEMORY
from trainables.errors import StridefoldError, first_line
from trainables.limits import usable_cpus, usable_memory

DRIVER_SLOTS = 64
"""Trial drivers that a local session may hold; they wait for their workers and need no CPU of their own."""

OWN_MEMORY = GIB
"""Bytes that Ray's own processes and the search itself take, of what is free when Ray starts."""
SMALLEST_STORE, LARGEST_STORE = 80 << 20, GIB
"""Bytes of Ray's object store, through which settings and paths go, and no frames."""

ANSWER_SECONDS = 10.0
"""In which a cluster's head must take a connection."""

ENVIRONMENT = {
    **KEEP_MEMORY,
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing leaves the machine
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # the poll interval: 4 s less per trial of several workers than the default of 2
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "60",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a relative path of an option means the same in a trial
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
    cpus_per_worker: int = 1
    gpus_per_worker: float = 0.0
    memory: int = 0
    """Bytes that a worker asks Ray for; 0 asks for none."""
    note: str = ""
    """What the user should know of it; '' for nothing."""

    def shares(self) -> dict[str, float]:
        """Returns what a worker takes here, by the options' names."""
        return {"cpus_per_worker": self.cpus_per_worker, "gpus_per_worker": self.gpus_per_worker}


@contextmanager
def ray_session(options: SearchOptions, worker_memory: Callable[[float], int] | None = None) -> Iterator[Machines]:
    """Starts or joins Ray, and leaves it again; the process is afterwards as it was.

    A session that this process has already is joined, and goes on.

    Args:
        worker_memory: gives the bytes of this machine's memory that a worker with so many GPUs takes; None where that is
            not known. How much the machines of a cluster have is for who made it to know.

    Raises:
        StridefoldError: No cluster at that address, or a trial's workers can never fit it.
    """
    environment = ENVIRONMENT | token_environment()
    if options.address == "local":  # one process less per trial; a single machine is not taken away as a spot node is
        environment["RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"] = "0"
    with as_found(environment, quiet=logging.ERROR):
        warnings.filterwarnings("ignore", category=FutureWarning, module="ray")
        import ray  # after its environment: it reads some of it at import
        from ray._private import worker

        for name in LOGGERS:  # Ray's import gives some of its loggers a level
            logging.getLogger(name).setLevel(logging.ERROR)
        printer = worker.print_to_stdstream
        # The raylet's warnings (that it started many processes, say) are printed past log_to_driver; they stay in Ray's logs.
        worker.print_to_stdstream = lambda data, ignore_prefix: None
        try:
            if ray.is_initialized():
                _require_address(options.address)
                yield _machines(options)
            else:
                with _own_session(options):
                    yield _machines(options, worker_memory if options.address == "local" else None)
        finally:
            worker.print_to_stdstream = printer


@contextmanager
def _own_session(options: SearchOptions) -> Iterator[None]:
    import ray

    with temporary_folder() if options.address == "local" else nullcontext() as folder:
        try:
            _start(options.address, folder)
            _keep_token_private()
            release_dead_jobs()
            yield
        finally:
            ray.shutdown()


def _require_address(address: str) -> None:
    """Raises where this process has a session already, but another one was asked for."""
    import ray

    there = ray.get_runtime_context().gcs_address
    if address not in ("local", "auto", there):
        raise StridefoldError(
            f"--address {address}, but this process has a Ray session at {there} already; leave --address out to join it",
            code="ray.session_exists",
        )


def _start(address: str, folder: str | None) -> None:
    """Starts or joins Ray; on one's own machine a second time where the first was too slow.

    Args:
        folder: for the sockets and logs of a session of one's own; None is Ray's choice.

    Raises:
        StridefoldError: No cluster at that address, or Ray does not start here.
    """
    import ray

    _require_answer(address)
    handlers: dict[int, Any] = {signal.SIGTERM: signal.getsignal(signal.SIGTERM)}
    for last in (False, True):
        try:
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **(_own_machine(folder) if address == "local" else {}),
            )
            put_back(handlers)  # Ray's handler would end the process with status 15
            return
        except OSError as error:
            if not isinstance(error, ConnectionError):
                raise  # a full disk, or a folder that cannot be written: it says which
            reason = first_line(error)
        except Exception as error:  # a node that is not up after 30 s is a plain Exception
            reason = first_line(error)
        ray.shutdown()
        if address != "local":
            raise _no_cluster(address, reason)
        if last:
            raise StridefoldError(
                f"Ray does not start on this machine, which may be too busy ({reason}); the same command tries again",
                code="ray.does_not_start",
            )


def _own_machine(folder: str | None) -> dict[str, Any]:
    """Returns how Ray starts here: with what this process may use, which Ray alone would take for the whole machine."""
    memory = usable_memory()
    return {
        "num_cpus": usable_cpus(),
        "_memory": max(memory - OWN_MEMORY, OWN_MEMORY),
        "object_store_memory": min(max(memory // 10, SMALLEST_STORE), LARGEST_STORE),
        "resources": {"tune_driver": DRIVER_SLOTS},
        "dashboard_host": "127.0.0.1",
        **({"_temp_dir": folder} if folder else {}),
    }


def _require_answer(address: str) -> None:
    """Raises where nothing listens at host:port; Ray itself would wait there for minutes, and then end the process."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and port.isdigit()):
        return  # 'local', 'auto' and the like
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, first_line(error)) from None


def _no_cluster(address: str, reason: str) -> StridefoldError:
    return StridefoldError(
        f"--address {address}: no Ray cluster answers there ({reason}); use local, or start one", code="ray.no_cluster"
    )


def _machines(options: SearchOptions, worker_memory: Callable[[float], int] | None = None) -> Machines:
    import ray

    offered, each = ray.cluster_resources(), [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if options.address != "local":
        bootstrap = Path(os.path.expanduser("~/ray_bootstrap_config.yaml"))
        offered, each = when_all_started(offered, bootstrap), [*each, *_types(bootstrap)]
    options = with_shares(options, each)
    assert options.cpus_per_worker is not None
    assert options.gpus_per_worker is not None
    cpus, gpus = offered.get("CPU", 0.0), offered.get("GPU", 0.0)
    need_cpus, need_gpus = options.workers * options.cpus_per_worker, options.workers * options.gpus_per_worker
    if need_cpus > cpus or need_gpus > gpus:
        raise StridefoldError(
            f"a trial of {options.workers} workers needs {need_cpus} CPUs and {need_gpus:g} GPUs, but the cluster has {cpus:g} and "
            f"{gpus:g}; lower --workers, --cpus-per-worker or --gpus-per-worker",
            code="ray.workers_do_not_fit",
        )
    if options.workers > 1 and not offered.get("tune_driver"):
        raise StridefoldError(
            "the cluster offers no 'tune_driver', on which trials wait for their workers; start its head with "
            f"ray start --head --resources='{{\"tune_driver\": {DRIVER_SLOTS}}}'",
            code="ray.no_tune_driver",
        )
    fit = cpus // need_cpus if not need_gpus else min(cpus // need_cpus, gpus // need_gpus)
    most = max(1, min(int(fit), DRIVER_SLOTS, options.concurrency or DRIVER_SLOTS))
    machines = Machines(
        cpus=cpus,
        gpus=gpus,
        concurrent=most,
        cpus_per_worker=options.cpus_per_worker,
        gpus_per_worker=options.gpus_per_worker,
    )
    if options.concurrency or worker_memory is None:
        return machines
    return within_memory(machines, offered["memory"], worker_memory(options.gpus_per_worker), options.workers)


def within_memory(machines: Machines, offered: float, worker: int, workers: int) -> Machines:
    """Returns machines on which no more trials run side by side than the memory holds, one at least.

    Args:
        offered: bytes for all trials together.
        worker: bytes that a worker takes. workers: of a trial.
    """
    fit = max(1, int(offered // (worker * workers)))
    # Ray would wait forever for more than there is.
    machines = dataclasses.replace(machines, memory=min(worker, int(offered // workers)))
    if fit >= machines.concurrent:
        return machines
    note = (
        f"memory: {offered / GIB:.1f} GiB are free for trials of about {worker * workers / GIB:.1f} GiB each, so {fit} instead of "
        f"{machines.concurrent} run at a time; --concurrency decides otherwise"
    )
    return dataclasses.replace(machines, concurrent=fit, note=note)


def when_all_started(offered: dict[str, float], bootstrap: Path) -> dict[str, float]:
    """Returns what a cluster offers once its autoscaler has started every machine that it may; trials wait for theirs.

    Args:
        offered: by the machines that run now.
        bootstrap: cluster.yaml as `ray up` left it on the head, with what each type of machine has. None: all machines run.
    """
    workers = _types(bootstrap)

    def at_most(kind: str) -> float:
        return sum(resources.get(kind, 0) * resources["machines"] for resources in workers)

    return offered | {
        kind: max(offered.get(kind, 0.0), at_most(kind)) for kind in ("CPU", "GPU") if workers or kind in offered
    }


def _types(bootstrap: Path) -> list[dict[str, float]]:
    """Returns what each type of machine offers that an autoscaler may start, and how many of it as `machines`."""
    if not bootstrap.exists():
        return []
    config = yaml.safe_load(bootstrap.read_text())
    workers = [node for name, node in config["available_node_types"].items() if name != config["head_node_type"]]
    return [node["resources"] | {"machines": min(node["max_workers"], config["max_workers"])} for node in workers]


def release_dead_jobs() -> None:
    """Removes the placement groups of jobs that were killed on a living cluster; else their CPUs stay taken forever."""
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
    token = token_file()
    if token is not None and token.is_file() and token.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        token.chmod(0o600)
