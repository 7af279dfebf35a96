"""The small tree on a real Flink session cluster, by the commands of docs/flink.md: every dataset has the local run's digest."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flink_shell import CACHE, Shell, running
from pages import ROOT, commands

from starmill.core.dataset import STAGES, Workspace

pytestmark = [pytest.mark.clusters, pytest.mark.timeout(1800)]  # the first run builds jars


@pytest.fixture(scope="module")
def shell(milled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    shell = Shell(tmp_path_factory.mktemp("home"), milled)
    yield shell
    shell("make flink-down")


def digests(workspace: Path) -> dict[str, str | None]:
    manifests = {stage: Workspace(str(workspace)).manifest(stage) for stage in STAGES}
    return {stage: manifest.digest if manifest else None for stage, manifest in manifests.items()}


def test_the_commands_of_the_page(shell: Shell, milled: Path) -> None:
    up, run, status, down, own = commands(ROOT / "docs" / "flink.md")
    started = shell(up).stdout
    assert started.count("taskmanager-") == 2 and "2 of 2 slots free" in started
    shell(run)
    assert digests(shell.home / "made") == digests(milled / "work")
    for folder in STAGES.values():
        local = {p.name: p.read_bytes() for p in (milled / "work" / folder).glob("*.parquet")}
        assert local and {p.name: p.read_bytes() for p in (shell.home / "made" / folder).glob("*.parquet")} == local
    assert shell(status).stdout.count("FINISHED") >= len(STAGES)
    again = shell(up, check=False)
    assert again.returncode and "is up already" in again.stderr

    jar, *_ = Path(CACHE).glob("starmill/flink/beam-*-flink-*/*-job-server.jar")
    shutil.copy(jar, shell.home / "job-server.jar")
    shell(own.replace("starmill run", "starmill ingest"))  # a job server of its own for each stage: one stage shows it
    assert digests(shell.home / "on-flink")["ingest"] == digests(milled / "work")["ingest"]

    stopped_by_signal(shell, own)
    pool = own.replace(":50000", ":1")
    refused = shell(pool, check=False)
    assert refused.returncode == 1 and "no worker pool answers at 127.0.0.1:1" in refused.stderr

    shell(down)
    assert "make flink-up" in shell(status, check=False).stderr
    assert not running(str(shell.home / "flink"))


def stopped_by_signal(shell: Shell, own: str) -> None:
    """A run that is ended takes its job along."""
    options = own.partition(" -- ")[2].replace(":8081", f":{shell.ports['rest']}").replace(":50000", f":{shell.ports['pool']}")
    command = ["starmill", "run", "recipe.yaml", "--workspace", "stopped", "--", *options.split()]
    run = subprocess.Popen(command, cwd=shell.home, env=shell.environment, stderr=subprocess.PIPE, text=True)
    while "RUNNING" not in shell.jobs():
        assert run.poll() is None
        time.sleep(0.2)
    run.terminate()
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 130 and "run the same command to continue" in errors
    deadline = time.monotonic() + 60
    while {"RUNNING", "CANCELLING"} & shell.jobs() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert "CANCELED" in shell.jobs() and "RUNNING" not in shell.jobs()
