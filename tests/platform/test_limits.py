"""What a process may use: CPUs that it is bound to, and what its cgroups leave of CPUs and memory."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from platform.memory import GIB, worker_memory
from platform.resources import Machines, within_memory

import pytest

from trainables.config import TrainConfig
from trainables.limits import System, usable_cpus, usable_memory

V2 = "29 23 0:26 / {root} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1 = "35 31 0:32 / {root}/{name} rw,relatime - cgroup cgroup rw,{name}"


def system(folder: Path, own: str, mounts: str, files: dict[str, str]) -> System:
    """Writes what the kernel would show of a machine with 64 GiB free, and returns where it lies."""
    (folder / "meminfo").write_text("MemTotal: 134217728 kB\nMemAvailable: 67108864 kB\n")
    (folder / "cgroup").write_text(own)
    (folder / "mountinfo").write_text(mounts)
    for name, text in files.items():
        path = folder / "fs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return System(groups=folder / "cgroup", mounts=folder / "mountinfo", memory=folder / "meminfo")


def v2(folder: Path, own: str, files: dict[str, str]) -> System:
    """Returns a machine with cgroup v2 whose process is in the group `own`."""
    return system(folder, f"0::{own}\n", V2.format(root=folder / "fs") + "\n", files)


def test_a_process_that_is_bound_to_one_cpu_has_one() -> None:
    """As `taskset` binds it, and SLURM; the machine has more."""
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    code += "from trainables.limits import usable_cpus; print(usable_cpus())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_without_limits_the_machine_is_usable(tmp_path: Path) -> None:
    """No cgroup says anything: all CPUs that the process is bound to, and what is free of the memory."""
    found = v2(tmp_path, "/", {})
    assert usable_cpus(found) == len(os.sched_getaffinity(0))
    assert usable_memory(found) == 64 * GIB
    none = System(groups=tmp_path / "no", mounts=tmp_path / "no", memory=tmp_path / "no")  # as on macOS
    assert usable_cpus(none) == len(os.sched_getaffinity(0))
    assert usable_memory(none) > 0


@pytest.mark.parametrize(
    ("quota", "cpus"), [("100000 100000", 1), ("50000 100000", 1), ("190000 100000", 1), ("max 100000", 0)]
)
def test_a_quota_of_cpus_counts_wherever_it_stands(quota: str, cpus: int, tmp_path: Path) -> None:
    """In the process's own group or in one above it; a part of a CPU is rounded down, but to one at least."""
    expected = cpus or len(os.sched_getaffinity(0))
    for place in ("slurm/job_7/step_0", "slurm/job_7", "slurm"):
        folder = tmp_path / place.replace("/", "-")
        folder.mkdir()
        files = {"slurm/job_7/step_0/cpu.max": "max 100000", f"{place}/cpu.max": quota}
        assert usable_cpus(v2(folder, "/slurm/job_7/step_0", files)) == expected


def test_the_smallest_limit_of_memory_counts_less_what_is_used(tmp_path: Path) -> None:
    """Files in memory that nobody needs are given back, so they do not count as used."""
    files = {
        "job/memory.max": str(16 * GIB),
        "job/memory.current": str(6 * GIB),
        "job/memory.stat": f"anon 1\ninactive_file {GIB}",
        "job/step/memory.max": "max",
        "job/step/memory.current": str(5 * GIB),
    }
    assert usable_memory(v2(tmp_path, "/job/step", files)) == 11 * GIB


def test_a_group_that_is_slowed_down_has_that_as_its_limit(tmp_path: Path) -> None:
    """systemd's MemoryHigh kills nothing, but a process above it hardly moves."""
    files = {"job/memory.max": str(16 * GIB), "job/memory.high": str(4 * GIB), "job/memory.current": str(GIB)}
    assert usable_memory(v2(tmp_path, "/job", files)) == 3 * GIB


def test_a_group_that_is_full_leaves_nothing_and_not_less(tmp_path: Path) -> None:
    """More used than allowed, as while the kernel frees some, is not a negative number."""
    files = {"memory.max": str(GIB), "memory.current": str(2 * GIB)}
    assert usable_memory(v2(tmp_path, "/", files)) == 0


