"""A stage's job on Flink: checks before the job is submitted, the job's name, and how the job is canceled.

A job on an incomplete cluster does not fail but waits for ever: Beam's Flink runner requests each worker from a pool, and waits without
a limit for the worker to connect. And a job goes on when its driver dies.
"""

import hashlib
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from http.client import HTTPException
from typing import TypeVar
from urllib.error import HTTPError
from urllib.parse import urlsplit

import apache_beam as beam
import grpc
import msgspec
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
)
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    endpoints_pb2,
)

from starmill.core.errors import MachineError
from starmill.pipelines.runners.pool import LOOPBACK, TOKEN, credentials
from starmill.pipelines.runners.runner import Runner, name_of

T = TypeVar("T")


class NoAnswer(MachineError, TimeoutError):
    """A Flink that did not do in time what was requested."""


class ClusterError(MachineError):
    """A cluster that could not run the job; the message names the missing part and the fix."""


@dataclass(frozen=True)
class Flink(Runner):
    """Runs graphs on a Flink cluster, through Beam's job server; a job's name is unique to its workspace and stage."""

    @property
    def url(self) -> str | None:
        """The URL of the cluster's REST interface; None where Beam's options name no cluster."""
        master = self.parsed.view_as(FlinkRunnerOptions).flink_master or ""
        if ":" not in master:
            return None
        return master if "://" in master else f"http://{master}"

    @property
    def job(self) -> str:
        """The name of the job."""
        return str(self.parsed.view_as(GoogleCloudOptions).job_name or "starmill")

    @property
    def slots(self) -> int:
        """The number of slots that a job requests."""
        return self.parsed.view_as(FlinkRunnerOptions).parallelism or 1

    def check(self, workspace: str, seconds: float = 60) -> None:
        """Check the cluster and the worker pool that Beam's options name, if any. Raises ClusterError."""
        portable = self.parsed.view_as(PortableOptions)
        host = _check_master(self.url, self.slots) if self.url else None
        if portable.environment_type == "EXTERNAL":
            pool = _pool_address(portable.environment_config)
            # A pool at a loopback address runs beside each TaskManager, and can be reached only from there.
            if host is None or host in LOOPBACK or pool.rpartition(":")[0] not in LOOPBACK:
                check_pool(pool, seconds, starts=pool.rpartition(":")[0] in LOOPBACK)

    def pipeline(self, parts: int) -> beam.Pipeline:
        """Return an empty pipeline whose job tells the pools their token, where this process has one."""
        portable = self.parsed.view_as(PortableOptions)
        if portable.environment_type != "EXTERNAL" or not credentials():
            return super().pipeline(parts)
        told = {"url": _pool_address(portable.environment_config), "params": credentials()}
        return beam.Pipeline(options=PipelineOptions([*self.options, f"--environment_config={json.dumps(told)}"]))

    def named(self, workspace: str, stage: str) -> "Flink":
        """Return the runner whose job has the name of a stage of a workspace.

        Workers know a workspace by its path alone, so that equal paths mean one workspace.
        """
        if self.url is None:
            return self
        name = f"{self.job}-{stage}-{hashlib.sha256(workspace.encode()).hexdigest()[:16]}"
        return replace(self, options=(*self.options, f"--job_name={name}"))

    def make_room(self, seconds: float = 5) -> str | None:
        """Cancel an earlier driver's job of this name; where slots are still missing, return a line naming the jobs that hold them.

        The caller must hold the workspace's lock. Raises OSError.
        """
        url = self.url
        if url is None:
            return None
        _cancel_named(url, self.job)
        deadline = time.monotonic() + seconds
        while (free := _get(f"{url}/overview", _Overview).slots_available) < self.slots:
            if time.monotonic() > deadline:
                others = ", ".join(sorted(job.name for job in _unfinished(url))) or "no job with a name"
                return f"waits: {free} of the {self.slots} requested slots are free at {url}; running there: {others}"
            time.sleep(0.2)  # slots of a job that has just ended
        return None

    def cancel(self, is_over: Callable[[], bool], seconds: float = 60) -> None:
        """Cancel the job of this name, which was submitted but may not run yet. Raises OSError.

        Beam's own cancel ends the job server's wait for the job, but not the job.
        """
        url = self.url
        if url is None:
            return
        deadline = time.monotonic() + seconds
        while not (_cancel_named(url, self.job) or is_over()):
            if time.monotonic() > deadline:
                raise NoAnswer(f"{url} has not seen the job {self.job} in {seconds:.0f} s")
            time.sleep(0.2)


