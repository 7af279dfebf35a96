"""A proxy on loopback between a client and an HTTP server, which goes wrong now and then, the same way for the same seed.

It answers for the server with 500 or 503, stalls, cuts a request or a response in the middle, and loses the answer to a request that
was carried out.
"""

import itertools
import random
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

KINDS = ("500", "503", "stall", "cut request", "cut response", "lost answer")
CHUNK = 1 << 16


class Faults:
    """The proxy: `rate` of the requests go wrong, in one of `kinds`. `seen` counts what happened."""

    def __init__(self, server_port: int, rate: float, kinds: tuple[str, ...] = KINDS, seed: int = 0, stall: float = 4) -> None:
        self._server_port, self._rate, self._kinds, self._seed, self._stall = server_port, rate, kinds, seed, stall
        self._numbers = itertools.count()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.seen: Counter[str] = Counter()

    @contextmanager
    def running(self) -> Iterator["Faults"]:
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _fault(self) -> str:
        choice = random.Random(self._seed * 1_000_003 + next(self._numbers))
        return choice.choice(self._kinds) if choice.random() < self._rate else "none"

    def _serve(self, client: socket.socket) -> None:
        with closing(client), suppress(OSError, ValueError):
            client.settimeout(60)
            head, body = _head(client)
            fault = self._fault()
            self.seen[fault] += 1
            if fault == "stall":
                client.settimeout(self._stall)
                while client.recv(CHUNK):  # until the client has had enough, or the stall is over
                    pass
                return
            if fault in ("500", "503"):
                text = (
                    b"" if head.startswith(b"HEAD") else b"<Error><Code>InternalError</Code><Message>injected</Message></Error>"
                )
                client.sendall(
                    b"HTTP/1.1 %b Injected\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (fault.encode(), len(text))
                    + text
                )
                return
            with closing(socket.create_connection(("127.0.0.1", self._server_port), timeout=60)) as server:
                self._relay(client, server, head, body, fault)

    def _relay(self, client: socket.socket, server: socket.socket, head: bytes, body: bytes, fault: str) -> None:
        """Pass one request and its response on; a connection carries no second one."""
        server.sendall(re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head)[:-2] + b"Connection: close\r\n\r\n")
        cut = _length(head) // 2 if fault == "cut request" else None
        upload = threading.Thread(target=_pump, args=(client, server, body, cut), daemon=True)
        upload.start()
        answer, rest = _head(server)
        while answer.startswith(b"HTTP/1.1 100"):  # the client sends the body when it has this
            client.sendall(answer)
            answer, rest = _head(server, rest)
        if fault == "lost answer":
            return
        if fault == "cut response":
            half = _length(answer) // 2
            client.sendall(answer if half else answer[:20])
            _pump(server, client, rest, half)
        else:
            client.sendall(answer)
            _pump(server, client, rest, None)


def _head(sender: socket.socket, data: bytes = b"") -> tuple[bytes, bytes]:
    """Return the head of a message, and what came after it already."""
    while b"\r\n\r\n" not in data:
        more = sender.recv(CHUNK)
        if not more:
            raise ValueError("closed")
        data += more
    head, blank, rest = data.partition(b"\r\n\r\n")
    return head + blank, rest


def _length(head: bytes) -> int:
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return int(found[1]) if found else 0


def _pump(sender: socket.socket, receiver: socket.socket, data: bytes, allowed: int | None) -> None:
    """Pass on what comes; after `allowed` bytes the receiver hears no more."""
    with suppress(OSError):
        while allowed is None or len(data) < allowed:
            receiver.sendall(data)
            allowed = None if allowed is None else allowed - len(data)
            data = sender.recv(CHUNK)
            if not data:
                return
        receiver.sendall(data[:allowed])
        receiver.shutdown(socket.SHUT_RDWR)
