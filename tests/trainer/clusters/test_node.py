"""A node of a training: its status is that of its ranks, and a signal to one node saves and stops them all."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from small_workspace import RECIPE, build

from starmill.trainer.clusters.node import host, status


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        *(({143}, 143), ({138, 143}, 143), ({-signal.SIGUSR1}, 138), ({130}, 130)),
        *(({1}, 1), ({143, 1}, 1), ({-signal.SIGABRT}, 1), ({2}, 2), ({2, -signal.SIGTERM}, 2), ({3}, 3), ({2, 3}, 1)),
    ],
)
def test_the_status_says_whether_the_ranks_were_stopped_or_failed(codes: set[int], expected: int) -> None:
    assert status(codes) == expected


def test_the_batch_system_says_who_hosts() -> None:
    assert [host({"SLURM_NODEID": n}) for n in "01"] == ["is_host=True", "is_host=False"]
    assert [host({"JOB_COMPLETION_INDEX": n}) for n in ("0", "10")] == ["is_host=True", "is_host=False"]
    assert host({}) == ""


@pytest.mark.slow
def test_a_signal_to_one_node_saves_and_stops_all(tmp_path: Path) -> None:
    build(tmp_path / "w")
    values = {**RECIPE, "steps": 100_000, "checkpoint_every": 100_000, "data": {**RECIPE["data"], "micro_batch": 2}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**values, "workspace": "w", "output": "model"}))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    nodes = []
    for number in ("1", "0"):  # in the wrong order
        command = [
            sys.executable,
            "-m",
            "starmill.trainer.clusters.node",
            "--nnodes=2",
            "--nproc-per-node=1",
            "--rdzv-backend=c10d",
        ]
        command += [f"--rdzv-endpoint=localhost:{port}", "--rdzv-id=test", "-m", "starmill.cli", "train", "recipe.yaml"]
        environment = {**os.environ, "JOB_COMPLETION_INDEX": number, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
        nodes.append(subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True))
    metrics = tmp_path / "model/metrics.jsonl"
    while not metrics.exists() or "gradient_norm" not in metrics.read_text():
        assert [node.poll() for node in nodes] == [None, None], nodes[0].communicate()[1] + nodes[1].communicate()[1]
        time.sleep(0.05)
    nodes[0].send_signal(signal.SIGUSR1)
    said = "".join(node.communicate(timeout=100)[1] for node in nodes)
    assert nodes[0].returncode == 138 and nodes[1].returncode in (138, 143), said
    assert "stopped after step" in said and list((tmp_path / "model/checkpoints").glob("step-*/meta.json"))
