"""A stage's job on Flink: what is checked before it goes there, what it is called, and how it is ended.

What is missing there does not fail a job, it makes it wait for ever: Beam's Flink runner asks a pool of workers for each worker it
needs, and waits, without an end, for the worker to connect. And a driver that dies leaves its job at work.
"""

import hashlib
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import grpc
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
)
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    endpoints_pb2,
)

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class ClusterError(RuntimeError):
    """A cluster that could not run the job; the message says what is missing and how to get it."""


def check(beam_options: tuple[str, ...], seconds: float = 60) -> None:
    """Ask the cluster and the worker pool that Beam's options name, if they name any. Raises ClusterError."""
    options = PipelineOptions(list(beam_options))
    runner, portable = options.view_as(StandardOptions).runner, options.view_as(PortableOptions)
    if str(runner).rpartition(".")[2].lower() not in ("flinkrunner", "portablerunner"):
        return
    flink = options.view_as(FlinkRunnerOptions)
    url = _url(options)
    host = _check_master(url, flink.parallelism or 1) if url else None
    if portable.environment_type == "EXTERNAL":
        pool = _pool_address(portable.environment_config)
        # A pool at a loopback address is one beside each TaskManager: to be seen from here only where they are.
        if host is None or host in LOOPBACK or pool.rpartition(":")[0] not in LOOPBACK:
            check_pool(pool, seconds, starts=pool.rpartition(":")[0] in LOOPBACK)


def named(beam_options: tuple[str, ...], workspace: str, stage: str) -> tuple[str, ...]:
    """Return Beam's options with a name for the job of a stage that no other workspace's has, where they name a Flink.

    Workers know a workspace by its path alone, so two drivers with one path mean one workspace.
    """
    options = PipelineOptions(list(beam_options))
    if _url(options) is None:
        return beam_options
    given = options.view_as(GoogleCloudOptions).job_name or "starmill"
    return (*beam_options, f"--job_name={given}-{stage}-{hashlib.sha256(workspace.encode()).hexdigest()[:16]}")


def make_room(beam_options: tuple[str, ...], seconds: float = 5) -> str | None:
    """Cancel what is left of an earlier driver's job of the name in `beam_options`; say who else has the slots, if they do.

    Raises OSError. To be called with the workspace's lock held.
    """
    options = PipelineOptions(list(beam_options))
    url = _url(options)
    if url is None:
        return None
    _cancel_named(url, _name(options))
    wanted, deadline = options.view_as(FlinkRunnerOptions).parallelism or 1, time.monotonic() + seconds
    while (free := _get(f"{url}/overview")["slots-available"]) < wanted:
        if time.monotonic() > deadline:
            others = ", ".join(sorted(job["name"] for job in _unfinished(url))) or "no job that it names"
            return f"waits: {free} of the {wanted} slots it asks for are free at {url}; at work there: {others}"
        time.sleep(0.2)  # those of a job that is just over
    return None


def cancel(beam_options: tuple[str, ...], is_over: Callable[[], bool], seconds: float = 60) -> None:
    """Cancel the job of the name in `beam_options`, which was handed in but may not be there yet. Raises OSError.

    Beam's own cancel ends the job server's waiting for the job, and leaves the job at work.
    """
    options = PipelineOptions(list(beam_options))
    url = _url(options)
    if url is None:
        return
    deadline = time.monotonic() + seconds
    while not (_cancel_named(url, _name(options)) or is_over()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{url} has not seen the job {_name(options)} in {seconds:.0f} s")
        time.sleep(0.2)


def _cancel_named(url: str, name: str, seconds: float = 60) -> int:
    """Cancel the jobs of exactly this name and wait until they are over; return how many there were."""
    found = [job["jid"] for job in _unfinished(url) if job["name"] == name]
    for job in found:
        with suppress(HTTPError):  # it may be over meanwhile
            urllib.request.urlopen(urllib.request.Request(f"{url}/jobs/{job}?mode=cancel", method="PATCH"), timeout=20).close()
    deadline = time.monotonic() + seconds
    while left := {job["jid"] for job in _unfinished(url)} & {*found}:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{url} has not canceled {', '.join(left)} in {seconds:.0f} s")
        time.sleep(0.2)
    return len(found)


def _unfinished(url: str) -> list[dict[str, Any]]:
    return [job for job in _get(f"{url}/jobs/overview")["jobs"] if job["end-time"] < 0]


def _get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=20) as answer:
        values: dict[str, Any] = json.load(answer)
        return values


def _name(options: PipelineOptions) -> str:
    return str(options.view_as(GoogleCloudOptions).job_name)


def _url(options: PipelineOptions) -> str | None:
    master = options.view_as(FlinkRunnerOptions).flink_master or ""
    if ":" not in master:
        return None
    return master if "://" in master else f"http://{master}"


def _check_master(url: str, parallelism: int) -> str:
    try:
        overview = _get(f"{url}/overview")
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"no Flink answers at {url} ({error}); start a cluster (`make flink-up`), or name another with --flink_master"
        ) from None
    if not overview.get("slots-total"):
        raise ClusterError(
            f"the Flink at {url} has no TaskManager; start one, or look into the logs of those that should be there"
        )
    if overview["slots-total"] < parallelism:
        raise ClusterError(
            f"the Flink at {url} has slots for {overview['slots-total']} and the job wants --parallelism={parallelism}: it would wait for "
            "the others; start the TaskManagers that are missing (`make flink-up` does here), or ask for less"
        )
    return urlsplit(url).hostname or ""


def _pool_address(config: str | None) -> str:
    address = config or ""
    if address.startswith("{"):
        address = json.loads(address).get("url", "")
    if ":" not in address:
        raise ClusterError(f"--environment_config={config}: give the worker pool as host:port")
    return address


def check_pool(address: str, seconds: float, starts: bool) -> None:
    """See that a pool answers, and where `starts`, that a worker of it comes up and connects. Raises ClusterError."""
    workers = _Workers()
    server = grpc.server(ThreadPoolExecutor(4))
    beam_fn_api_pb2_grpc.add_BeamFnControlServicer_to_server(workers, server)
    port = server.add_insecure_port("127.0.0.1:0")
    try:
        with grpc.insecure_channel(address) as channel:
            stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
            if not starts:
                stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id="check"), timeout=seconds)
                return
            server.start()
            endpoint = endpoints_pb2.ApiServiceDescriptor(url=f"127.0.0.1:{port}")
            request = beam_fn_api_pb2.StartWorkerRequest(worker_id="check", control_endpoint=endpoint)
            said = stub.StartWorker(request, timeout=seconds).error
            connected = not said and workers.connected.wait(seconds)
            stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id="check"), timeout=seconds)
    except grpc.RpcError as error:
        raise ClusterError(
            f"no worker pool answers at {address} ({error.code().name}); start one beside each TaskManager: "
            f"`starmill pool --address {address}`"
        ) from None
    finally:
        server.stop(None)
    if not connected:
        raise ClusterError(
            f"the worker pool at {address} starts no worker that connects ({said or f'waited {seconds:.0f} s'}), so a job would wait "
            f"for ever; start it with the Python that has starmill: `starmill pool --address {address}`"
        )


class _Workers(beam_fn_api_pb2_grpc.BeamFnControlServicer):
    """Notices the first worker that connects, and sends it home."""

    def __init__(self) -> None:
        self.connected = threading.Event()

    def Control(self, responses: Iterator[object], context: grpc.ServicerContext) -> Iterator[object]:
        self.connected.set()
        return iter(())
