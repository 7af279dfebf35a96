"""The manifests on a real Kubernetes API server, and what the controller of Jobs makes of them; nothing runs in the pods.

Beside it the schemas of several Kubernetes versions, and the CRD that Flink's operator publishes.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kube
import pytest
import yaml
from pages import ROOT, commands

from starmill.core import recipe, seeds
from starmill.trainer.clusters.launch import fitting

pytestmark = [pytest.mark.clusters, pytest.mark.timeout(3600)]  # the first run builds Kubernetes
MANIFESTS = ROOT / "infra" / "kubernetes"
OVERLAYS = sorted(p.parent for p in MANIFESTS.glob("*/overlays/*/kustomization.yaml"))
OPERATOR = "org.apache.flink:flink-kubernetes-operator-api:1.10.0"
VALIDATE = "kubernetes-validate==1.37.0"
CRD = "META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kube.Cluster]:
    with kube.running(tmp_path_factory.mktemp("kube")) as cluster:
        cluster.do("apply", "--server-side", "-f", "-", stdin=flink_crd())
        deadline = time.monotonic() + 60
        while cluster.run("get", "flinkdeployments").returncode:
            assert time.monotonic() < deadline, "the CRD is not served"
            time.sleep(0.2)
        yield cluster


@pytest.fixture
def namespace(cluster: kube.Cluster, request: pytest.FixtureRequest) -> str:
    """A namespace in which only pods of the strictest standard may be made."""
    name = f"n{seeds.uint64(0, 'namespace', request.node.name):x}"
    cluster.do("create", "namespace", name)
    cluster.do("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    for account in ("default", "flink"):
        cluster.run("create", "serviceaccount", account, "-n", name)
    return name


def flink_crd() -> str:
    """The CRD of FlinkDeployment, out of the operator's published jar."""
    folder = kube.CACHE.parent / "flink-operator"
    _, artifact, version = OPERATOR.split(":")
    jar = folder / f"{artifact}-{version}.jar"
    if not jar.exists():
        assert shutil.which("mvn"), "fetching the CRD of Flink's operator needs Maven; Debian: apt-get install maven"
        plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
        command = ["mvn", "-B", "-q", plugin, f"-Dartifact={OPERATOR}", f"-DoutputDirectory={folder}"]
        subprocess.run(command, check=True, capture_output=True, timeout=600)
    return zipfile.ZipFile(jar).read(CRD).decode()


def kustomize(folder: Path) -> str:
    return subprocess.run(["kubectl", "kustomize", str(folder)], check=True, capture_output=True, text=True).stdout


def pod_specs(node: Any) -> Iterator[dict[str, Any]]:
    """Every pod in a manifest, however deep."""
    if isinstance(node, dict):
        if "containers" in node:
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from pod_specs(child)


@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda p: str(p.relative_to(MANIFESTS)))
@pytest.mark.parametrize("version", ["1.31", "1.37"])
def test_the_published_schemas_accept_them(folder: Path, version: str, tmp_path: Path) -> None:
    made = kustomize(folder)
    said = schemas(made, version, tmp_path)
    objects = [o["kind"] for o in yaml.safe_load_all(made) if o["kind"] != "FlinkDeployment"]
    assert said.returncode == 0 and said.stdout.count(" passed ") == len(objects), said.stdout


def test_the_published_schemas_refuse_what_is_wrong(tmp_path: Path) -> None:
    made = kustomize(OVERLAYS[0])
    wrong = made.replace("restartPolicy: Never", "restartPolicy: Never\n      restartPolice: Never")
    assert wrong != made and "restartPolice" in schemas(wrong, "1.37", tmp_path).stdout


def schemas(manifests: str, version: str, place: Path) -> subprocess.CompletedProcess[str]:
    """What the schemas of a version of Kubernetes say; the tool that has them lives in an environment of its own (17,000 files)."""
    (place / "all.yaml").write_text(manifests)
    uv = [Path(sys.executable).parent / "uv", "tool", "run", "-q", "--python", sys.executable, "--from", VALIDATE]
    command = [*uv, "kubernetes-validate", "--strict", "-k", version, "all.yaml"]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda p: str(p.relative_to(MANIFESTS)))
def test_the_api_server_accepts_them(folder: Path, cluster: kube.Cluster, namespace: str) -> None:
    said = cluster.run("apply", "-n", namespace, "--validate=strict", "-k", str(folder))
    assert said.returncode == 0 and "Warning" not in said.stderr, said.stderr
    wrong = (
        kustomize(folder).replace("replicas: ", "replica: ").replace("podReplacementPolicy: Failed", "podReplacementPolicy: No")
    )
    assert cluster.run("apply", "-n", namespace, "--validate=strict", "-f", "-", stdin=wrong).returncode


