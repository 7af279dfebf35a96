"""ScanCode, asked of the process of this machine that has its index (scancode_server.py); it is started where there is none.

ScanCode's own deadline is soft (a 1.3 MB text ran twenty times past it), so only a kill is a limit: a connection that is closed has the
process killed that has its text. Each text has its connection, so that threads and forks of a caller share nothing.
"""

import functools
import hashlib
import importlib.util
import json
import os
import socket
import sys
import threading
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from starmill.core import messages, shared
from starmill.core.errors import MachineError, one_line
from starmill.core.process import CRASHES, Running
from starmill.transforms.measure.matches import Found, Match

SERVER = "starmill.transforms.measure.scancode_server"  # named here, and never imported
# What decides what is found in a text.
CHILDREN: tuple[str, ...] = tuple(
    f"starmill.transforms.measure.{name}" for name in ("scancode_child", "scancode_quick", "matches")
)
LIBRARIES = ("scancode-toolkit", "license-expression")
TICK = 1.0  # seconds from one look at the clock to the next
STARTUP_SECONDS = 300.0  # the licence index takes 3 s on an idle machine
QUEUE_SECONDS = 3600.0  # until a process is free: each text before has a limit of its own
TRIES = 4  # of a connection: a server may end, when nobody asks, at the moment when somebody does


class DetectionTimeout(Exception):
    """A text that took longer than its limit; the process that had it was killed."""


class DetectionFailed(Exception):
    """A text that ScanCode cannot judge: it raised on it, or its process crashed on it, twice."""


class _Died(Exception):
    """The process that had the text died; `status` is how."""

    def __init__(self, status: int) -> None:
        super().__init__(f"its process ended with status {status}")
        self.status = status


class Detector:
    """Asks the machine's ScanCode; `cpu` counts the CPU seconds that this took there, since no child of this process does."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self.cpu = 0.0
        self._lock = threading.Lock()

    def detect(self, text: str, exact: bool, seconds: float) -> Found:
        """Return what ScanCode finds in `text`; `exact` skips approximate matching.

        Raises DetectionTimeout after `seconds`, DetectionFailed if ScanCode failed on the text, and MachineError for what is no
        property of a text: ScanCode does not start, its process was killed twice, its library, memory or disk failed.
        """
        request = {"text": text, "exact": exact}
        try:
            answer = self._ask(request, seconds)
        except _Died:  # a process may die of what came before: only a second one's death is about this text
            try:
                answer = self._ask(request, seconds)
            except _Died as died:
                if died.status in CRASHES:
                    raise DetectionFailed(f"ScanCode: {died}") from None
                raise MachineError(
                    f"ScanCode: {died}, twice; look at the memory that is left and at what stops processes"
                ) from None
        with self._lock:
            self.cpu += answer["cpu"]
        if "error" in answer:
            raise (MachineError if answer["machine"] else DetectionFailed)(f"ScanCode: {answer['error']}")
        return Found(tuple(answer["licenses"]), tuple(Match(*match) for match in answer["matches"]))

    def _ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        with _connection() as server:
            try:
                _receive(server, QUEUE_SECONDS)
            except DetectionTimeout:
                raise MachineError(f"ScanCode: no process of its was free for {QUEUE_SECONDS:.0f} s; is one stopped?") from None
            server.settimeout(STARTUP_SECONDS)
            with suppress(OSError):  # it has died: what it left is read next
                messages.send(server, request)
            answer = _receive(server, seconds)
        if "status" in answer:
            raise _Died(answer["status"])
        return answer


def _connection() -> socket.socket:
    """Return a connection that the server has heard. Raises MachineError where it does not start."""
    said = "it ends as it starts"
    for _ in range(TRIES):
        try:
            server = shared.connect(_name(), [sys.executable, "-m", SERVER], _environment())
        except OSError as error:
            said = one_line(error)
            continue
        try:
            heard = _receive(server, STARTUP_SECONDS)
        except _Died:
            server.close()
            continue
        except DetectionTimeout as error:
            heard = {"error": one_line(error)}
        if "error" not in heard:
            return server
        server.close()
        said = heard["error"]
        break
    raise MachineError(f"ScanCode does not start: {said}; see: {sys.executable} -c 'import {CHILDREN[0]} as s; s.loaded()'")


def _receive(server: socket.socket, seconds: float) -> dict[str, Any]:
    """Return the next message. Raises DetectionTimeout, and _Died where the connection ends."""
    clock, data, size = Running(TICK), bytearray(), 8
    server.settimeout(TICK)
    while len(data) < size:
        if clock.seconds() >= seconds:
            raise DetectionTimeout(f"no answer after {seconds:.0f} s")
        try:
            piece = server.recv(size - len(data))
        except TimeoutError:
            continue
        except ConnectionError:
            piece = b""
        if not piece:
            raise _Died(-9)
        data += piece
        if len(data) == size == 8:
            size += int.from_bytes(data, "little")
    return dict(json.loads(data[8:]))


def _environment() -> dict[str, str]:
    paths = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {
        **os.environ,
        **({"PYTHONPATH": os.pathsep.join(paths)} if paths else {}),
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),  # a process with threads must not fork
    }


def chosen() -> list[str]:
    """Return ScanCode's own options, which the environment holds: another index finds other licences."""
    return sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("SCANCODE_"))


def _name() -> str:
    """Return a name of what decides the answers: another version, other options or other code is another server."""
    told = json.dumps([sys.executable, _environment().get("PYTHONPATH", ""), *chosen()])
    return f"scancode-{hashlib.sha256(f'{told}{_code()}'.encode()).hexdigest()[:16]}"


@functools.cache
def _code() -> str:
    digest = hashlib.sha256(repr([version(name) for name in LIBRARIES]).encode())
    for name in (SERVER, *CHILDREN):
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None, name
        digest.update(Path(spec.origin).read_bytes())
    return digest.hexdigest()


@functools.lru_cache(maxsize=1)
def detector() -> Detector:
    """Return this process's detector."""
    return Detector()
