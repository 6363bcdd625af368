"""What a worker takes where nobody says, with Ray told of GPUs that are not there: scheduling is tested, and no GPU computes."""

import json
import subprocess
import sys
from platform.options import SearchOptions
from platform.worker_shares import with_shares

import pytest

MACHINE = {"CPU": 64.0, "GPU": 4.0}


@pytest.mark.parametrize(
    ("options", "machines", "shares"),
    [
        ({}, [{"CPU": 8.0}], (1, 0.0)),
        ({}, [MACHINE], (16, 1.0)),
        ({"workers": 2}, [MACHINE], (16, 1.0)),
        ({"workers": 8}, [MACHINE], (8, 0.5)),
        ({}, [{"CPU": 4.0}, MACHINE, {"CPU": 16.0, "GPU": 8.0}], (2, 1.0)),
        ({}, [{"CPU": 2.0, "GPU": 4.0}], (1, 1.0)),
        ({"gpus_per_worker": 0.5}, [MACHINE], (8, 0.5)),
        ({"gpus_per_worker": 0.0}, [MACHINE], (1, 0.0)),
        ({"cpus_per_worker": 3}, [MACHINE], (3, 1.0)),
    ],
)
def test_a_gpu_each_and_its_share_of_the_cpus(options, machines, shares):
    """One GPU where there are any, a fraction where there are fewer than workers, and what the user gave as given."""
    found = with_shares(SearchOptions(**options), machines)
    assert (found.cpus_per_worker, found.gpus_per_worker) == shares


ON_FOUR_GPUS = """
import json, ray
from pathlib import Path
from platform.console import Console
from platform.options import SearchOptions
from platform.resources import ray_session
from platform.session import Session

def place(cpus, gpus):
    import time
    time.sleep(2)
    return ray.get_gpu_ids(), cpus, gpus

ray.init(num_cpus=8, num_gpus=4, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
with ray_session(SearchOptions()) as machines:
    session = Session(options=SearchOptions(), space=None, machines=machines, console=Console(plain=True))
    places = session.tasks(place, [()] * 4)
ray.shutdown()
print(json.dumps([machines.concurrent, machines.cpus_per_worker, machines.gpus_per_worker, places]))
"""


@pytest.mark.slow
def test_four_gpus_take_four_trials_at_a_time():
    """Without an option each of four workers is given a GPU of its own and two of eight CPUs."""
    done = subprocess.run(
        [sys.executable, "-c", ON_FOUR_GPUS], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    concurrent, cpus, gpus, places = json.loads(done.stdout.splitlines()[-1])
    assert (concurrent, cpus, gpus) == (4, 2, 1.0)
    assert sorted(ids[0] for ids, _, _ in places) == [0, 1, 2, 3]
    assert {(c, g) for _, c, g in places} == {(2, 1.0)}
