"""What describes the images and the template is consistent, and right by Google's own types.

The images' content: end_to_end/test_images.py.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import re2
from dockerfile_parse import DockerfileParser
from google.cloud.dataflow_v1beta3.types import ContainerSpec, ParameterType, SDKInfo, TemplateMetadata
from google.protobuf import json_format

from starmill.cli.template import command, parser
from starmill.core import __version__
from starmill.pipelines.runners.dataflow import Dataflow, DataflowError
from starmill.pipelines.stages import STAGES

ROOT = Path(__file__).resolve().parents[3]
DOCKER = ROOT / "infra" / "docker"
METADATA = json.loads((DOCKER / "metadata.json").read_text())
PARAMETERS: dict[str, dict[str, Any]] = {p["name"]: p for p in METADATA["parameters"]}
# What a value may be, and what not: both sides of each pattern.
GOOD = {
    "stage": list(STAGES),
    "workspace": ["gs://my-bucket/work", "gs://abc", "gs://my_bucket.example.com/a b/c"],
    "sdk_container_image": ["us-docker.pkg.dev/p/r/worker:0.1.0", f"us-docker.pkg.dev/p/r/worker@sha256:{'0a' * 32}"],
    "recipe": sorted(p.stem for p in (ROOT / "recipes/data").glob("*.yaml")),
    "settings": ["", "minhash.threshold=0.8", "minhash.threshold=0.8;tokenizer.vocab_size=32768", "source={kind: packages}"],
}
BAD = {
    "stage": ["", "train", "ingest,curate", "Ingest"],
    "workspace": ["", "work", "s3://bucket/work", "gs://", "gs://B/x", "gs://b", "gs://bucket/a\nb", " gs://bucket/a"],
    "sdk_container_image": ["", "us-docker.pkg.dev/p/r/worker", "us-docker.pkg.dev/p/r/worker@sha256:1", "worker:a b"],
    "recipe": ["", "../smoke", "gs://bucket/smoke.yaml", "smoke.yaml", "-smoke"],
    "settings": ["minhash", "=1", "a=1;", ";a=1", "a=", "a=1\nb=2", "A.b=1"],
}


def dockerfile(kind: str) -> DockerfileParser:
    return DockerfileParser(path=str(DOCKER / f"{kind}.Dockerfile"))


@pytest.mark.parametrize("kind", ["worker", "trainer"])
def test_an_image_is_a_script_on_a_pinned_base(kind: str) -> None:
    found = dockerfile(kind)
    steps = [(s["instruction"], s["value"]) for s in found.structure if s["instruction"] != "COMMENT"]
    assert [value for name, value in steps if name == "RUN"] == [
        f'--mount=type=bind,target=/source sh /source/infra/docker/install.sh {kind} "/source/dist/${{WHEEL}}" /source/constraints.txt'
    ]
    bases = {k: v for name, value in steps if name == "ARG" and "=" in value for k, v in [value.split("=", 1)] if k != "USER"}
    assert [v for name, v in steps if name == "FROM"][-1] == "${DEBIAN}"
    for base in bases.values():
        assert re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*", base) and "latest" not in base
    assert bases["DEBIAN"].startswith("debian:12."), "install.sh is tested on Debian 12"
    [user] = [v for name, v in steps if name == "USER"]
    assert user == "starmill" or (user, "ARG USER=starmill") == ("${USER}", found.content.splitlines()[-4])
    assert not [v for name, v in steps if name == "ADD"]
    ignored = (DOCKER / f"{kind}.Dockerfile.dockerignore").read_text().splitlines()
    template = ["!infra/docker/template.py"] if kind == "worker" else []
    assert ignored[1:] == ["*", "!constraints.txt", "!dist/*.whl", "!infra/docker/install.sh", *template]


def test_kubernetes_runs_these_images() -> None:
    made = {
        re.search(r"-t (starmill-\w+:\S+)", (DOCKER / f"{kind}.Dockerfile").read_text())[1] for kind in ("worker", "trainer")
    }
    manifests = (ROOT / "infra" / "kubernetes").rglob("*.yaml")
    run = {image for m in manifests for image in re.findall(r"image: (starmill-(?!flink)\S+)", m.read_text())}
    assert run == made == {f"starmill-{name}:{__version__}" for name in ("pipelines", "trainer")}


def test_versions_are_those_of_the_project() -> None:
    beam = re.search(r"^apache-beam==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert beam and f"apache/beam_python3.11_sdk:{beam[1]}\n" in (DOCKER / "worker.Dockerfile").read_text()
    uv = re.search(r"^UV := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert uv and f"\nuv={uv[1]} " in (DOCKER / "install.sh").read_text()
    environment = dockerfile("worker").envs
    assert environment["FLEX_TEMPLATE_PYTHON_PY_FILE"] == "/opt/starmill/template.py"
    assert environment["RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT"] == "1"


def test_the_script_says_what_is_wrong_before_it_does_anything(tmp_path: Path) -> None:
    script, wheel = str(DOCKER / "install.sh"), tmp_path / "w.whl"
    for arguments, message in [
        (["driver", str(wheel), "c"], "'driver' is no kind of image: worker or trainer"),
        (["worker", str(wheel), str(ROOT / "constraints.txt")], "w.whl is not there; make the wheel with"),
    ]:
        done = subprocess.run(["sh", script, *arguments], capture_output=True, text=True, env={"PATH": "/nonexistent:/usr/bin"})
        assert done.returncode == 2 and message in done.stderr


def test_the_template_is_of_googles_type() -> None:
    metadata = json_format.ParseDict(METADATA, TemplateMetadata.pb(TemplateMetadata()))  # an unknown field is an error
    spec = ContainerSpec(
        image="us-docker.pkg.dev/my-project/starmill/pipelines:0.1.0",
        sdk_info=SDKInfo(language=SDKInfo.Language.PYTHON),
        metadata=TemplateMetadata.wrap(metadata),
    )
    assert not spec.metadata.streaming and spec.metadata.name and len(spec.metadata.description) > 50
    for parameter in spec.metadata.parameters:
        # The proto's comments: name, label and help_text are required.
        assert re.fullmatch(r"[a-z][a-z_]*", parameter.name) and parameter.label and len(parameter.help_text) > 20
        assert parameter.help_text.endswith(".") and parameter.regexes, f"{parameter.name}: described and validated"
        assert parameter.param_type != ParameterType.DEFAULT
        assert (parameter.param_type == ParameterType.ENUM) == bool(parameter.enum_options)
        assert parameter.is_optional == (parameter.name in ("recipe", "settings"))


def test_parameters_are_those_of_the_program() -> None:
    options = {a.dest: a for a in parser()._actions if a.dest != "help"}
    assert {*options, "sdk_container_image"} == set(PARAMETERS), "that one is Beam's"
    for name, option in options.items():
        assert PARAMETERS[name]["isOptional"] is not option.required
        assert PARAMETERS[name].get("defaultValue", "") == (option.default or "")
    assert [o["value"] for o in PARAMETERS["stage"]["enumOptions"]] == list(options["stage"].choices) == list(STAGES)
    assert all(name in PARAMETERS["recipe"]["helpText"] for name in GOOD["recipe"])


def accepts(name: str, value: str) -> bool:
    return all(re2.fullmatch(pattern, value) for pattern in PARAMETERS[name]["regexes"])


@pytest.mark.parametrize("name", PARAMETERS)
def test_patterns_let_through_what_the_program_takes(name: str) -> None:
    for value in GOOD[name]:
        assert accepts(name, value), value
        given = {"stage": "ingest", "workspace": "gs://my-bucket/work", name: value}
        assert command([f"--{k}={v}" for k, v in given.items()])
    for value in BAD[name]:
        assert not accepts(name, value), value
    for example in re.findall(r"for example (\S+)\.$", PARAMETERS[name]["helpText"]):
        assert accepts(name, example)


def test_a_workspace_that_a_launch_may_have_is_one_that_dataflow_may_have() -> None:
    complete = ("--runner=DataflowRunner", "--project=my-project", "--region=us-central1", "--temp_location=gs://my-bucket/tmp")
    image = "--sdk_container_image=us-docker.pkg.dev/my-project/starmill/pipelines:0.1.0"
    for place in GOOD["workspace"]:
        Dataflow((*complete, image)).check(place)
    for place in BAD["workspace"]:
        with pytest.raises(DataflowError, match="--workspace"):
            Dataflow((*complete, image)).check(place)
