"""ScanCode for all processes of a user on a machine: one process loads the index once, and forks one that judges for each core in use.

Each text has a connection (core/messages.py) of its own. The server hands it to a process that has nothing to do, or to a new one, or lets
it wait, and keeps the other end of it: a client that closes it, or ends, has that process killed, which is the only limit for what hangs in
C; and a process that dies leaves its status to its client. Messages to a client: {} once it is heard, {} once its text is in hand, then the
answer, with the CPU seconds that it took, those of the server since the last one among them. The server ends when nobody asks.
"""

import os
import select
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starmill.core import messages
from starmill.core.errors import is_of_the_machine, one_line
from starmill.core.process import die_with
from starmill.core.shared import Listening
from starmill.transforms.measure import scancode_child

IDLE_SECONDS = 60.0  # without a text, after which the server ends
TICK = 1000  # milliseconds from one look at the clock to the next
SECONDS = struct.Struct("d")
Judge = Callable[[Any], dict[str, Any]]


@dataclass
class Process:
    """A forked process, the server's end of what they say to each other, and the client whose text it has."""

    pid: int
    said: socket.socket
    client: socket.socket | None = None
    told: float = 0.0  # CPU seconds that its clients know of


class Server:
    """The listening process; `judge` answers a request."""

    def __init__(self, listening: Listening, judge: Judge) -> None:
        """Serve nobody yet."""
        self._listening, self._judge = listening, judge
        self._processes: list[Process] = []
        self._waiting: deque[socket.socket] = deque()
        self._most = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._asked = time.monotonic()
        self._owed, self._own = 0.0, 0.0  # CPU seconds that no client knows of; of the server itself, that one does

    def serve(self) -> None:
        """Serve until nobody asks."""
        while True:
            self._look()
            self._hand_out()
            busy = self._waiting or any(process.client for process in self._processes)
            if busy:
                self._asked = time.monotonic()
            elif (time.monotonic() - self._asked > IDLE_SECONDS or self._listening.alone()) and self._listening.leave():
                return

    def _look(self) -> None:
        """Wait for a connection, a word of a process, or the end of a client."""
        poll = select.poll()
        poll.register(self._listening.socket, select.POLLIN)
        for process in self._processes:
            poll.register(process.said, select.POLLIN)
            if process.client:
                poll.register(process.client, 0)  # its end alone: what it says is for the process
        seen = dict(poll.poll(TICK))
        if self._listening.socket.fileno() in seen:
            with suppress(BlockingIOError, ConnectionError):
                client, _ = self._listening.socket.accept()
                client.setblocking(True)
                _tell(client, {})
                self._waiting.append(client)
        for process in [*self._processes]:
            gone = process.client is not None and process.client.fileno() in seen
            # A client may be gone because it has its answer: then its process has said so before.
            if process.said.fileno() in seen or (gone and select.select([process.said], [], [], 0)[0]):
                self._heard(process)
            elif gone:
                os.kill(process.pid, signal.SIGKILL)

    def _heard(self, process: Process) -> None:
        try:
            word = process.said.recv(SECONDS.size)
        except ConnectionError:
            word = b""
        if word:
            (process.told,) = SECONDS.unpack(word)
        else:
            _, status, used = os.wait4(process.pid, 0)
            self._owed += max(0.0, used.ru_utime + used.ru_stime - process.told)
            self._processes.remove(process)
            process.said.close()
            if process.client:
                _tell(process.client, {"status": os.waitstatus_to_exitcode(status)})
        if process.client:
            process.client.close()
            process.client = None

    def _hand_out(self) -> None:
        while self._waiting:
            process = next((process for process in self._processes if not process.client), None)
            if process is None:
                if len(self._processes) >= self._most:
                    return
                process = self._fork()
            used = time.process_time()
            owed, self._own = self._owed + used - self._own, used
            client = self._waiting.popleft()
            try:
                socket.send_fds(process.said, [SECONDS.pack(owed)], [client.fileno()])
            except OSError:  # it has died: its end is heard next
                self._waiting.appendleft(client)
                self._owed = owed
                self._heard(process)
            else:
                self._owed, process.client = 0.0, client

    def _fork(self) -> Process:
        ours, its = socket.socketpair()
        server = os.getpid()
        if pid := os.fork():
            its.close()
            self._processes.append(made := Process(pid, ours))
            return made
        status = 1
        try:
            for held in (ours, self._listening.socket, *self._waiting):
                held.close()
            for process in self._processes:
                process.said.close()
                if process.client:
                    process.client.close()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            die_with(server)
            work(its, self._judge)
            status = 0
        finally:
            os._exit(status)  # nothing of the server's is ended here


def work(said: socket.socket, judge: Judge) -> None:
    """Answer the clients that come over a socket, one after the other, until it ends."""
    before = 0.0
    while True:
        word, descriptors, _, _ = socket.recv_fds(said, SECONDS.size, 1)
        if not descriptors:
            return
        with socket.socket(fileno=descriptors[0]) as client:
            answer: dict[str, Any] = {}
            with suppress(OSError, EOFError):  # a client that is gone
                messages.send(client, {})
                request = messages.receive(client)
                try:
                    answer = judge(request)
                except Exception as error:
                    machine = isinstance(error, OSError) or is_of_the_machine(error)
                    answer = {"error": one_line(error), "machine": machine}
            used = time.process_time()
            said.send(SECONDS.pack(used))  # first: a client that has its answer may be gone at once
            with suppress(OSError):
                messages.send(client, answer | {"cpu": used - before + SECONDS.unpack(word)[0]})
            before = used


def judge_of(own: str) -> Judge:
    """Load ScanCode, which leaves a temporary folder below `own`; return what answers a request. Raises what ScanCode raises."""
    shutil.rmtree(own, ignore_errors=True)  # of one that was killed while it loaded
    os.mkdir(own, 0o700)
    os.environ["SCANCODE_TEMP"] = tempfile.tempdir = own
    try:
        from license_expression import get_spdx_licensing

        detect, licensing = scancode_child.loaded(), get_spdx_licensing()
    finally:
        shutil.rmtree(own, ignore_errors=True)
    return lambda request: scancode_child.found(detect, licensing, request["text"], request["exact"])


def main() -> None:
    """Load, then serve; those who wait are told why where it does not load. Arguments: the listening socket, and its path."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the clients' to handle
    path = Path(sys.argv[2])
    listening = Listening(int(sys.argv[1]), path)
    try:
        judge = judge_of(f"{path}.tmp")
    except BaseException as error:
        with suppress(BlockingIOError):
            listening.leave()
            while True:
                client, _ = listening.socket.accept()
                _tell(client, {"error": one_line(error)})
        raise
    Server(listening, judge).serve()


def _tell(client: socket.socket, what: dict[str, Any]) -> None:
    with suppress(OSError):
        messages.send(client, what)


if __name__ == "__main__":
    main()