def test_cgroups_of_the_first_version(tmp_path: Path) -> None:
    """Each controller has a tree of its own; what is not limited is a huge number, and a quota is -1."""
    root = tmp_path / "fs"
    own = "4:memory:/job\n1:cpu,cpuacct:/job\n"
    mounts = V1.format(root=root, name="memory") + "\n" + V1.format(root=root, name="cpu") + ",cpuacct\n"
    files = {
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/job/memory.limit_in_bytes": str(8 * GIB),
        "memory/job/memory.usage_in_bytes": str(3 * GIB),
        "memory/job/memory.stat": f"inactive_file 1\ntotal_inactive_file {GIB}",
        "cpu/cpu.cfs_quota_us": "-1",
        "cpu/cpu.cfs_period_us": "100000",
        "cpu/job/cpu.cfs_quota_us": "150000",
        "cpu/job/cpu.cfs_period_us": "100000",
    }
    found = system(tmp_path, own, mounts, files)
    assert usable_cpus(found) == 1
    assert usable_memory(found) == 6 * GIB


def test_a_container_that_sees_its_group_as_the_root(tmp_path: Path) -> None:
    """The process's group is written as the host sees it, and the mount shows that group alone."""
    mounts = f"29 23 0:26 /docker/abc {tmp_path / 'fs'} ro - cgroup2 cgroup ro\n"
    files = {"cpu.max": "100000 100000", "memory.max": str(4 * GIB), "memory.current": str(GIB)}
    found = system(tmp_path, "0::/docker/abc\n", mounts, files)
    assert (usable_cpus(found), usable_memory(found)) == (1, 3 * GIB)


@pytest.fixture
def limited_group() -> Iterator[Path]:
    """Returns a cgroup of this machine that allows 3 GiB, for a process to be put into."""
    name = f"stridefold-test-{os.getpid()}"
    for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(root) / name
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(3 * GIB))
        except OSError:
            group.rmdir()
            continue
        yield group
        group.rmdir()
        return
    pytest.skip("a cgroup cannot be made here")


def test_a_real_cgroup_limits_a_real_process(limited_group: Path) -> None:
    """The kernel's own files: a process in a group of 3 GiB may use less than that, and more than 2."""
    code = f"import os; open({str(limited_group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
    code += "from trainables.limits import usable_memory; print(usable_memory())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 2 * GIB < int(done.stdout) <= 3 * GIB


VIT_B_16 = {"parameters": 149_620_737, "layers": 12, "vision_width": 768, "image_size": 224, "patch_size": 16}


@pytest.mark.parametrize(
    ("settings", "measured"),
    [
        ({"video.frames": 8, "optimizer.batch_size": 4}, 4.9),
        ({"video.frames": 70, "optimizer.batch_size": 1}, 9.5),
    ],
)
def test_the_memory_of_a_worker_is_about_what_the_benchmark_measured(settings: dict[str, int], measured: float) -> None:
    """benchmarks/RESULTS.md, full_size_step.py in float32: never below, and a fifth above at most."""
    found = worker_memory(TrainConfig().with_values(settings), VIT_B_16) / GIB
    assert measured <= found <= 1.2 * measured


def test_several_workers_and_smaller_steps_take_less_each() -> None:
    """Workers share a batch, accumulation cuts it, checkpointing computes it again; a GPU holds it instead."""
    whole = worker_memory(TrainConfig(), VIT_B_16)
    assert worker_memory(TrainConfig(), VIT_B_16, workers=2) < whole
    assert worker_memory(TrainConfig().with_values({"optimizer.accumulation": 2}), VIT_B_16) < whole
    assert worker_memory(TrainConfig().with_values({"optimizer.gradient_checkpointing": True}), VIT_B_16) < whole
    assert worker_memory(TrainConfig().with_values({"video.frames": 70}), VIT_B_16, gpu=True) < 4 * GIB


def test_no_more_trials_run_than_the_memory_holds() -> None:
    """A node of 128 CPUs on which 40 GiB are free runs 7 trials of 5.5 GiB, says so, and asks Ray for that much each."""
    machines = Machines(cpus=128, gpus=0, concurrent=64)
    found = within_memory(machines, 40 * GIB, int(5.5 * GIB), 1)
    assert (found.concurrent, found.memory) == (7, int(5.5 * GIB))
    assert found.note == (
        "memory: 40.0 GiB are free for trials of about 5.5 GiB each, so 7 instead of 64 run at a time; --concurrency decides otherwise"
    )
    assert within_memory(machines, 40 * GIB, int(5.5 * GIB), 2).concurrent == 3
    enough = within_memory(machines, 400 * GIB, GIB, 1)
    assert (enough.concurrent, enough.note) == (64, "")


def test_a_trial_that_is_estimated_too_large_runs_alone() -> None:
    """The estimate refuses nothing; Ray, which would wait forever, is asked for what there is."""
    found = within_memory(Machines(cpus=4, gpus=0, concurrent=4), 8 * GIB, 10 * GIB, 2)
    assert (found.concurrent, found.memory) == (1, 4 * GIB)
