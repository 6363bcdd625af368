"""kuberay.yaml: the fields of KubeRay's RayJob and of Kubernetes' pods, and what a safe cluster that goes on needs."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from platform.arguments import parse_search
from typing import Any

import jsonschema
import pytest
import yaml

from tests.kubernetes_schemas import kubernetes_package, pod_template, served_schema

TEXT = {"type": "string"}
NUMBER = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
SWITCH = {"type": "boolean"}


def record(required: str = "", **fields: Any) -> dict[str, Any]:
    """Returns the schema of an object that has no fields but these."""
    return {"type": "object", "properties": fields, "required": required.split(), "additionalProperties": False}


def rows(of: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema of a list that is not empty."""
    return {"type": "array", "items": of, "minItems": 1}


WORDS = {"type": "object", "additionalProperties": TEXT}
POD_TEMPLATE = {"type": "object", "required": ["spec"]}
CLUSTER = record(
    "headGroupSpec",
    rayVersion=TEXT,
    authOptions=record("mode", mode={"enum": ["disabled", "token"]}, secretName=TEXT),
    headGroupSpec=record(
        "template",
        serviceType={"enum": ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]},
        rayStartParams=WORDS,
        template=POD_TEMPLATE,
    ),
    workerGroupSpecs=rows(
        record(
            "groupName minReplicas maxReplicas template",
            groupName=TEXT,
            replicas=NUMBER,
            minReplicas=NUMBER,
            maxReplicas=NUMBER,
            rayStartParams=WORDS,
            template=POD_TEMPLATE,
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
"""The fields that the file uses, outside its pods.

Names, types and enumerations are those of KubeRay 1.6.2 and 1.7.0: docs/reference/api.md at these tags, which KubeRay generates
from ray-operator/apis/ray/v1/rayjob_types.go and raycluster_types.go, as it does helm-chart/kuberay-operator/crds/ray.io_rayjobs.yaml.
authOptions.secretName is not in 1.5. The CRD demands template, groupName, minReplicas and maxReplicas; the rest that is
required here is what the file needs.
"""

RELEASES = ("v1.28.0", "v1.37.0")
"""Of Kubernetes: the one whose pods KubeRay's reference links, and the newest in the package."""


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


def misspelt(document: dict[str, Any], right: str, wrong: str) -> dict[str, Any]:
    """Returns the document with a field's name replaced."""
    text = json.dumps(document)
    assert f'"{right}":' in text
    changed: dict[str, Any] = json.loads(text.replace(f'"{right}":', f'"{wrong}":'))
    return changed


def test_every_field_is_one_of_a_rayjob(job: dict[str, Any]) -> None:
    """A misspelt field would be dropped silently, and a wrong type refused."""
    jsonschema.Draft202012Validator.check_schema(RAYJOB)
    jsonschema.validate(job, RAYJOB)
    job = misspelt(job, "maxReplicas", "maxReplica")
    with pytest.raises(jsonschema.ValidationError, match="maxReplica"):
        jsonschema.validate(job, RAYJOB)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the package with Kubernetes' definitions."""
    try:
        return kubernetes_package(tmp_path_factory.mktemp("kubernetes"))
    except RuntimeError as absent:
        pytest.skip(f"without Kubernetes' definitions: {absent}")


@pytest.mark.parametrize("release", RELEASES)
def test_every_pod_is_one_of_kubernetes(job: dict[str, Any], package: Path, release: str) -> None:
    """Kubernetes' own definitions know each field of the pods, with its type."""
    schema = pod_template(package, release)
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        jsonschema.validate(group["template"], schema)
    for right, wrong in (("mountPath", "mountpath"), ("runAsNonRoot", "runAsNonroot"), ("claimName", "claim")):
        with pytest.raises(jsonschema.ValidationError, match=wrong):
            jsonschema.validate(misspelt(cluster["headGroupSpec"]["template"], right, wrong), schema)


@pytest.mark.skipif("KUBERAY_CRD" not in os.environ, reason="KUBERAY_CRD names no ray.io_rayjobs.yaml of KubeRay")
def test_the_whole_file_is_one_of_kuberays_crd(job: dict[str, Any]) -> None:
    """The schema of an installed KubeRay, made strict, knows each field."""
    schema = served_schema(Path(os.environ["KUBERAY_CRD"]).read_text(), "v1")
    jsonschema.validate(job, schema)
    with pytest.raises(jsonschema.ValidationError, match="secretname"):
        jsonschema.validate(misspelt(job, "secretName", "secretname"), schema)


CRD = """
spec:
  versions:
    - name: v1
      schema:
        openAPIV3Schema:
          type: object
          properties:
            metadata: { type: object }
            spec:
              type: object
              required: [entrypoint]
              properties:
                entrypoint: { type: string }
                size: { anyOf: [{ type: integer }, { type: string }], x-kubernetes-int-or-string: true }
                rest: { type: object, x-kubernetes-preserve-unknown-fields: true, properties: {} }
"""


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"entrypoint": "x", "size": "1Gi", "rest": {"any": 1}}, None),
        ({"entrypoint": "x", "entrypoints": "y"}, "entrypoints"),
        ({"entrypoint": 1}, "not of type"),
        ({"size": 1}, "required"),
    ],
)
def test_a_crd_is_read_as_a_strict_schema(spec: dict[str, Any], problem: str | None) -> None:
    """Unknown fields are refused where Kubernetes would drop them, and kept where it keeps them."""
    document, schema = {"metadata": {"name": "x"}, "spec": spec}, served_schema(CRD, "v1")
    if problem is None:
        jsonschema.validate(document, schema)
    else:
        with pytest.raises(jsonschema.ValidationError, match=problem):
            jsonschema.validate(document, schema)


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
        assert pod["automountServiceAccountToken"] is False


AS_THE_FILE_SAYS = """
import json, sys
import yaml
from platform.options import SearchOptions
from platform.resources import ray_session
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.cluster_utils import Cluster

spec = yaml.safe_load(open(sys.argv[1]))["spec"]["rayClusterSpec"]
read = _derive_autoscaling_config_from_ray_cr({"metadata": {"name": "x", "namespace": "y"}, "spec": spec})
types = read["available_node_types"]
head, gpu = types[read["head_node_type"]]["resources"], types["gpu"]["resources"]

def start(cluster, resources):
    own = {name: count for name, count in resources.items() if name not in ("CPU", "GPU", "memory")}
    cluster.add_node(num_cpus=resources["CPU"], num_gpus=resources.get("GPU", 0), resources=own, include_dashboard=False)

cluster = Cluster()
start(cluster, head)
for _ in range(types["gpu"]["min_workers"]):
    start(cluster, gpu)
with ray_session(SearchOptions(address=cluster.address)) as machines:
    found = [machines.concurrent, machines.cpus_per_worker, machines.gpus_per_worker]
cluster.shutdown()
print(json.dumps(found))
"""


@pytest.mark.slow
def test_a_search_in_such_a_cluster_runs_a_trial_per_gpu(root: Path) -> None:
    """A real Ray of the file's size, as Ray itself reads the file, with GPUs that are not there: nothing computes on them."""
    done = subprocess.run(
        [sys.executable, "-c", AS_THE_FILE_SAYS, str(root / "kuberay.yaml")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [4, 4, 1.0]
