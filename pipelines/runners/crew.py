"""Beam's FnApiRunner with workers in processes of their own: it ends when one of them dies, and nobody else can take part.

Beam's own waits for ever for a worker that the kernel killed, and listens at six ports of all interfaces for whoever connects. Here
all services share one port of the loopback interface, and only a caller who knows the secret name of a worker is answered. Beam has
no setting for either: its `GrpcServer` is replaced by ours.
"""

import ctypes
import logging
import os
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import grpc
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_fn_api_pb2_grpc, endpoints_pb2
from apache_beam.runners.portability import local_job_service
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, worker_handlers
from apache_beam.runners.runner import PipelineResult
from apache_beam.runners.worker import data_plane
from apache_beam.transforms.environments import Environment
from apache_beam.utils import thread_pool_executor
from google.protobuf import json_format

from starmill.core.errors import is_of_the_machine
from starmill.pipelines.runners.runner import WorkerDied

URN = "starmill:env:process:v1"
GRACE = 10.0  # seconds for what is told to stop, before it is left alone or killed


class Crew(FnApiRunner):
    """Runs a pipeline with worker processes. Raises WorkerDied within seconds after one of them died, and leaves none behind."""

    def __init__(self) -> None:
        """Start nothing yet."""
        super().__init__(default_environment=_Process())
        self._ended: queue.SimpleQueue[PipelineResult | BaseException] = queue.SimpleQueue()
        self._workers: list[_Worker] = []

    def run_pipeline(self, pipeline: Any, options: PipelineOptions) -> PipelineResult:
        """Run the pipeline in a thread, which is left alone if a worker dies: Beam may wait for that worker anywhere."""

        def work() -> None:
            try:
                self._ended.put(FnApiRunner.run_pipeline(self, pipeline, options))
            except BaseException as error:
                self._ended.put(error)

        servers, worker_handlers.GrpcServer = worker_handlers.GrpcServer, _Server
        worker_handlers.WorkerHandler.register_environment(URN, bytes)(self._hire)
        thread = threading.Thread(target=work, name="job", daemon=True)
        before, threading.excepthook = threading.excepthook, self._lost
        thread.start()
        try:
            outcome = self._ended.get()
            if isinstance(outcome, BaseException):
                raise outcome if isinstance(outcome, WorkerDied) else self._death() or outcome
            return outcome
        finally:
            for worker in self._workers:
                worker.end()
            thread.join(GRACE)
            threading.excepthook = before
            worker_handlers.GrpcServer = servers

    def _lost(self, lost: threading.ExceptHookArgs) -> None:
        """End the job where trouble of the machine ends a thread of Beam or gRPC: others would wait for that thread for ever."""
        if lost.exc_value is not None and ("start new thread" in str(lost.exc_value) or is_of_the_machine(lost.exc_value)):
            self._ended.put(lost.exc_value)
        else:
            threading.__excepthook__(lost)

    def _hire(self, *given: Any) -> "_Worker":
        self._workers.append(_Worker(self._ended.put, *given))
        return self._workers[-1]

    def _death(self) -> WorkerDied | None:
        time.sleep(0.5)  # what Beam meets when a worker dies may come before the news of the death
        return next((died for worker in self._workers if (died := worker.death())), None)


class _Process(Environment):
    """Names the workers of a Crew to Beam."""

    def to_runner_api_parameter(self, context: Any) -> tuple[str, bytes]:
        return URN, b""


