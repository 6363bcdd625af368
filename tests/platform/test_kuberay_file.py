"""kuberay.yaml: the fields that KubeRay's RayJob has, and what must hold for a cluster to be safe and to go on."""

import json
import shlex
from pathlib import Path
from platform.arguments import parse_search
from typing import Any

import jsonschema
import pytest
import yaml

TEXT = {"type": "string"}
NUMBER = {"type": "integer", "minimum": 0}
SWITCH = {"type": "boolean"}


def record(required: str = "", **fields: Any) -> dict[str, Any]:
    """Returns the schema of an object that has no fields but these."""
    return {"type": "object", "properties": fields, "required": required.split(), "additionalProperties": False}


def rows(of: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema of a list that is not empty."""
    return {"type": "array", "items": of, "minItems": 1}


QUANTITIES = {
    "type": "object",
    "additionalProperties": {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?([KMGTPE]i|[mkMGTPE])?$"},
}
WORDS = {"type": "object", "additionalProperties": TEXT}
CONTAINER = record(
    "name image resources",
    name=TEXT,
    image=TEXT,
    securityContext=record(allowPrivilegeEscalation=SWITCH, capabilities=record(drop=rows(TEXT))),
    env=rows(record("name value", name=TEXT, value=TEXT)),
    resources=record("limits", requests=QUANTITIES, limits=QUANTITIES),
    volumeMounts=rows(record("name mountPath", name=TEXT, mountPath=TEXT)),
)
POD = record(
    "containers",
    automountServiceAccountToken=SWITCH,
    securityContext=record(
        runAsNonRoot=SWITCH,
        runAsUser=NUMBER,
        runAsGroup=NUMBER,
        fsGroup=NUMBER,
        seccompProfile=record("type", type=TEXT),
    ),
    tolerations=rows(record(key=TEXT, operator={"enum": ["Exists", "Equal"]}, effect=TEXT)),
    containers=rows(CONTAINER),
    volumes=rows(
        record(
            "name",
            name=TEXT,
            persistentVolumeClaim=record("claimName", claimName=TEXT),
            emptyDir=record(medium=TEXT, sizeLimit=TEXT),
        )
    ),
)
TEMPLATE = record("spec", spec=POD)
CLUSTER = record(
    "headGroupSpec",
    rayVersion=TEXT,
    authOptions=record("mode", mode={"enum": ["disabled", "token"]}, secretName=TEXT),
    enableInTreeAutoscaling=SWITCH,
    autoscalerOptions=record(idleTimeoutSeconds=NUMBER),
    headGroupSpec=record(
        "rayStartParams template",
        serviceType={"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
        rayStartParams=WORDS,
        template=TEMPLATE,
    ),
    workerGroupSpecs=rows(
        record(
            "groupName minReplicas maxReplicas rayStartParams template",
            groupName=TEXT,
            minReplicas=NUMBER,
            maxReplicas=NUMBER,
            rayStartParams=WORDS,
            template=TEMPLATE,
        )
    ),
)
RAYJOB = record(
    "apiVersion kind metadata spec",
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=record("name", name=TEXT),
    spec=record(
        "entrypoint rayClusterSpec",
        entrypoint=TEXT,
        backoffLimit=NUMBER,
        shutdownAfterJobFinishes=SWITCH,
        ttlSecondsAfterFinished=NUMBER,
        rayClusterSpec=CLUSTER,
    ),
)
"""The part of ray.io_rayjobs.yaml, KubeRay's schema, that the file uses; Kubernetes drops fields that it does not know."""


@pytest.fixture(scope="module")
def job(root: Path) -> dict[str, Any]:
    """Returns the file as Kubernetes reads it."""
    return yaml.safe_load((root / "kuberay.yaml").read_text())


@pytest.fixture(scope="module")
def pods(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the head's and the workers' pods."""
    cluster = job["spec"]["rayClusterSpec"]
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]} | {"head": cluster["headGroupSpec"]}
    return {name: group["template"]["spec"] for name, group in groups.items()}


def test_every_field_is_one_of_a_rayjob(job: dict[str, Any]) -> None:
    """A misspelt field would be dropped silently, and a wrong type refused."""
    jsonschema.Draft202012Validator.check_schema(RAYJOB)
    jsonschema.validate(job, RAYJOB)
    job = yaml.safe_load(json.dumps(job).replace("maxReplicas", "maxReplica"))
    with pytest.raises(jsonschema.ValidationError, match="maxReplica"):
        jsonschema.validate(job, RAYJOB)


def test_ray_is_the_version_that_was_tested(job: dict[str, Any], root: Path) -> None:
    """The submitting pod and the image must have the same Ray."""
    assert f"ray=={job['spec']['rayClusterSpec']['rayVersion']}" in (root / "constraints.txt").read_text().splitlines()


def test_the_command_is_one_that_goes_on(job: dict[str, Any]) -> None:
    """The search accepts the options, joins the cluster, and finds its study again after a retry."""
    command = shlex.split(job["spec"]["entrypoint"])
    assert command[:3] == ["python", "-m", "platform.search"]
    options = parse_search(command[3:])
    assert (options.address, options.study) == ("auto", "first")
    assert {str(options.studies), str(options.cache)} == {"/shared/studies", "/shared/cache"}
    assert job["spec"]["backoffLimit"] > 0
    assert job["spec"]["shutdownAfterJobFinishes"]


def test_nobody_joins_without_the_token(job: dict[str, Any]) -> None:
    """The token is a secret that the file names and does not hold, and the head is not reachable from outside."""
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token", "secretName": "stridefold-ray-token"}
    assert cluster["headGroupSpec"]["serviceType"] == "ClusterIP"


def test_trials_wait_on_the_head_and_train_on_gpus(job: dict[str, Any], pods: dict[str, dict[str, Any]]) -> None:
    """The head has the resource of trials and no GPU; each worker has one GPU, as limit and as request."""
    start = job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]
    assert json.loads(json.loads(start["resources"])) == {"tune_driver": 64}
    assert (start["num-cpus"], start["num-gpus"]) == ("0", "0")
    assert "nvidia.com/gpu" not in pods["head"]["containers"][0]["resources"]["limits"]
    resources = pods["gpu"]["containers"][0]["resources"]
    assert resources["limits"] == resources["requests"]
    assert resources["limits"]["nvidia.com/gpu"] == "1"


def test_every_pod_has_the_volume_and_no_privileges(pods: dict[str, dict[str, Any]]) -> None:
    """All pods mount the claim at /shared, where studies and cache are, and run as a user who may not become root."""
    for pod in pods.values():
        claim = next(v for v in pod["volumes"] if v["name"] == "shared")
        assert claim["persistentVolumeClaim"]["claimName"] == "stridefold"
        assert pod["securityContext"]["runAsNonRoot"]
        for container in pod["containers"]:
            assert {"name": "shared", "mountPath": "/shared"} in container["volumeMounts"]
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert pods["gpu"]["automountServiceAccountToken"] is False