@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda p: str(p.relative_to(MANIFESTS)))
def test_every_container_is_limited_probed_and_without_privileges(folder: Path) -> None:
    pods = list(pod_specs(list(yaml.safe_load_all(kustomize(folder)))))
    assert pods
    for pod in pods:
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            merged = container["name"] == "flink-main-container"  # of templates, two of which say how it is probed
            assert "livenessProbe" in container or (merged and "securityContext" in container), container["name"]
            if merged:  # its resources are the operator's, and its entry point edits a configuration on the root
                continue
            assert container["resources"]["limits"].keys() >= {"memory", "ephemeral-storage"}
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("folder", [p for p in OVERLAYS if "flink" in p.parts], ids=lambda p: p.name)
def test_each_taskmanager_has_a_share_of_the_job(folder: Path) -> None:
    objects = {o["kind"]: o["spec"] for o in yaml.safe_load_all(kustomize(folder)) if "spec" in o}
    [driver] = objects["Job"]["template"]["spec"]["containers"]
    flink = objects["FlinkDeployment"]
    slots = int(flink["taskManager"]["replicas"]) * int(flink["flinkConfiguration"]["taskmanager.numberOfTaskSlots"])
    assert [a for a in driver["args"] if a.startswith("--parallelism")] == [f"--parallelism={slots}"]


def test_a_patch_by_place_that_has_lost_its_place_is_refused(tmp_path: Path) -> None:
    shutil.copytree(MANIFESTS / "flink", tmp_path / "flink")
    job = tmp_path / "flink/base/job.yaml"
    job.write_text(job.read_text().replace("            - --quiet\n", ""))
    with pytest.raises(subprocess.CalledProcessError):
        kustomize(tmp_path / "flink/overlays/small")


@pytest.mark.parametrize("folder", [p for p in OVERLAYS if "train" in p.parts], ids=lambda p: p.name)
def test_an_overlay_can_be_trained_as_it_is(folder: Path) -> None:
    [job] = [o for o in yaml.safe_load_all(kustomize(folder)) if o["kind"] == "Job"]
    [container] = job["spec"]["template"]["spec"]["containers"]
    args = container["args"]
    own = args[args.index("starmill.cli") + 2 :]
    options = dict(item[2:].split("=") for item in args if item.startswith(("--nnodes=", "--nproc-per-node=")))
    values = recipe.override(recipe.read(own[0]), [item for item in own[1:] if item != "--set"])
    wanted = fitting(folder.name, values, int(options["nnodes"]), int(options["nproc-per-node"]))
    assert int(options["nnodes"]) == job["spec"]["completions"] == job["spec"]["parallelism"]
    assert {"name": "OUTPUT", "value": wanted.output} in container["env"]


