"""A training as a kustomization: an overlay of infra/kubernetes/train, the recipe as a ConfigMap, and one patch with this run's values."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from starmill.core.errors import MachineError, UsageError

OVERLAYS = Path(__file__).resolve().parents[2] / "infra" / "kubernetes" / "train" / "overlays"
BASE_NAME, RECIPE, PORT = "starmill-train", "/recipe/recipe.yaml", 29400


@dataclass(frozen=True)
class Training:
    """What differs between runs on one cluster."""

    name: str
    image: str
    namespace: str | None
    claim: str
    nodes: int
    ranks: int  # per node
    gpus: int  # per node
    output: str


def overlay(given: str | None, gpus: int) -> Path:
    """Return the folder of the kustomization to build on. Raises UsageError."""
    folder = Path(given) if given else OVERLAYS / ("gpu-h100" if gpus else "cpu-small")
    if given and not folder.exists() and folder.name == given:
        folder = OVERLAYS / given
    if not (folder / "kustomization.yaml").exists():
        known = ", ".join(sorted(p.name for p in OVERLAYS.iterdir()))
        raise UsageError(f"--overlay {given}: no kustomization.yaml there; give a folder that has one, or one of: {known}")
    return folder.resolve()


def files(training: Training, values: Mapping[str, Any], overlay: Path, folder: Path) -> dict[str, str]:
    """Return the files of a kustomization that lies in `folder`, by name: deployed with `kubectl apply -k`, removed with `delete -k`."""
    name = training.name
    renamed = [
        {"target": {"kind": kind}, "patch": _yaml([{"op": "replace", "path": "/metadata/name", "value": name}])}
        for kind in ("Service", "ServiceAccount", "Job")
    ]
    top = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        **({"namespace": training.namespace} if training.namespace else {}),
        "resources": [os.path.relpath(overlay, folder.resolve())],  # kustomize takes no absolute one
        "configMapGenerator": [{"name": f"{name}-recipe", "files": ["recipe.yaml"]}],
        "labels": [{"pairs": {"app.kubernetes.io/instance": name}, "includeSelectors": True, "includeTemplates": True}],
        "patches": [{"path": "training.yaml", "target": {"kind": "Job"}}, *renamed],
    }
    return {
        "kustomization.yaml": _yaml(top),
        "training.yaml": _yaml(_patch(training)),
        "recipe.yaml": _yaml(dict(values)),
    }


def _patch(training: Training) -> dict[str, Any]:
    name = training.name
    container: dict[str, Any] = {
        "name": "trainer",
        "image": training.image,
        "args": [
            f"--nnodes={training.nodes}",
            f"--nproc-per-node={training.ranks}",
            "--rdzv-backend=c10d",
            f"--rdzv-endpoint={name}-0.{name}:{PORT}",
            f"--rdzv-id={name}",
            "-m",
            "starmill.cli",
            "train",
            RECIPE,
        ],
        "env": [{"name": "OUTPUT", "value": training.output.replace("$(", "$$(")}],  # which Kubernetes would expand
        "volumeMounts": [{"name": "recipe", "mountPath": str(Path(RECIPE).parent), "readOnly": True}],
    }
    if training.gpus:
        container["resources"] = {"limits": {"nvidia.com/gpu": str(training.gpus)}}
    pod = {
        "subdomain": name,
        "serviceAccountName": name,
        "containers": [container],
        "volumes": [
            {"name": "recipe", "configMap": {"name": f"{name}-recipe"}},
            {"name": "data", "persistentVolumeClaim": {"claimName": training.claim}},
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": BASE_NAME},
        "spec": {"completions": training.nodes, "parallelism": training.nodes, "template": {"spec": pod}},
    }


def write(files: Mapping[str, str], folder: Path) -> None:
    """Write the kustomization into its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def render(files: Mapping[str, str], folder: Path) -> str | None:
    """Return the manifests that kubectl renders, None without kubectl. Raises MachineError with kubectl's message."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        return None
    with tempfile.TemporaryDirectory() as place:
        # The overlay's relative path is another from this folder.
        values = yaml.safe_load(files["kustomization.yaml"])
        resource = (folder.resolve() / values["resources"][0]).resolve()
        values["resources"] = [os.path.relpath(resource, Path(place).resolve())]
        write({**files, "kustomization.yaml": _yaml(values)}, Path(place))
        done = subprocess.run([kubectl, "kustomize", place], capture_output=True, text=True)
    if done.returncode:
        raise MachineError(f"kubectl kustomize: {done.stderr.strip()}")
    return done.stdout


def _yaml(values: Any) -> str:
    return yaml.safe_dump(values, sort_keys=False, width=120)
