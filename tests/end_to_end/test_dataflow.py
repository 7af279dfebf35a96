"""docs/dataflow.md, as far as one gets without an account: every command is a shell's, and names what there is.

starmill's own are translated for real with --dry_run=True; of docker's and gcloud's, what they take from this repository is checked.
"""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from pages import ROOT, commands

from starmill.cli.__main__ import main
from starmill.cli.template import command as template_command
from starmill.core import __version__
from starmill.pipelines.stages import STAGES

COMMANDS = commands(ROOT / "docs" / "dataflow.md")
IMAGE = f"us-docker.pkg.dev/my-project/starmill/pipelines:{__version__}"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_shell_takes_it(command: str) -> None:
    subprocess.run(["bash", "-n", "-c", command], check=True, capture_output=True)
    assert all(tag == IMAGE for tag in re.findall(r"us-docker\.pkg\.dev/[^\s,]*:[^\s,]+", command))


@pytest.mark.parametrize("command", [c for c in COMMANDS if "--runner=DataflowRunner" in c])
def test_jobs_are_translated(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "checkouts").mkdir()
    if "--dry_run" not in command:
        command += " --dry_run=True"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main([*map(os.path.expanduser, shlex.split(command)[1:])]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [*STAGES]


def test_other_commands_of_starmill_have_these_options() -> None:
    others = [c for c in COMMANDS if c.startswith("starmill ") and "--runner" not in c]
    assert len(others) == 3
    for command in others:
        words = shlex.split(command)[1:]
        assert words[words.index("--workspace") + 1] == "gs://my-bucket/work"
        assert main([*words[: 2 if words[0] == "run" else 1], "--help"]) == 0, "a command that there is"


def test_docker_builds_what_there_is() -> None:
    [build] = [shlex.split(c) for c in COMMANDS if c.startswith("docker build")]
    dockerfile = (ROOT / build[build.index("-f") + 1]).read_text()
    name, wheel = build[build.index("--build-arg") + 1].split("=")
    assert f"ARG {name}\n" in dockerfile and wheel == f"starmill-{__version__}-py3-none-any.whl" and build[-1] == "."
    assert f"ARG {re.search('--build-arg (USER)=root', (ROOT / 'docs/dataflow.md').read_text())[1]}=" in dockerfile


def test_launches_have_the_parameters_of_the_template() -> None:
    [build] = [shlex.split(c) for c in COMMANDS if "flex-template build" in c]
    metadata = json.loads((ROOT / value(build, "--metadata-file")).read_text())
    launches = [shlex.split(c) for c in COMMANDS if "flex-template run" in c]
    assert len(launches) == 2
    for launch in launches:
        assert value(launch, "--template-file-gcs-location") in build
        given = dict(pair.split("=") for pair in value(launch, "--parameters").split(","))
        patterns = {p["name"]: p["regexes"] for p in metadata["parameters"]}
        assert all(re.fullmatch(r, v) for k, v in given.items() for r in patterns[k])
        assert given["sdk_container_image"] == IMAGE and {
            p["name"] for p in metadata["parameters"] if not p["isOptional"]
        } <= set(given)
        assert template_command([f"--{k}={v}" for k, v in given.items()])[0] == given["stage"]
        assert f"starmill-{given['stage']}" in launch


def value(words: list[str], option: str) -> str:
    return next(w.partition("=")[2] for w in words if w.startswith(f"{option}="))
