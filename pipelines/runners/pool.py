"""A pool of Beam workers for the TaskManagers of one machine: `starmill pool` (Beam's ExternalEnvironment).

Unlike Beam's own pool, this pool starts workers with its own interpreter, not with the `python` on the PATH, and workers end with the pool.
Several TaskManagers may share a pool: they number their workers alike, so that a request to stop a number is ignored, and a worker
ends when its TaskManager closes the channel. Whoever may start a worker runs code as the pool's user. So a pool at an address that others
reach needs a token, which pools and drivers have in their environment (STARMILL_POOL_TOKEN) and Beam passes on.
"""

import hmac
import os
import signal
import subprocess
import sys
import threading
from types import FrameType

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.utils import thread_pool_executor

from starmill.core.errors import MachineError, UsageError
from starmill.core.terminal import say

LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")
TOKEN = "STARMILL_POOL_TOKEN"


def credentials() -> dict[str, str]:
    """Return the parameters of a request for a worker: the token, where this process has one."""
    return {"token": os.environ[TOKEN]} if os.environ.get(TOKEN) else {}


class Pool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts a worker process for each request."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._workers: list[subprocess.Popen[bytes]] = []

    def StartWorker(
        self, request: beam_fn_api_pb2.StartWorkerRequest, context: grpc.ServicerContext
    ) -> beam_fn_api_pb2.StartWorkerResponse:
        """Start a worker that connects to the endpoints of the request, if that has the pool's token."""
        wanted, given = (params.get("token", "").encode() for params in (credentials(), request.params))
        if not hmac.compare_digest(wanted, given) and wanted:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, f"set {TOKEN} to the pool's, where the run is started")
        self._workers = [w for w in self._workers if w.poll() is None]  # no zombies
        endpoints = {
            "WORKER_ID": request.worker_id,
            "CONTROL_API_SERVICE_DESCRIPTOR": str(request.control_endpoint),
            "LOGGING_API_SERVICE_DESCRIPTOR": str(request.logging_endpoint),
        }
        set_here = {name: value for name, value in endpoints.items() if value}
        command = [sys.executable, "-m", "starmill.pipelines.runners.worker", str(os.getpid())]
        self._workers.append(subprocess.Popen(command, env={**os.environ, **set_here}, stdin=subprocess.DEVNULL))
        say(f"worker {request.worker_id} started, process {self._workers[-1].pid}", flush=True)
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(
        self, request: beam_fn_api_pb2.StopWorkerRequest, context: grpc.ServicerContext
    ) -> beam_fn_api_pb2.StopWorkerResponse:
        """Answer only: the worker ends by itself."""
        return beam_fn_api_pb2.StopWorkerResponse()


class PortTaken(MachineError, OSError):
    """A pool's address at which another process listens."""


def start(address: str) -> tuple[grpc.Server, int]:
    """Listen at `host:port` (port 0: any); return the server and its port. Raises PortTaken; UsageError where a token is missing."""
    if address.rpartition(":")[0] not in LOOPBACK and not credentials():
        raise UsageError(
            f"{address}: everybody who reaches this address could run code as you: give --address 127.0.0.1:50000, or set {TOKEN} "
            "to a secret, here and where runs are started"
        )
    options = [("grpc.so_reuseport", 0), ("grpc.http2.max_pings_without_data", 0), ("grpc.http2.max_ping_strikes", 0)]
    server = grpc.server(thread_pool_executor.shared_unbounded_instance(), options=options)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(Pool(), server)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise PortTaken(f"{address}: cannot listen there; another pool may be: give another --address") from error
    server.start()
    return server, port


def serve(address: str) -> None:
    """Listen at `host:port` until SIGINT or SIGTERM."""
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    server, port = start(address)
    say(f"workers of {sys.prefix} at {address.rpartition(':')[0]}:{port}; end with Ctrl-C", flush=True)
    stop.wait()
    server.stop(None)
