"""Checks before a job goes to Flink: what is missing there does not fail a job, it makes it wait for ever.

Beam's Flink runner asks a pool of workers for each worker it needs, and waits, without an end, for the worker to connect.
"""

import json
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import grpc
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions, PortableOptions, StandardOptions
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
    master = flink.flink_master or ""
    host = _check_master(master, flink.parallelism or 1) if ":" in master else None
    if portable.environment_type == "EXTERNAL":
        pool = _pool_address(portable.environment_config)
        # A pool at a loopback address is one beside each TaskManager: to be seen from here only where they are.
        if host is None or host in LOOPBACK or pool.rpartition(":")[0] not in LOOPBACK:
            check_pool(pool, seconds, starts=pool.rpartition(":")[0] in LOOPBACK)


def cancel(beam_options: tuple[str, ...], beam_job: str) -> None:
    """Cancel the job of a pipeline on the Flink that Beam's options name, if they name one. Raises OSError.

    Beam's own cancel ends the job server's waiting for the job, and leaves the job at work.
    """
    master = PipelineOptions(list(beam_options)).view_as(FlinkRunnerOptions).flink_master or ""
    if ":" not in master:
        return
    url = master if "://" in master else f"http://{master}"
    with urllib.request.urlopen(f"{url}/jobs/overview", timeout=20) as answer:
        jobs = json.load(answer)["jobs"]
    for job in jobs:
        if beam_job.startswith(f"{job['name']}_") and job["end-time"] < 0:  # Beam's id is the job's name and a UUID
            request = urllib.request.Request(f"{url}/jobs/{job['jid']}?mode=cancel", method="PATCH")
            urllib.request.urlopen(request, timeout=20).close()


def _check_master(master: str, parallelism: int) -> str:
    url = master if "://" in master else f"http://{master}"
    try:
        with urllib.request.urlopen(f"{url}/overview", timeout=20) as answer:
            overview = json.load(answer)
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
