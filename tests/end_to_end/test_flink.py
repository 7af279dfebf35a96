"""The small tree on a real Flink session cluster, by the commands of docs/flink.md: every dataset has the local run's digest."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import ROOT, commands
from small_tree import RECIPE

from starmill.core.dataset import STAGES, Workspace

pytestmark = [pytest.mark.clusters, pytest.mark.timeout(1800)]  # the first run builds jars


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    held = {name: socket.create_server(("127.0.0.1", 0)) for name in ("rest", "rpc", "pool")}
    found = {name: server.getsockname()[1] for name, server in held.items()}
    for server in held.values():
        server.close()
    return found | {"job": found["rest"] - 10 if found["rest"] > 20_000 else found["rest"] + 10}


@pytest.fixture(scope="module")
def shell(milled: Path, ports: dict[str, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """Run a command of the page: at other ports, on the small tree, into workspaces `made` and `on-flink`."""
    home = tmp_path_factory.mktemp("home")
    values = {"workspace": home / "made", "tree": milled / "tree", "benchmark": milled / "benchmark.jsonl"}
    (home / "recipe.yaml").write_text(RECIPE.format(**values))
    (home / "checkouts").symlink_to(milled / "tree", target_is_directory=True)
    flags = " ".join(f"--{name}-port {port}" for name, port in ports.items())
    kept = os.environ.get("XDG_CACHE_HOME") or f"{Path.home()}/.cache"
    environment = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": kept, "FLINK": f"--folder {home}/flink {flags}"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def run(command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = command.replace("recipes/smoke.yaml", f"{home}/recipe.yaml").replace(":8081", f":{ports['rest']}")
        command = command.replace(":50000", f":{ports['pool']}")
        place = ROOT if command.startswith("make ") else home
        done = subprocess.run(["bash", "-c", command], cwd=place, env=environment, capture_output=True, text=True, timeout=1500)
        assert not check or done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done

    run.home, run.environment, run.ports = home, environment, ports
    yield run
    run("make flink-down")


def digests(workspace: Path) -> dict[str, str | None]:
    manifests = {stage: Workspace(str(workspace)).manifest(stage) for stage in STAGES}
    return {stage: manifest.digest if manifest else None for stage, manifest in manifests.items()}


def test_the_commands_of_the_page(shell, milled: Path, ports: dict[str, int]) -> None:
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

    [jar] = Path(os.environ.get("XDG_CACHE_HOME") or f"{Path.home()}/.cache").glob(
        "starmill/flink/beam-2.62.0-*/*-job-server.jar"
    )
    shutil.copy(jar, shell.home / "job-server.jar")
    shell(own.replace("starmill run", "starmill ingest"))  # a job server of its own for each stage: one stage shows it
    assert digests(shell.home / "on-flink")["ingest"] == digests(milled / "work")["ingest"]

    stopped_by_signal(shell, own, ports["rest"])
    pool = own.replace(":50000", ":1")
    refused = shell(pool, check=False)
    assert refused.returncode == 1 and "no worker pool answers at 127.0.0.1:1" in refused.stderr

    shell(down)
    assert "make flink-up" in shell(status, check=False).stderr
    assert not running(str(shell.home / "flink"))


def stopped_by_signal(shell, own: str, port: int) -> None:
    """A run that is ended takes its job along."""
    options = own.partition(" -- ")[2].replace(":8081", f":{port}").replace(":50000", f":{shell.ports['pool']}")
    command = ["starmill", "run", "recipe.yaml", "--workspace", "stopped", "--", *options.split()]
    run = subprocess.Popen(command, cwd=shell.home, env=shell.environment, stderr=subprocess.PIPE, text=True)
    while "RUNNING" not in jobs(port):
        assert run.poll() is None
        time.sleep(0.2)
    run.terminate()
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 130 and "run the same command to continue" in errors
    deadline = time.monotonic() + 60
    while {"RUNNING", "CANCELLING"} & jobs(port) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert "CANCELED" in jobs(port) and "RUNNING" not in jobs(port)


def jobs(port: int) -> set[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/jobs/overview", timeout=10) as answer:
        return {job["state"] for job in json.load(answer)["jobs"]}


def running(folder: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_text().replace("\0", " ")
        except OSError:
            continue
        if folder in line:
            found.append(line)
    return found
