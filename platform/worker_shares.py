"""How many CPUs and GPUs a worker takes where nobody says: one GPU each, and that GPU's share of its machine's CPUs."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from platform.options import SearchOptions


def with_shares(options: SearchOptions, machines: Sequence[Mapping[str, float]]) -> SearchOptions:
    """Returns the options with the CPUs and GPUs of a worker filled in; what the user gave stays as it is.

    Args:
        machines: of each machine what Ray offers there, as {'CPU': 64, 'GPU': 4}.
    """
    gpus = options.gpus_per_worker
    if gpus is None:
        there = sum(machine.get("GPU", 0.0) for machine in machines)
        gpus = min(1.0, there / options.workers)
    cpus = options.cpus_per_worker
    if cpus is None:
        cpus = _share_of_cpus(gpus, machines)
    return dataclasses.replace(options, cpus_per_worker=cpus, gpus_per_worker=gpus)


def _share_of_cpus(gpus: float, machines: Sequence[Mapping[str, float]]) -> int:
    """Returns the CPUs that go with some GPUs on the machine that has the fewest for each; 1 without GPUs."""
    shares = [machine.get("CPU", 0.0) * gpus / machine["GPU"] for machine in machines if machine.get("GPU")]
    return max(1, math.floor(min(shares))) if gpus and shares else 1
