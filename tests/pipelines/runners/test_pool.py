"""The pool of workers: they connect to who asked for them, several TaskManagers share it, and they end with it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import psutil
import pytest
import stranger
from apache_beam.options.pipeline_options import PortableOptions
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc, endpoints_pb2

from starmill.core.errors import UsageError
from starmill.pipelines.runners.flink import Flink, check_pool
from starmill.pipelines.runners.pool import TOKEN, start


@pytest.fixture
def pool() -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-m", "starmill.cli", "pool", "--address", "127.0.0.1:0"]
    # No python on the PATH: the pool needs none.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PATH": "/nonexistent"})
    assert process.stdout
    found = re.search(r"127\.0\.0\.1:(\d+);", process.stdout.readline())
    assert found
    yield process, int(found[1])
    process.kill()
    process.communicate()


def workers(pool: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pool and state != "Z":
            found.append(int(entry.parent.name))
    return found


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 30
    while any(map(runs, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(map(runs, pids))


def test_workers_connect_and_leave(pool: tuple[subprocess.Popen[str], int]) -> None:
    process, port = pool
    for _ in range(2):  # the same number each time, as two TaskManagers would give
        check_pool(f"127.0.0.1:{port}", seconds=60, starts=True)
    deadline = time.monotonic() + 30
    while workers(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert workers(process.pid) == [], "a worker whose channel closed ends"


def start_worker(port: int, control: int) -> None:
    endpoint = endpoints_pb2.ApiServiceDescriptor(url=f"127.0.0.1:{control}")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
        stub.StartWorker(beam_fn_api_pb2.StartWorkerRequest(worker_id="1", control_endpoint=endpoint), timeout=30)


def test_a_worker_ends_whose_taskmanager_died_before_it_connected(pool: tuple[subprocess.Popen[str], int]) -> None:
    process, port = pool
    with socket.create_server(("127.0.0.1", 0)) as server:
        control = server.getsockname()[1]
    start_worker(port, control)
    assert gone(workers(process.pid)), "Beam's own waits a minute for a channel"


def test_a_killed_pool_leaves_no_worker(pool: tuple[subprocess.Popen[str], int]) -> None:
    process, port = pool
    with socket.create_server(("127.0.0.1", 0)) as silent:  # somebody listens and says nothing: the worker keeps trying
        start_worker(port, silent.getsockname()[1])
        started = workers(process.pid)
        assert len(started) == 1
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert gone(started)


def test_two_pools_at_one_address_are_refused() -> None:
    server, port = start("127.0.0.1:0")
    try:
        with pytest.raises(OSError, match=f"127.0.0.1:{port}: cannot listen"):
            start(f"127.0.0.1:{port}")
    finally:
        server.stop(None)


def test_an_address_that_others_reach_needs_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    for address in ("0.0.0.0:0", "[::]:0", ":0", "worker-3:50000"):
        with pytest.raises(UsageError, match="run code as you"):
            start(address)
    monkeypatch.setenv(TOKEN, "a secret")
    server, _ = start("0.0.0.0:0")
    server.stop(None)


def test_a_pool_with_a_token_starts_workers_for_those_who_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pools = psutil.Process()
    monkeypatch.setenv(TOKEN, "a secret")
    server, port = start("127.0.0.1:0")
    given = Flink(("--runner=FlinkRunner", "--environment_type=EXTERNAL", f"--environment_config=127.0.0.1:{port}"))
    config = json.loads(given.pipeline(1)._options.view_as(PortableOptions).environment_config)
    assert config == {"url": f"127.0.0.1:{port}", "params": {"token": "a secret"}}, "what Beam's runner passes on"
    try:
        check_pool(f"127.0.0.1:{port}", seconds=60, starts=True)
        before = {child.pid for child in pools.children()}
        stranger.is_refused(port)
        assert {child.pid for child in pools.children()} <= before, "nothing was started"
    finally:
        server.stop(None)