class _Server(worker_handlers.GrpcServer):
    """What a worker talks to, at one port of the loopback interface."""

    def __init__(self, state: Any, provision_info: Any, worker_manager: Any) -> None:
        self.state, self.provision_info, self.names = state, provision_info, set[str]()
        self.control_handler = _Control(worker_manager)
        self.data_plane_handler = _Data(worker_handlers.DATA_BUFFER_TIME_LIMIT_MS)
        options = [
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.http2.max_ping_strikes", 0),
            ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
        ]
        server = grpc.server(
            thread_pool_executor.shared_unbounded_instance(), options=options, interceptors=[_Known(self.names)]
        )
        # One reference too many: where a thread of the server could not start, gRPC would wait for it at the end of the process, for ever.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(server._state.server))
        beam_fn_api_pb2_grpc.add_BeamFnControlServicer_to_server(self.control_handler, server)
        beam_fn_api_pb2_grpc.add_BeamFnDataServicer_to_server(self.data_plane_handler, server)
        beam_fn_api_pb2_grpc.add_BeamFnStateServicer_to_server(worker_handlers.GrpcStateServicer(state), server)
        logging.getLogger(local_job_service.__name__).setLevel(logging.ERROR)  # of the libraries in a worker
        beam_fn_api_pb2_grpc.add_BeamFnLoggingServicer_to_server(local_job_service.BeamFnLoggingServicer(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        self.control_port = self.data_port = self.state_port = self.logging_port = port
        self.control_server = self.data_server = self.state_server = self.logging_server = server
        server.start()


class _Control(worker_handlers.BeamFnControlServicer):
    def Control(self, iterator: Iterable[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        return super().Control(_until_gone(iterator), context)


class _Data(data_plane.BeamFnDataServicer):
    def Data(self, elements_iterator: Iterable[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        return super().Data(_until_gone(elements_iterator), context)


def _until_gone(messages: Iterable[Any]) -> Iterator[Any]:
    """Yield what a worker says; its death ends that, where Beam's threads would print a traceback each."""
    with suppress(grpc.RpcError):
        yield from messages


class _Known(grpc.ServerInterceptor):
    """Answers calls that carry the name of a worker; every call of Beam's worker does."""

    def __init__(self, names: set[str]) -> None:
        self._names = names

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        if dict(handler_call_details.invocation_metadata).get("worker_id") in self._names:
            return continuation(handler_call_details)
        return grpc.stream_stream_rpc_method_handler(_refuse)


def _refuse(requests: object, context: grpc.ServicerContext) -> None:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "not a worker of this run")


class _Worker(worker_handlers.GrpcWorkerHandler):
    """One worker process. `tell` is called with a WorkerDied if the process ends before its end is wanted."""

    def __init__(self, tell: Callable[[BaseException], None], payload: bytes, *given: Any) -> None:
        super().__init__(*given)
        # Beam's name is a number that anyone can guess; the new one is known to the process alone, by its environment.
        self.worker_id: str = f"{self.worker_id}-{secrets.token_hex(16)}"
        self.control_conn = self.control_handler.get_conn_by_worker_id(self.worker_id)
        self.data_conn = self.data_plane_handler.get_conn_by_worker_id(self.worker_id)
        self._grpc_server.names.add(self.worker_id)
        self._tell = tell
        self._process: subprocess.Popen[bytes] | None = None
        self._may_end = self._is_killed = False
        self._notes = tempfile.TemporaryFile()  # noqa: SIM115  has no name, so that nothing is left behind

    def host_from_worker(self) -> str:
        return "127.0.0.1"

    def start_worker(self) -> None:
        given = {
            "WORKER_ID": self.worker_id,
            "CONTROL_API_SERVICE_DESCRIPTOR": self._endpoint(self._grpc_server.control_port),
            "LOGGING_API_SERVICE_DESCRIPTOR": self._endpoint(self._grpc_server.logging_port),
            "PIPELINE_OPTIONS": json_format.MessageToJson(self.provision_info.provision_info.pipeline_options),
        }
        notes = self._notes.fileno()
        command = [sys.executable, "-m", "starmill.pipelines.runners.worker", str(os.getpid()), str(notes)]
        self._process = subprocess.Popen(command, env={**os.environ, **given}, stdin=subprocess.DEVNULL, pass_fds=[notes])
        threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()

    def _endpoint(self, port: int) -> str:
        return str(endpoints_pb2.ApiServiceDescriptor(url=self.port_from_worker(port)))

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        if died := self.death():
            self._tell(died)

    def death(self) -> WorkerDied | None:
        """Return what the process was making when it died; None while it lives, and after an end that was wanted."""
        status = None if self._process is None or self._is_killed else self._process.poll()
        if status is None or (self._may_end and status >= 0):
            return None
        part = os.pread(self._notes.fileno(), 32, 0).strip()
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return WorkerDied(int(part) if part else None, how)

    def close(self) -> None:
        """Let the process end once it is done with what it was told: Beam's end of a job."""
        self._may_end = True
        super().close()

    def stop_worker(self) -> None:
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE)
        self.end()

    def end(self) -> None:
        """Kill the process if it still runs, and release what waits for its answers."""
        if self._process is not None and self._process.poll() is None:
            self._is_killed = True
            self._process.kill()
            self._process.wait()
        for future in list(self.control_conn._futures_by_id.values()):
            future.abort(RuntimeError("the worker has ended"))
