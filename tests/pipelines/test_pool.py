"""The pool of workers: they connect to who asked for them, several TaskManagers share it, and they end with it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from starmill.pipelines.flink import check_pool
from starmill.pipelines.pool import start


@pytest.fixture
def pool() -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-m", "starmill.pipelines.cli", "pool", "--address", "127.0.0.1:0"]
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


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{p}").exists() for p in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(Path(f"/proc/{p}").exists() for p in pids)


def test_workers_connect_and_leave(pool: tuple[subprocess.Popen[str], int]) -> None:
    process, port = pool
    for _ in range(2):  # the same number each time, as two TaskManagers would give
        check_pool(f"127.0.0.1:{port}", seconds=60, starts=True)
    deadline = time.monotonic() + 30
    while workers(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert workers(process.pid) == [], "a worker whose channel closed ends"


RUNNER = """
import sys, time
import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import ExternalEnvironment
pool, mark = sys.argv[1:]
def work(n):
    open(mark, "w").close()
    time.sleep(600)
pipeline = beam.Pipeline(runner=FnApiRunner(default_environment=ExternalEnvironment(pool)))
_ = pipeline | beam.Create([1]) | beam.Map(work)
pipeline.run()
"""


def test_workers_in_the_middle_of_a_bundle_do_not_outlive_who_gave_it(
    pool: tuple[subprocess.Popen[str], int], tmp_path: Path
) -> None:
    process, port = pool
    mark = tmp_path / "begun"
    given = subprocess.Popen([sys.executable, "-c", RUNNER, f"127.0.0.1:{port}", str(mark)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    busy = workers(process.pid)
    given.kill()
    assert busy, given.communicate()[1]
    assert gone(busy)


def test_a_killed_pool_leaves_no_worker(pool: tuple[subprocess.Popen[str], int]) -> None:
    import grpc
    from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc, endpoints_pb2

    process, port = pool
    with socket.create_server(("127.0.0.1", 0)) as silent, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        # Somebody listens and says nothing: the worker keeps trying.
        nowhere = endpoints_pb2.ApiServiceDescriptor(url=f"127.0.0.1:{silent.getsockname()[1]}")
        stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
        stub.StartWorker(beam_fn_api_pb2.StartWorkerRequest(worker_id="1", control_endpoint=nowhere), timeout=30)
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
