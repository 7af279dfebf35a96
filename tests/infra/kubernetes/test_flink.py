"""What the Flink cluster's manifests and its image say in several places is the same in all of them.

That an API server takes the manifests: end_to_end/test_kubernetes.py.
"""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).resolve().parents[3]
MANIFESTS = ROOT / "infra" / "kubernetes"
BASE = MANIFESTS / "flink" / "base"
IMAGE = MANIFESTS / "flink" / "image" / "Dockerfile"
FLINK = yaml.safe_load((BASE / "flinkdeployment.yaml").read_text())["spec"]
MAVEN = "{http://maven.apache.org/POM/4.0.0}"


def pom() -> tuple[str, str, dict[str, str]]:
    """The artifact, its version, and the properties of pom.xml."""
    root = ElementTree.parse(ROOT / "infra" / "flink" / "pom.xml").getroot()
    properties = {child.tag.removeprefix(MAVEN): child.text or "" for child in root.find(f"{MAVEN}properties") or ()}
    return root.findtext(f"{MAVEN}artifactId", ""), root.findtext(f"{MAVEN}version", ""), properties


def test_the_image_has_the_flink_and_the_jars_that_pom_xml_makes() -> None:
    artifact, version, properties = pom()
    flink = properties["flink.version"]
    found = [(s["instruction"], s["value"]) for s in DockerfileParser(path=str(IMAGE)).structure]
    assert ("FROM", f"flink:{flink}-java17") in found
    copied = [re.findall(r"\S+\.jar", value) for name, value in found if name == "COPY"]
    assert copied == [[f"{artifact}-{version}-runner.jar"], [f"{artifact}-{version}-job-server.jar"]]
    classifiers = re.findall(r"<shadedClassifierName>(.*)</", (ROOT / "infra/flink/pom.xml").read_text())
    assert sorted(classifiers) == ["job-server", "runner"]
    assert f"-t starmill-flink:{flink} " in IMAGE.read_text()
    run = {i for m in MANIFESTS.rglob("*.yaml") for i in re.findall(r"image: (starmill-flink\S+)", m.read_text())}
    assert run == {f"starmill-flink:{flink}"}
    assert FLINK["flinkVersion"] == f"v{properties['beam.flink'].replace('.', '_')}"
    assert flink.startswith(f"{properties['beam.flink']}."), "the Flink that Beam's runner is built for"
    [server] = yaml.safe_load((BASE / "job.yaml").read_text())["spec"]["template"]["spec"]["initContainers"]
    assert f"/opt/flink/{artifact}-{version}-job-server.jar" in server["command"]


def patches(overlay: Path) -> list[list[dict[str, Any]]]:
    """The JSON patches of an overlay."""
    given = yaml.safe_load(overlay.read_text())["patches"]
    return [yaml.safe_load(p["patch"]) for p in given if "patch" in p]


@pytest.mark.parametrize(
    "overlay", sorted(MANIFESTS.glob("*/overlays/*/kustomization.yaml")), ids=lambda p: f"{p.parts[-4]}-{p.parts[-2]}"
)
def test_what_is_replaced_by_its_place_is_looked_at_first(overlay: Path) -> None:
    for operations in patches(overlay):
        for before, operation in zip([{}, *operations], operations, strict=False):
            if operation["op"] == "replace" and re.search(r"/\d+(/|$)", operation["path"]):
                assert (before.get("op"), before.get("path")) == ("test", operation["path"]), operation


def by_place(lower: Any, upper: Any, at: str = "") -> None:
    """Go through two templates as Flink's operator merges them: what has a name may only meet what has the same."""
    if isinstance(lower, list) and isinstance(upper, list):
        for i, (one, other) in enumerate(zip(lower, upper, strict=False)):
            if isinstance(one, dict) and "name" in one:
                assert one["name"] == other["name"], f"{at}/{i}"
            by_place(one, other, f"{at}/{i}")
    elif isinstance(lower, dict) and isinstance(upper, dict):
        for key in lower.keys() & upper.keys():
            by_place(lower[key], upper[key], f"{at}/{key}")


@pytest.mark.parametrize("manager", ["jobManager", "taskManager"])
def test_templates_are_merged_by_place(manager: str) -> None:
    by_place(FLINK["podTemplate"]["spec"], FLINK[manager]["podTemplate"]["spec"])


def test_probes_ask_where_flink_listens() -> None:
    asked = {
        m: FLINK[m]["podTemplate"]["spec"]["containers"][0]["livenessProbe"]["tcpSocket"]["port"]
        for m in FLINK
        if "Manager" in m
    }
    [driver] = yaml.safe_load((BASE / "job.yaml").read_text())["spec"]["template"]["spec"]["containers"]
    [rest] = [a.rpartition(":")[2] for a in driver["args"] if a.startswith("--flink_master=")]
    assert asked == {"jobManager": int(rest), "taskManager": int(FLINK["flinkConfiguration"]["taskmanager.rpc.port"])}


def test_a_job_of_days_is_restarted_by_the_rate_of_failures_not_their_number() -> None:
    options = {k for k in FLINK["flinkConfiguration"] if k.startswith("restart-strategy.")}
    assert FLINK["flinkConfiguration"]["restart-strategy.type"] == "failure-rate"
    own = {"max-failures-per-interval", "failure-rate-interval", "delay"}
    assert options == {"restart-strategy.type", *(f"restart-strategy.failure-rate.{name}" for name in own)}


def test_only_the_driver_the_operator_and_flink_itself_reach_flink() -> None:
    policy = yaml.safe_load((BASE / "networkpolicy.yaml").read_text())["spec"]
    flink = FLINK["podTemplate"]["metadata"]["labels"]
    driver = yaml.safe_load((BASE / "job.yaml").read_text())["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"] == {"matchLabels": flink} and policy["policyTypes"] == ["Ingress"] and driver != flink
    among, rest = policy["ingress"]
    assert among == {"from": [{"podSelector": {"matchLabels": flink}}]}
    assert rest["ports"] == [{"protocol": "TCP", "port": 8081}]
    operator = {"matchLabels": {"app.kubernetes.io/name": "flink-kubernetes-operator"}}  # of its Helm chart
    assert rest["from"] == [{"podSelector": {"matchLabels": driver}}, {"namespaceSelector": {}, "podSelector": operator}]
    assert "networkpolicy.yaml" in yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