def pods(cluster: kube.Cluster, namespace: str, job: str, count: int, but: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The pods of a job that have not ended, by index, once there are `count` of them that are not among `but`."""
    deadline = time.monotonic() + 60
    while True:
        items = cluster.get("pods", "-n", namespace, "-l", f"job-name={job}")["items"]
        found = {
            i["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]: i
            for i in items
            if i["status"]["phase"] == "Pending" and i["metadata"]["name"] not in but
        }
        if len(found) == count:
            return found
        assert time.monotonic() < deadline, cluster.do("describe", "job", job, "-n", namespace)
        time.sleep(0.3)


def end(cluster: kube.Cluster, namespace: str, pod: dict[str, Any], code: int, disrupted: bool = False) -> None:
    """Say of a pod what a kubelet would when its container has ended."""
    now = pod["metadata"]["creationTimestamp"]
    ended = {"exitCode": code, "reason": "Error" if code else "Completed", "startedAt": now, "finishedAt": now}
    container = {
        "name": "trainer",
        "image": "i",
        "imageID": "i",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": ended},
    }
    status: dict[str, Any] = {"phase": "Failed" if code else "Succeeded", "containerStatuses": [container]}
    if disrupted:
        status["conditions"] = [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]
    name = pod["metadata"]["name"]
    cluster.do(
        "patch", "pod", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status})
    )


def condition(cluster: kube.Cluster, namespace: str, job: str, wanted: str) -> dict[str, Any]:
    cluster.do("wait", f"--for=condition={wanted}", f"job/{job}", "-n", namespace, "--timeout=60s")
    return cluster.get("job", job, "-n", namespace)["status"]


def launch(cluster: kube.Cluster, place: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["starmill", "launch", "kubernetes", "tiny", "--nodes", "2", "--set", "data.micro_batch=4", *options]
    return subprocess.run(command, cwd=place, env=cluster.environment, capture_output=True, text=True, timeout=120)


def test_a_launched_training_is_started_again_as_often_as_it_is_preempted(
    cluster: kube.Cluster, namespace: str, tmp_path: Path
) -> None:
    options = ["--name", "mine", "--namespace", namespace, "--output", "runs/$(HOME)"]
    dry = launch(cluster, tmp_path, *options, "--dry-run")
    assert dry.returncode == 0 and not list(tmp_path.iterdir())
    done = launch(cluster, tmp_path, *options)
    assert done.returncode == 0 and "job.batch/mine created" in done.stdout, done.stderr
    assert kustomize(tmp_path / "runs/launch/mine") in dry.stdout, "the dry run shows what is submitted"
    first = pods(cluster, namespace, "mine", 2)
    for index, pod in first.items():
        spec = pod["spec"]
        assert spec["hostname"] == f"mine-{index}" and spec["subdomain"] == "mine", "the name that the rendezvous is at"
        [container] = spec["containers"]
        assert "--rdzv-endpoint=mine-0.mine:29400" in container["args"]
        assert {"JOB_COMPLETION_INDEX", "OUTPUT"} <= {e["name"] for e in container["env"]}
    selector = cluster.get("service", "mine", "-n", namespace)["spec"]["selector"]
    assert selector.items() <= first["0"]["metadata"]["labels"].items()
    seen: set[str] = set()
    for _ in range(2):  # with 10 and 20 seconds in between: it starts later each time
        now = pods(cluster, namespace, "mine", 2, frozenset(seen))
        seen |= {pod["metadata"]["name"] for pod in now.values()}
        end(cluster, namespace, now["1"], 137, disrupted=True)
        end(cluster, namespace, now["0"], 143)
    for pod in pods(cluster, namespace, "mine", 2, frozenset(seen)).values():
        notes = pod["metadata"]["annotations"]
        assert notes["batch.kubernetes.io/job-index-failure-count"] == "0", "none of it counts towards the limit"
        assert notes["batch.kubernetes.io/job-index-ignored-failure-count"] == "2"
        end(cluster, namespace, pod, 0)
    status = condition(cluster, namespace, "mine", "complete")
    assert status["completedIndexes"] == "0,1" and status["succeeded"] == 2
    assert "deleted" in cluster.do("delete", "-k", str(tmp_path / "runs/launch/mine"))


def test_a_failure_counts(cluster: kube.Cluster, namespace: str, tmp_path: Path) -> None:
    assert launch(cluster, tmp_path, "--name", "fails", "--namespace", namespace).returncode == 0
    first = pods(cluster, namespace, "fails", 2)
    end(cluster, namespace, first["1"], 1)
    again = pods(cluster, namespace, "fails", 2, frozenset([first["1"]["metadata"]["name"]]))["1"]
    assert again["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"] == "1"


def test_wrong_usage_fails_a_training_at_once(cluster: kube.Cluster, namespace: str, tmp_path: Path) -> None:
    assert launch(cluster, tmp_path, "--name", "wrong", "--namespace", namespace).returncode == 0
    end(cluster, namespace, pods(cluster, namespace, "wrong", 2)["1"], 2)
    [failed] = [c for c in condition(cluster, namespace, "wrong", "failed")["conditions"] if c["type"] == "Failed"]
    assert failed["reason"] == "PodFailurePolicy" and "exit code 2" in failed["message"]


def test_a_cluster_that_does_not_answer_is_an_error(cluster: kube.Cluster, tmp_path: Path) -> None:
    lost = kube.Cluster({**cluster.environment, "KUBECONFIG": os.devnull}, tmp_path)
    assert launch(lost, tmp_path).returncode == 1


def test_the_commands_of_the_page(cluster: kube.Cluster, namespace: str, tmp_path: Path) -> None:
    (tmp_path / "infra").symlink_to(ROOT / "infra")
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    cluster.do("config", "set-context", "--current", f"--namespace={namespace}")
    ran = []
    for command in commands(ROOT / "docs" / "clusters.md"):
        if "kube" not in command:
            continue
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=cluster.environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}"
        ran.append(command)
    assert len(ran) >= 5
