"""Before a job is submitted: a missing Flink, a missing pool and a pool of broken workers are named, where Beam would wait."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from starmill.pipelines.runners import choose
from starmill.pipelines.runners.flink import ClusterError, Flink
from starmill.pipelines.runners.pool import start

EXTERNAL = ("--runner=FlinkRunner", "--environment_type=EXTERNAL")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("options", [(), ("--runner=FnApiRunner",), ("--runner=DataflowRunner", "--environment_type=DOCKER")])
def test_other_runners_are_not_asked(options: tuple[str, ...]) -> None:
    assert not isinstance(choose(options), Flink)
    assert isinstance(choose(("--runner=PortableRunner", "--job_endpoint=here:1")), Flink)


def test_no_flink() -> None:
    with pytest.raises(ClusterError, match=r"no Flink answers at http://127.0.0.1:\d+ .*make flink-up"):
        Flink(("--runner=FlinkRunner", f"--flink_master=127.0.0.1:{free_port()}")).check("/w")


class JobManager(BaseHTTPRequestHandler):
    """What a JobManager with some slots and jobs answers; `patched` is what it was asked to cancel."""

    slots, free = 2, 2
    jobs: ClassVar[list[dict[str, object]]] = []
    patched: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        said = {"taskmanagers": self.slots, "slots-total": self.slots, "slots-available": self.free, "flink-version": "1.19.3"}
        self.answer({"jobs": self.jobs} if self.path == "/jobs/overview" else said)

    def do_PATCH(self) -> None:
        self.patched.append(self.path)
        for job in self.jobs:
            if f"/jobs/{job['jid']}?" in self.path:
                job["end-time"] = 1
        self.answer({})

    def answer(self, value: object) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())


@pytest.fixture
def jobmanager() -> Iterator[tuple[type[JobManager], str]]:
    handler = type("Handler", (JobManager,), {"jobs": [], "patched": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield handler, f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("slots", "message"), [(0, "has no TaskManager"), (1, "slots for 1 and the job wants --parallelism=2")]
)
def test_a_flink_that_lacks_task_managers(jobmanager: tuple[type[JobManager], str], slots: int, message: str) -> None:
    handler, address = jobmanager
    handler.slots = slots
    with pytest.raises(ClusterError, match=message):
        Flink(("--runner=FlinkRunner", f"--flink_master=http://{address}", "--parallelism=2")).check("/w")


def job(number: str, name: str, ended: int = -1) -> dict[str, object]:
    return {"jid": number, "name": name, "end-time": ended}


def test_a_job_has_the_name_of_its_workspace_and_stage() -> None:
    given = ("--flink_master=here:1", "--job_name=mine")
    names = {Flink(given).named(place, stage).options[-1] for place in ("/a", "/b") for stage in ("ingest", "dedup")}
    assert len(names) == 4 and all(re.fullmatch(r"--job_name=mine-(ingest|dedup)-[0-9a-f]{16}", name) for name in names)
    assert Flink(given[:1]).named("/a", "ingest").options[-1].startswith("--job_name=starmill-ingest-")
    elsewhere = choose(("--runner=DataflowRunner", "--job_name=mine"))
    assert elsewhere.named("/a", "ingest") == elsewhere


def test_only_what_is_left_of_this_very_job_is_canceled(jobmanager: tuple[type[JobManager], str]) -> None:
    handler, address = jobmanager
    runner = Flink((f"--flink_master={address}", "--job_name=mine", "--parallelism=2")).named("/a", "ingest")
    name = runner.job
    handler.jobs += [job("1", name), job("2", name, ended=5), job("3", "mine"), job("4", f"{name}-more"), job("5", name[:-1])]
    assert runner.make_room() is None
    assert handler.patched == ["/jobs/1?mode=cancel"]


def test_who_has_the_slots_is_said(jobmanager: tuple[type[JobManager], str]) -> None:
    handler, address = jobmanager
    handler.free = 1
    handler.jobs.append(job("1", "someone-elses"))
    said = Flink((f"--flink_master={address}", "--parallelism=2")).named("/a", "ingest").make_room(seconds=0)
    assert said and "1 of the 2 requested slots" in said and said.endswith("someone-elses") and handler.patched == []


def test_a_job_that_is_not_there_yet_is_waited_for(jobmanager: tuple[type[JobManager], str]) -> None:
    handler, address = jobmanager
    runner = Flink((f"--flink_master={address}",)).named("/a", "ingest")
    looks = []

    def is_over() -> bool:
        looks.append(1)
        if len(looks) == 2:
            handler.jobs.append(job("1", runner.job))
        return False

    runner.cancel(is_over)
    assert handler.patched == ["/jobs/1?mode=cancel"]
    handler.jobs.clear()
    runner.cancel(lambda: True)  # it ended before it was there
    with pytest.raises(TimeoutError, match="has not seen the job starmill-ingest-"):
        runner.cancel(lambda: False, seconds=0)


def test_no_pool() -> None:
    with pytest.raises(ClusterError, match=r"no worker pool answers at localhost:\d+ .*starmill pool --address"):
        Flink((*EXTERNAL, f"--environment_config=localhost:{free_port()}")).check("/w", seconds=5)
    with pytest.raises(ClusterError, match="host:port"):
        Flink((*EXTERNAL, "--environment_config=here")).check("/w")


def test_a_pool_at_work() -> None:
    server, port = start("127.0.0.1:0")
    try:
        Flink((*EXTERNAL, f"--environment_config=127.0.0.1:{port}")).check("/w")
        Flink((*EXTERNAL, f'--environment_config={{"url": "127.0.0.1:{port}"}}')).check("/w")
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
            Flink((*EXTERNAL, f"--environment_config=localhost:{port}")).check("/w", seconds=3)
    finally:
        pool.kill()
        pool.communicate()
