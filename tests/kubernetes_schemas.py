"""Schemas that others publish for what kuberay.yaml holds: Kubernetes' pods from a package, KubeRay's CRD from a file."""

import copy
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import yaml

PACKAGE = "kubernetes-validate==1.37.0"
"""Of PyPI: carries the OpenAPI definitions of each Kubernetes release as JSON schemas that refuse unknown fields."""
DEFINITIONS = "kubernetes_validate/kubernetes-json-schema/{release}-local-strict/_definitions.json"
POD_TEMPLATE = "io.k8s.api.core.v1.PodTemplateSpec"
SECONDS = 120


def kubernetes_package(folder: Path) -> Path:
    """Returns the package with Kubernetes' definitions as a file of 22 MB, fetched by pip and not installed.

    Raises:
        RuntimeError: pip cannot fetch it; says why.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as late:
        raise RuntimeError(f"pip has not fetched {PACKAGE} in {SECONDS} s") from late
    files = sorted(folder.glob("*.whl"))
    if done.returncode or not files:
        raise RuntimeError(f"pip cannot fetch {PACKAGE}: {done.stderr.strip().splitlines()[-1:]}")
    return files[0]


def pod_template(package: Path, release: str) -> dict[str, Any]:
    """Returns the schema of a pod template in a release of Kubernetes, such as 'v1.37.0'."""
    with zipfile.ZipFile(package) as files:
        definitions = json.loads(files.read(DEFINITIONS.format(release=release)))["$defs"]
    return {"$ref": f"#/$defs/{POD_TEMPLATE}", "$defs": definitions}


def served_schema(crd: str, version: str) -> dict[str, Any]:
    """Returns the schema of a version of a CustomResourceDefinition, made strict.

    Args:
        crd: the definition as YAML.
    """
    versions = yaml.safe_load(crd)["spec"]["versions"]
    schema = next(entry["schema"]["openAPIV3Schema"] for entry in versions if entry["name"] == version)
    return strict(schema)


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns a CRD's schema that refuses unknown fields; Kubernetes prunes them where the schema does not keep them."""
    schema = copy.deepcopy(schema)
    _close(schema)
    return schema


def _close(part: Any) -> None:
    if isinstance(part, list):
        for entry in part:
            _close(entry)
    elif isinstance(part, dict):
        for entry in part.values():
            _close(entry)
        if isinstance(part.get("properties"), dict) and not part.get("x-kubernetes-preserve-unknown-fields"):
            part.setdefault("additionalProperties", False)
