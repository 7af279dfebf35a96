"""Whatever dies on a Flink cluster, by SIGKILL in the middle of a stage, the run ends by itself or is started again: same bytes.

Twenty kills: a TaskManager, a Python worker, the JobManager and the driver, in each stage. What died of the cluster is started
again by `make flink-up`, as a supervisor would. The middle of a stage is when some of its parts are published and others are not; of
dedup, which publishes all of them in its last step, when half of its Flink vertices have data. The workers run in short steps until
then and stand still at the kill, so that it holds.
"""

import itertools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from flink_shell import Shell, running, running_command
from pages import ROOT
from plain_tree import tree
from small_tree import RECIPE, TASK, starmill

from starmill.core.dataset import Workspace
from starmill.pipelines import stages
from starmill.pipelines.stages import STAGES

pytestmark = [pytest.mark.clusters, pytest.mark.timeout(1800)]
UP = "make flink-up TASKMANAGERS=2"
VICTIMS = ("taskmanager", "worker", "jobmanager", "driver")
PARTS = 10
CACHE_SECONDS = 3  # that a worker without work lives


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of ten parts and its recipe."""
    place = tmp_path_factory.mktemp("code")
    tree(place / "tree", PARTS, 12)
    (place / "benchmark.jsonl").write_text(json.dumps(TASK) + "\n")
    values = {"workspace": place / "work", "tree": place / "tree", "benchmark": place / "benchmark.jsonl"}
    (place / "recipe.yaml").write_text(RECIPE.format(**values))
    return place


@pytest.fixture(scope="module")
def before(code: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each stage, a workspace where all stages before it are done."""
    place, found = tmp_path_factory.mktemp("before"), {}
    for stage in STAGES:
        found[stage] = place / stage
        starmill(stage, "recipe.yaml", "--workspace", str(place / "now"), "--workers", "1", cwd=code)
        shutil.copytree(place / "now", place / f"{stage}-done")
    for earlier, stage in zip([None, *STAGES], STAGES, strict=False):
        if earlier is not None:
            shutil.copytree(place / f"{earlier}-done", found[stage])
    manifest = Workspace(str(place / "now")).manifest("records")
    assert manifest and len(manifest.parts) == PARTS
    return found