def of(options: tuple[str, ...], workers: int) -> Runner | None:
    """Return the runner if Beam's options name Flink's, or the portable runner, which may submit to Flink."""
    return Flink(options) if name_of(options) in ("flinkrunner", "portablerunner") else None


def _cancel_named(url: str, name: str, seconds: float = 60) -> int:
    """Cancel the jobs of exactly this name and wait until they are over; return how many there were."""
    found = [job.jid for job in _unfinished(url) if job.name == name]
    for job in found:
        with suppress(HTTPError):  # the job may have ended meanwhile
            urllib.request.urlopen(urllib.request.Request(f"{url}/jobs/{job}?mode=cancel", method="PATCH"), timeout=20).close()
    deadline = time.monotonic() + seconds
    while left := {job.jid for job in _unfinished(url)} & {*found}:
        if time.monotonic() > deadline:
            raise NoAnswer(f"{url} has not canceled {', '.join(left)} in {seconds:.0f} s")
        time.sleep(0.2)
    return len(found)


class _Overview(msgspec.Struct, rename="kebab"):
    """What is read of Flink's /overview."""

    slots_total: int = 0
    slots_available: int = 0


class _Job(msgspec.Struct, rename="kebab"):
    """What is read of a job in /jobs/overview; `end_time` is -1 until it is over."""

    jid: str
    name: str
    end_time: int


class _Jobs(msgspec.Struct):
    jobs: list[_Job]


def _unfinished(url: str) -> list[_Job]:
    return [job for job in _get(f"{url}/jobs/overview", _Jobs).jobs if job.end_time < 0]


def _get(url: str, kind: type[T]) -> T:
    with urllib.request.urlopen(url, timeout=20) as answer:
        try:
            return msgspec.json.decode(answer.read(), type=kind)
        except (ValueError, RecursionError, msgspec.MsgspecError) as error:
            raise NoAnswer(f"{url}: no answer of Flink's ({error}); is another server there?") from None


def _check_master(url: str, parallelism: int) -> str:
    try:
        overview = _get(f"{url}/overview", _Overview)
    except (OSError, HTTPException) as error:
        raise ClusterError(
            f"no Flink answers at {url} ({error}); start a cluster (`make flink-up`), or name another with --flink_master"
        ) from None
    if not overview.slots_total:
        raise ClusterError(f"the Flink at {url} has no TaskManager; start one, or read the logs of those that should run")
    if overview.slots_total < parallelism:
        raise ClusterError(
            f"the Flink at {url} has slots for {overview.slots_total} and the job wants --parallelism={parallelism}: it would wait for "
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
    """Check that a pool answers, and if `starts`, that its worker starts and connects. Raises ClusterError."""
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
            request = beam_fn_api_pb2.StartWorkerRequest(worker_id="check", control_endpoint=endpoint, params=credentials())
            said = stub.StartWorker(request, timeout=seconds).error
            connected = not said and workers.connected.wait(seconds)
            stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id="check"), timeout=seconds)
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            raise ClusterError(f"the worker pool at {address} has another token: set {TOKEN} to the pool's") from None
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
    """Notes the first worker that connects, and ends that worker."""

    def __init__(self) -> None:
        self.connected = threading.Event()

    def Control(self, responses: Iterator[object], context: grpc.ServicerContext) -> Iterator[object]:
        self.connected.set()
        return iter(())
