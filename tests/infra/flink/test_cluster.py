"""The Flink cluster's script says what is missing and how to get it, before it starts anything. The cluster itself: end_to_end/."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

CLUSTER = Path(__file__).resolve().parents[3] / "infra" / "flink" / "cluster.py"


def cluster(*arguments: str, home: Path, path: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "JAVA_HOME"} | {"PATH": path, "XDG_CACHE_HOME": str(home)}
    command = [sys.executable, str(CLUSTER), "--folder", str(home / "flink"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def program(folder: Path, name: str, text: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (None, "Java is missing; install Java 17"),
        ('openjdk version "21.0.2" 2024-01-16', "Flink needs Java 11 or 17"),
        ('java version "1.8.0_402"', "Flink needs Java 11 or 17"),
        ('openjdk version "17.0.15" 2025-04-15', "Maven is missing; install it"),
        ('openjdk version "11.0.2" 2019-01-15', "Maven is missing; install it"),
    ],
)
def test_what_is_missing_is_said_first(tmp_path: Path, version: str | None, message: str) -> None:
    path = program(tmp_path / "bin", "java", f"echo '{version}' >&2") if version else "/nonexistent"
    done = cluster("up", home=tmp_path, path=path)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "flink").exists()
    checked = cluster("check", home=tmp_path, path=path)
    assert checked.returncode == 1 and checked.stderr == done.stderr


@pytest.mark.parametrize("command", ["status", "options", "run"])
def test_without_a_cluster_there_is_nothing_to_use(tmp_path: Path, command: str) -> None:
    done = cluster(command, home=tmp_path, path="/nonexistent")
    assert done.returncode == 1 and "`make flink-up` starts one" in done.stderr


def test_down_is_always_fine(tmp_path: Path) -> None:
    assert cluster("down", home=tmp_path, path="/nonexistent").returncode == 0


def test_a_stranger_with_the_id_of_a_process_that_was_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger, subprocess.Popen(["sleep", "60"]) as mine:
        started = int(Path(f"/proc/{mine.pid}/stat").read_text().rpartition(")")[2].split()[19])
        processes = {
            "pool": {"pid": stranger.pid, "started": started - 1000},
            "jobmanager": {"pid": mine.pid, "started": started},
        }
        (tmp_path / "flink").mkdir()
        ports = dict.fromkeys(("rest", "rpc", "pool", "job"), 1)
        state = {"ports": ports, "taskmanagers": 0, "processes": processes}
        (tmp_path / "flink" / "cluster.json").write_text(json.dumps(state))
        assert re.search(r"pool +pid \d+ +down\n", cluster("status", home=tmp_path, path="/nonexistent").stdout)
        assert cluster("down", home=tmp_path, path="/nonexistent").stdout == "1 processes ended\n"
        assert mine.wait(timeout=60) == -signal.SIGTERM and stranger.poll() is None
        stranger.kill()