@pytest.fixture(scope="module")
def shell(code: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    shell = Shell(tmp_path_factory.mktemp("home"), code)
    shell(UP)
    yield shell
    shell("make flink-down")
    assert not running(str(shell.home))


def files(workspace: Path) -> dict[str, bytes]:
    """All files, temporary ones too, but the note of how long stages took."""
    found = {str(p.relative_to(workspace)): p for p in workspace.rglob("*") if p.is_file()}
    return {name: p.read_bytes() for name, p in found.items() if name != "timings.json"}


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_kill(shell: Shell, before: dict[str, Path], stage: str, victim: str, request: pytest.FixtureRequest) -> None:
    workspace = shell.home / f"{stage}-{victim}"
    if before[stage].exists():
        shutil.copytree(before[stage], workspace)
    options = [o for o in shell.options() if "environment_cache" not in o] + [
        f"--environment_cache_millis={CACHE_SECONDS * 1000}"
    ]
    command = ["starmill", stage, "recipe.yaml", "--workspace", str(workspace), "--", *options]
    jobs = {job["jid"] for job in shell.get("jobs/overview")["jobs"]}
    driver = start(shell, command)
    request.addfinalizer(lambda: (driver.kill(), driver.wait(), shell.signal_workers(signal.SIGCONT)))
    job = stand_still_in_the_middle(shell, driver, jobs, workspace, stage)
    if victim == VICTIMS[0]:  # whoever asks, and from wherever, sees how far it is
        published = len([*(workspace / stages.load(stage).dataset).glob("part-*.json")])
        told = starmill("status", "--recipe", "recipe.yaml", "--workspace", str(workspace), cwd=shell.home).stdout
        assert f"{stage:<9} {published}/{PARTS} parts" in told.splitlines()[[*STAGES].index(stage)], told
    children = [child.pid for child in psutil.Process(driver.pid).children(recursive=True)]
    kill(shell, driver, victim)
    shell.signal_workers(signal.SIGCONT)
    if victim in ("taskmanager", "jobmanager"):
        shell(UP)
    _, errors = driver.communicate(timeout=600)
    for _ in range(3 * (driver.returncode != 0)):
        done = starmill(*command[1:], cwd=shell.home, check=False)
        if done.returncode == 0:
            break
        errors = done.stderr
    else:
        assert driver.returncode == 0, errors
    assert files(workspace) == files(before["ingest"].parent / f"{stage}-done")
    nothing_is_left(shell, children)
    if victim == "driver":  # its job was over before the next one's began
        mine = [j for j in shell.get("jobs/overview")["jobs"] if j["name"] == job]
        mine.sort(key=lambda j: j["start-time"])
        assert all(a["end-time"] <= b["start-time"] for a, b in itertools.pairwise(mine)), mine


@pytest.mark.parametrize("started", [1, 2, 3, 4])
def test_an_interrupted_start_leaves_nothing(tmp_path: Path, code: Path, started: int) -> None:
    shell = Shell(tmp_path, code)
    arguments = shlex.split(shell.environment["FLINK"])
    command = ["env", "--default-signal=INT", sys.executable, f"{ROOT}/infra/flink/cluster.py", *arguments, "up"]
    up = subprocess.Popen(command, env=shell.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not (tmp_path / "flink" / "cluster.json").exists() or len(shell.processes()) < started:
        assert up.poll() is None, up.communicate()
        time.sleep(0.001)
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=60)
    assert up.returncode and not running(str(tmp_path)) and not (tmp_path / "flink" / "cluster.json").exists()


def stand_still_in_the_middle(
    shell: Shell, driver: "subprocess.Popen[str]", earlier: set[str], workspace: Path, stage: str
) -> str:
    """Let the workers run in steps until the stage is half done, and leave them stopped; return the job's name."""
    while not (found := [j for j in shell.get("jobs/overview")["jobs"] if j["jid"] not in earlier]):
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.05)
    [job], done, published = found, False, 0
    while not (done if stage == "dedup" else published):
        assert driver.poll() is None, driver.communicate()
        shell.signal_workers(signal.SIGCONT)
        time.sleep(0.02)
        shell.signal_workers(signal.SIGSTOP)
        if stage == "dedup":
            vertices = shell.get(f"jobs/{job['jid']}")["vertices"]
            done = 0 < len(vertices) <= 2 * sum(v["status"] in ("RUNNING", "FINISHED") for v in vertices)
        published = len([*(workspace / stages.load(stage).dataset).glob("part-*.json")])
        assert published < PARTS, "the stage was over before the kill"
    assert shell.get(f"jobs/{job['jid']}")["state"] == "RUNNING"
    return job["name"]


def nothing_is_left(shell: Shell, children: list[int]) -> None:
    """With the cluster still up: no job runs, no worker outlives its time without work, no child its driver."""
    states = shell.jobs()
    assert states <= {"FINISHED", "CANCELED", "FAILED"}, states
    deadline = time.monotonic() + CACHE_SECONDS + 20
    while (left := shell.workers()) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left and not [pid for pid in children if running_command(pid)]


def start(shell: Shell, command: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command, cwd=shell.home, env=shell.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def kill(shell: Shell, driver: "subprocess.Popen[str]", victim: str) -> None:
    if victim == "driver":
        driver.kill()
        return
    if victim == "worker":
        os.kill(shell.workers()[0], signal.SIGKILL)
        return
    pid = shell.processes()[{"taskmanager": "taskmanager-0"}.get(victim, victim)]
    os.kill(pid, signal.SIGKILL)
    while pid in running(str(shell.home)):  # a large process takes a while to die, and `make flink-up` would find it alive
        time.sleep(0.1)
