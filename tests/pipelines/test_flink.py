"""Before a job is submitted: a missing Flink, a missing pool and a pool of broken workers are named, where Beam would wait."""

import json
import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from starmill.pipelines.flink import ClusterError, check
from starmill.pipelines.pool import start

EXTERNAL = ("--runner=FlinkRunner", "--environment_type=EXTERNAL")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("options", [(), ("--runner=FnApiRunner",), ("--runner=DataflowRunner", "--environment_type=DOCKER")])
def test_other_runners_are_not_asked(options: tuple[str, ...]) -> None:
    check(options)


def test_no_flink() -> None:
    with pytest.raises(ClusterError, match=r"no Flink answers at http://127.0.0.1:\d+ .*make flink-up"):
        check(("--runner=FlinkRunner", f"--flink_master=127.0.0.1:{free_port()}"))


@pytest.mark.parametrize(
    ("slots", "message"), [(0, "has no TaskManager"), (1, "slots for 1 and the job wants --parallelism=2")]
)
def test_a_flink_that_lacks_task_managers(slots: int, message: str) -> None:
    class Overview(BaseHTTPRequestHandler):
        """What /overview of a JobManager answers before a TaskManager registers."""

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            said = {"taskmanagers": slots, "slots-total": slots, "slots-available": slots, "flink-version": "1.19.3"}
            self.wfile.write(json.dumps(said).encode())

    server = HTTPServer(("127.0.0.1", 0), Overview)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(ClusterError, match=message):
            check(("--runner=FlinkRunner", f"--flink_master=http://127.0.0.1:{server.server_port}", "--parallelism=2"))
    finally:
        server.shutdown()
        server.server_close()


def test_no_pool() -> None:
    with pytest.raises(ClusterError, match=r"no worker pool answers at localhost:\d+ .*starmill pool --address"):
        check((*EXTERNAL, f"--environment_config=localhost:{free_port()}"), seconds=5)
    with pytest.raises(ClusterError, match="host:port"):
        check((*EXTERNAL, "--environment_config=here"))


def test_a_pool_at_work() -> None:
    server, port = start("127.0.0.1:0")
    try:
        check((*EXTERNAL, f"--environment_config=127.0.0.1:{port}"))
        check((*EXTERNAL, f'--environment_config={{"url": "127.0.0.1:{port}"}}'))
    finally:
        server.stop(None)


def test_a_pool_of_another_python_is_found_out(tmp_path: Path) -> None:
    # Beam's own pool runs the `python` of its PATH: here one that has no Beam.
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    port = free_port()
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    pool = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert pool.stderr
        while "Started worker pool" not in pool.stderr.readline():
            assert pool.poll() is None
        with pytest.raises(ClusterError, match=r"starts no worker that connects \(waited 3 s\), so a job would wait for ever"):
            check((*EXTERNAL, f"--environment_config=localhost:{port}"), seconds=3)
    finally:
        pool.kill()
        pool.communicate()
