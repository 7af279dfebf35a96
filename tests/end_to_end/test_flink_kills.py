"""Whatever dies on a Flink cluster, by SIGKILL in the middle of a stage, the run ends by itself or is started again: same bytes.

Twenty kills: a TaskManager, a Python worker, the JobManager and the driver, in each stage. What died of the cluster is started
again by `make flink-up`, as a supervisor would.
"""

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flink_shell import Shell, running
from pages import ROOT
from small_tree import starmill

from starmill.core import seeds
from starmill.core.dataset import STAGES

pytestmark = [pytest.mark.clusters, pytest.mark.timeout(1800)]
UP = "make flink-up TASKMANAGERS=2"
VICTIMS = ("taskmanager", "worker", "jobmanager", "driver")


@pytest.fixture(scope="module")
def shell(milled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    shell = Shell(tmp_path_factory.mktemp("home"), milled)
    shell(UP)
    pool = shell.processes()["pool"]
    yield shell
    shell("make flink-down")
    deadline = time.monotonic() + 30
    while (left := running(str(shell.home)) | running(f"starmill.pipelines.worker {pool}")) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not left, left


@pytest.fixture(scope="module")
def before(milled: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each stage, a workspace where all stages before it are done."""
    place, found = tmp_path_factory.mktemp("before"), {}
    for stage in STAGES:
        found[stage] = place / stage
        starmill(stage, "recipe.yaml", "--workspace", str(place / "now"), "--workers", "1", cwd=milled)
        shutil.copytree(place / "now", place / f"{stage}-done")
    for earlier, stage in zip([None, *STAGES], STAGES, strict=False):
        if earlier is not None:
            shutil.copytree(place / f"{earlier}-done", found[stage])
    return found


def files(workspace: Path) -> dict[str, bytes]:
    """All files but the note of how long stages took."""
    found = {str(p.relative_to(workspace)): p for p in workspace.rglob("*") if p.is_file()}
    return {name: p.read_bytes() for name, p in found.items() if name != "timings.json"}


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_kill(shell: Shell, milled: Path, before: dict[str, Path], stage: str, victim: str) -> None:
    workspace = shell.home / f"{stage}-{victim}"
    if before[stage].exists():
        shutil.copytree(before[stage], workspace)
    options = shlex.split(shell(f"python {ROOT}/infra/flink/cluster.py --folder {shell.home}/flink options").stdout)
    command = ["starmill", stage, "recipe.yaml", "--workspace", str(workspace), "--", *options]
    jobs = {job["jid"] for job in shell.get("jobs/overview")["jobs"]}
    driver = start(shell, command)
    while not any(job["jid"] not in jobs and job["state"] == "RUNNING" for job in shell.get("jobs/overview")["jobs"]):
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.05)
    time.sleep(seeds.uint64(0, "kill", stage, victim) % 2000 / 1000)
    assert driver.poll() is None, "the stage was over before the kill"
    kill(shell, driver, victim)
    if victim in ("taskmanager", "jobmanager"):
        shell(UP)
    for _ in range(3):
        _, errors = driver.communicate(timeout=600)
        if driver.returncode == 0:
            break
        driver = start(shell, command)
    assert driver.returncode == 0, errors
    assert files(workspace) == files(before["ingest"].parent / f"{stage}-done")


def start(shell: Shell, command: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command, cwd=shell.home, env=shell.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def kill(shell: Shell, driver: "subprocess.Popen[str]", victim: str) -> None:
    if victim == "driver":
        driver.kill()
        return
    if victim == "worker":
        workers: dict[int, str] = {}
        while not workers:
            workers = running(f"starmill.pipelines.worker {shell.processes()['pool']}")
            assert driver.poll() is None, "no worker was ever seen"
        os.kill(min(workers), signal.SIGKILL)
        return
    pid = shell.processes()[{"taskmanager": "taskmanager-0"}.get(victim, victim)]
    os.kill(pid, signal.SIGKILL)
    while pid in running(str(shell.home)):  # a large process takes a while to die, and `make flink-up` would find it alive
        time.sleep(0.1)
