"""cluster.yaml as Ray reads it: its schema, its defaults filled in, and what must hold for a cluster to be safe."""

import copy
import re
from pathlib import Path
from platform.resources import when_all_started
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from trainables.allocator import KEEP_MEMORY

EDITED = {"region", "image", "subnet", "security_group", "storage"}


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    """Returns cluster.yaml as it is written."""
    return (root / "cluster.yaml").read_text()


@pytest.fixture(scope="module")
def config(text: str) -> dict[str, Any]:
    """Returns the file with Ray's defaults for AWS filled in, as `ray up` makes them before it asks AWS for anything."""
    return prepare_config(copy.deepcopy(yaml.safe_load(text)))


def test_ray_accepts_the_file(config: dict[str, Any]) -> None:
    """Ray's own schema and checks, on the file with all defaults of provider aws."""
    validate_config(config)
    assert config["provider"]["type"] == "aws"


def test_what_a_user_edits_is_five_lines_at_the_top(text: str) -> None:
    """The five lines come first, and every placeholder of the file is in them."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("metadata:"))
    assert all(line.startswith("#") or not line for line in lines[:first])
    edited = lines[first + 1 : first + 1 + len(EDITED)]
    assert {line.split(":")[0].strip() for line in edited} == EDITED
    assert [line for line in lines if "00000000" in line or "eu-central-1" in line] == edited


def test_every_node_names_its_image_subnet_and_security_group(config: dict[str, Any]) -> None:
    """Else Ray takes an old image without Python 3.11, and makes a security group that is open to ssh from everywhere."""
    for node in config["available_node_types"].values():
        assert node["node_config"]["SecurityGroupIds"] == [config["metadata"]["security_group"]]
        assert node["node_config"]["SubnetIds"] == [config["metadata"]["subnet"]]
        assert node["node_config"]["ImageId"] == config["metadata"]["image"]
    assert "security_group" not in config["provider"]
    assert "0.0.0.0" not in str(config)


def test_nobody_joins_submits_or_looks_without_the_token(config: dict[str, Any]) -> None:
    """Dashboard on loopback, a token on every node that others cannot read, and no usage statistics."""
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert " --dashboard-host=127.0.0.1 " in config["head_start_ray_commands"][-1]
    for commands, start in (
        (config["head_setup_commands"], config["head_start_ray_commands"]),
        (config["worker_setup_commands"], config["worker_start_ray_commands"]),
    ):
        assert "chmod 700 ~/.ray && chmod 600 ~/.ray/auth_token" in commands
        (environment,) = (c for c in commands if c.endswith("> ~/.stridefold_environment"))
        assert {"RAY_AUTH_MODE=token", "RAY_USAGE_STATS_ENABLED=0"} <= set(environment.split())
        assert start[0] == "ray stop"
        assert re.match(
            r"ulimit -n 65536; \. ~/\.stridefold_environment;( export [^;]*;)? ray start ", start[-1]
        )  # after ray up's own exports
        assert not any(">>" in c and not c.startswith("grep -q") for c in commands)  # a second run adds nothing


def test_trials_wait_on_the_head_and_train_on_gpus(config: dict[str, Any]) -> None:
    """The head offers tune_driver and no CPU; GPU machines come and go between none and the most."""
    types = config["available_node_types"]
    head, gpu = types[config["head_node_type"]], types["gpu"]
    assert head["resources"] == {"CPU": 0, "tune_driver": 64}
    start = config["head_start_ray_commands"][-1]
    assert "--num-cpus=0 " in start
    assert """--resources='{"tune_driver": 64}' """ in start
    assert (head["max_workers"], gpu["min_workers"], gpu["max_workers"]) == (0, 0, config["max_workers"])


def test_nodes_install_the_project_and_nothing_of_this_machine_but_it(config: dict[str, Any]) -> None:
    """The project is installed by its own Makefile; studies and environments stay here."""
    assert config["file_mounts"]["~/stridefold"] == "."
    assert {".venv", ".git", "studies", "/cohort"} <= set(config["rsync_exclude"])
    assert 'make -C ~/stridefold install VENV="$HOME/stridefold-venv"' in config["worker_setup_commands"]


def test_workers_train_with_the_memory_of_a_search_on_one_machine(config: dict[str, Any]) -> None:
    """A worker's environment has what `--address local` gives its processes."""
    exported = re.search(r"export ([^;]*);", config["worker_start_ray_commands"][-1])
    assert exported
    assert dict(item.split("=") for item in exported[1].split()) == KEEP_MEMORY


def test_a_search_counts_the_machines_that_are_not_started_yet(config: dict[str, Any], tmp_path: Path) -> None:
    """A cluster at rest is its head alone; what its autoscaler may start is in the file that `ray up` leaves there."""
    offered = {"CPU": 0.0, "tune_driver": 64.0}
    assert when_all_started(offered, tmp_path / "none.yaml") == offered
    filled = copy.deepcopy(config)
    filled["available_node_types"]["gpu"]["resources"] = {"CPU": 4, "GPU": 1}  # `ray up` asks AWS for these
    (tmp_path / "bootstrap.yaml").write_text(yaml.safe_dump(filled))
    most = config["max_workers"]
    assert when_all_started(offered, tmp_path / "bootstrap.yaml") == {
        "CPU": 4.0 * most,
        "GPU": most,
        "tune_driver": 64.0,
    }
    running = {"CPU": 100.0, "GPU": 1.0}
    assert when_all_started(running, tmp_path / "bootstrap.yaml") == {"CPU": 100.0, "GPU": most}
